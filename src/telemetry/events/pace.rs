//! What is worth a record of its own. Pure.

use std::collections::HashMap;

use super::{LoadEvent, What};
use crate::names::EndpointId;

/// A limit is told of when it moved by this share of what was told last.
const WORTH_TELLING: f64 = 0.2;
/// Most endpoints whose limits are remembered; beyond that they all begin anew.
const MOST_LIMITS: usize = 4096;

/// Lets through what says something new: limits move all the time, and mostly by little.
#[derive(Debug, Default)]
pub(super) struct Pace {
    limits: HashMap<EndpointId, f64>,
}

// === impl Pace ===

impl Pace {
    /// Whether `what` is to be kept and told on. The log has it all the same.
    pub(super) fn lets(&mut self, what: &What) -> bool {
        let What::Load(LoadEvent::LimitMoved {
            endpoint, from, to, ..
        }) = what
        else {
            return true;
        };
        let told = self.limits.get(endpoint).copied().unwrap_or(*from);
        let is_worth = (to - told).abs() >= WORTH_TELLING * told.abs();
        if is_worth || !self.limits.contains_key(endpoint) {
            if self.limits.len() >= MOST_LIMITS {
                self.limits.clear();
            }
            let now = if is_worth { *to } else { told };
            self.limits.insert(endpoint.clone(), now);
        }
        is_worth
    }
}
