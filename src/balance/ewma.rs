//! How long an endpoint takes, as a moving average that time forgets.

use std::time::Duration;

use tokio::time::Instant;

/// A mean of times in which what lies [`DECAY`](Self::DECAY) back counts a third of what is new. Pure.
///
/// * A time seen counts by how long it was since the one before: at a hundred a second one outlier of a second
///   moves the mean by 2 ms, once in ten seconds it nearly is the mean.
/// * Unseen, it fades towards nothing, so that who was slow is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ewma {
    seen: Option<Seen>,
}

/// As [`Ewma`], but a time above it is believed at once and whole: it jumps to peaks and fades from them.
///
/// Source: the idea of Finagle's and linkerd's peak EWMA: that a latency is rising must be known before the mean
/// of many requests knows it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PeakEwma {
    seen: Option<Seen>,
}

/// A value and when it was true.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    seconds: f64,
    at: Instant,
}

// === impl Ewma ===

impl Ewma {
    /// After so long without news, a third (1/e) of the value is left.
    pub const DECAY: Duration = Duration::from_secs(5);

    /// Something took `took` and ended at `now`. The first one is the mean.
    pub fn observe(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        self.seen = Some(match self.seen {
            Some(seen) => seen.mixed(took, now, Self::DECAY),
            None => Seen {
                seconds: took,
                at: now,
            },
        });
    }

    /// The mean as it has faded by `now`; `None` where nothing was ever seen.
    #[must_use]
    pub fn get(&self, now: Instant) -> Option<Duration> {
        self.seen.map(|seen| seen.faded(now, Self::DECAY))
    }
}

// === impl PeakEwma ===

impl PeakEwma {
    /// After so long without news, a third (1/e) of the value is left.
    pub const DECAY: Duration = Duration::from_secs(10);

    /// Something took `took` and ended at `now`. The first one is the estimate.
    pub fn observe(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        self.seen = Some(match self.seen {
            Some(seen) if took < seen.seconds => seen.mixed(took, now, Self::DECAY),
            seen => Seen {
                seconds: took,
                at: seen.map_or(now, |seen| seen.at.max(now)),
            },
        });
    }

    /// The estimate as it has faded by `now`; `None` where nothing was ever seen.
    #[must_use]
    pub fn get(&self, now: Instant) -> Option<Duration> {
        self.seen.map(|seen| seen.faded(now, Self::DECAY))
    }
}

// === impl Seen ===

impl Seen {
    /// How much of a value is left at `now`: 1 where `now` is no later.
    fn left(&self, now: Instant, decay: Duration) -> f64 {
        let idle = now.saturating_duration_since(self.at);
        if idle.is_zero() {
            1.0
        } else {
            (-idle.as_secs_f64() / decay.as_secs_f64()).exp()
        }
    }

    fn mixed(self, seconds: f64, now: Instant, decay: Duration) -> Self {
        let left = self.left(now, decay);
        Self {
            seconds: self.seconds * left + seconds * (1.0 - left),
            at: self.at.max(now),
        }
    }

    fn faded(&self, now: Instant, decay: Duration) -> Duration {
        let seconds = self.seconds * self.left(now, decay);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn near(found: Option<Duration>, millis: f64) -> bool {
        found
            .is_some_and(|found| (found.as_secs_f64() * 1e3 - millis).abs() < millis * 0.01 + 0.001)
    }

    #[test]
    fn nothing_seen_is_nothing_known() {
        let now = Instant::now();
        assert_eq!(Ewma::default().get(now), None);
        assert_eq!(PeakEwma::default().get(now), None);
    }

    #[test]
    fn the_first_time_seen_is_the_estimate() {
        let now = Instant::now();
        let (mut mean, mut peak) = (Ewma::default(), PeakEwma::default());
        mean.observe(MS * 30, now);
        peak.observe(MS * 30, now);
        assert!(near(mean.get(now), 30.0));
        assert!(near(peak.get(now), 30.0));
    }

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let start = Instant::now();
        let mut peak = PeakEwma::default();
        peak.observe(MS * 10, start);
        peak.observe(MS * 500, start + MS);
        assert!(near(peak.get(start + MS), 500.0));
        // From then on 10 ms again, a hundred a second.
        let mut now = start + MS;
        for _ in 0..1_000 {
            now += MS * 10;
            peak.observe(MS * 10, now);
        }
        assert!(near(peak.get(now), 10.0 + 490.0 / 1.0_f64.exp()));
    }

    #[test]
    fn one_outlier_among_many_hardly_moves_the_mean() {
        let mut now = Instant::now();
        let mut mean = Ewma::default();
        for _ in 0..1_000 {
            now += MS * 10;
            mean.observe(MS * 20, now);
        }
        mean.observe(Duration::from_secs(1), now + MS * 10);
        let moved = mean.get(now + MS * 10).unwrap();
        assert!(moved > MS * 20 && moved < MS * 23, "{moved:?}");
    }

    #[test]
    fn unseen_a_third_is_left_after_the_decay() {
        let start = Instant::now();
        let (mut mean, mut peak) = (Ewma::default(), PeakEwma::default());
        mean.observe(MS * 1_000, start);
        peak.observe(MS * 1_000, start);
        let third = 1_000.0 / 1.0_f64.exp();
        assert!(near(mean.get(start + Ewma::DECAY), third));
        assert!(near(peak.get(start + PeakEwma::DECAY), third));
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_breaks_nothing() {
        let start = Instant::now() + Duration::from_secs(60);
        let (mut mean, mut peak) = (Ewma::default(), PeakEwma::default());
        for at in [start, start, start - Duration::from_secs(10)] {
            mean.observe(MS * 20, at);
            peak.observe(MS * 20, at);
        }
        assert!(near(mean.get(start), 20.0));
        assert!(near(peak.get(start), 20.0));
    }

    proptest! {
        #[test]
        fn estimates_stay_between_what_was_seen_and_the_peak_is_never_below_the_last(
            times in proptest::collection::vec((1..10_000_u64, 0..3_000_u64), 1..100),
        ) {
            let mut now = Instant::now();
            let (mut mean, mut peak) = (Ewma::default(), PeakEwma::default());
            let highest = times.iter().map(|(took, _)| *took).max().unwrap();
            let lowest = times.iter().map(|(took, _)| *took).min().unwrap();
            for (took, gap) in times {
                now += Duration::from_millis(gap);
                mean.observe(Duration::from_millis(took), now);
                peak.observe(Duration::from_millis(took), now);
                let (mean, peak) = (mean.get(now).unwrap(), peak.get(now).unwrap());
                prop_assert!(mean + MS >= Duration::from_millis(lowest));
                prop_assert!(mean <= Duration::from_millis(highest) + MS);
                prop_assert!(peak <= Duration::from_millis(highest) + MS);
                prop_assert!(peak + MS >= Duration::from_millis(took));
            }
        }
    }
}
