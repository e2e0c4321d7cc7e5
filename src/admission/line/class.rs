//! The waiters of one class (and share): a queue for each tenant, served in turn.
//!
//! Tenants are dealt to [`FLOWS`] queues by shuffle sharding: each has a hand of [`HAND`] of them, takes the one it
//! had last, else one that rests, else the shortest. Up to some hundred tenants at a time each has a queue of its
//! own; beyond, who is heavy shares its queues with few. Memory does not grow with tenants.
//! Source: Kubernetes' API priority and fairness; Nygren et al., "Shuffle sharding", 2014.

use std::{collections::VecDeque, time::Duration};

use super::slots::{End, List, Position, Slots, Standing, Waiter};
use crate::admission::moment::Moment;

/// Queues of one class.
const FLOWS: usize = 256;
/// How many of them a tenant may use.
const HAND: u32 = 4;
/// After so long, one that came counts half.
const HALF_LIFE: Duration = Duration::from_secs(1);
/// What is left of one that came a moment ago.
const ONCE: f32 = 0.3;
/// How often tenants are counted.
const COUNT_EACH: Duration = Duration::from_millis(100);
/// A look above the limit empties the queue for a moment. That ends no overload, so for so long it does not set the
/// clock back.
const LOOK: Duration = Duration::from_millis(100);
/// One that waits weighs more than any number that came.
const BUSY: f32 = 1e6;

/// What kind of place a waiter gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admission) enum Place {
    /// One within the limit.
    Steady,
    /// One of those that a look above the limit adds for a moment.
    Spare,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ClassQueue {
    /// Empty until somebody waits.
    flows: Box<[Flow]>,
    /// The flows that are not empty, whose turn it is first. May hold one that has become empty.
    turns: VecDeque<u16>,
    len: u32,
    /// Flows that are not empty.
    active: u32,
    /// Flows whose tenant came lately, as counted last.
    lately: u32,
    counted_at: Moment,
    /// Since when somebody always waited.
    since: Option<Moment>,
    /// When the last who waited got a spare place, where that is how it became empty.
    emptied_at: Option<Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    list: List,
    tenant: u64,
    in_turn: bool,
    /// How many of its tenant came, the older ones counting less; as of `at`.
    came: f32,
    at: Moment,
}

// === impl ClassQueue ===

