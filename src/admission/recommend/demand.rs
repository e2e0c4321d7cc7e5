//! What was asked for in each second of the last hour.

use super::{BURST_SECONDS, REMEMBERED, Rate};

/// Requests of each of the last [`REMEMBERED`] seconds, refused ones included. 14.4 KB, from the first record on.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// The second `s` is at `s % REMEMBERED`. Empty before the first record.
    counts: Vec<u32>,
    /// The latest second recorded.
    newest: u64,
    /// How many seconds there are, from the first recorded to the latest.
    seconds: usize,
}

// === impl Demand ===

impl Demand {
    /// With nothing recorded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many more requests came in `second`. One that is no longer remembered is left out.
    pub fn record(&mut self, second: u64, requests: u32) {
        if self.counts.is_empty() {
            self.counts.resize(REMEMBERED, 0);
            (self.newest, self.seconds) = (second, 1);
        }
        self.forward(second);
        let age = self.newest.saturating_sub(second);
        if age >= REMEMBERED as u64 {
            return;
        }
        let known = usize::try_from(age).map_or(REMEMBERED, |age| age.saturating_add(1));
        self.seconds = self.seconds.max(known);
        if let Some(count) = self.counts.get_mut(place(second)) {
            *count = count.saturating_add(requests);
        }
    }

    /// Forgets what is older than an hour at `second`.
    fn forward(&mut self, second: u64) {
        let ahead = second.saturating_sub(self.newest);
        let ahead = usize::try_from(ahead).unwrap_or(REMEMBERED).min(REMEMBERED);
        for later in 1..=ahead as u64 {
            // Where an hour or more was skipped, any whole round clears all.
            let place = place(self.newest.saturating_add(later));
            if let Some(count) = self.counts.get_mut(place) {
                *count = 0;
            }
        }
        self.seconds = self.seconds.saturating_add(ahead).min(REMEMBERED);
        self.newest = self.newest.max(second);
    }

    /// Requests of each second, the oldest first.
    pub fn seconds(&self) -> impl Iterator<Item = u32> + '_ {
        let oldest = self
            .newest
            .saturating_add(1)
            .saturating_sub(self.seconds as u64);
        (oldest..=self.newest)
            .take(self.seconds)
            .map(|second| self.counts.get(place(second)).copied().unwrap_or(0))
    }

    /// All requests that are remembered.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.seconds().map(u64::from).sum()
    }

    /// The slowest bucket that would have refused at most `share` (0 to 1) of the requests, with a burst of at
    /// most five seconds of its rate; `None` where nothing was asked for.
    #[must_use]
    pub fn propose(&self, share: f64) -> Option<Rate> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let counts: Vec<f64> = self.seconds().map(f64::from).collect();
        let allowed = share.clamp(0.0, 1.0) * total as f64;
        let peak = counts.iter().copied().fold(0.0, f64::max);
        let refused = |per_second: f64| refused(&counts, per_second, burst_at(per_second));
        // More of rate and burst never refuses more, and the peak in each second refuses nothing.
        let (mut low, mut high) = (0.0, peak);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if refused(middle) <= allowed {
                high = middle;
            } else {
                low = middle;
            }
        }
        let rate = Rate::at_least(high);
        let per_second = rate.per_second();
        let mut burst = burst_at(per_second);
        let mut too_small = 0.0;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(too_small, burst);
            if self::refused(&counts, per_second, middle) <= allowed {
                burst = middle;
            } else {
                too_small = middle;
            }
        }
        let refused = self::refused(&counts, per_second, burst) / total as f64;
        Some(rate.with(burst, refused, total))
    }
}

/// Steps of each search; the last is far below one request in an hour.
const HALVINGS: usize = 40;

/// Sums of parts of tokens are off by less than this.
const ROUNDING: f64 = 1e-6;

fn place(second: u64) -> usize {
    usize::try_from(second % REMEMBERED as u64).unwrap_or(0)
}

/// The most tokens that a bucket of this rate is given.
fn burst_at(per_second: f64) -> f64 {
    (per_second * BURST_SECONDS).max(1.0)
}

/// How many a bucket refuses that gets a second's tokens at the beginning of each second, when all requests of the
/// second are there.
fn refused(counts: &[f64], per_second: f64, burst: f64) -> f64 {
    let mut tokens = burst;
    let mut refused = 0.0;
    for asked in counts {
        tokens = (tokens + per_second).min(burst);
        // A part of a token admits nobody.
        let admitted = asked.min((tokens + ROUNDING).floor());
        tokens = (tokens - admitted).max(0.0);
        refused += asked - admitted;
    }
    refused
}
