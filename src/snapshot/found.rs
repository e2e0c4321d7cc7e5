//! What the limit of an upstream came to, minute by minute.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Roster;
use crate::{
    admission::LaneView,
    config::{ConcurrencyMode, UpstreamPlan},
};

/// The limits of an upstream over the last hour, one a minute. A reload that changes where its limit comes from
/// begins anew.
#[derive(Debug)]
pub struct Found(Mutex<Minutes>);

#[derive(Debug)]
struct Minutes {
    mode: ConcurrencyMode,
    /// When the last was noted, or this began.
    last: Instant,
    limits: VecDeque<f64>,
}

/// How often one is noted.
const EVERY: Duration = Duration::from_secs(60);
/// How many are kept: an hour of them.
const KEPT: usize = 60;
/// Of the quantiles that a belief shows: 0.75.
const UPPER_QUARTILE: usize = 3;

// === impl Found ===

impl Found {
    /// Nothing, from `now` on.
    pub(super) const fn new(mode: ConcurrencyMode, now: Instant) -> Self {
        Self(Mutex::new(Minutes {
            mode,
            last: now,
            limits: VecDeque::new(),
        }))
    }

    /// Notes what the limit is, where a minute is over.
    pub(super) fn look(&self, plan: &UpstreamPlan, roster: &Roster, now: Instant) {
        let learned = || over_all(roster.lanes().map(|lane| lane.view()));
        self.0.lock().look(plan.concurrency.mode, learned, now);
    }

    /// What was found, the oldest first; minutes in which nothing was are left out.
    #[must_use]
    pub fn limits(&self) -> Vec<f64> {
        let minutes = self.0.lock();
        let found = minutes.limits.iter().copied();
        found.filter(|limit| limit.is_finite()).collect()
    }
}

// === impl Minutes ===

impl Minutes {
    fn look(&mut self, mode: ConcurrencyMode, learned: impl FnOnce() -> Option<f64>, now: Instant) {
        if self.mode != mode {
            (self.mode, self.last) = (mode, now);
            self.limits.clear();
        }
        if now.saturating_duration_since(self.last) < EVERY {
            return;
        }
        self.last = now;
        let limit = match mode {
            ConcurrencyMode::Off => None,
            ConcurrencyMode::Fixed(limit) => Some(f64::from(limit.get())),
            ConcurrencyMode::Learned { .. } => learned(),
        };
        if self.limits.len() >= KEPT {
            self.limits.pop_front();
        }
        // A minute without a limit is one too, so that an hour stays an hour.
        self.limits.push_back(limit.unwrap_or(f64::NAN));
    }
}

/// What the endpoints can work on together; `None` where nothing was learned of any.
fn over_all(lanes: impl Iterator<Item = LaneView>) -> Option<f64> {
    lanes
        .filter_map(|lane| found_at(&lane))
        .reduce(|a, b| a + b)
}

/// The upper quartile of what the law believes once it has seen answers, else the limit of a law without beliefs.
fn found_at(lane: &LaneView) -> Option<f64> {
    let beliefs = &lane.beliefs;
    match beliefs.capacity {
        Some(_) if beliefs.baselines.is_empty() => None,
        Some(quantiles) => quantiles.get(UPPER_QUARTILE).copied(),
        None => lane.limit.map(f64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Beliefs;

    fn lane(capacity: Option<[f64; 5]>, seen: bool) -> LaneView {
        LaneView {
            limit: Some(8),
            in_flight: 0,
            probes: 0,
            beliefs: Beliefs {
                capacity,
                baselines: if seen { vec![(0, 0.02)] } else { Vec::new() },
                ..Beliefs::default()
            },
        }
    }

    #[test]
    fn the_upper_quartiles_of_all_endpoints_that_answered_are_one_limit() {
        let believed = Some([5.0, 8.0, 10.0, 12.0, 20.0]);
        let known = || lane(believed, true);
        assert_eq!(over_all([known(), known()].into_iter()), Some(24.0));
        let unknown = lane(believed, false);
        assert_eq!(over_all([known(), unknown.clone()].into_iter()), Some(12.0));
        assert_eq!(over_all([unknown].into_iter()), None);
    }

    #[test]
    fn each_minute_is_noted_once_for_an_hour_and_another_mode_begins_anew() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mode = ConcurrencyMode::Fixed(7.try_into().unwrap());
        let found = Found::new(mode, start);
        let look = |mode, seconds| found.0.lock().look(mode, || None, after(seconds));
        look(mode, 59);
        assert_eq!(found.limits(), [0.0; 0]);
        look(mode, 60);
        look(mode, 65);
        assert_eq!(found.limits(), [7.0]);
        (2..100).for_each(|minute| look(mode, minute * 60));
        assert_eq!(found.limits(), [7.0; KEPT]);
        look(ConcurrencyMode::Off, 6_000);
        look(ConcurrencyMode::Off, 6_060);
        assert_eq!(found.limits(), [0.0; 0]);
    }

    #[test]
    fn a_law_without_beliefs_is_taken_by_its_limit() {
        assert_eq!(over_all([lane(None, false)].into_iter()), Some(8.0));
    }
}
