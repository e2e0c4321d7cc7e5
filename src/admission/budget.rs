//! How many retries an upstream may get at once.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use tokio::time::Instant;

use super::moment::Moment;

/// Retries in flight are at most a fifth of the live requests, but three are always allowed; and over time they are
/// at most a fifth of all requests, but ten a second are always allowed.
///
/// So an upstream that fails gets at most 1.2 times its load, however fast it fails, and a quiet one can still be
/// retried. Source: Envoy's retry budget (20 % of what is live, at least 3) and Finagle's (20 % of what came).
#[derive(Debug)]
pub struct RetryBudget {
    /// Requests that are being served. Relaxed: a count that guards no other memory.
    live: AtomicU32,
    /// Retries among them. Relaxed: as above; exactness comes from the read-modify-write.
    retrying: AtomicU32,
    /// Fifths of retries that requests paid for and nobody made, up to [`MOST_SAVED`]. Relaxed: as above.
    saved: AtomicU32,
    /// When the last retry was made that nobody had paid for, in microseconds. Relaxed: as above.
    free_us: AtomicU64,
    epoch: Instant,
}

/// One retry for so many requests: 20 %.
const REQUESTS_PER_RETRY: u32 = 5;
/// Retries that are allowed at once however few requests are live.
const ALWAYS: u32 = 3;
/// Retries that are allowed in a second however few requests came.
const FREE_PER_SECOND: u64 = 10;
/// Requests whose share in retries is kept: forty retries.
const MOST_SAVED: u32 = 200;

/// Whether an upstream has places for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It has.
    Bearable,
    /// Some were shed a moment ago.
    Shedding,
}

/// A live request; dropped, it has ended.
#[derive(Debug)]
#[must_use = "a request that is not held is not counted"]
pub struct LiveGuard(Arc<RetryBudget>);

/// A retry that was allowed; dropped, it has ended.
#[derive(Debug)]
#[must_use = "a retry that is not held gives its place away"]
pub struct RetryGuard(Arc<RetryBudget>);

// === impl RetryBudget ===

impl RetryBudget {
    /// A budget with nothing live.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            live: AtomicU32::new(0),
            retrying: AtomicU32::new(0),
            saved: AtomicU32::new(0),
            free_us: AtomicU64::new(0),
            epoch: Instant::now(),
        })
    }

    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> LiveGuard {
        self.live.fetch_add(1, Relaxed);
        if self.saved.load(Relaxed) < MOST_SAVED {
            self.saved.fetch_add(1, Relaxed);
        }
        LiveGuard(Arc::clone(self))
    }

    /// A place for a retry, where the budget has one. None while the upstream is `shedding`: then a retry takes
    /// the place of a first try.
    #[must_use]
    pub fn try_retry(self: &Arc<Self>, load: Load) -> Option<RetryGuard> {
        let now = Moment::after_start(Instant::now().saturating_duration_since(self.epoch));
        self.try_retry_at(load, now)
    }

    /// The same at a moment that is handed in.
    #[must_use]
    pub fn try_retry_at(self: &Arc<Self>, load: Load, now: Moment) -> Option<RetryGuard> {
        if load == Load::Shedding {
            return None;
        }
        let most = self.live().wrapping_div(REQUESTS_PER_RETRY).max(ALWAYS);
        self.retrying
            .fetch_update(Relaxed, Relaxed, |n| {
                (n < most).then(|| n.saturating_add(1))
            })
            .ok()?;
        let guard = RetryGuard(Arc::clone(self));
        (self.pay() || self.goes_free(now)).then_some(guard)
    }

    /// Takes what requests paid for one retry.
    fn pay(&self) -> bool {
        self.saved
            .fetch_update(Relaxed, Relaxed, |saved| {
                saved.checked_sub(REQUESTS_PER_RETRY)
            })
            .is_ok()
    }

    /// Whether one of the [`FREE_PER_SECOND`] is left: a leaky bucket (GCRA) in one word.
    fn goes_free(&self, now: Moment) -> bool {
        let each = 1_000_000_u64.wrapping_div(FREE_PER_SECOND);
        let burst = each.wrapping_mul(FREE_PER_SECOND.saturating_sub(1));
        self.free_us
            .fetch_update(Relaxed, Relaxed, |due| {
                let due = due.max(now.as_micros());
                (due.saturating_sub(now.as_micros()) <= burst).then(|| due.saturating_add(each))
            })
            .is_ok()
    }

    /// Requests that are live.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live.load(Relaxed)
    }

    /// Retries that are in flight.
    #[must_use]
    pub fn retrying(&self) -> u32 {
        self.retrying.load(Relaxed)
    }
}

// === impl LiveGuard ===

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Relaxed);
    }
}

// === impl RetryGuard ===

impl Drop for RetryGuard {
    fn drop(&mut self) {
        self.0.retrying.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(live: usize) -> usize {
        let budget = RetryBudget::new();
        let _live: Vec<_> = (0..live).map(|_| budget.begin()).collect();
        let retries: Vec<_> = std::iter::from_fn(|| budget.try_retry(Load::Bearable))
            .take(live + 9)
            .collect();
        retries.len()
    }

    #[test]
    fn three_retries_are_allowed_however_few_are_live() {
        assert_eq!(allowed(0), 3);
        assert_eq!(allowed(1), 3);
        assert_eq!(allowed(19), 3);
    }

    #[test]
    fn a_fifth_of_the_live_may_be_retries() {
        assert_eq!(allowed(20), 4);
        assert_eq!(allowed(200), 40);
    }

    #[test]
    fn however_fast_an_upstream_fails_retries_are_a_fifth_of_its_requests() {
        let budget = RetryBudget::new();
        let mut made = 0;
        for n in 0..6000_u64 {
            drop(budget.begin()); // it fails at once, so hardly any is ever live
            let now = Moment::from_micros(n * 1667);
            made += u32::from(budget.try_retry_at(Load::Bearable, now).is_some());
        }
        assert!(
            (1300..=1350).contains(&made),
            "{made} of 6000 in ten seconds"
        );
    }

    #[test]
    fn a_quiet_upstream_may_be_retried_ten_times_a_second() {
        let budget = RetryBudget::new();
        let at = |millis: u64| {
            budget
                .try_retry_at(Load::Bearable, Moment::from_micros(millis * 1000))
                .is_some()
        };
        let made = (0..12).filter(|millis| at(*millis)).count();
        assert_eq!(made, 10);
        assert!(at(120));
    }

    #[test]
    fn there_is_no_retry_while_the_upstream_sheds() {
        assert!(RetryBudget::new().try_retry(Load::Shedding).is_none());
    }

    #[test]
    fn what_ends_is_given_back() {
        let budget = RetryBudget::new();
        let live: Vec<_> = (0..15).map(|_| budget.begin()).collect();
        let retries: Vec<_> = std::iter::from_fn(|| budget.try_retry(Load::Bearable))
            .take(9)
            .collect();
        assert_eq!(retries.len(), 3);
        drop(retries);
        assert!(budget.try_retry(Load::Bearable).is_some());
        drop(live);
        assert_eq!((budget.live(), budget.retrying()), (0, 0));
    }
}
