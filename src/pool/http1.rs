//! An HTTP/1 connection to an endpoint: one exchange at a time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::{Lane, SendBody};

/// An HTTP/1 connection. Whoever has it is its only user; dropping it closes it.
pub struct Http1 {
    /// Where requests go in.
    pub sender: SendRequest<SendBody>,
    /// What it was made for.
    pub lane: Lane,
    /// When it is too old to be used again.
    pub retire_at: Instant,
    /// Whether a byte came since it was last cleared.
    pub heard: Heard,
    /// Since when it rests, for its driver to see.
    pub rest: Rest,
    /// How long it had rested when it was last taken from the pool.
    pub rested: Duration,
}

/// Since when a connection rests; shared with its driver, which learns of its end.
///
/// `Relaxed`: the endpoint's close comes long after the connection was put to rest, and what is read too late or too
/// early is one age more or less among several.
#[derive(Debug, Clone)]
pub struct Rest {
    made: Instant,
    /// In milliseconds since `made`, plus one; 0 while it does not rest.
    since_ms: Arc<AtomicU64>,
}

/// Whether a byte came from the other side; shared with the socket.
///
/// `Relaxed`: it is read after the exchange's end was learnt through a channel, which orders the two.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<AtomicBool>);

// === impl Http1 ===

impl Http1 {
    /// Whether the last exchange is over on both sides and nothing else came.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether it ended, by either side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1")
            .field("lane", &self.lane)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

// === impl Rest ===

impl Rest {
    /// Of a connection made at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            made: now,
            since_ms: Arc::default(),
        }
    }

    /// How long the connection has rested at `now`; `None` where it does not.
    #[must_use]
    pub fn at(&self, now: Instant) -> Option<Duration> {
        let since = self.since_ms.load(Relaxed).checked_sub(1)?;
        let since = self.made + Duration::from_millis(since);
        Some(now.saturating_duration_since(since))
    }

    pub(super) fn begin(&self, now: Instant) {
        let since = now.saturating_duration_since(self.made).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX - 1);
        self.since_ms.store(since.saturating_add(1), Relaxed);
    }

    pub(super) fn end(&self) {
        self.since_ms.store(0, Relaxed);
    }
}

// === impl Heard ===

impl Heard {
    /// A byte came.
    pub fn mark(&self) {
        self.0.store(true, Relaxed);
    }

    /// From here on.
    pub fn clear(&self) {
        self.0.store(false, Relaxed);
    }

    /// Whether one came.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.load(Relaxed)
    }
}
