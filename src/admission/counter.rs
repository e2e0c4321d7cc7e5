//! How many are in, counted so that no wake-up is lost.
//!
//! Who waits is counted first and looks for a place then; who leaves gives its place back first and looks for
//! waiters then. A `SeqCst` fence between the two steps of each puts them into one order, in which one sees the
//! other. `tests/loom` explores it.

use super::sync::{AtomicU32, Ordering::SeqCst, fence};

/// A count with a limit that is told at each entry.
#[derive(Debug)]
pub(super) struct Counter(AtomicU32);

// === impl Counter ===

impl Counter {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// How many there are.
    pub(super) fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }

    /// One more, where that is not beyond `limit`; how many there are with it.
    pub(super) fn try_enter(&self, limit: u32) -> Option<u32> {
        self.0
            .fetch_update(SeqCst, SeqCst, |n| (n < limit).then(|| n.saturating_add(1)))
            .ok()
            .map(|before| before.saturating_add(1))
    }

    /// One more, whatever the limit; how many there are with it.
    pub(super) fn enter(&self) -> u32 {
        self.0.fetch_add(1, SeqCst).saturating_add(1)
    }

    /// One less.
    pub(super) fn leave(&self) {
        self.0.fetch_sub(1, SeqCst);
        fence(SeqCst);
    }

    /// So many, as counted elsewhere under a lock.
    pub(super) fn set(&self, count: u32) {
        self.0.store(count, SeqCst);
        fence(SeqCst);
    }
}
