//! One attempt: one request to one endpoint, and how it ended.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode};
use hyper::{body::Incoming, client::conn::TrySendError};
use tokio::time::{Instant, timeout_at};

use super::{
    ReplyBody,
    classify::{self, Answer},
    connector::{Connector, Limit, Speech},
    hygiene,
    line::{Line, Obtained, Reuse, Wanted},
    reply::Hold,
    speak, target,
};
use crate::{
    fault::{Fault, Kind, Stage},
    health::Outcome,
    pool::{Http1, Http2, InFlight, Seat, SendBody, Upload, UploadState},
};

/// So many pooled connections may turn out to be closed; then a new one is made.
const STALE_TRIES: u32 = 2;
/// A connection that had rested and ends within this time of a request, without a byte, was closed by an endpoint that
/// had not seen the request yet; one that takes longer has likely broken at work. Several round trips on any network.
const CROSSING: Duration = Duration::from_millis(250);

/// An endpoint answered.
#[derive(Debug)]
pub struct Sent {
    /// Its answer. A 101 can be upgraded by hyper; whether it was asked for is the caller's to judge.
    pub response: Response<ReplyBody>,
    /// How long connecting took; `None` where a connection of the pool served.
    pub connect: Option<Duration>,
    /// How much of it the TLS handshake took, where there was one.
    pub handshake: Option<Duration>,
    /// From the moment the request went to the connection to the head of the answer.
    pub first_byte: Duration,
}

/// An attempt failed before the head of an answer.
#[derive(Debug)]
pub struct AttemptError {
    /// What happened.
    pub fault: Fault,
    /// Whether the endpoint may have seen the request.
    pub progress: Progress,
    /// What it says of the endpoint.
    pub outcome: Outcome,
    /// The request, where it is still whole. HTTP/2 keeps a request that it took, sent or not.
    pub request: Option<Request<SendBody>>,
    /// Whether the connection had served before.
    pub reused: bool,
}

// === impl AttemptError ===

impl AttemptError {
    /// A bug of ours, not the endpoint's: nothing may follow it.
    #[must_use]
    pub fn ours(fault: Fault) -> Self {
        Self {
            fault,
            progress: Progress::Sent,
            outcome: Outcome::Ignored,
            request: None,
            reused: false,
        }
    }
}

/// Whether an endpoint may have seen a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Provably not: it may be sent again, whatever its method.
    Unsent,
    /// It may have: only an idempotent one may be sent again.
    Sent,
}

/// What is known of a request besides the request, which the connection swallows.
#[derive(Debug)]
struct Trial<'a> {
    wanted: Wanted<'a>,
    upload: Option<Arc<Upload>>,
    head_only: bool,
    reused: bool,
    began: Instant,
}

/// How an exchange failed.
enum Failure {
    /// The pooled connection was closed before anything was written: the request is as it was.
    Stale(Box<Request<SendBody>>),
    Failed(Box<AttemptError>),
}

/// The result of hyper's `try_send_request`.
type Exchanged = Result<Response<Incoming>, TrySendError<Request<SendBody>>>;

