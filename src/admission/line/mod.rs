//! Who waits for a place at one upstream, how long, and who goes next. Pure: no lock, no clock, no waking.
//!
//! * **Bounded in time.** Who would wait longer than it may is refused on arrival: see [`patience`].
//! * **Bounded in number.** At the bound, who arrives with a higher class pushes out the youngest of the lowest.
//! * **Strictly the higher class first**, except that a class that always waits gets one place in a hundred, and a
//!   route that has less than its share comes before all.
//! * **Fair between tenants** of a class: see [`class`].
//!
//! Every operation is O(1), but for pushing out and for choosing among many shares. A waiter costs about 100
//! bytes here besides its token.

mod class;
mod drain;
mod patience;
mod shares;
mod shed;
mod slots;

use std::time::Duration;

use rand::Rng;

use super::moment::Moment;
use crate::{
    config::{QueuePlan, Stretch},
    fault::ShedReason,
    names::Priority,
};
use class::ClassQueue;
pub(super) use class::Place;
use drain::Drain;
pub(super) use patience::Pace;
use patience::Patience;
pub(super) use shares::{MAX_GROUPS, Shares};
use shed::ShedShare;
pub use slots::Position;
use slots::{Slots, Standing, Waiter};

/// What a request wants of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Its class.
    pub priority: Priority,
    /// Whether it is a second try, of ours or of the client: those go behind all first tries of their class.
    pub retry: bool,
    /// Its route, as [`Gate::routes`](super::Gate::routes) numbers it.
    pub route: RouteNumber,
    /// A hash of its tenant; those who have the same are one.
    pub tenant: u64,
    /// When its client gives up.
    pub deadline: Option<Moment>,
}

/// A route, as one upstream knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteNumber {
    pub(super) number: u16,
    pub(super) group: u8,
}

impl RouteNumber {
    /// The `number`-th route, of the `group`-th share; group 0 is all routes without one.
    #[must_use]
    pub const fn new(number: u16, group: u8) -> Self {
        Self { number, group }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.number
    }
}

/// Those who wait. `T` is what they are woken by.
#[derive(Debug)]
pub(super) struct Line<T> {
    slots: Slots<T>,
    /// By share group, then by rank.
    queues: Vec<[ClassQueue; RANKS]>,
    waiting: [u32; RANKS],
    /// How many others went while one of this rank waited.
    passed_over: [u32; RANKS],
    shed: [ShedShare; RANKS],
    drain: Drain,
    len: u32,
    most: u32,
    stretch: Stretch,
    max_wait: Duration,
}

/// What became of one who arrived.
#[derive(Debug)]
pub(super) enum Offer<T> {
    /// It waits.
    Waits {
        position: Position,
        /// Then it waits in vain …
        until: Moment,
        /// … and is told this.
        reason: ShedReason,
        /// How long it will probably be.
        predicted: Duration,
        /// Who no longer waits, in its favour.
        displaced: Option<T>,
    },
    /// It is refused.
    Refused(ShedReason),
}

/// Who goes next.
#[derive(Debug)]
pub(super) struct Next<T> {
    pub(super) token: T,
    pub(super) route: RouteNumber,
    /// It waited in vain, and is told this.
    pub(super) expired: Option<ShedReason>,
}

/// Each class twice: first tries, then second ones.
const RANKS: usize = Priority::ALL.len() * 2;
/// No queue that follows its drain is longer.
const MOST_STRETCHED: u32 = 65_536;
/// Of so many places a class that always waits gets one: 1 %.
const STARVED_AFTER: u32 = 99;

// === impl Line ===

