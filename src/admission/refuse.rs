//! How the gate says no.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::fault::{Fault, Kind, Refusal, ShedReason};

/// Why a request got no permit. Nothing of it is kept: no place, no token of the queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Denied {
    /// There is no capacity for it.
    Refused(Refusal),
    /// There is a place, and no endpoint that can serve.
    NoEndpoint,
    /// Its deadline was over when it came.
    DeadlinePast,
}

/// Refused because the process itself is short of something: it may be over in a few seconds.
#[must_use]
pub fn pressed(rng: &mut impl Rng) -> Refusal {
    let wait = rng.random_range(FEW_SECONDS);
    Refusal {
        reason: ShedReason::ProcessPressure,
        retry_after: wait,
        bucket: None,
    }
}

/// How long pressure holds at least, and twice that: those who are shed together should not return together.
const FEW_SECONDS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(3)..=Duration::from_secs(6);

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(refusal) => Self::shed(refusal),
            Denied::NoEndpoint => Self::new(Kind::NoEndpoint),
            Denied::DeadlinePast => Self::new(Kind::DeadlinePast),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_has_its_kind_of_fault() {
        let kind = |denied: Denied| Fault::from(denied).kind;
        assert_eq!(kind(Denied::NoEndpoint), Kind::NoEndpoint);
        assert_eq!(kind(Denied::DeadlinePast), Kind::DeadlinePast);
        let refusal = Refusal {
            reason: ShedReason::QueueTimeout,
            retry_after: std::time::Duration::from_secs(1),
            bucket: None,
        };
        assert_eq!(kind(Denied::Refused(refusal)), Kind::QueueTimeout);
    }
}
