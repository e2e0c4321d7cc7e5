//! The body of a request on its way to an endpoint.
//!
//! Whose fault a broken exchange is can only be told by whoever watched both ends of it. So a streamed body
//! leaves a record, [`Upload`], that outlives it: whether it was read to its end, whether its source (the
//! client) failed, and for whom it waits.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::fault::Fault;

/// A body whose length and frames come from somewhere else; its errors are the fault of who feeds it.
pub type BodyStream = Pin<Box<dyn Body<Data = Bytes, Error = Fault> + Send>>;

/// What polling a source gives.
type PolledFrame = Poll<Option<Result<Frame<Bytes>, Fault>>>;

/// The body of a request to an endpoint. Only [`Self::Stream`] allocates.
#[derive(Default)]
pub enum SendBody {
    /// None.
    #[default]
    Empty,
    /// All of it is here. After it was sent it is empty.
    Full(Bytes),
    /// It comes while it is sent.
    Stream {
        /// Where it comes from.
        source: BodyStream,
        /// What becomes of it.
        upload: Arc<Upload>,
    },
}

/// What became of a streamed request body; shared by the body and whoever sent it.
#[derive(Debug)]
pub struct Upload {
    /// An [`UploadState`]. `Relaxed`: it decides, and guards no memory but `fault`, which has its own lock.
    state: AtomicU8,
    /// Frames handed on so far, wrapping. `Relaxed`: only compared with an earlier reading.
    frames: AtomicU32,
    /// Why the source failed; set before `state` says so.
    fault: Mutex<Option<Fault>>,
    /// Who reads the body, to be told that nobody wants it any more.
    reader: AtomicWaker,
}

/// How far a streamed request body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum UploadState {
    /// The connection has what there is, and it is its turn to ask for more.
    Handed,
    /// The connection asked for more, and the source has nothing yet.
    Waiting,
    /// Read to its end.
    Done,
    /// The source failed.
    Failed,
    /// The answer was complete before the body was; the rest is not wanted.
    Abandoned,
}

/// A request body ended early: its source failed, as [`Upload::fault`] says, or the rest is not wanted.
///
/// Under it is the code with which an HTTP/2 stream is reset for it, `CANCEL`.
#[derive(Debug)]
pub struct SendError(h2::Error);

// === impl SendBody ===

impl SendBody {
    /// A body that comes while it is sent.
    #[must_use]
    pub fn stream(source: BodyStream) -> Self {
        let upload = Arc::new(Upload {
            state: AtomicU8::new(UploadState::Handed as u8),
            frames: AtomicU32::new(0),
            fault: Mutex::new(None),
            reader: AtomicWaker::new(),
        });
        Self::Stream { source, upload }
    }

    /// The record of a streamed body. One clone of an `Arc`, since it has to outlive the body.
    #[must_use]
    pub fn upload(&self) -> Option<Arc<Upload>> {
        match self {
            Self::Stream { upload, .. } => Some(Arc::clone(upload)),
            Self::Empty | Self::Full(_) => None,
        }
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream { source, upload } => {
                let Some(polled) = upload.watched(source.as_mut(), cx) else {
                    *this = Self::Empty; // lets the source go: the client's side waits for that
                    return Poll::Ready(Some(Err(SendError::new())));
                };
                Poll::Ready(match ready!(polled) {
                    Some(Ok(frame)) => {
                        upload.handed(frame.is_trailers() || is_over(source));
                        Some(Ok(frame))
                    }
                    Some(Err(fault)) => {
                        upload.failed(fault);
                        Some(Err(SendError::new()))
                    }
                    None => {
                        upload.set(UploadState::Done);
                        None
                    }
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream { source, .. } => source.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream { source, .. } => source.size_hint(),
        }
    }
}

impl fmt::Debug for SendBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream { upload, .. } => f.debug_tuple("Stream").field(upload).finish(),
        }
    }
}

// === impl Upload ===

impl Upload {
    /// How far it is.
    #[must_use]
    pub fn state(&self) -> UploadState {
        match self.state.load(Relaxed) {
            0 => UploadState::Handed,
            1 => UploadState::Waiting,
            2 => UploadState::Done,
            3 => UploadState::Failed,
            _ => UploadState::Abandoned,
        }
    }

