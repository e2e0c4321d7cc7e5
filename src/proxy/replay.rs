//! What is kept of a request so that it can be sent again.
//!
//! A request of an idempotent method keeps a copy of its head, and of its body up to a cap. Any other keeps
//! nothing: it is sent again only where a try gives it back untouched.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{Request, request};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use super::attempt::is_idempotent;
use crate::{
    config::RetryPlan,
    fault::{Fault, Kind},
    pool::{BodyStream, SendBody},
};

/// A request, and what is left to send it again.
#[derive(Debug)]
pub(super) struct Replay {
    idempotent: bool,
    ready: Option<Request<SendBody>>,
    head: Option<request::Parts>,
    body: KeptBody,
}

/// What is left of a body that was sent.
#[derive(Debug)]
enum KeptBody {
    /// There was none.
    Empty,
    /// A copy grows while it is sent.
    Copied(Arc<Mutex<Copied>>),
    /// It is not kept.
    Gone,
}

#[derive(Debug, Default)]
struct Copied {
    bytes: BytesMut,
    /// Whole only after its end was seen, within the cap, without trailers.
    whole: bool,
}

/// A body that copies itself while it is read.
struct Copying {
    source: BodyStream,
    cap: usize,
    copied: Option<Arc<Mutex<Copied>>>,
}

// === impl Replay ===

impl Replay {
    /// Keeps of `request` what `plan` allows.
    pub(super) fn of(plan: &RetryPlan, request: Request<SendBody>) -> Self {
        let idempotent = is_idempotent(request.method());
        if !idempotent || plan.attempts.get() < 2 {
            return Self {
                idempotent,
                ready: Some(request),
                head: None,
                body: KeptBody::Gone,
            };
        }
        let (head, body) = request.into_parts();
        let kept = Some(head.clone());
        let (body, copy) = keep(body, plan.replay_bytes);
        Self {
            idempotent,
            ready: Some(Request::from_parts(head, body)),
            head: kept,
            body: copy,
        }
    }

    /// Whether the method is idempotent.
    pub(super) const fn idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether there is all it takes for another try.
    pub(super) fn is_whole(&self) -> bool {
        let body = match &self.body {
            KeptBody::Empty => true,
            KeptBody::Copied(copied) => copied.lock().whole,
            KeptBody::Gone => false,
        };
        self.ready.is_some() || (self.head.is_some() && body)
    }

    /// The same request once more, beside the one on its way; `None` where it has a body or may not be repeated.
    pub(super) fn spare(&self) -> Option<Request<SendBody>> {
        let head = self.head.clone()?;
        matches!(self.body, KeptBody::Empty).then(|| Request::from_parts(head, SendBody::Empty))
    }

    /// The request for the next try.
    pub(super) fn next(&mut self) -> Result<Request<SendBody>, Fault> {
        if let Some(request) = self.ready.take() {
            return Ok(request);
        }
        let head = self
            .head
            .clone()
            .ok_or_else(|| Fault::new(Kind::Internal))?;
        let body = match &self.body {
            KeptBody::Copied(copied) => {
                SendBody::Full(Bytes::copy_from_slice(&copied.lock().bytes))
            }
            KeptBody::Empty | KeptBody::Gone => SendBody::Empty,
        };
        Ok(Request::from_parts(head, body))
    }

    /// A try gave the request back untouched.
    pub(super) fn returned(&mut self, request: Request<SendBody>) {
        self.ready = Some(request);
    }
}

/// The body to send, and what will be left of it.
fn keep(body: SendBody, cap: usize) -> (SendBody, KeptBody) {
    let source = match body {
        SendBody::Stream { source, .. } => source,
        SendBody::Empty => return (SendBody::Empty, KeptBody::Empty),
        SendBody::Full(bytes) if bytes.is_empty() => return (SendBody::Empty, KeptBody::Empty),
        full @ SendBody::Full(_) => return (full, KeptBody::Gone),
    };
    if source.size_hint().lower() > cap as u64 {
        return (SendBody::stream(source), KeptBody::Gone);
    }
    let copied = Arc::new(Mutex::new(Copied::default()));
    let copying = Copying {
        source,
        cap,
        copied: Some(Arc::clone(&copied)),
    };
    (
        SendBody::stream(Box::pin(copying)),
        KeptBody::Copied(copied),
    )
}

impl Body for Copying {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = ready!(self.source.as_mut().poll_frame(cx));
        let over = match (&frame, &self.copied) {
            (Some(Ok(frame)), Some(copied)) => !copied.lock().add(frame, self.cap),
            (None, Some(copied)) => {
                copied.lock().whole = true;
                false
            }
            _ => false,
        };
        if over {
            self.copied = None;
        } else if self.source.is_end_stream()
            && let Some(copied) = &self.copied
        {
            copied.lock().whole = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl Copied {
    /// Adds a frame; `false` where the copy is given up: over `cap`, or trailers, which are not kept.
    fn add(&mut self, frame: &Frame<Bytes>, cap: usize) -> bool {
        match frame.data_ref() {
            Some(data) if self.bytes.len().saturating_add(data.len()) <= cap => {
                self.bytes.extend_from_slice(data);
                true
            }
            _ => {
                self.bytes = BytesMut::new();
                false
            }
        }
    }
}
