//! The lanes of one upstream, by endpoint, and the laws that they follow.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use super::{
    concurrency::{Belief, Bounds, Law, learned, recalled},
    lane::Lane,
    memory::FORGOTTEN,
    moment::Moment,
};
use crate::{
    config::{ConcurrencyMode, LawWord, LimitBounds},
    names::EndpointId,
};

/// Every lane that a gate knows. Asked when a snapshot is built, never by a request.
#[derive(Debug)]
pub(super) struct Lanes {
    mode: ConcurrencyMode,
    lanes: HashMap<EndpointId, Known>,
    before: Before,
    /// Where the gate began in a second of the wall clock.
    wall: Duration,
}

#[derive(Debug)]
struct Known {
    lane: Arc<Lane>,
    /// The law that it followed before its mode was changed.
    resting: Option<Resting>,
    /// Since when nothing names it.
    unnamed_since: Option<Moment>,
}

/// A law that nobody follows for now.
#[derive(Debug)]
struct Resting {
    word: LawWord,
    law: Box<dyn Law>,
    since: Moment,
}

/// What a law knew longer ago than this, it is less sure of.
const FRESH: Duration = Duration::from_secs(10);

/// What was learned before a restart, of endpoints that nothing has named yet.
#[derive(Debug, Default)]
struct Before {
    known: HashMap<EndpointId, (f64, Option<Belief>)>,
    /// How long ago that was …
    ago: Duration,
    /// … at this moment.
    at: Moment,
}

/// How long the lane of an endpoint that nothing names is kept, with what it learned.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

// === impl Lanes ===

impl Lanes {
    /// None yet. `wall` is the time of day at the gate's beginning; only its part of a second counts.
    pub(super) fn new(mode: ConcurrencyMode, wall: Duration) -> Self {
        Self {
            mode,
            lanes: HashMap::new(),
            before: Before::default(),
            wall,
        }
    }

    /// Lanes of these endpoints begin where they were `ago`, before a restart.
    pub(super) fn recall(
        &mut self,
        known: HashMap<EndpointId, (f64, Option<Belief>)>,
        ago: Duration,
        now: Moment,
    ) {
        self.before = Before {
            known,
            ago,
            at: now,
        };
    }

    /// Where each lane's limit is, and what its law believes; those that have learned nothing are left out.
    pub(super) fn known(&self) -> impl Iterator<Item = (&EndpointId, (f64, Option<Belief>))> {
        let lanes = self.lanes.iter();
        lanes.filter_map(|(id, known)| Some((id, known.lane.known()?)))
    }

    /// The lane of `id`. A new one begins with what was learned of it before a restart, or else with what its siblings
    /// learned.
    pub(super) fn get_or_new(&mut self, id: &EndpointId, now: Moment) -> Arc<Lane> {
        if let Some(known) = self.lanes.get_mut(id) {
            known.unnamed_since = None;
            return Arc::clone(&known.lane);
        }
        let lane = Arc::new(self.lane(id));
        if let ConcurrencyMode::Learned { law, bounds, .. } = self.mode {
            if let Some(before) = self.before.take(id, (law, bounds), now) {
                lane.recall(before, now);
            } else {
                let sibling = self.sibling();
                lane.learn(sibling.unwrap_or_else(|| learned(law, bounds)), now);
            }
        }
        let known = Known {
            lane: Arc::clone(&lane),
            resting: None,
            unnamed_since: None,
        };
        self.lanes.insert(id.clone(), known);
        lane
    }

    /// Follows another mode. A law that was followed before goes on where it was when its mode comes back.
    pub(super) fn follow(&mut self, mode: ConcurrencyMode, now: Moment) {
        let before = std::mem::replace(&mut self.mode, mode);
        let each = each(before, self.lanes.len());
        for known in self.lanes.values_mut() {
            match (mode, before) {
                (
                    ConcurrencyMode::Learned { law, bounds, .. },
                    ConcurrencyMode::Learned {
                        law: old,
                        bounds: were,
                        ..
                    },
                ) if law == old => {
                    if bounds != were {
                        known.lane.rebound(Bounds::from(bounds), now);
                    }
                }
                (ConcurrencyMode::Learned { law, bounds, .. }, _) => {
                    let limit = known.lane.steady().and_then(NonZeroU32::new).or(each);
                    let next = known.wake((law, bounds), now);
                    let next = next.unwrap_or_else(|| learned(law, starting(bounds, limit)));
                    let rests = known.lane.learn(next, now);
                    known.rest(rests, before, now);
                }
                (ConcurrencyMode::Off | ConcurrencyMode::Fixed(_), _) => {
                    let rests = known.lane.forget();
                    known.rest(rests, before, now);
                }
            }
        }
    }

    /// Forgets the lanes of endpoints that nothing has named for long.
    pub(super) fn retain(&mut self, named: &HashSet<&EndpointId>, now: Moment) {
        self.lanes.retain(|id, known| {
            if named.contains(id) {
                known.unnamed_since = None;
                return true;
            }
            let since = *known.unnamed_since.get_or_insert(now);
            now.since(since) < REMEMBERED || known.lane.in_flight() > 0
        });
    }