    /// How many frames were handed on, wrapping.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames.load(Relaxed)
    }

    /// Why its source failed, where it did.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().clone()
    }

    /// Whether the timer of an answer should start anew, given [`Self::frames`] at its start: something was
    /// sent since, or it is the client that is waited for.
    #[must_use]
    pub fn moved_since(&self, frames: u32) -> bool {
        self.frames() != frames || self.state() == UploadState::Waiting
    }

    /// The answer is complete: what was not sent yet need not be. Lets go of the source soon, and ends the
    /// exchange for the connection.
    pub fn abandon(&self) {
        let unfinished = |state| {
            let live = state == UploadState::Handed as u8 || state == UploadState::Waiting as u8;
            live.then_some(UploadState::Abandoned as u8)
        };
        if self
            .state
            .fetch_update(Relaxed, Relaxed, unfinished)
            .is_ok()
        {
            self.reader.wake();
        }
    }

    /// Polls the source; `None` where the body was abandoned.
    fn watched(
        &self,
        source: Pin<&mut (dyn Body<Data = Bytes, Error = Fault> + Send)>,
        cx: &mut Context<'_>,
    ) -> Option<PolledFrame> {
        if self.state() == UploadState::Abandoned {
            return None;
        }
        let polled = source.poll_frame(cx);
        if polled.is_pending() {
            // The reader is registered before the state is looked at again, so `abandon` is either seen here
            // or finds the waker.
            self.reader.register(cx.waker());
            if !self.set(UploadState::Waiting) {
                return None;
            }
        }
        Some(polled)
    }

    /// Whether it took effect: an abandoned body stays so.
    fn set(&self, state: UploadState) -> bool {
        let unless_abandoned = |old| (old != UploadState::Abandoned as u8).then_some(state as u8);
        self.state
            .fetch_update(Relaxed, Relaxed, unless_abandoned)
            .is_ok()
    }

    fn handed(&self, last: bool) {
        self.frames.fetch_add(1, Relaxed);
        self.set(if last {
            UploadState::Done
        } else {
            UploadState::Handed
        });
    }

    fn failed(&self, fault: Fault) {
        *self.fault.lock() = Some(fault);
        self.set(UploadState::Failed);
    }
}

// === impl SendError ===

impl SendError {
    fn new() -> Self {
        Self(h2::Reason::CANCEL.into())
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body could not be read")
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A connection that knows the length stops to ask when it has all bytes, without being told of the end.
fn is_over(source: &BodyStream) -> bool {
    source.is_end_stream() || source.size_hint().exact() == Some(0)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;
    use crate::fault::Kind;

    fn streamed(frames: Vec<Result<Frame<Bytes>, Fault>>) -> SendBody {
        SendBody::stream(Box::pin(StreamBody::new(stream::iter(frames))))
    }

    fn data(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_full_body_knows_its_length_and_is_over_after_one_frame() {
        let mut body = SendBody::Full(Bytes::from_static(b"four"));
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        let frame = body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "four");
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[test]
    fn an_upload_is_done_only_after_its_last_frame() {
        let mut body = streamed(vec![Ok(data("a")), Ok(data("b"))]);
        let upload = body.upload().unwrap();
        for frames in 1..=2 {
            body.frame().now_or_never().unwrap().unwrap().unwrap();
            assert_eq!(
                (upload.state(), upload.frames()),
                (UploadState::Handed, frames)
            );
        }
        assert!(body.frame().now_or_never().unwrap().is_none());
        assert_eq!(upload.state(), UploadState::Done);
    }

    #[test]
    fn a_body_of_known_length_is_done_with_its_last_byte() {
        let source = http_body_util::Full::new(Bytes::from_static(b"all")).map_err(|e| match e {});
        let mut body = SendBody::stream(Box::pin(source));
        let upload = body.upload().unwrap();
        body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(upload.state(), UploadState::Done);
    }

    #[test]
    fn the_fault_of_the_source_is_kept() {
        let mut body = streamed(vec![Ok(data("a")), Err(Fault::new(Kind::BodyTimeout))]);
        let upload = body.upload().unwrap();
        body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert!(upload.fault().is_none());
        body.frame().now_or_never().unwrap().unwrap().unwrap_err();
        assert_eq!(upload.state(), UploadState::Failed);
        assert_eq!(upload.fault().unwrap().kind, Kind::BodyTimeout);
    }

    #[test]
    fn an_abandoned_body_lets_go_of_its_source() {
        let source = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Fault>>());
        let mut body = SendBody::stream(Box::pin(source));
        let upload = body.upload().unwrap();
        let (waker, woken) = flagging_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        upload.abandon();
        assert!(woken.load(Relaxed));
        let polled = Pin::new(&mut body).poll_frame(&mut cx);
        assert!(matches!(polled, Poll::Ready(Some(Err(SendError(_))))));
        assert!(matches!(body, SendBody::Empty));
    }

    #[test]
    fn a_body_that_is_done_cannot_be_abandoned() {
        let mut body = streamed(vec![]);
        let upload = body.upload().unwrap();
        assert!(body.frame().now_or_never().unwrap().is_none());
        upload.abandon();
        assert_eq!(upload.state(), UploadState::Done);
    }

    fn flagging_waker() -> (std::task::Waker, Arc<std::sync::atomic::AtomicBool>) {
        struct Flag(Arc<std::sync::atomic::AtomicBool>);
        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Relaxed);
            }
        }
        let woken = Arc::default();
        (Arc::new(Flag(Arc::clone(&woken))).into(), woken)
    }

    #[test]
    fn a_source_that_has_nothing_yet_is_waited_for() {
        let source = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Fault>>());
        let mut body = SendBody::stream(Box::pin(source));
        let upload = body.upload().unwrap();
        assert!(body.frame().now_or_never().is_none());
        assert_eq!(upload.state(), UploadState::Waiting);
    }
}
