//! How long one may wait, and how long it will.

use std::time::Duration;

use crate::{admission::moment::Moment, fault::ShedReason};

/// How fast places come free, and how long a request then takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(in crate::admission) struct Pace {
    /// Requests that end in a second; `None` while nothing is known.
    pub(in crate::admission) drain: Option<f64>,
    /// How long a request of this route usually takes; zero while nothing is known.
    pub(in crate::admission) usual: Duration,
}

/// How long one may wait at most, and what it is told where that is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) bound: Duration,
    pub(super) reason: ShedReason,
}

/// A queue that was never empty for so long stands: it adds latency and absorbs nothing. A shorter time sheds
/// falsely at four fifths of capacity. Source: Nichols and Jacobson, "Controlling queue delay", ACM Queue 10(5),
/// 2012; their 100 ms are for packets.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);
/// How long one waits in a queue that stands.
pub(super) const TARGET: Duration = Duration::from_millis(20);

/// Who is thought to wait for longer than this part of `max_wait` is refused on arrival. The rest is for errors of
/// the forecast: whoever is let into the queue should not leave it in vain.
const FORESIGHT: f64 = 5.0 / 6.0;

// === impl Pace ===

impl Pace {
    /// How long it takes until so many have gone.
    pub(super) fn wait_for(&self, ahead: u32) -> Duration {
        match self.drain {
            Some(drain) if drain > 0.0 => {
                Duration::try_from_secs_f64(f64::from(ahead) / drain).unwrap_or(Duration::MAX)
            }
            _ => Duration::ZERO,
        }
    }
}

impl Pace {
    /// How many get a place within a time; 0 while nothing is known.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate times a time; what is beyond a u32 becomes the most"
    )]
    pub(super) fn within(&self, time: Duration) -> u32 {
        self.drain
            .map_or(0, |drain| (drain * time.as_secs_f64()).ceil() as u32)
    }
}

// === impl Patience ===

impl Patience {
    /// The least of `max_wait`, what a queue standing for `standing` allows, and what `deadline` leaves.
    pub(super) fn of(
        max_wait: Duration,
        standing: Duration,
        deadline: Option<Moment>,
        usual: Duration,
        now: Moment,
    ) -> Self {
        let usual_bound = max_wait.mul_f64(FORESIGHT);
        let bound = if standing > INTERVAL {
            usual_bound.min(TARGET)
        } else {
            usual_bound
        };
        let left = deadline.map(|deadline| deadline.since(now).saturating_sub(usual));
        match left {
            Some(left) if left < bound => Self {
                bound: left,
                reason: ShedReason::DeadlineUnmeetable,
            },
            _ => Self {
                bound,
                reason: ShedReason::QueueFull,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_millis(120);
    const NOW: Moment = Moment::from_micros(5_000_000);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn bound(standing: u64, deadline: Option<u64>) -> (u128, ShedReason) {
        let deadline = deadline.map(|left| NOW.plus(ms(left)));
        let patience = Patience::of(MAX, ms(standing), deadline, ms(30), NOW);
        (patience.bound.as_millis(), patience.reason)
    }

    #[test]
    fn the_least_of_all_bounds_holds() {
        use ShedReason::{DeadlineUnmeetable, QueueFull};
        assert_eq!(bound(0, None), (100, QueueFull));
        assert_eq!(bound(500, None), (100, QueueFull));
        assert_eq!(bound(501, None), (20, QueueFull));
        assert_eq!(bound(0, Some(80)), (50, DeadlineUnmeetable));
        assert_eq!(bound(0, Some(10)), (0, DeadlineUnmeetable));
        assert_eq!(bound(501, Some(80)), (20, QueueFull));
    }

    #[test]
    fn a_wait_is_predicted_from_those_ahead_and_the_drain() {
        let pace = |drain| Pace {
            drain,
            usual: Duration::ZERO,
        };
        assert_eq!(pace(Some(800.0)).wait_for(16), ms(20));
        assert_eq!(pace(Some(800.0)).wait_for(0), Duration::ZERO);
        assert_eq!(pace(None).wait_for(16), Duration::ZERO, "nothing is known");
        assert_eq!(pace(Some(1e-300)).wait_for(16), Duration::MAX);
    }
}
