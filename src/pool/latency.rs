//! How long an endpoint takes to answer, by what was seen of it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::balance::{Ewma, PeakEwma};

/// The times to an answer of one endpoint. A failure counts as slow, however fast it came: an endpoint that does
/// nothing but fail must not look like the best of all.
///
/// The lock is held for a few sums and never across an await; two uses of one endpoint rarely meet in it.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Estimates>);

#[derive(Debug, Clone, Copy, Default)]
struct Estimates {
    mean: Ewma,
    peak: PeakEwma,
}

/// A failure counts as twice the mean, but as no less than this …
pub const FAILED_AT_LEAST: Duration = Duration::from_secs(1);
/// … and, however many there were, as no more than this, so that the way back is not too long.
pub const FAILED_AT_MOST: Duration = Duration::from_secs(5);

// === impl Latency ===

impl Latency {
    /// An answer took `took` and came at `now`.
    pub fn answered(&self, took: Duration, now: Instant) {
        self.0.lock().observe(took, now);
    }

    /// An attempt failed at `now`.
    pub fn failed(&self, now: Instant) {
        let mut estimates = self.0.lock();
        let mean = estimates.mean.get(now).unwrap_or_default();
        let slow = mean
            .saturating_mul(2)
            .clamp(FAILED_AT_LEAST, FAILED_AT_MOST);
        estimates.observe(slow, now);
    }

    /// The mean and the peak-sensitive mean at `now`; `None` where nothing was seen yet.
    #[must_use]
    pub fn at(&self, now: Instant) -> Option<(Duration, Duration)> {
        let estimates = *self.0.lock();
        Some((estimates.mean.get(now)?, estimates.peak.get(now)?))
    }
}

// === impl Estimates ===

impl Estimates {
    fn observe(&mut self, took: Duration, now: Instant) {
        self.mean.observe(took, now);
        self.peak.observe(took, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_seen_is_nothing_known() {
        assert_eq!(Latency::default().at(Instant::now()), None);
    }

    #[test]
    fn a_fast_failure_looks_slower_than_any_usual_answer() {
        let now = Instant::now();
        let (fails, works) = (Latency::default(), Latency::default());
        fails.failed(now);
        works.answered(MS * 300, now);
        let (fails, works) = (fails.at(now).unwrap(), works.at(now).unwrap());
        assert!(fails.0 > works.0 && fails.1 > works.1);
    }

    #[test]
    fn a_failure_of_a_slow_endpoint_counts_twice_its_mean_and_has_a_bound() {
        let now = Instant::now();
        let slow = Latency::default();
        slow.answered(Duration::from_secs(2), now);
        slow.failed(now);
        assert_eq!(slow.at(now).unwrap().1, Duration::from_secs(4));
        for second in 0..60 {
            slow.failed(now + Duration::from_secs(second));
        }
        let peak = slow.at(now + Duration::from_secs(59)).unwrap().1;
        assert!(peak <= FAILED_AT_MOST, "{peak:?}");
    }

    #[test]
    fn whoever_failed_is_as_good_as_the_others_within_half_a_minute() {
        let now = Instant::now();
        let latency = Latency::default();
        for millis in 0..1_000 {
            latency.failed(now + MS * millis);
        }
        let later = latency.at(now + Duration::from_secs(30)).unwrap();
        assert!(later.0 < MS * 20, "{later:?}");
    }
}
