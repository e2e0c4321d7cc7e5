//! The body of an answer on its way back, and what is held until its end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::classify;
use crate::{
    fault::{Fault, Kind, Stage},
    pool::{Http1, Http2, InFlight, Upload, UploadState},
};

/// The body of an endpoint's answer. Its errors are faults: a body that broke off ends with one, never as if it
/// were complete.
///
/// It holds the connection and counts as in flight until its last byte or its drop. An HTTP/1 connection goes
/// back to the pool only after the last byte, and only if the request was fully sent by then; else it is closed.
/// A request whose body is still being sent then is cut off.
#[derive(Debug)]
pub struct ReplyBody {
    incoming: Incoming,
    held: Option<Held>,
    expects: Expects,
}

/// The connection that an answer comes from.
#[derive(Debug)]
pub(super) enum Hold {
    /// All of it.
    Http1(Http1),
    /// A stream of it.
    Http2(#[expect(dead_code, reason = "held for its drop")] Http2),
}

/// What lasts as long as the answer.
#[derive(Debug)]
struct Held {
    /// There until the last byte came.
    connection: Option<Hold>,
    in_flight: InFlight,
    upload: Option<Arc<Upload>>,
}

/// Whether bytes are to come that the head announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// As many as `Content-Length` says, where it says so.
    Announced,
    /// None, whatever it says: the request was a HEAD.
    Nothing,
}

// === impl ReplyBody ===

impl ReplyBody {
    pub(super) fn new(
        incoming: Incoming,
        connection: Hold,
        in_flight: InFlight,
        upload: Option<Arc<Upload>>,
    ) -> Self {
        Self {
            incoming,
            held: Some(Held {
                connection: Some(connection),
                in_flight,
                upload,
            }),
            expects: Expects::Announced,
        }
    }

    pub(super) fn expect_no_bytes(&mut self) {
        self.expects = Expects::Nothing;
    }

    /// An answer without a body is complete with its head.
    pub(super) fn end_if_empty(&mut self) {
        if self.incoming.is_end_stream() {
            self.complete();
        }
    }

    /// The last byte came.
    fn complete(&mut self) {
        if let Some(held) = self.held.take() {
            held.complete();
        }
    }

    fn broke_off(&mut self, error: &hyper::Error) -> Fault {
        let held = self.held.take();
        let upload = held.as_ref().and_then(|held| held.upload.as_ref());
        upload
            .and_then(|upload| upload.fault())
            .unwrap_or_else(|| classify::body(error))
    }

    /// HTTP/2 lets an endpoint end a stream without an error before all bytes came.
    fn is_short(&self) -> bool {
        self.held.is_some()
            && self.expects == Expects::Announced
            && self
                .incoming
                .size_hint()
                .exact()
                .is_some_and(|left| left > 0)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(Pin::new(&mut this.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if frame.is_trailers() || this.incoming.is_end_stream() {
                    this.complete();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(this.broke_off(&error))),
            None if this.is_short() => {
                drop(this.held.take());
                let fault = Fault::new(Kind::ResponseIncomplete).at(Stage::Body);
                Some(Err(fault.detail("the stream ended before Content-Length")))
            }
            None => {
                this.complete();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

// === impl Held ===

impl Held {
    /// Where the request was not fully sent, the connection goes with the drop.
    fn complete(mut self) {
        let all_sent = |upload: &Arc<Upload>| upload.state() == UploadState::Done;
        if self.upload.as_ref().is_none_or(all_sent)
            && let Some(Hold::Http1(connection)) = self.connection.take()
        {
            let connections = &self.in_flight.endpoint().connections;
            connections.keep_http1(connection, Instant::now());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abandon();
        }
    }
}
