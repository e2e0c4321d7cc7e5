//! Totals for the dashboard, counted beside the metrics because those cannot be read back.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::fault::{Kind, ShedReason};

use super::{
    incidents::{Count, Ending},
    latency::{LatencyCounters, LatencyCounts},
};

/// What one route towards one upstream has seen. Relaxed: counters nobody infers anything else from.
#[derive(Debug)]
pub(super) struct Tally {
    offered: AtomicU64,
    admitted: AtomicU64,
    finished: AtomicU64,
    good: AtomicU64,
    shed: [AtomicU64; ShedReason::ALL.len()],
    faults: [AtomicU64; Kind::ALL.len()],
    own_errors: AtomicU64,
    latency: LatencyCounters,
}

/// Counts since the gateway began, over all routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that arrived.
    pub offered: u64,
    /// Requests that admission let in.
    pub admitted: u64,
    /// Requests answered well: below 500, and neither 429 nor 499.
    pub good: u64,
    /// Requests that ended otherwise and were not shed.
    pub failed: u64,
    /// Requests refused, in the order of [`ShedReason::ALL`].
    pub shed: [u64; ShedReason::ALL.len()],
    /// How long the good ones took.
    pub latency: LatencyCounts,
}

/// How many requests ended, and how many of them badly, since the gateway began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// All of them.
    pub requests: u64,
    /// Those that were not answered well: 500 and above, 429 and 499.
    pub faulted: u64,
}

// === impl Tally ===

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            offered: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            good: AtomicU64::new(0),
            shed: std::array::from_fn(|_| AtomicU64::new(0)),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
            own_errors: AtomicU64::new(0),
            latency: LatencyCounters::new(),
        }
    }

    pub(super) fn percentile(&self, share: f64, fewest: u64) -> Option<Duration> {
        if self.good.load(Relaxed) < fewest {
            return None;
        }
        let mut counts = LatencyCounts::default();
        self.latency.add_to(&mut counts);
        counts.quantile_since(&LatencyCounts::default(), share)
    }

    pub(super) fn offered(&self) {
        self.offered.fetch_add(1, Relaxed);
    }

    pub(super) fn taken(&self) -> u64 {
        self.offered.load(Relaxed)
    }

    pub(super) fn admitted(&self) {
        self.admitted.fetch_add(1, Relaxed);
    }

    pub(super) fn finished(&self, status: u16, total: Duration) {
        self.finished.fetch_add(1, Relaxed);
        if status < 500 && status != 429 && status != 499 {
            self.good.fetch_add(1, Relaxed);
            self.latency.record(total);
        }
    }

    pub(super) fn shed(&self, reason: ShedReason) {
        if let Some(count) = self.shed.get(reason.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn fault(&self, kind: Kind) {
        if let Some(count) = self.faults.get(kind.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn own_error(&self) {
        self.own_errors.fetch_add(1, Relaxed);
    }

    /// Adds what ended, and how.
    pub(super) fn add_endings(&self, to: &mut Count) {
        to.requests += self.finished.load(Relaxed);
        for (kind, count) in Kind::ALL.iter().zip(&self.faults) {
            to.add(Ending::Fault(*kind), count.load(Relaxed));
        }
        to.add(Ending::Own, self.own_errors.load(Relaxed));
    }

    /// `good` is read last: what ends meanwhile is then missing from those that ended badly, not among them by mistake.
    pub(super) fn ended(&self) -> Ended {
        let requests = self.finished.load(Relaxed);
        let good = self.good.load(Relaxed);
        Ended {
            requests,
            faulted: requests.saturating_sub(good),
        }
    }

    /// `finished` is read first: what ends meanwhile is then missing from `failed`, not in it by mistake.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        let finished = self.finished.load(Relaxed);
        let shed = self.shed.each_ref().map(|count| count.load(Relaxed));
        let good = self.good.load(Relaxed);
        let accounted = good + shed.iter().sum::<u64>();
        totals.offered += self.offered.load(Relaxed);
        totals.admitted += self.admitted.load(Relaxed);
        totals.good += good;
        totals.failed += finished.saturating_sub(accounted);
        for (sum, count) in totals.shed.iter_mut().zip(shed) {
            *sum += count;
        }
        self.latency.add_to(&mut totals.latency);
    }
}

// === impl Ended ===

impl Ended {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            faulted: self.faulted.saturating_add(other.faulted),
        }
    }

    /// What ended since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            faulted: self.faulted.saturating_sub(earlier.faulted),
        }
    }

    /// The share that ended badly; `None` where nothing ended.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.requests > 0).then(|| self.faulted as f64 / self.requests as f64)
    }
}

// === impl Totals ===

impl Totals {
    /// All requests refused.
    #[must_use]
    pub fn shed_total(&self) -> u64 {
        self.shed.iter().sum()
    }
}
