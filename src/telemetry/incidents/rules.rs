//! From when on faults are an incident, and when it is over.

use std::{num::NonZeroU32, time::Duration};

use super::window::{Group, Seen};

/// From when on faults are an incident, and when it is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// So many faults of one route within the window, and
    pub min_faults: NonZeroU32,
    /// such a share of its requests, 0 to 1.
    pub min_share: f64,
    /// How far back is looked.
    pub window: Duration,
    /// How long there must be none for it to be over.
    pub end_after: Duration,
}

/// What callers do is an incident only where it is so many times as much as else is enough,
const CLIENTS_TIMES: u64 = 4;
/// and this share of all requests.
const CLIENTS_SHARE: f64 = 0.5;

// === impl Rules ===

impl Rules {
    /// Whether a window has enough of `group` for an incident.
    pub(super) fn are_met_by(&self, seen: Seen, group: &Group) -> bool {
        let fewest = u64::from(self.min_faults.get());
        let fewest = match group {
            Group::Clients => fewest.saturating_mul(CLIENTS_TIMES),
            _ => fewest,
        };
        seen.bad >= fewest && seen.share() >= self.share_of(group)
    }

    /// From which share on it is bad.
    pub(super) fn share_of(&self, group: &Group) -> f64 {
        match group {
            Group::Clients => CLIENTS_SHARE.max(self.min_share),
            _ => self.min_share,
        }
    }
}
