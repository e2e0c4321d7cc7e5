//! The answer's body on its way to the client. It carries the permit and the trail: both end with its last byte.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::{held::Held, trail::Trail, trailers};
use crate::{
    fault::{Fault, Kind, Stage},
    upstream::ReplyBody,
};

pin_project! {
    /// An upstream's body.
    ///
    /// Dropped before its end, the client has left: the trail says so and the permit comes back, ignored.
    pub(super) struct GateBody {
        #[pin]
        reply: ReplyBody,
        #[pin]
        timer: Sleep,
        waiting: bool,
        stalls_at: Instant,
        deadline: Option<Instant>,
        patience: Duration,
        held: Option<Held>,
        began: Instant,
        // When the place goes back although the body still runs.
        lingers_until: Option<Instant>,
        trail: Trail,
    }
}

/// The body was cut, and the client must see that it is not whole.
#[derive(Debug)]
pub(super) struct Cut(Kind);

// === impl GateBody ===

impl GateBody {
    /// Streams `reply` until `deadline`, at most `patience` between two frames.
    pub(super) fn new(
        reply: ReplyBody,
        deadline: Option<Instant>,
        patience: Duration,
        held: Held,
        trail: Trail,
    ) -> Self {
        let (timer, began) = (tokio::time::sleep(patience), Instant::now());
        let mut body = Self {
            reply,
            timer,
            waiting: false,
            stalls_at: began,
            deadline,
            patience,
            began,
            lingers_until: held.lingers().map(|lingers| began + lingers),
            held: Some(held),
            trail,
        };
        if body.reply.is_end_stream() {
            end_well(&mut body.held, Duration::ZERO, &mut body.trail);
        }
        body
    }
}

impl http_body::Body for GateBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let mut this = self.project();
        let polled = this.reply.as_mut().poll_frame(cx);
        if polled.is_pending() {
            if !std::mem::replace(this.waiting, true) {
                *this.stalls_at = Instant::now() + *this.patience;
                let first = earliest(*this.stalls_at, *this.deadline, *this.lingers_until);
                this.timer.as_mut().reset(first);
            }
            ready!(this.timer.as_mut().poll(cx));
            if this
                .lingers_until
                .is_some_and(|until| until <= Instant::now())
            {
                *this.lingers_until = None;
                this.held.iter_mut().for_each(Held::give_place_back);
                let next = earliest(*this.stalls_at, *this.deadline, None);
                this.timer.as_mut().reset(next);
                ready!(this.timer.as_mut().poll(cx));
            }
            let over = this
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now());
            let kind = if over {
                Kind::RequestTimeout
            } else {
                Kind::ResponseStalled
            };
            return Poll::Ready(Some(Err(cut(
                this.held,
                this.trail,
                &Fault::new(kind).at(Stage::Body),
            ))));
        }
        *this.waiting = false;
        match ready!(polled) {
            None => {
                end_well(this.held, this.began.elapsed(), this.trail);
                Poll::Ready(None)
            }
            Some(Err(fault)) => Poll::Ready(Some(Err(cut(this.held, this.trail, &fault)))),
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.trail.downloaded = this.trail.downloaded.saturating_add(data.len() as u64);
                } else if let Some(fields) = frame.trailers_mut() {
                    trailers::keep_allowed(fields);
                }
                if this.reply.is_end_stream() {
                    end_well(this.held, this.began.elapsed(), this.trail);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

/// What the timer waits for first.
fn earliest(
    stalls_at: Instant,
    deadline: Option<Instant>,
    lingers_until: Option<Instant>,
) -> Instant {
    deadline
        .into_iter()
        .chain(lingers_until)
        .fold(stalls_at, Instant::min)
}

/// The last byte has gone, `took` after the head.
fn end_well(held: &mut Option<Held>, took: Duration, trail: &mut Trail) {
    if let Some(mut held) = held.take() {
        held.streamed(took);
    }
    trail.tell_success();
}

/// The upstream, or the clock, ended the body early.
fn cut(held: &mut Option<Held>, trail: &mut Trail, fault: &Fault) -> Cut {
    if let Some(held) = held.take() {
        held.blame(trail, fault);
    }
    trail.tell_fault(fault);
    Cut(fault.kind)
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.facts().title)
    }
}

impl std::error::Error for Cut {}