/// Sends `request` to the endpoint of `seat` once, and waits for the head of its answer.
///
/// The request's target is the path; `Host` is there; hop-by-hop fields are gone, but for `Connection` and
/// `Upgrade` of an upgrade. The head must come within `first_byte_timeout`, counted anew while the request's
/// body makes progress or is waited for, and before `deadline`. Nothing is sent twice: a pooled connection that
/// turns out to be closed before a byte was written is only replaced.
///
/// # Errors
/// A boxed [`AttemptError`], with the request where it may be sent again as it is.
///
/// # Cancel safety
/// Dropping the future ends the exchange: the HTTP/1 connection closes, the HTTP/2 stream is reset.
pub async fn send(
    connector: &Connector,
    seat: &Seat,
    mut request: Request<SendBody>,
    deadline: Option<Instant>,
    reuse: Reuse,
) -> Result<Sent, Box<AttemptError>> {
    let in_flight = seat.endpoint.enter();
    let speech = match Speech::of(&request, connector.protocol) {
        Ok(speech) => speech,
        Err(fault) => return Err(unsent(fault, Some(request), false)),
    };
    let wanted = Wanted {
        connector,
        seat,
        speech,
        deadline,
    };
    let mut stale = 0;
    loop {
        let reuse = if stale < STALE_TRIES {
            reuse
        } else {
            Reuse::Never
        };
        let Obtained {
            line,
            connect,
            handshake,
        } = match wanted.obtain(reuse).await {
            Ok(obtained) => obtained,
            Err(fault) => return Err(unsent(fault, Some(request), false)),
        };
        let trial = Trial {
            wanted,
            upload: request.body().upload(),
            head_only: *request.method() == Method::HEAD,
            reused: connect.is_none(),
            began: Instant::now(),
        };
        match trial.run(line, request).await {
            Ok((answer, hold)) => {
                let first_byte = trial.began.elapsed();
                connector.handles.first_byte(first_byte);
                return Ok(Sent {
                    response: trial.reply(answer, hold, in_flight),
                    connect,
                    handshake,
                    first_byte,
                });
            }
            Err(Failure::Stale(whole)) => {
                connector.handles.stale_connection();
                request = *whole;
                stale += 1;
            }
            Err(Failure::Failed(error)) => return Err(error),
        }
    }
}

// === impl Trial ===

