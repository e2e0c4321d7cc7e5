//! Server-sent events: what every stream of them has in common.

use std::{convert::Infallible, time::Duration};

use axum::response::sse::{Event, Sse};
use futures_util::{Stream, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// How long whoever listened waits before it comes again.
pub(super) const COME_AGAIN: Duration = Duration::from_secs(2);

/// Says one thing after the other.
pub(super) trait Says: Send {
    /// The next one; `None` ends the stream.
    ///
    /// # Cancel safety
    /// The stream ends when it is dropped: nothing needs to be kept.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// What `says` says to one who listens, until it leaves or the gateway drains. `place` is its place among all.
pub(super) fn told(
    says: impl Says + 'static,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let begin = (says, place, stop);
    Sse::new(stream::unfold(begin, |(mut says, place, stop)| async {
        let event = tokio::select! {
            biased; // the end first: who listens must not hold up the drain
            () = stop.cancelled() => None,
            event = says.next() => event,
        };
        Some((Ok(event?), (says, place, stop)))
    }))
}
