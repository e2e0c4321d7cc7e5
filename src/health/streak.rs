//! Failures in a row, those to reach the endpoint counted apart too.

use super::{Ended, Failed, Grounds, Outcome};
use crate::config::EjectionPlan;

/// Failures since the last success.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Streak {
    /// Of whatever kind.
    pub(super) failures: u32,
    /// Local ones since the last remote one.
    local: u32,
    last: Option<Failed>,
}

// === impl Streak ===

impl Streak {
    /// One more attempt ended; why the endpoint should be ejected, where that is so.
    ///
    /// Refused once, that is said again only after as many failures more: peers cost a look at each.
    pub(super) fn add(&mut self, ended: &Ended, plan: &EjectionPlan) -> Option<Grounds> {
        match ended.outcome {
            Outcome::Ignored => return None,
            Outcome::Success => {
                *self = Self::default();
                return None;
            }
            Outcome::LocalFailure => self.local = self.local.saturating_add(1),
            Outcome::RemoteFailure => self.local = 0,
        }
        self.failures = self.failures.saturating_add(1);
        self.last = ended.failed;
        let last = self.last;
        if self.failures % plan.consecutive_failures == 0 {
            let count = self.failures;
            return Some(Grounds::Failures { count, last });
        }
        let local = self.local > 0 && self.local % plan.consecutive_local_failures == 0;
        let count = self.local;
        local.then_some(Grounds::LocalFailures { count, last })
    }
}
