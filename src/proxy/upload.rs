//! The request's body on its way to the upstream: counted, bounded, timed.

use std::{
    error::Error as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::trailers;
use crate::fault::{Fault, Kind, Stage};

pin_project! {
    /// A client's body.
    ///
    /// * Over `max_bytes` it ends with [`Kind::BodyTooLarge`].
    /// * Without progress for `patience` it ends with [`Kind::BodyTimeout`].
    /// * What the client's connection does to it ends as [`Kind::ClientAborted`] or [`Kind::BodyInvalid`].
    ///
    /// In every case the endpoint is not to blame.
    pub(super) struct Upload {
        #[pin]
        body: Body,
        #[pin]
        timer: Sleep,
        waiting: bool,
        max_bytes: u64,
        patience: Duration,
        // Relaxed is enough: it is read for the log, after the body ended or was dropped.
        counted: Arc<AtomicU64>,
    }
}

// === impl Upload ===

impl Upload {
    /// `body`, of at most `max_bytes`; each byte is added to `counted`.
    pub(super) fn new(
        body: Body,
        max_bytes: Option<u64>,
        patience: Duration,
        counted: Arc<AtomicU64>,
    ) -> Self {
        let timer = tokio::time::sleep(patience);
        Self {
            body,
            timer,
            waiting: false,
            max_bytes: max_bytes.unwrap_or(u64::MAX),
            patience,
            counted,
        }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let mut this = self.project();
        let polled = this.body.poll_frame(cx);
        if polled.is_pending() {
            if !std::mem::replace(this.waiting, true) {
                this.timer.as_mut().reset(Instant::now() + *this.patience);
            }
            ready!(this.timer.poll(cx));
            return Poll::Ready(Some(Err(Fault::new(Kind::BodyTimeout))));
        }
        *this.waiting = false;
        let Some(frame) = ready!(polled) else {
            return Poll::Ready(None);
        };
        let mut frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Poll::Ready(Some(Err(classify(&error)))),
        };
        if let Some(data) = frame.data_ref() {
            let more = data.len() as u64;
            let total = this
                .counted
                .fetch_add(more, Ordering::Relaxed)
                .saturating_add(more);
            if total > *this.max_bytes {
                return Poll::Ready(Some(Err(Fault::new(Kind::BodyTooLarge))));
            }
        } else if let Some(fields) = frame.trailers_mut() {
            trailers::keep_allowed(fields);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whose doing the end of a client's body was: framing that cannot be read, or a client that left.
fn classify(error: &axum::Error) -> Fault {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && matches!(
                io.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            )
        {
            return Fault::new(Kind::BodyInvalid).detail(io.to_string());
        }
        source = cause.source();
    }
    Fault::new(Kind::ClientAborted).at(Stage::Body)
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn upload(chunks: &[&'static str], max: Option<u64>) -> Upload {
        let frames: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, io::Error>(Frame::data(Bytes::from_static(chunk.as_bytes()))))
            .collect();
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        Upload::new(body, max, Duration::from_secs(30), Arc::default())
    }

    #[tokio::test]
    async fn a_body_at_its_limit_passes_whole() {
        let whole = upload(&["ab", "cd"], Some(4))
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        assert_eq!(whole.ok().as_deref(), Some(&b"abcd"[..]));
    }

    #[tokio::test]
    async fn a_body_over_its_limit_ends_with_too_large() {
        let fault = upload(&["ab", "cd"], Some(3))
            .collect()
            .await
            .expect_err("over the limit");
        assert_eq!(fault.kind, Kind::BodyTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_progress_times_out() {
        let body = Body::new(StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, io::Error>,
        >()));
        let upload = Upload::new(body, None, Duration::from_secs(30), Arc::default());
        let began = Instant::now();
        let fault = upload.collect().await.expect_err("nothing comes");
        assert_eq!(
            (fault.kind, began.elapsed().as_secs()),
            (Kind::BodyTimeout, 30)
        );
    }
}
