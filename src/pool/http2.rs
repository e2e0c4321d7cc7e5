//! An HTTP/2 connection to an endpoint, shared by many requests.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use hyper::client::conn::http2::SendRequest;
use tokio::time::Instant;

use super::{Lane, SendBody};

/// Most streams on one connection, whatever the endpoint allows.
pub const MAX_STREAMS: u32 = 100;

/// An HTTP/2 connection.
pub struct Shared {
    /// What it was made for.
    pub(super) lane: Lane,
    sender: SendRequest<SendBody>,
    made: Instant,
    retire_at: Instant,
    /// Streams that run. `Relaxed`: exactness comes from the read-modify-write, and it guards no other memory.
    streams: AtomicU32,
    allowed: Arc<Allowance>,
    /// When the last stream ended, in milliseconds since `made`. `Relaxed`: expiry is not exact.
    rests_since_ms: AtomicU64,
}

/// How many streams an endpoint takes on one connection; shared with the driver, which learns of it.
#[derive(Debug)]
pub struct Allowance {
    /// As last seen by the driver. `Relaxed`: a stale reading costs one stream that waits inside of the
    /// connection.
    streams: AtomicU32,
    /// An answer came, and before it what the endpoint allows. `Relaxed`: it wakes the driver once.
    settled: AtomicBool,
    driver: AtomicWaker,
}

/// A place for one request on a shared connection; free again when dropped.
pub struct Http2 {
    /// Where the request goes in.
    pub sender: SendRequest<SendBody>,
    shared: Arc<Shared>,
}

// === impl Shared ===

impl Shared {
    /// A new connection. The driver writes into `allowed` how many streams the endpoint takes.
    #[must_use]
    pub fn new(
        sender: SendRequest<SendBody>,
        lane: Lane,
        allowed: Arc<Allowance>,
        made: Instant,
        retire_at: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            lane,
            sender,
            made,
            retire_at,
            streams: AtomicU32::new(0),
            allowed,
            rests_since_ms: AtomicU64::new(0),
        })
    }

    /// A place on it, if there is one.
    pub fn stream(self: &Arc<Self>) -> Option<Http2> {
        let most = self.allowed.streams.load(Relaxed).min(MAX_STREAMS);
        self.streams
            .fetch_update(Relaxed, Relaxed, |n| (n < most).then_some(n + 1))
            .ok()?;
        Some(Http2 {
            sender: self.sender.clone(),
            shared: Arc::clone(self),
        })
    }

    pub(super) fn is_over(&self, idle_timeout: Duration, now: Instant) -> bool {
        self.sender.is_closed() || self.retire_at <= now || self.rested(now) >= idle_timeout
    }

    fn rested(&self, now: Instant) -> Duration {
        if self.streams.load(Relaxed) > 0 {
            return Duration::ZERO;
        }
        let since = self.made + Duration::from_millis(self.rests_since_ms.load(Relaxed));
        now.saturating_duration_since(since)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("lane", &self.lane)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

// === impl Allowance ===

impl Allowance {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            streams: AtomicU32::new(MAX_STREAMS),
            settled: AtomicBool::new(false),
            driver: AtomicWaker::new(),
        })
    }

    /// The driver was woken and sees that so many streams are allowed.
    pub fn see(&self, streams: usize, cx: &Context<'_>) {
        let streams = u32::try_from(streams).unwrap_or(u32::MAX);
        self.streams.store(streams, Relaxed);
        if !self.settled.load(Relaxed) {
            self.driver.register(cx.waker());
        }
    }

    /// An answer came: the endpoint's settings came before it, so the driver looks at them.
    fn settle(&self) {
        if !self.settled.load(Relaxed) && !self.settled.swap(true, Relaxed) {
            self.driver.wake();
        }
    }
}

// === impl Http2 ===

impl Http2 {
    /// An answer came on this stream.
    pub fn answered(&self) {
        self.shared.allowed.settle();
    }
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http2").field(&self.shared).finish()
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        let rested = Instant::now().saturating_duration_since(self.shared.made);
        let ms = u64::try_from(rested.as_millis()).unwrap_or(u64::MAX);
        self.shared.rests_since_ms.store(ms, Relaxed);
        self.shared.streams.fetch_sub(1, Relaxed);
    }
}
