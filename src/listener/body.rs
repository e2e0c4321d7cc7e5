//! Request and response bodies as they pass, and the rest of a request body that nobody wants.

use std::{
    future::pending,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::{
    activity::{Activity, LEFTOVER_BYTES, LEFTOVER_TIME},
    streams::Handed,
};

/// The largest piece of a body that an HTTP/2 stream gets at once, so that the patience with a slow client
/// counts from one such piece to the next. A frame of HTTP/2 holds as much.
const PIECE: usize = 16 * 1024;

/// A request body on its way to the service.
pub(super) struct RequestBody {
    /// Taken where the rest is left.
    inner: Option<Incoming>,
    activity: Arc<Activity>,
    leftover: Arc<Leftover>,
    /// Where the rest of an HTTP/2 body is read on.
    streams: TaskTracker,
    /// `Expect: 100-continue`, and nobody asked for the body yet: the client may never send it.
    withheld: bool,
    ended: bool,
}

/// A request body that was given up before its end, on HTTP/1.
///
/// The connection's task reads on for [`LEFTOVER_BYTES`] and `LEFTOVER_TIME`, so that the connection can
/// be used again; beyond that it closes. On HTTP/2 a stream does as much on its own.
#[derive(Default)]
pub(super) struct Leftover {
    body: Mutex<Option<Incoming>>,
    /// Whether `body` holds one. Set after it is put there and before the waker is woken.
    waits: AtomicBool,
    waker: AtomicWaker,
}

pin_project! {
    /// A response body on its way to the client.
    pub(super) struct ResponseBody {
        #[pin]
        inner: AxumBody,
        rest: Bytes,
        stream: Option<Arc<Handed>>,
        open: Open,
    }
}

/// A response that is not over.
pub(super) struct Open(Arc<Activity>);

// === impl RequestBody ===

impl RequestBody {
    pub(super) fn new(
        inner: Incoming,
        activity: &Arc<Activity>,
        leftover: &Arc<Leftover>,
        streams: &TaskTracker,
        withheld: bool,
    ) -> Self {
        activity.upload();
        Self {
            inner: Some(inner),
            activity: Arc::clone(activity),
            leftover: Arc::clone(leftover),
            streams: streams.clone(),
            withheld,
            ended: false,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        this.withheld = false;
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        this.ended = match &frame {
            Some(Ok(_)) => inner.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && !self.ended
        {
            if self.activity.is_http2() {
                self.streams.spawn(linger(inner));
                self.activity.upload_ended();
                return;
            }
            self.activity.left_unread();
            if !self.withheld && inner.size_hint().lower() <= LEFTOVER_BYTES {
                self.leftover.leave(inner, &self.activity);
            }
        }
        self.activity.upload_ended();
    }
}

/// Reads on over a body that nobody wants, so that its client can send on while it reads the answer; a stream
/// that is reset at once makes some clients (curl) lose the answer. Beyond the bounds of [`Leftover`] the
/// stream is reset with `NO_ERROR` (RFC 9113 section 8.1).
async fn linger(mut body: Incoming) {
    let until = Instant::now() + LEFTOVER_TIME;
    let mut read = 0_u64;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            read = read.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
            if read > LEFTOVER_BYTES {
                pending::<()>().await; // no more of it: the window stays shut
            }
        }
    };
    let _ = timeout_at(until, reading).await;
}

// === impl Leftover ===

impl Leftover {
    fn leave(&self, body: Incoming, activity: &Activity) {
        activity.awaits_leftover();
        *self.body.lock() = Some(body);
        self.waits.store(true, Relaxed);
        self.waker.wake();
    }

    /// Reads on, where there is something to read on. The connection's task calls this each time it is
    /// polled, after HTTP was.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, activity: &Activity, read: &mut u64) {
        if activity.uploads() {
            self.waker.register(cx.waker());
        }
        if !self.waits.load(Relaxed) {
            return;
        }
        let mut slot = self.body.lock();
        let Some(body) = slot.as_mut() else { return };
        let whole = loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => break true,
                Poll::Ready(Some(Err(_))) => break false,
                Poll::Ready(Some(Ok(frame))) => {
                    let count = frame.data_ref().map_or(0, Bytes::len);
                    *read = read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                    if *read > LEFTOVER_BYTES {
                        break false;
                    }
                }
            }
        };
        *slot = None;
        drop(slot);
        self.ended(activity, whole, read);
        // HTTP goes on to the next request, or closes.
        cx.waker().wake_by_ref();
    }

    /// The time is over: HTTP closes the connection once its answer is out.
    pub(super) fn give_up(&self, activity: &Activity, read: &mut u64) {
        *self.body.lock() = None;
        self.ended(activity, false, read);
    }

    fn ended(&self, activity: &Activity, whole: bool, read: &mut u64) {
        self.waits.store(false, Relaxed);
        *read = 0;
        activity.leftover_ended(whole);
    }
}

// === impl ResponseBody ===

impl ResponseBody {
    pub(super) fn new(inner: AxumBody, stream: Option<Arc<Handed>>, open: Open) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            stream,
            open,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        let Some(stream) = this.stream else {
            return this.inner.poll_frame(cx);
        };
        stream.asked();
        let frame = if this.rest.is_empty() {
            match ready!(this.inner.poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            }
        } else {
            Frame::data(std::mem::take(this.rest))
        };
        stream.handed();
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(mut data) if data.len() > PIECE => {
                *this.rest = data.split_off(PIECE);
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        if rest > 0 {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(rest));
            }
            hint.set_lower(hint.lower().saturating_add(rest));
        }
        hint
    }
}

// === impl Open ===

impl Open {
    /// A request whose head is whole: its response is open until this is dropped.
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.request();
        Self(Arc::clone(activity))
    }

    pub(super) fn becomes_tunnel(&self) {
        self.0.becomes_tunnel();
    }

    /// Whether the response is the connection's last, and must say so.
    pub(super) fn must_say_last(&self) -> bool {
        self.0.must_say_last()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closes();
    }
}