    /// What the busiest lane learned.
    fn sibling(&self) -> Option<Box<dyn Law>> {
        let busiest = self.lanes.values().max_by_key(|known| known.lane.windows());
        busiest?.lane.sibling()
    }

    /// Gateways that watch the same endpoint look above their limits at the same moment of a second: their clocks
    /// and the endpoint's name say when.
    fn lane(&self, id: &EndpointId) -> Lane {
        let mut hasher = DefaultHasher::new();
        id.address.hash(&mut hasher);
        let hash = hasher.finish();
        let own = Duration::from_micros(hash % 1_000_000);
        let second = Duration::from_secs(1);
        let begun = Duration::from_micros(u64::from(self.wall.subsec_micros()));
        let slot = (own + second).saturating_sub(begun);
        Lane::new(id.clone(), slot, hash)
    }
}

// === impl Before ===

impl Before {
    /// The law of an endpoint that goes on from before; once, and not where that is too long ago.
    fn take(
        &mut self,
        id: &EndpointId,
        (law, bounds): (LawWord, LimitBounds),
        now: Moment,
    ) -> Option<Box<dyn Law>> {
        let (limit, belief) = self.known.remove(id)?;
        let ago = self.ago.saturating_add(now.since(self.at));
        (ago < FORGOTTEN).then(|| recalled(law, bounds, (limit, belief.as_ref()), ago))
    }
}

// === impl Known ===

impl Known {
    /// The law that rests, where it is one of this word.
    fn wake(
        &mut self,
        (word, bounds): (LawWord, LimitBounds),
        now: Moment,
    ) -> Option<Box<dyn Law>> {
        let Resting { law, since, .. } = self.resting.take_if(|resting| resting.word == word)?;
        let mut law = if now.since(since) > FRESH {
            law.sibling()?
        } else {
            law
        };
        law.rebound(Bounds::from(bounds));
        Some(law)
    }

    fn rest(&mut self, law: Option<Box<dyn Law>>, mode: ConcurrencyMode, now: Moment) {
        if let (Some(law), ConcurrencyMode::Learned { law: word, .. }) = (law, mode) {
            let since = now;
            self.resting = Some(Resting { word, law, since });
        }
    }
}

/// What each of so many endpoints had of a fixed limit.
fn each(mode: ConcurrencyMode, lanes: usize) -> Option<NonZeroU32> {
    let ConcurrencyMode::Fixed(limit) = mode else {
        return None;
    };
    let lanes = u32::try_from(lanes).unwrap_or(u32::MAX).max(1);
    NonZeroU32::new(limit.get().div_ceil(lanes))
}

fn starting(bounds: LimitBounds, limit: Option<NonZeroU32>) -> LimitBounds {
    let initial = limit.map_or(bounds.initial, |limit| limit.clamp(bounds.min, bounds.max));
    LimitBounds { initial, ..bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn learned_within(min: u32, law: LawWord) -> ConcurrencyMode {
        let bounds = LimitBounds {
            min: count(min),
            max: count(200),
            initial: count(min.max(10)),
        };
        let total = None;
        ConcurrencyMode::Learned { law, bounds, total }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn lanes(mode: ConcurrencyMode, addresses: &[&str]) -> (Lanes, Vec<Arc<Lane>>) {
        let mut lanes = Lanes::new(mode, Duration::ZERO);
        let each = addresses.iter().map(|address| {
            let address = address.parse().expect("an address");
            let id = EndpointId::new("shop".into(), address);
            lanes.get_or_new(&id, at(0))
        });
        let each = each.collect();
        (lanes, each)
    }

    #[test]
    fn a_mode_that_comes_back_goes_on_where_it_was() {
        let adaptive = learned_within(1, LawWord::Adaptive);
        let (mut lanes, each) = lanes(learned_within(40, LawWord::Adaptive), &["10.0.0.1:80"]);
        assert_eq!(each[0].steady(), Some(40));
        lanes.follow(ConcurrencyMode::Fixed(count(8)), at(1));
        assert_eq!(each[0].steady(), None);
        lanes.follow(adaptive, at(2));
        assert_eq!(each[0].steady(), Some(40), "not the initial limit");
        lanes.follow(learned_within(1, LawWord::Vegas), at(3));
        assert_eq!(each[0].steady(), Some(40), "another law starts from there");
        lanes.follow(adaptive, at(100));
        assert_eq!(each[0].steady(), Some(40), "after long, too");
    }

    #[test]
    fn a_law_that_follows_a_fixed_limit_starts_with_each_endpoints_part_of_it() {
        let fixed = ConcurrencyMode::Fixed(count(64));
        let (mut lanes, each) = lanes(fixed, &["10.0.0.1:80", "10.0.0.2:80"]);
        lanes.follow(learned_within(1, LawWord::Adaptive), at(1));
        assert_eq!(each[0].steady(), Some(32));
    }
}
