//! How many retries an upstream may get at once.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// Retries in flight are at most a fifth of the live requests, but three are always allowed.
///
/// So an upstream that fails gets at most 1.2 times its load, and a quiet one can still be retried.
/// Source: Envoy's retry budget (20 %, at least 3) and Finagle's.
#[derive(Debug, Default)]
pub struct RetryBudget {
    /// Requests that are being served. Relaxed: a count that guards no other memory.
    live: AtomicU32,
    /// Retries among them. Relaxed: as above; exactness comes from the read-modify-write.
    retrying: AtomicU32,
}

/// One retry for so many live requests: 20 %.
const LIVE_PER_RETRY: u32 = 5;
/// Retries that are allowed however few requests are live.
const ALWAYS: u32 = 3;

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
        Arc::default()
    }

    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> LiveGuard {
        self.live.fetch_add(1, Relaxed);
        LiveGuard(Arc::clone(self))
    }

    /// A place for a retry, where the budget has one.
    #[must_use]
    pub fn try_retry(self: &Arc<Self>) -> Option<RetryGuard> {
        let most = self.live().wrapping_div(LIVE_PER_RETRY).max(ALWAYS);
        self.retrying
            .fetch_update(Relaxed, Relaxed, |n| {
                (n < most).then(|| n.saturating_add(1))
            })
            .ok()
            .map(|_| RetryGuard(Arc::clone(self)))
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
        let retries: Vec<_> = std::iter::from_fn(|| budget.try_retry())
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
        assert_eq!(allowed(500), 100);
    }

    #[test]
    fn what_ends_is_given_back() {
        let budget = RetryBudget::new();
        let live = budget.begin();
        let retries: Vec<_> = std::iter::from_fn(|| budget.try_retry()).take(9).collect();
        assert!(budget.try_retry().is_none());
        drop(retries);
        assert!(budget.try_retry().is_some());
        drop(live);
        assert_eq!((budget.live(), budget.retrying()), (0, 0));
    }
}