impl ClassQueue {
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// For how long somebody always waited, moments of a look above the limit aside.
    pub(super) fn standing(&self, now: Moment) -> Duration {
        if self.len == 0 && !self.is_looked_at(now) {
            return Duration::ZERO;
        }
        self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// One of `tenant` came: where it would wait.
    pub(super) fn came(&mut self, tenant: u64, now: Moment) -> u16 {
        if self.flows.is_empty() {
            self.flows = vec![Flow::EMPTY; FLOWS].into_boxed_slice();
        }
        let number = self.flow_of(tenant, now);
        if let Some(flow) = self.flows.get_mut(usize::from(number)) {
            if flow.list.len == 0 && flow.tenant != tenant {
                (flow.tenant, flow.came) = (tenant, 0.0);
            }
            flow.came = flow.lately(now) + 1.0;
            flow.at = now;
        }
        if now.since(self.counted_at) >= COUNT_EACH {
            let came_lately = self.flows.iter().filter(|flow| flow.lately(now) >= ONCE);
            self.lately = u32::try_from(came_lately.count()).unwrap_or(u32::MAX);
            self.counted_at = now;
        }
        number
    }

    fn flow_of(&self, tenant: u64, now: Moment) -> u16 {
        let mut best = (0, f32::INFINITY);
        for card in hand(tenant) {
            let Some(flow) = self.flows.get(usize::from(card)) else {
                continue;
            };
            if flow.tenant == tenant && flow.came > 0.0 {
                return card;
            }
            #[expect(clippy::cast_precision_loss, reason = "a length, to compare")]
            let load = flow.list.len as f32 * BUSY + flow.lately(now);
            if load < best.1 {
                best = (card, load);
            }
        }
        best.0
    }

    /// How many go before the next one of `flow`, the flows being served in turn.
    pub(super) fn ahead(&self, flow: u16) -> u32 {
        let own = self.own(flow);
        // Each other flow gets one turn for each of this one's, while it has that many.
        let turns = self.active.saturating_mul(own.saturating_add(1));
        self.len.min(turns)
    }

    /// Whether the tenant of `flow` comes no faster than its share, of `drain` places a second among all tenants
    /// that came lately. A tenant that is alone is never light.
    pub(super) fn is_light(&self, flow: u16, drain: Option<f64>, now: Moment) -> bool {
        let Some((drain, flow)) = drain.zip(self.flows.get(usize::from(flow))) else {
            return false;
        };
        let rate = f64::from(flow.lately(now)) * std::f64::consts::LN_2 / HALF_LIFE.as_secs_f64();
        self.lately > 1 && rate <= drain / f64::from(self.lately)
    }

    pub(super) fn push<T>(&mut self, slots: &mut Slots<T>, waiter: Waiter<T>) -> Option<Position> {
        let number = waiter.place.flow;
        let arrived = waiter.arrived;
        let flow = self.flows.get_mut(usize::from(number))?;
        let position = slots.push(&mut flow.list, waiter)?;
        if flow.list.len == 1 {
            self.active = self.active.saturating_add(1);
        }
        if !flow.in_turn {
            flow.in_turn = true;
            self.turns.push_back(number);
        }
        self.len = self.len.saturating_add(1);
        if self.len == 1 && !self.is_looked_at(arrived) {
            self.since = None;
        }
        self.since.get_or_insert(arrived);
        Some(position)
    }

    /// The next: of the flow whose turn it is the oldest, or, where that one has waited longer than was thought
    /// when it came, the newest. Then the drain has collapsed, and the newest are those whose clients still wait.
    /// Source: Maurer, "Fail at scale", ACM Queue 13(8), 2015.
    pub(super) fn pop<T>(
        &mut self,
        slots: &mut Slots<T>,
        place: Place,
        now: Moment,
    ) -> Option<Waiter<T>> {
        loop {
            let number = self.turns.pop_front()?;
            let flow = self.flows.get_mut(usize::from(number))?;
            let Some(oldest) = slots.peek(&flow.list, End::Oldest) else {
                flow.in_turn = false;
                continue;
            };
            let late = now.since(oldest.arrived) > oldest.bound;
            let end = if late { End::Newest } else { End::Oldest };
            let waiter = slots.pop(&mut flow.list, end)?;
            if flow.list.len > 0 {
                self.turns.push_back(number);
            } else {
                flow.in_turn = false;
            }
            self.left(number);
            if self.len == 0 && place == Place::Spare {
                self.emptied_at = Some(now);
            }
            return Some(waiter);
        }
    }

    /// The newest of the tenant that has the most.
    pub(super) fn pop_worst<T>(&mut self, slots: &mut Slots<T>) -> Option<Waiter<T>> {
        let longest = self
            .turns
            .iter()
            .copied()
            .max_by_key(|number| self.own(*number))?;
        let flow = self.flows.get_mut(usize::from(longest))?;
        let waiter = slots.pop(&mut flow.list, End::Newest)?;
        self.left(longest);
        Some(waiter)
    }

    pub(super) fn remove<T>(
        &mut self,
        slots: &mut Slots<T>,
        position: Position,
        standing: Standing,
    ) -> Option<Waiter<T>> {
        let flow = self.flows.get_mut(usize::from(standing.flow))?;
        let waiter = slots.remove(&mut flow.list, position)?;
        self.left(standing.flow);
        Some(waiter)
    }

    /// One has left `flow`.
    fn left(&mut self, flow: u16) {
        self.len = self.len.saturating_sub(1);
        if self.own(flow) == 0 {
            self.active = self.active.saturating_sub(1);
        }
        if self.len == 0 {
            self.emptied_at = None;
        }
    }

    /// Whether a look above the limit emptied it, a moment ago.
    fn is_looked_at(&self, now: Moment) -> bool {
        self.emptied_at.is_some_and(|at| now.since(at) <= LOOK)
    }

    fn own(&self, flow: u16) -> u32 {
        self.flows
            .get(usize::from(flow))
            .map_or(0, |flow| flow.list.len)
    }
}

// === impl Flow ===

impl Flow {
    const EMPTY: Self = Self {
        list: List::EMPTY,
        tenant: 0,
        in_turn: false,
        came: 0.0,
        at: Moment::ZERO,
    };