impl<T> Line<T> {
    pub(super) const fn new(plan: &QueuePlan) -> Self {
        Self {
            slots: Slots::new(),
            queues: Vec::new(),
            waiting: [0; RANKS],
            passed_over: [0; RANKS],
            shed: [ShedShare::FRESH; RANKS],
            drain: Drain::NEW,
            len: 0,
            most: plan.max_waiting,
            stretch: plan.stretch,
            max_wait: plan.max_wait,
        }
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// How many of a class wait.
    pub(super) fn waiting(&self, priority: Priority) -> u32 {
        let [first, again] = [false, true].map(|retry| rank(priority, retry));
        at(&self.waiting, first).saturating_add(at(&self.waiting, again))
    }

    /// One arrives. `token` is made only where it waits.
    pub(super) fn offer(
        &mut self,
        ask: &Ask,
        pace: &Pace,
        now: Moment,
        token: impl FnOnce() -> T,
    ) -> Offer<T> {
        let rank = rank(ask.priority, ask.retry);
        if self.most == 0 {
            self.note(rank, |shed| shed.shed(now));
            return Offer::Refused(ShedReason::ConcurrencyExceeded);
        }
        let (standing, patience, predicted) = self.judge(rank, ask, pace, now);
        if predicted > patience.bound {
            self.note(rank, |shed| shed.shed(now));
            return Offer::Refused(patience.reason);
        }
        let most = self.most_at(pace);
        let crowded = self.len >= most || pace.wait_for(self.len) > patience.bound;
        let mut displaced = crowded.then(|| self.displace(rank, now)).flatten();
        if displaced.is_none() && self.len >= most {
            displaced = self.make_room(standing, pace, now);
        }
        if self.len >= most {
            self.note(rank, |shed| shed.shed(now));
            return Offer::Refused(ShedReason::QueueFull);
        }
        let (until, reason) = self.last_moment(ask, pace, now);
        let waiter = Waiter {
            token: token(),
            place: standing,
            arrived: now,
            bound: patience.bound,
            until,
            reason,
            route: ask.route.number,
        };
        match self.push(waiter) {
            Some(position) => Offer::Waits {
                position,
                until,
                reason,
                predicted,
                displaced,
            },
            None => Offer::Refused(ShedReason::QueueFull),
        }
    }

    /// Who goes next: see the module. One that waited in vain is told so, and another called.
    pub(super) fn pop(
        &mut self,
        shares: &Shares,
        places: u32,
        place: Place,
        now: Moment,
    ) -> Option<Next<T>> {
        let (group, rank) = self.next(shares, places)?;
        let queue = self.queues.get_mut(group)?.get_mut(rank)?;
        let waiter = queue.pop(&mut self.slots, place, now)?;
        self.left(rank);
        let expired = (waiter.until < now).then_some(waiter.reason);
        if expired.is_some() {
            self.note(rank, |shed| shed.gave_up(now));
        } else {
            self.passed(rank);
        }
        Some(Next {
            token: waiter.token,
            route: RouteNumber {
                number: waiter.route,
                group: waiter.place.group,
            },
            expired,
        })
    }

    /// Takes one out who no longer waits; `None` where it has left already.
    pub(super) fn remove(&mut self, position: Position) -> Option<T> {
        let standing = self.slots.find(position)?.place;
        let queue = self.queue_mut(standing)?;
        let waiter = queue.0.remove(queue.1, position, standing)?;
        self.left(usize::from(standing.rank));
        Some(waiter.token)
    }

    /// The same, of one whose time was up.
    pub(super) fn give_up(&mut self, position: Position, now: Moment) -> Option<T> {
        let rank = usize::from(self.slots.find(position)?.place.rank);
        let token = self.remove(position)?;
        self.note(rank, |shed| shed.gave_up(now));
        Some(token)
    }

    /// Sets the bounds; returns one who is beyond them, the youngest of the lowest class. Call until `None`.
    pub(super) fn bound(&mut self, plan: &QueuePlan, now: Moment) -> Option<T> {
        (self.most, self.stretch, self.max_wait) = (plan.max_waiting, plan.stretch, plan.max_wait);
        if self.stretch == Stretch::WithDrain || self.len <= self.most {
            None
        } else {
            self.displace_from(0, now)
        }
    }

    /// Requests of a route now end `timeout` after they came, which is sooner than they thought: none of them that wait is
    /// let in later than that. Takes out those whose time is over by that.
    pub(super) fn hurry(&mut self, route: u16, timeout: Duration, now: Moment) -> Vec<T> {
        let mut late = Vec::new();
        let own = self.slots.each_mut();
        for (position, waiter) in own.filter(|(_, waiter)| waiter.route == route) {
            let hurried = waiter.arrived.plus(timeout);
            if hurried < waiter.until {
                (waiter.until, waiter.reason) = (hurried, ShedReason::DeadlineUnmeetable);
            }
            if waiter.until < now {
                late.push(position);
            }
        }
        let late = late.into_iter();
        late.filter_map(|position| self.give_up(position, now))
            .collect()
    }

    /// A place came free while somebody waits; `guess` is how many do in a second where nothing was measured yet.
    pub(super) fn freed(&mut self, now: Moment, guess: Option<f64>) {
        self.drain.freed(now, guess);
    }

    /// How many places come free in a second, as measured lately.
    pub(super) fn drain(&self, now: Moment) -> Option<f64> {
        self.drain.rate(now)
    }

    /// Whether one would be refused, were `beyond` others waiting: what a limit in shadow counts.
    pub(super) fn pretend(
        &self,
        ask: &Ask,
        beyond: u32,
        pace: &Pace,
        now: Moment,
    ) -> Option<ShedReason> {
        let patience = Patience::of(self.max_wait, Duration::ZERO, ask.deadline, pace.usual, now);
        if self.most == 0 {
            return Some(ShedReason::ConcurrencyExceeded);
        }
        if beyond >= self.most {
            return Some(ShedReason::QueueFull);
        }
        (pace.wait_for(beyond) > patience.bound).then_some(patience.reason)
    }

    /// When one of this class that was refused should come back.
    pub(super) fn retry_after(&self, ask: &Ask, rng: &mut impl Rng) -> Duration {
        let shed = self.shed.get(rank(ask.priority, ask.retry));
        shed.copied().unwrap_or_default().retry_after(rng)
    }

    /// One was let in without waiting.
    pub(super) fn let_in(&mut self, ask: &Ask, now: Moment) {
        self.note(rank(ask.priority, ask.retry), |shed| shed.let_in(now));
    }
}

/// The parts of the above.
impl<T> Line<T> {
    /// How many may wait, while so many places come free.
    fn most_at(&self, pace: &Pace) -> u32 {
        match self.stretch {
            Stretch::Never => self.most,
            // Before anything has ended the wait itself is the bound.
            Stretch::WithDrain => match pace.within(self.max_wait) {
                0 => MOST_STRETCHED,
                within => self.most.max(within.min(MOST_STRETCHED)),
            },
        }
    }

