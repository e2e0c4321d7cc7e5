//! What one endpoint did in a window of time: how many requests failed, and how long answers took.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use super::Outcome;

/// Counts of the window that runs. Counting is at most two read-modify-writes, without lock or allocation.
///
/// `Relaxed` throughout: each count stands by itself, and an end that falls between two windows may be counted in
/// either. Memory: 340 bytes.
#[derive(Debug)]
pub(super) struct Window {
    successes: AtomicU32,
    failures: AtomicU32,
    took: [AtomicU32; BUCKETS],
}

/// What a window came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Requests that succeeded.
    pub successes: u32,
    /// Requests that failed.
    pub failures: u32,
    /// Successes by how long they took, in buckets of [`bucket_of`].
    took: [u32; BUCKETS],
}

/// Four buckets for each doubling, so that a quantile is right within a tenth.
const PER_DOUBLING: u32 = 4;
/// Where the first bucket ends, in microseconds.
const FIRST_US: f64 = 100.0;
/// From 100 µs to about 100 s in steps of a quarter doubling.
const BUCKETS: usize = 80;

// === impl Window ===

impl Window {
    /// Nothing was seen.
    pub(super) fn new() -> Self {
        Self {
            successes: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            took: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// A request ended, after `took` where it was answered in time and that is of interest.
    pub(super) fn count(&self, outcome: Outcome, took: Option<Duration>) {
        match outcome {
            Outcome::Ignored => return,
            Outcome::LocalFailure | Outcome::RemoteFailure => &self.failures,
            Outcome::Success => &self.successes,
        }
        .fetch_add(1, Relaxed);
        if let Some(bucket) = took.and_then(|took| self.took.get(bucket_of(took))) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    /// Ends the window, and begins the next one.
    pub(super) fn take(&self) -> Seen {
        Seen {
            successes: self.successes.swap(0, Relaxed),
            failures: self.failures.swap(0, Relaxed),
            took: std::array::from_fn(|bucket| {
                let count = self.took.get(bucket);
                count.map_or(0, |count| count.swap(0, Relaxed))
            }),
        }
    }
}

// === impl Seen ===

impl Seen {
    /// A window with so many ends; of the successes, each of `took` says how many took how long.
    #[must_use]
    pub fn of(successes: u32, failures: u32, took: &[(Duration, u32)]) -> Self {
        let window = Window::new();
        window.successes.store(successes, Relaxed);
        window.failures.store(failures, Relaxed);
        for (time, count) in took {
            if let Some(bucket) = window.took.get(bucket_of(*time)) {
                bucket.fetch_add(*count, Relaxed);
            }
        }
        window.take()
    }

    /// Requests that ended.
    #[must_use]
    pub const fn requests(&self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    /// How many answers were timed.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.took.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Nine of ten answers took no longer; zero where none was timed.
    #[must_use]
    pub fn p90(&self) -> Duration {
        let target = f64::from(self.answers()) * 0.9;
        let mut sum = 0.0;
        for (bucket, count) in self.took.iter().enumerate() {
            sum += f64::from(*count);
            if *count > 0 && sum >= target {
                return middle_of(bucket);
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a time: all below 100 µs are in the first, all above about 100 s in the last.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the number of buckets"
)]
fn bucket_of(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() * 1e6 / FIRST_US).max(1.0).log2();
    let bucket = (doublings * f64::from(PER_DOUBLING)).ceil() as usize;
    bucket.min(BUCKETS.saturating_sub(1))
}

/// The geometric middle of a bucket.
fn middle_of(bucket: usize) -> Duration {
    let bucket = f64::from(u32::try_from(bucket).unwrap_or(u32::MAX));
    let micros = FIRST_US * ((bucket - 0.5) / f64::from(PER_DOUBLING)).exp2();
    Duration::from_secs_f64(micros / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_window_is_taken_once_and_ignored_ends_are_not_in_it() {
        let window = Window::new();
        window.count(Outcome::Success, Some(ms(3)));
        window.count(Outcome::Success, None);
        window.count(Outcome::LocalFailure, None);
        window.count(Outcome::RemoteFailure, None);
        window.count(Outcome::Ignored, Some(ms(3)));
        let seen = window.take();
        assert_eq!((seen.successes, seen.failures, seen.answers()), (2, 2, 1));
        assert_eq!(window.take(), Seen::of(0, 0, &[]));
    }

    #[test]
    fn nine_of_ten_is_right_within_a_tenth() {
        for millis in [1, 2, 7, 30, 99, 1000, 30_000] {
            let seen = Seen::of(10, 0, &[(ms(millis), 9), (ms(90_000), 1)]);
            let ratio = seen.p90().as_secs_f64() / ms(millis).as_secs_f64();
            assert!((0.9..=1.1).contains(&ratio), "{millis} ms: {ratio}");
        }
        let seen = Seen::of(10, 0, &[(ms(5), 8), (ms(500), 2)]);
        assert!(seen.p90() > ms(400), "two of ten were slow");
    }

    #[test]
    fn the_shortest_and_the_longest_times_have_a_bucket() {
        for took in [Duration::ZERO, Duration::from_secs(100_000)] {
            assert_eq!(Seen::of(1, 0, &[(took, 1)]).answers(), 1, "{took:?}");
        }
        assert_eq!(Seen::of(1, 0, &[]).p90(), Duration::ZERO);
    }
}