    /// How many of its tenant came lately.
    fn lately(&self, now: Moment) -> f32 {
        if self.came <= 0.0 {
            return 0.0;
        }
        let age = now.since(self.at).as_secs_f32() / HALF_LIFE.as_secs_f32();
        self.came * 0.5_f32.powf(age)
    }
}

/// The flows that a tenant may use: bytes of its hash, so different tenants rarely have the same.
fn hand(tenant: u64) -> impl Iterator<Item = u16> {
    (0..HAND).map(move |card| u16::from((tenant >> (card * 8)).to_le_bytes()[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line {
        queue: ClassQueue,
        slots: Slots<u32>,
    }

    impl Line {
        fn new() -> Self {
            Self {
                queue: ClassQueue::default(),
                slots: Slots::new(),
            }
        }

        fn push(&mut self, tenant: u64, token: u32, bound_ms: u64) -> Position {
            let flow = self.queue.came(tenant, Moment::ZERO);
            let waiter = Waiter {
                token,
                place: Standing {
                    rank: 0,
                    group: 0,
                    flow,
                },
                arrived: Moment::ZERO,
                bound: Duration::from_millis(bound_ms),
                until: Moment::from_micros(100_000),
                reason: crate::fault::ShedReason::QueueTimeout,
                route: 0,
            };
            self.queue.push(&mut self.slots, waiter).unwrap()
        }

        fn drain(&mut self, now_ms: u64) -> Vec<u32> {
            let now = Moment::from_micros(now_ms * 1000);
            std::iter::from_fn(|| {
                self.queue
                    .pop(&mut self.slots, Place::Steady, now)
                    .map(|w| w.token)
            })
            .collect()
        }
    }

    const A: u64 = 0x0102_0304;
    const B: u64 = 0x1112_1314;

    #[test]
    fn one_tenant_is_served_in_order() {
        let mut line = Line::new();
        for token in 1..=4 {
            line.push(A, token, 50);
        }
        assert_eq!(line.queue.ahead(line.queue.flow_of(A, Moment::ZERO)), 4);
        assert_eq!(line.drain(10), [1, 2, 3, 4]);
        assert_eq!(line.queue.len(), 0);
    }

    #[test]
    fn tenants_are_served_in_turn() {
        let mut line = Line::new();
        for token in 1..=4 {
            line.push(A, token, 50);
        }
        assert_eq!(line.queue.ahead(line.queue.flow_of(B, Moment::ZERO)), 1);
        line.push(B, 11, 50);
        line.push(B, 12, 50);
        assert_eq!(line.drain(10), [1, 11, 2, 12, 3, 4]);
    }

    #[test]
    fn one_more_of_a_light_tenant_waits_for_a_turn_of_each_and_not_for_all() {
        let mut line = Line::new();
        for token in 1..=20 {
            line.push(A, token, 50);
        }
        line.push(B, 31, 50);
        let flow = line.queue.came(0x2122_2324, Moment::ZERO);
        assert_eq!(line.queue.ahead(flow), 2);
    }

    /// Comes so many times a second for three seconds; whether the first tenant is light then.
    fn light(rates: &[u64], drain: f64) -> bool {
        let mut queue = ClassQueue::default();
        let tenants: Vec<u64> = (1..)
            .map(|n: u64| n * 0x0101_0503)
            .take(rates.len())
            .collect();
        let end = Moment::from_micros(3_000_000);
        for millis in 0..3000_u64 {
            for (tenant, rate) in tenants.iter().zip(rates) {
                if millis % (1000 / rate) == 0 {
                    queue.came(*tenant, Moment::from_micros(millis * 1000));
                }
            }
        }
        let flow = queue.came(tenants[0], end);
        queue.is_light(flow, Some(drain), end)
    }

    #[test]
    fn who_comes_no_faster_than_its_share_is_light_and_where_all_come_faster_none_is() {
        assert!(light(&[10, 500, 10, 10], 100.0));
        assert!(!light(&[500, 10, 10, 10], 100.0));
        assert!(!light(&[100, 100, 100, 100], 100.0));
        assert!(!light(&[10], 100.0), "alone");
    }

    #[test]
    fn when_the_oldest_is_late_the_newest_goes_first() {
        let mut line = Line::new();
        for token in 1..=3 {
            line.push(A, token, 20);
        }
        assert_eq!(line.drain(21), [3, 2, 1]);
    }

    #[test]
    fn who_leaves_is_gone_and_an_empty_flow_loses_its_turn() {
        let mut line = Line::new();
        let position = line.push(A, 1, 50);
        line.push(B, 2, 50);
        let standing = line.slots.find(position).unwrap().place;
        assert!(
            line.queue
                .remove(&mut line.slots, position, standing)
                .is_some()
        );
        assert!(
            line.queue
                .remove(&mut line.slots, position, standing)
                .is_none()
        );
        line.push(A, 3, 50);
        assert_eq!(line.drain(1), [3, 2]);
    }

    #[test]
    fn the_heaviest_tenant_loses_its_newest() {
        let mut line = Line::new();
        line.push(B, 9, 50);
        for token in 1..=3 {
            line.push(A, token, 50);
        }
        assert_eq!(line.queue.pop_worst(&mut line.slots).unwrap().token, 3);
        assert_eq!(line.queue.len(), 3);
    }

    #[test]
    fn a_look_above_the_limit_does_not_set_the_clock_back() {
        let mut line = Line::new();
        let millis = |millis: u64| Moment::from_micros(millis * 1000);
        line.push(A, 1, 50);
        line.queue.pop(&mut line.slots, Place::Spare, millis(600));
        assert_eq!(line.queue.standing(millis(650)), Duration::from_millis(650));
        assert_eq!(
            line.queue.standing(millis(701)),
            Duration::ZERO,
            "it is over"
        );
    }

    #[test]
    fn a_queue_stands_since_it_was_last_empty() {
        let mut line = Line::new();
        line.push(A, 1, 50);
        assert_eq!(
            line.queue.standing(Moment::from_micros(7000)),
            Duration::from_millis(7)
        );
        line.drain(8);
        assert_eq!(
            line.queue.standing(Moment::from_micros(9000)),
            Duration::ZERO
        );
    }
}