    /// Where one would stand, how long it may wait, and how long it will.
    fn judge(
        &mut self,
        rank: usize,
        ask: &Ask,
        pace: &Pace,
        now: Moment,
    ) -> (Standing, Patience, Duration) {
        let group = usize::from(ask.route.group);
        while self.queues.len() <= group {
            self.queues
                .push(std::array::from_fn(|_| ClassQueue::default()));
        }
        let before: u32 = self.waiting.iter().take(rank).sum();
        let mut standing = Standing {
            rank: u8::try_from(rank).unwrap_or(u8::MAX),
            group: ask.route.group,
            flow: 0,
        };
        let (mut behind, mut stood) = (0, Duration::ZERO);
        if let Some((queue, _)) = self.queue_mut(standing) {
            standing.flow = queue.came(ask.tenant, now);
            behind = queue.ahead(standing.flow);
            if !queue.is_light(standing.flow, pace.drain, now) {
                stood = queue.standing(now);
            }
        }
        if !self.sheds(rank, now) {
            stood = Duration::ZERO; // it is long and stays as long as it is: all of it is served in time
        }
        let patience = Patience::of(self.max_wait, stood, ask.deadline, pace.usual, now);
        let predicted = pace.wait_for(before.saturating_add(behind));
        (standing, patience, predicted)
    }

    /// Whether some of a class were shed a moment ago: more come than go.
    fn sheds(&self, rank: usize, now: Moment) -> bool {
        self.shed
            .get(rank)
            .is_some_and(|shed| shed.lately(now, patience::INTERVAL))
    }

    /// When one waits in vain, and what it is told then.
    fn last_moment(&self, ask: &Ask, pace: &Pace, now: Moment) -> (Moment, ShedReason) {
        let latest = now.plus(self.max_wait);
        let hurried = ask.deadline.map(|deadline| deadline.minus(pace.usual));
        match hurried {
            Some(hurried) if hurried < latest => (hurried.max(now), ShedReason::DeadlineUnmeetable),
            _ => (latest, ShedReason::QueueTimeout),
        }
    }

    fn push(&mut self, waiter: Waiter<T>) -> Option<Position> {
        let (group, rank) = (
            usize::from(waiter.place.group),
            usize::from(waiter.place.rank),
        );
        let (arrived, queue) = (waiter.arrived, self.queues.get_mut(group)?.get_mut(rank)?);
        let position = queue.push(&mut self.slots, waiter)?;
        self.len = self.len.saturating_add(1);
        if let Some(waiting) = self.waiting.get_mut(rank) {
            *waiting = waiting.saturating_add(1);
        }
        self.note(rank, |shed| shed.let_in(arrived));
        Some(position)
    }