impl Trial<'_> {
    /// Sends the request on `line`, and waits for the head of the answer.
    async fn run(
        &self,
        line: Line,
        request: Request<SendBody>,
    ) -> Result<(Response<Incoming>, Hold), Failure> {
        match line {
            Line::Http1(connection) => self.on_http1(connection, request).await,
            Line::Http2(stream) => self.on_http2(stream, request).await,
        }
    }

    async fn on_http1(
        &self,
        mut connection: Http1,
        mut request: Request<SendBody>,
    ) -> Result<(Response<Incoming>, Hold), Failure> {
        target::for_http1(&mut request);
        connection.heard.clear();
        let exchange = connection.sender.try_send_request(request);
        let mut answer = match self.await_head(exchange).await? {
            Ok(answer) => answer,
            Err(error) if connection.heard.any() => {
                return Err(self.failed(error, Answer::Begun));
            }
            Err(error) => {
                self.was_closed(connection.rested);
                return Err(self.failed(error, Answer::Nothing));
            }
        };
        self.learn_from(&answer);
        match hygiene::check(&mut answer) {
            Ok(()) => Ok((answer, Hold::Http1(connection))),
            Err(fault) => Err(self.sent(fault)),
        }
    }

    /// An endpoint tells on a new connection how long it lets it rest.
    fn learn_from(&self, answer: &Response<Incoming>) {
        let endpoint = &self.wanted.seat.endpoint;
        let keep_alive = endpoint.connections.keep_alive();
        if !self.reused
            && let Some(told) = keep_alive.told(answer.headers())
        {
            tracing::debug!(
                endpoint = %endpoint.id, keep_alive_ms = told.as_millis(),
                "the endpoint tells how long connections may rest"
            );
        }
    }

    /// A connection that had rested so long was closed as it was taken, unless it was the request's body that failed.
    fn was_closed(&self, rested: Duration) {
        let upload = self.upload.as_deref();
        if self.reused && upload.is_none_or(|upload| upload.fault().is_none()) {
            let endpoint = &self.wanted.seat.endpoint;
            let keep_alive = endpoint.connections.keep_alive();
            speak::closed(keep_alive, &endpoint.id, rested, Instant::now());
        }
    }

    async fn on_http2(
        &self,
        mut stream: Http2,
        mut request: Request<SendBody>,
    ) -> Result<(Response<Incoming>, Hold), Failure> {
        let scheme = self.wanted.connector.scheme();
        if let Err(fault) = target::for_http2(&mut request, scheme, self.wanted.seat) {
            return Err(Failure::Failed(unsent(fault, Some(request), self.reused)));
        }
        let exchange = stream.sender.try_send_request(request);
        match self.await_head(exchange).await? {
            Ok(answer) => {
                stream.answered();
                Ok((answer, Hold::Http2(stream)))
            }
            Err(error) => Err(self.failed(error, Answer::Unknown)),
        }
    }

    /// Waits for the head. The time begins anew while the request's body makes progress, or waits for the
    /// client, which has its own time-out: a long upload is not a slow answer.
    async fn await_head(
        &self,
        exchange: impl Future<Output = Exchanged>,
    ) -> Result<Exchanged, Failure> {
        let mut exchange = pin!(exchange);
        let mut since = self.began;
        loop {
            let step = self.wanted.connector.first_byte_timeout;
            let limit = Limit::new(since, step, self.wanted.deadline);
            let frames = self.upload.as_ref().map_or(0, |upload| upload.frames());
            if let Ok(ended) = timeout_at(limit.at, exchange.as_mut()).await {
                return Ok(ended);
            }
            let moved = |upload: &Arc<Upload>| upload.moved_since(frames);
            if limit.is_deadline() || !self.upload.as_ref().is_some_and(moved) {
                return Err(self.sent(limit.fault(Kind::FirstByteTimeout, Stage::FirstByte)));
            }
            since = limit.at;
        }
    }

    /// hyper gave up on the exchange.
    fn failed(&self, mut error: TrySendError<Request<SendBody>>, came: Answer) -> Failure {
        match error.take_message() {
            Some(request) if self.reused => Failure::Stale(Box::new(request)),
            Some(request) => {
                let fault = classify::exchange(error.error(), came);
                Failure::Failed(unsent(fault, Some(request), self.reused))
            }
            None if classify::unprocessed(error.error()) => {
                let fault = classify::exchange(error.error(), came);
                Failure::Failed(unsent(fault, None, self.reused))
            }
            None => {
                let fault = classify::exchange(error.error(), came);
                if !self.reused || came == Answer::Begun {
                    return self.sent(fault);
                }
                self.wanted.connector.handles.stale_connection();
                let crossed = came == Answer::Nothing && self.began.elapsed() <= CROSSING;
                self.sent(if crossed {
                    classify::crossed(fault)
                } else {
                    fault
                })
            }
        }
    }

    /// The exchange failed after the endpoint may have seen the request. Where the request's body failed, that
    /// is why, and the endpoint is not to blame; nor is it where the time ran out waiting for the client.
    fn sent(&self, fault: Fault) -> Failure {
        let upload = self.upload.as_deref();
        let (fault, outcome) = match upload.and_then(Upload::fault) {
            Some(fault) => (fault, Outcome::Ignored),
            None if fault.kind == Kind::RequestTimeout
                && upload.is_some_and(|upload| upload.state() == UploadState::Waiting) =>
            {
                (fault, Outcome::Ignored)
            }
            None => {
                let outcome = classify::outcome(fault.kind);
                (fault, outcome)
            }
        };
        Failure::Failed(Box::new(AttemptError {
            fault,
            progress: Progress::Sent,
            outcome,
            request: None,
            reused: self.reused,
        }))
    }

    fn reply(
        self,
        answer: Response<Incoming>,
        hold: Hold,
        in_flight: InFlight,
    ) -> Response<ReplyBody> {
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let (parts, incoming) = answer.into_parts();
        let mut body = ReplyBody::new(incoming, hold, in_flight, self.upload);
        if self.head_only {
            body.expect_no_bytes();
        }
        if !switched {
            body.end_if_empty();
        }
        Response::from_parts(parts, body)
    }
}

/// The endpoint saw nothing of the request.
fn unsent(fault: Fault, request: Option<Request<SendBody>>, reused: bool) -> Box<AttemptError> {
    Box::new(AttemptError {
        outcome: classify::outcome(fault.kind),
        fault,
        progress: Progress::Unsent,
        request,
        reused,
    })
}
