//! An incident that goes on, look after look.

use std::time::Duration;

use super::{
    Ending, Incident, Rules,
    window::{Group, Look, Sums, name_of},
};

/// An incident that goes on.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) group: Group,
    pub(super) incident: Incident,
    /// When it was bad enough last.
    pub(super) last: Duration,
    /// When something ended well since, in milliseconds since 1970.
    pub(super) healed_ms: Option<u64>,
}

/// Where no request comes at all, it is over only after so many times as long.
const SILENT_TIMES: u32 = 10;

// === impl Open ===

impl Open {
    /// Takes in a look, and the `sums` of the window that ends with it.
    pub(super) fn look(&mut self, look: &Look, sums: &Sums, rules: &Rules) {
        let mut faults: Vec<(Ending, u64)> = Vec::new();
        let mut is_bad = false;
        for (pair, hit) in look.hit(&self.group) {
            self.incident.hits(name_of(pair.route.as_ref()));
            faults.extend(hit);
            let seen = sums.seen(&self.group, pair);
            is_bad |= seen.share() >= rules.share_of(&self.group);
            self.incident.peak_share = self.incident.peak_share.max(seen.share());
        }
        let requests = requests_of(&self.incident, &self.group, look);
        if requests > 0 || !faults.is_empty() {
            self.incident.add(requests, &faults);
        }
        if is_bad {
            self.last = look.at;
            self.incident.last_fault_ms = look.at_ms;
            self.healed_ms = None;
        } else if look.heals(&self.group) {
            self.healed_ms.get_or_insert(look.at_ms);
        }
    }

    pub(super) fn is_over(&self, now: Duration, rules: &Rules) -> bool {
        let quiet = now.saturating_sub(self.last);
        let healed = self.healed_ms.is_some() && quiet >= rules.end_after;
        healed || quiet >= rules.end_after.saturating_mul(SILENT_TIMES)
    }
}

/// How many requests that an incident could have hit `look` saw.
pub(super) fn requests_of(incident: &Incident, group: &Group, look: &Look) -> u64 {
    look.requests(|route| {
        let named = || {
            incident
                .routes
                .iter()
                .any(|known| **known == *name_of(route))
        };
        group.is_of_all() || named()
    })
}
