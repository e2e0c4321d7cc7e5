//! An HTTP/1 connection to an endpoint: one exchange at a time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
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