    /// The group and rank that go next.
    fn next(&self, shares: &Shares, places: u32) -> Option<(usize, usize)> {
        if shares.matter() {
            let claim = |group: usize| Some((group, shares.claims(group, places)?));
            let first = (1..self.queues.len())
                .filter(|group| self.first_rank(*group).is_some())
                .filter_map(claim)
                .min_by(|one, other| one.1.total_cmp(&other.1));
            if let Some((group, _)) = first {
                return Some((group, self.first_rank(group)?));
            }
        }
        let starved = (0..RANKS).rev().find(|rank| {
            at(&self.waiting, *rank) > 0 && at(&self.passed_over, *rank) >= STARVED_AFTER
        });
        let first = (0..RANKS).find(|rank| at(&self.waiting, *rank) > 0);
        let rank = starved.or(first)?;
        let group = (0..self.queues.len())
            .filter(|group| self.waits(*group, rank))
            .min_by(|one, other| shares.load(*one).total_cmp(&shares.load(*other)))?;
        Some((group, rank))
    }

    fn first_rank(&self, group: usize) -> Option<usize> {
        (0..RANKS).find(|rank| self.waits(group, *rank))
    }

    fn waits(&self, group: usize, rank: usize) -> bool {
        let queue = self.queues.get(group).and_then(|ranks| ranks.get(rank));
        queue.is_some_and(|queue| queue.len() > 0)
    }

    /// One of `rank` got a place: everybody else who waits was passed over.
    fn passed(&mut self, rank: usize) {
        for (other, (passed, waiting)) in self.passed_over.iter_mut().zip(&self.waiting).enumerate()
        {
            *passed = if other == rank || *waiting == 0 {
                0
            } else {
                passed.saturating_add(1)
            };
        }
    }

    /// Puts out the youngest of the lowest class below `rank`.
    fn displace(&mut self, rank: usize, now: Moment) -> Option<T> {
        // A second try has no right over a first one of the same class, nor the other way round.
        let below = (rank / 2).saturating_add(1).saturating_mul(2);
        self.displace_from(below, now)
    }

    /// A full queue of a class gives up the newest of its heaviest tenant for one of a light tenant.
    fn make_room(&mut self, standing: Standing, pace: &Pace, now: Moment) -> Option<T> {
        let rank = usize::from(standing.rank);
        let (queue, slots) = self.queue_mut(standing)?;
        if !queue.is_light(standing.flow, pace.drain, now) {
            return None;
        }
        let waiter = queue.pop_worst(slots)?;
        self.left(rank);
        self.note(rank, |shed| shed.gave_up(now));
        Some(waiter.token)
    }

    fn displace_from(&mut self, from: usize, now: Moment) -> Option<T> {
        let lowest = (from..RANKS)
            .rev()
            .find(|rank| at(&self.waiting, *rank) > 0)?;
        let group = (0..self.queues.len())
            .filter_map(|group| Some((group, self.queues.get(group)?.get(lowest)?.len())))
            .max_by_key(|(_, len)| *len)?
            .0;
        let queue = self.queues.get_mut(group)?.get_mut(lowest)?;
        let waiter = queue.pop_worst(&mut self.slots)?;
        self.left(lowest);
        self.note(lowest, |shed| shed.gave_up(now));
        Some(waiter.token)
    }

    fn left(&mut self, rank: usize) {
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.drain.rests();
        }
        if let Some(waiting) = self.waiting.get_mut(rank) {
            *waiting = waiting.saturating_sub(1);
        }
    }

    fn note(&mut self, rank: usize, what: impl FnOnce(&mut ShedShare)) {
        if let Some(shed) = self.shed.get_mut(rank) {
            what(shed);
        }
    }

    fn queue_mut(&mut self, standing: Standing) -> Option<(&mut ClassQueue, &mut Slots<T>)> {
        let ranks = self.queues.get_mut(usize::from(standing.group))?;
        Some((ranks.get_mut(usize::from(standing.rank))?, &mut self.slots))
    }
}

fn rank(priority: Priority, retry: bool) -> usize {
    priority
        .index()
        .saturating_mul(2)
        .saturating_add(usize::from(retry))
}

fn at(counts: &[u32; RANKS], rank: usize) -> u32 {
    counts.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
