//! The lanes of one upstream, by endpoint, and the laws that they follow.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use super::{
    concurrency::{Bounds, learned},
    lane::Lane,
    moment::Moment,
};
use crate::{
    config::{ConcurrencyMode, LimitBounds},
    names::EndpointId,
};

/// Every lane that a gate knows. Asked when a snapshot is built, never by a request.
#[derive(Debug)]
pub(super) struct Lanes {
    mode: ConcurrencyMode,
    lanes: HashMap<EndpointId, Known>,
    /// Where the gate began in a second of the wall clock.
    wall: Duration,
}

#[derive(Debug)]
struct Known {
    lane: Arc<Lane>,
    /// Since when nothing names it.
    unnamed_since: Option<Moment>,
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
            wall,
        }
    }

    /// The lane of `id`. A new one begins with what its siblings learned.
    pub(super) fn get_or_new(&mut self, id: &EndpointId, now: Moment) -> Arc<Lane> {
        if let Some(known) = self.lanes.get_mut(id) {
            known.unnamed_since = None;
            return Arc::clone(&known.lane);
        }
        let lane = Arc::new(self.lane(id));
        if let ConcurrencyMode::Learned { law, bounds, .. } = self.mode {
            let busiest = self.lanes.values().max_by_key(|known| known.lane.windows());
            let sibling = busiest.and_then(|known| known.lane.sibling());
            lane.learn(sibling.unwrap_or_else(|| learned(law, bounds)), now);
        }
        let known = Known {
            lane: Arc::clone(&lane),
            unnamed_since: None,
        };
        self.lanes.insert(id.clone(), known);
        lane
    }

    /// Follows another mode. A law that stays keeps what it learned, its bounds clamp it; another one begins where
    /// the limit is.
    pub(super) fn follow(&mut self, mode: ConcurrencyMode, now: Moment) {
        let before = std::mem::replace(&mut self.mode, mode);
        for known in self.lanes.values() {
            let lane = &known.lane;
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
                        lane.rebound(Bounds::from(bounds), now);
                    }
                }
                (ConcurrencyMode::Learned { law, bounds, .. }, _) => {
                    lane.learn(learned(law, starting(bounds, lane.limit())), now);
                }
                (ConcurrencyMode::Off | ConcurrencyMode::Fixed(_), _) => lane.forget(),
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

fn starting(bounds: LimitBounds, limit: Option<u32>) -> LimitBounds {
    let initial = limit
        .and_then(NonZeroU32::new)
        .map_or(bounds.initial, |limit| limit.clamp(bounds.min, bounds.max));
    LimitBounds { initial, ..bounds }
}
