//! What the checks of all endpoints of one upstream come to together.
//!
//! One endpoint that fails is the endpoint's fault. All of them within moments is more likely the check's: a path
//! that is no longer there, a host that is refused, a port behind a new firewall. This notices; it decides nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{config::HealthPlan, names::EndpointId};

/// Which endpoints of an upstream are down by checks, and since when. It outlives reloads; who is no longer checked
/// is forgotten.
#[derive(Debug, Default)]
pub struct Consensus(Mutex<Fallen>);

/// The state behind it: pure.
#[derive(Debug, Default)]
struct Fallen {
    checked: BTreeSet<EndpointId>,
    down_since: BTreeMap<EndpointId, Instant>,
    /// That they all fell was told, and none has come up since.
    told: bool,
}

/// All endpoints fell at about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AllFell {
    /// How many.
    pub(super) endpoints: usize,
    /// From the first to the last.
    pub(super) within: Duration,
}

// === impl Consensus ===

impl Consensus {
    /// From here on `checked` are those that count.
    pub fn follow(&self, checked: BTreeSet<EndpointId>) {
        let mut fallen = self.0.lock();
        fallen.down_since.retain(|id, _| checked.contains(id));
        fallen.checked = checked;
    }

    /// Checks marked `endpoint` down.
    pub(super) fn fell(
        &self,
        endpoint: &EndpointId,
        plan: &HealthPlan,
        now: Instant,
    ) -> Option<AllFell> {
        self.0.lock().fell(endpoint, one_cause_takes(plan), now)
    }

    /// Checks marked `endpoint` up.
    pub(super) fn rose(&self, endpoint: &EndpointId) {
        let mut fallen = self.0.lock();
        fallen.down_since.remove(endpoint);
        fallen.told = false;
    }
}

/// How long it takes until the checks of every endpoint have found one cause that holds for all: an interval until
/// the first fails, and for each further one the fast interval and its time-out.
fn one_cause_takes(plan: &HealthPlan) -> Duration {
    let each = plan.fast_interval + plan.timeout;
    (plan.interval + each * plan.unhealthy_after.get()).mul_f64(1.0 + super::check::JITTER)
}

// === impl Fallen ===

impl Fallen {
    fn fell(&mut self, endpoint: &EndpointId, window: Duration, now: Instant) -> Option<AllFell> {
        if !self.checked.contains(endpoint) {
            return None; // its loop ends as we speak
        }
        self.down_since.insert(endpoint.clone(), now);
        let endpoints = self.checked.len();
        // With one endpoint, "all" says no more than it says of itself.
        if self.told || endpoints < 2 || self.down_since.len() < endpoints {
            return None;
        }
        let first = self.down_since.values().min()?;
        let within = now.saturating_duration_since(*first);
        self.told = within <= window;
        self.told.then_some(AllFell { endpoints, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn id(last: u8) -> EndpointId {
        EndpointId::new("shop".into(), ([10, 0, 0, last], 80).into())
    }

    fn three() -> Fallen {
        Fallen {
            checked: (1..=3).map(id).collect(),
            ..Fallen::default()
        }
    }

    #[test]
    fn all_that_fall_together_are_told_once() {
        let (mut fallen, start) = (three(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(fallen.fell(&id(1), WINDOW, start), None);
        assert_eq!(fallen.fell(&id(2), WINDOW, start + second), None);
        let all = AllFell {
            endpoints: 3,
            within: second * 2,
        };
        assert_eq!(fallen.fell(&id(3), WINDOW, start + second * 2), Some(all));
        assert_eq!(fallen.fell(&id(3), WINDOW, start + second * 3), None);
    }

    #[test]
    fn those_that_fall_one_by_one_are_not_told() {
        let (mut fallen, start) = (three(), Instant::now());
        fallen.fell(&id(1), WINDOW, start);
        fallen.fell(&id(2), WINDOW, start + WINDOW);
        assert_eq!(fallen.fell(&id(3), WINDOW, start + WINDOW * 2), None);
    }

    #[test]
    fn a_single_endpoint_is_no_company() {
        let mut fallen = Fallen {
            checked: BTreeSet::from([id(1)]),
            ..Fallen::default()
        };
        assert_eq!(fallen.fell(&id(1), WINDOW, Instant::now()), None);
    }

    #[test]
    fn one_that_comes_up_ends_it_and_the_next_time_is_told_again() {
        let (consensus, now) = (Consensus(Mutex::new(three())), Instant::now());
        let fell = |last| consensus.0.lock().fell(&id(last), WINDOW, now).is_some();
        assert!(!fell(1) && !fell(2) && fell(3));
        consensus.rose(&id(2));
        assert!(fell(2));
    }

    #[test]
    fn one_that_is_no_longer_checked_is_not_waited_for() {
        let (consensus, now) = (Consensus(Mutex::new(three())), Instant::now());
        let fell = |last| consensus.0.lock().fell(&id(last), WINDOW, now).is_some();
        assert!(!fell(1));
        consensus.follow([1, 2].map(id).into());
        assert!(!fell(3), "it is not checked any more");
        assert!(fell(2));
    }
}
