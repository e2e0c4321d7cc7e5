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

/// The longest and the shortest time that a refused request is asked to stay away.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

// === impl Denied ===

impl Denied {
    /// Refused for want of capacity.
    ///
    /// When to come back is drawn between one and three seconds, a whole second being as likely as another, so
    /// that those who are shed together do not return together.
    pub(super) fn shed(reason: ShedReason, rng: &mut impl Rng) -> Self {
        let wait = rng.random_range(Duration::ZERO..=LONGEST_WAIT);
        Self::Refused(Refusal {
            reason,
            retry_after: wait.max(SHORTEST_WAIT),
            bucket: None,
        })
    }
}

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
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn who_is_shed_is_told_one_two_or_three_seconds_alike() {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut seen = [0; 4];
        for _ in 0..3000 {
            let Denied::Refused(refusal) = Denied::shed(ShedReason::QueueFull, &mut rng) else {
                panic!("not refused");
            };
            assert!(refusal.retry_after >= SHORTEST_WAIT);
            let seconds = refusal.retry_after.as_millis().div_ceil(1000);
            seen[usize::try_from(seconds).unwrap()] += 1;
        }
        assert_eq!(seen[0], 0);
        assert!(
            seen[1..].iter().all(|n| (900..=1100).contains(n)),
            "{seen:?}"
        );
    }

    #[test]
    fn each_denial_has_its_kind_of_fault() {
        let kind = |denied: Denied| Fault::from(denied).kind;
        let mut rng = SmallRng::seed_from_u64(7);
        assert_eq!(kind(Denied::NoEndpoint), Kind::NoEndpoint);
        assert_eq!(kind(Denied::DeadlinePast), Kind::DeadlinePast);
        assert_eq!(
            kind(Denied::shed(ShedReason::QueueTimeout, &mut rng)),
            Kind::QueueTimeout
        );
    }
}
