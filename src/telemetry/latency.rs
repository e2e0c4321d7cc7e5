//! Counts of latencies, fine enough for a p99 on the dashboard.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets: eight to each doubling, from 1 µs to 134 s; longer ones count in the last.
const BUCKETS: usize = 200;
/// Eight steps to a doubling: a quantile is at most an eighth off.
const STEPS_LOG2: u32 = 3;
const STEPS: u64 = 1 << STEPS_LOG2;

/// Counters that only grow, one for each bucket. Relaxed: nobody infers anything else from them.
#[derive(Debug)]
pub(super) struct LatencyCounters(Box<[AtomicU64]>);

/// What the counters said at one moment. Two of them tell what happened between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyCounts(Vec<u64>);

// === impl LatencyCounters ===

impl LatencyCounters {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn record(&self, latency: Duration) {
        if let Some(counter) = self.0.get(bucket(latency)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn add_to(&self, counts: &mut LatencyCounts) {
        for (sum, counter) in counts.0.iter_mut().zip(&self.0) {
            *sum += counter.load(Relaxed);
        }
    }
}

// === impl LatencyCounts ===

impl Default for LatencyCounts {
    fn default() -> Self {
        Self(vec![0; BUCKETS])
    }
}

impl LatencyCounts {
    /// The latency that `share` (0 to 1) of the requests since `earlier` did not exceed, at most an eighth off;
    /// `None` if there were none.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests in a few seconds is far below 2^52"
    )]
    pub fn quantile_since(&self, earlier: &Self, share: f64) -> Option<Duration> {
        let since = || {
            self.0
                .iter()
                .zip(&earlier.0)
                .map(|(now, then)| now.saturating_sub(*then))
        };
        let total: u64 = since().sum();
        let rank = ((total as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        since().enumerate().find_map(|(index, count)| {
            seen += count;
            (seen >= rank).then(|| middle(index))
        })
    }
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if micros < STEPS {
        return usize::try_from(micros).unwrap_or(0);
    }
    let exponent = micros.ilog2();
    let step = (micros >> (exponent - STEPS_LOG2)) & (STEPS - 1);
    let index = u64::from(exponent - STEPS_LOG2 + 1) * STEPS + step;
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The middle of a bucket.
fn middle(index: usize) -> Duration {
    let index = index as u64;
    let (octave, step) = (index / STEPS, index % STEPS);
    if octave == 0 {
        return Duration::from_micros(step);
    }
    let width = 1_u64 << (octave - 1);
    let start = (STEPS + step) * width;
    Duration::from_micros(start + width / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_an_eighth_off() {
        for micros in [
            1,
            7,
            8,
            9,
            100,
            999,
            1_000,
            12_345,
            250_000,
            1_000_000,
            59_000_000,
            130_000_000,
        ] {
            let counters = LatencyCounters::new();
            let latency = Duration::from_micros(micros);
            counters.record(latency);
            let mut counts = LatencyCounts::default();
            counters.add_to(&mut counts);
            let seen = counts
                .quantile_since(&LatencyCounts::default(), 0.5)
                .unwrap();
            let off = seen.abs_diff(latency);
            assert!(off <= latency / 8, "{latency:?} is shown as {seen:?}");
        }
    }

    #[test]
    fn the_p50_and_the_p99_stand_apart_where_one_in_fifty_is_slow() {
        let counters = LatencyCounters::new();
        for n in 0..100 {
            counters.record(Duration::from_millis(if n % 50 == 0 { 900 } else { 10 }));
        }
        let mut counts = LatencyCounts::default();
        counters.add_to(&mut counts);
        let empty = LatencyCounts::default();
        let p50 = counts.quantile_since(&empty, 0.5).unwrap();
        let p99 = counts.quantile_since(&empty, 0.99).unwrap();
        assert!(p50 < Duration::from_millis(12), "{p50:?}");
        assert!(p99 > Duration::from_millis(800), "{p99:?}");
    }

    #[test]
    fn only_what_came_since_counts() {
        let counters = LatencyCounters::new();
        counters.record(Duration::from_secs(5));
        let mut before = LatencyCounts::default();
        counters.add_to(&mut before);
        assert_eq!(before.quantile_since(&before.clone(), 0.5), None);
        counters.record(Duration::from_millis(1));
        let mut after = LatencyCounts::default();
        counters.add_to(&mut after);
        let p99 = after.quantile_since(&before, 0.99).unwrap();
        assert!(p99 < Duration::from_millis(2), "{p99:?}");
    }

    #[test]
    fn a_latency_beyond_the_last_bucket_counts_in_it() {
        assert_eq!(bucket(Duration::from_secs(100_000)), BUCKETS - 1);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }
}
