//! The streams of HTTP/2: where they run, and what ends one whose client stopped reading.
//!
//! hyper has no bound for a stream that waits for its client's window: the body, and with it the permit of
//! the request, would be held for as long as the client likes. HTTP/1 needs none of this, since there the
//! socket itself is blocked (`Due::Write`).

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::task::TaskTracker;

use crate::{proxy::Reading, telemetry::ListenerHandles};

/// Runs the streams of one connection in its listener's tasks.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    patience: Duration,
    handles: Arc<ListenerHandles>,
    newborn: Arc<Newborn>,
    reading: Reading,
}

/// Carries what a stream's guard watches from the service to the executor: hyper calls the one, then at
/// once the other, for each stream.
#[derive(Default)]
pub(super) struct Newborn(Mutex<Option<Arc<Handed>>>);

/// Whether a piece of the response body was handed over, and the next not asked for yet.
///
/// Relaxed is enough: the stream's own task writes and reads it.
#[derive(Debug, Default)]
pub(super) struct Handed {
    waits: AtomicBool,
    asked: AtomicU32,
}

pin_project! {
    /// A stream, and the end of our patience with it.
    struct Guarded<F> {
        #[pin]
        stream: Option<F>,
        handed: Option<Arc<Handed>>,
        patience: Duration,
        handles: Arc<ListenerHandles>,
        reading: Reading,
        stall: Option<Stall>,
    }
}

/// A wait for the client that may become too long.
struct Stall {
    since: Instant,
    asked: u32,
    sleep: Pin<Box<Sleep>>,
}

// === impl Streams ===

impl Streams {
    pub(super) fn new(
        tasks: TaskTracker,
        patience: Duration,
        handles: Arc<ListenerHandles>,
        newborn: Arc<Newborn>,
        reading: Reading,
    ) -> Self {
        Self {
            tasks,
            patience,
            handles,
            newborn,
            reading,
        }
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.tasks.spawn(Guarded {
            stream: Some(stream),
            handed: self.newborn.0.lock().take(),
            patience: self.patience,
            handles: Arc::clone(&self.handles),
            reading: self.reading.clone(),
            stall: None,
        });
    }
}

// === impl Newborn ===

impl Newborn {
    /// What the next stream's guard watches.
    pub(super) fn begin(&self) -> Arc<Handed> {
        let handed = Arc::new(Handed::default());
        *self.0.lock() = Some(Arc::clone(&handed));
        handed
    }
}

// === impl Handed ===

impl Handed {
    /// The next piece is asked for: the client took the one before.
    pub(super) fn asked(&self) {
        self.waits.store(false, Relaxed);
        self.asked.fetch_add(1, Relaxed);
    }

    /// A piece is handed over.
    pub(super) fn handed(&self) {
        self.waits.store(true, Relaxed);
    }
}

// === impl Guarded ===

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let polled = this.stream.as_mut().as_pin_mut().map(|s| s.poll(cx));
        if polled != Some(Poll::Pending) {
            return Poll::Ready(());
        }
        let waiting = this.handed.as_ref();
        let Some(handed) = waiting.filter(|handed| handed.waits.load(Relaxed)) else {
            return Poll::Pending;
        };
        let asked = handed.asked.load(Relaxed);
        let patience = *this.patience;
        let stall = this.stall.get_or_insert_with(|| Stall {
            since: Instant::now(),
            asked,
            sleep: Box::pin(sleep(patience)),
        });
        if stall.asked != asked {
            (stall.asked, stall.since) = (asked, Instant::now());
        }
        while stall.sleep.as_mut().poll(cx).is_ready() {
            let end = stall.since + patience;
            if Instant::now() >= end {
                this.handles.timed_out("write");
                // Dropped unfinished, the stream is reset and its body with the permit is gone.
                this.reading.stopped();
                this.stream.set(None);
                this.reading.goes_on();
                return Poll::Ready(());
            }
            stall.sleep.as_mut().reset(end);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;
    use crate::{names::ListenerName, telemetry::Telemetry};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn guarded<F: Future<Output = ()>>(stream: F, handed: &Arc<Handed>) -> Guarded<F> {
        Guarded {
            stream: Some(stream),
            handed: Some(Arc::clone(handed)),
            patience: PATIENCE,
            handles: Telemetry::new().listener(&ListenerName::from("web")),
            reading: Reading::default(),
            stall: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_piece_is_not_taken_ends_after_the_patience() {
        let handed = Arc::new(Handed::default());
        handed.asked();
        handed.handed();
        let start = Instant::now();
        guarded(pending(), &handed).await;
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_upstream_is_left_alone() {
        let handed = Arc::new(Handed::default());
        handed.asked();
        let ended = tokio::time::timeout(PATIENCE * 10, guarded(pending(), &handed)).await;
        assert!(ended.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_taken_starts_the_patience_anew() {
        let handed = Arc::new(Handed::default());
        handed.asked();
        handed.handed();
        let mut tick = Box::pin(sleep(PATIENCE / 2));
        let mut pieces = 4;
        let stream = poll_fn(|cx| {
            while pieces > 0 && tick.as_mut().poll(cx).is_ready() {
                pieces -= 1;
                handed.asked();
                handed.handed();
                tick.as_mut().reset(Instant::now() + PATIENCE / 2);
            }
            Poll::Pending
        });
        let start = Instant::now();
        guarded(stream, &handed).await;
        assert_eq!(start.elapsed(), PATIENCE / 2 * 4 + PATIENCE);
    }
}
