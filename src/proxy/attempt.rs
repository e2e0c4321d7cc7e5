//! The tries of one request: which endpoint, whether again, and whose budget pays.
//!
//! A retry is made only where it is safe: after a try of which nothing was sent, any method; after any other,
//! idempotent methods whose body is still there. It goes to another endpoint where one can serve, and spends
//! from the upstream's retry budget.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use tokio::time::Instant;

use super::{pick::pick, replay::Replay, trail::Trail};
use crate::{
    admission::{LiveGuard, Outcome, Permit, RetryGuard},
    config::{HostPolicy, RetryOn, RetryPlan},
    fault::{Fault, Kind},
    pool::SendBody,
    snapshot::UpstreamLive,
    telemetry::RetryResult,
    upstream::{self, AttemptError, Judge, Progress, Reuse, Sent},
};

/// What a request holds of its upstream until its last byte: the permit, and its part in the retry budget.
#[derive(Debug)]
pub(super) struct Held {
    permit: Permit<usize>,
    live: LiveGuard,
}

/// How a try ended, seen from whether another may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Nothing of the request reached the endpoint.
    Unsent,
    /// Something did, and no answer came.
    Broken(Kind),
    /// This came.
    Answered(StatusCode),
}

// === impl Held ===

impl Held {
    /// A place at the upstream.
    pub(super) fn new(permit: Permit<usize>, upstream: &UpstreamLive) -> Self {
        Self {
            permit,
            live: upstream.budget.begin(),
        }
    }

    /// Where the permit lets the request go: an index into the upstream's seats.
    fn seat(&self) -> usize {
        *self.permit.endpoint()
    }

    /// The request ended.
    pub(super) fn end(self, outcome: Outcome) {
        self.permit.end(outcome);
        drop(self.live);
    }

    /// The answer opened a tunnel: the place goes back, the endpoint keeps counting while `body` lives.
    pub(super) fn into_tunnel<B>(self, body: B) -> B {
        self.permit.end(Outcome::Ignored);
        body
    }

    /// The body broke on its way: that counts against its endpoint, where it is the endpoint's doing.
    pub(super) fn blame(&self, trail: &Trail, fault: &Fault) {
        if let Some(upstream) = trail.upstream()
            && let Some(seat) = upstream.seats.get(self.seat())
        {
            judge(upstream).broke_off(seat, fault);
        }
    }
}

/// Tries until there is an answer, or no further try is allowed.
///
/// # Cancel safety
/// Dropped, it ends the running try; its connection is closed.
pub(super) async fn run(
    upstream: &UpstreamLive,
    plan: &RetryPlan,
    held: &mut Held,
    request: Request<SendBody>,
    deadline: Option<Instant>,
    trail: &mut Trail,
) -> Result<Sent, Fault> {
    let mut replay = Replay::of(plan, request);
    let mut retrying: Option<Leave> = None;
    let mut tried = Vec::new();
    let mut reuse = Reuse::Allowed;
    loop {
        let seat = held.seat();
        let request = replay.next()?;
        let result = one(upstream, seat, request, deadline, reuse, trail).await;
        let retried = retrying.take().is_some();
        let (ended, failure) = match result {
            Ok(sent) if !asks_for_another(plan.on, &replay, &sent) => {
                told(upstream, retried, RetryResult::Success);
                return Ok(sent);
            }
            Ok(sent) => (Ended::Answered(sent.response.status()), Ok(sent)),
            Err(mut error) => {
                let ended = replay.take_back(&mut error);
                if error.reused {
                    reuse = Reuse::Never; // a restart of the endpoint closes all that rest at once
                }
                (ended, Err(error.fault))
            }
        };
        told(upstream, retried, RetryResult::Failure);
        let left = trail.attempts < plan.attempts.get() && is_ahead(deadline);
        if !(left && may_follow(plan.on, replay.idempotent(), ended) && replay.is_whole()) {
            return failure;
        }
        let Some(leave) = leave(upstream, ended, deadline).await else {
            upstream.handles.retry(RetryResult::Budget);
            return failure;
        };
        drop(failure); // an answer that is not passed on: its connection is closed
        tried.push(seat);
        if let Some(next) = pick(upstream, &tried).or_else(|| pick(upstream, &[])) {
            held.permit.replace_endpoint(next);
        }
        retrying = Some(leave);
    }
}

/// Leave to try again.
enum Leave {
    /// The endpoint saw nothing of the request, so another try is no more work than there was: the budget,
    /// which bounds added work, has no say.
    Free,
    /// The budget lends it, for as long as the try runs.
    Lent { _guard: RetryGuard },
}

/// How often a budget without room is asked again, and how long apart at the least.
///
/// Where an endpoint dies, all that ran there breaks at one moment, more than the budget holds, and each try
/// takes a few milliseconds: a short wait spreads them. An answer that is at hand never waits for it.
const ASKS: u32 = 8;
const BETWEEN_ASKS: Duration = Duration::from_millis(10);

/// Asks the budget; `None` where it has no room, or not in time.
async fn leave(upstream: &UpstreamLive, ended: Ended, deadline: Option<Instant>) -> Option<Leave> {
    if ended == Ended::Unsent {
        return Some(Leave::Free);
    }
    let asks = if matches!(ended, Ended::Answered(_)) {
        1
    } else {
        ASKS
    };
    for ask in 0..asks {
        if ask > 0 {
            tokio::time::sleep(BETWEEN_ASKS.mul_f64(1.0 + rand::random::<f64>())).await;
        }
        if !is_ahead(deadline) {
            return None;
        }
        if let Some(guard) = upstream.budget.try_retry() {
            return Some(Leave::Lent { _guard: guard });
        }
    }
    None
}

fn is_ahead(deadline: Option<Instant>) -> bool {
    deadline.is_none_or(|deadline| Instant::now() < deadline)
}

/// One try at one endpoint.
async fn one(
    upstream: &UpstreamLive,
    seat: usize,
    mut request: Request<SendBody>,
    deadline: Option<Instant>,
    reuse: Reuse,
    trail: &mut Trail,
) -> Result<Sent, Box<AttemptError>> {
    let Some(chosen) = upstream.seats.get(seat) else {
        return Err(Box::new(AttemptError::ours(Fault::new(Kind::Internal))));
    };
    let own_host = upstream.plan.host == HostPolicy::Upstream;
    if own_host || !request.headers().contains_key(header::HOST) {
        request
            .headers_mut()
            .insert(header::HOST, chosen.authority.clone());
    }
    trail.attempts = trail.attempts.saturating_add(1);
    trail.endpoint = Some(chosen.endpoint.id.address);
    let result = upstream::send(&upstream.connector, chosen, request, deadline, reuse).await;
    if let Ok(sent) = &result {
        trail.timings.connect = sent.connect.or(trail.timings.connect);
        trail.timings.first_byte = Some(sent.first_byte);
    }
    judge(upstream).attempted(chosen, &result);
    result
}

fn judge(upstream: &UpstreamLive) -> Judge<'_> {
    Judge {
        seats: &upstream.seats,
        plan: &upstream.plan,
        handles: &upstream.handles,
    }
}

fn told(upstream: &UpstreamLive, retried: bool, result: RetryResult) {
    if retried {
        upstream.handles.retry(result);
    }
}

/// Whether the route asks to try again after this answer, and the answer does not forbid it: a shed or a
/// `Retry-After` means it, and coming back at once would be the opposite (RFC 9110 section 10.2.3).
fn asks_for_another(on: RetryOn, replay: &Replay, sent: &Sent) -> bool {
    let (status, headers) = (sent.response.status(), sent.response.headers());
    let told_to_wait = headers.contains_key(header::RETRY_AFTER);
    !told_to_wait
        && may_follow(on, replay.idempotent(), Ended::Answered(status))
        && replay.is_whole()
}

/// Whether another try may follow: pure, the whole rule.
fn may_follow(on: RetryOn, idempotent: bool, ended: Ended) -> bool {
    match ended {
        Ended::Unsent => on.connect,
        Ended::Broken(Kind::FirstByteTimeout) => on.timeout && idempotent,
        Ended::Broken(
            Kind::ConnectionReset
            | Kind::ConnectionClosed
            | Kind::StreamRefused
            | Kind::ResponseIncomplete,
        ) => on.reset && idempotent,
        Ended::Answered(StatusCode::BAD_GATEWAY) => on.status_502 && idempotent,
        Ended::Answered(StatusCode::SERVICE_UNAVAILABLE) => on.status_503 && idempotent,
        Ended::Answered(StatusCode::GATEWAY_TIMEOUT) => on.status_504 && idempotent,
        Ended::Broken(_) | Ended::Answered(_) => false,
    }
}

/// RFC 9110 section 9.2.2.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

impl Replay {
    /// What a failed try gives back, and what it means for another.
    fn take_back(&mut self, error: &mut AttemptError) -> Ended {
        if let Some(request) = error.request.take() {
            self.returned(request);
        }
        match error.progress {
            Progress::Unsent => Ended::Unsent,
            Progress::Sent => Ended::Broken(error.fault.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: RetryOn = RetryOn {
        connect: true,
        reset: true,
        timeout: true,
        status_502: true,
        status_503: true,
        status_504: true,
    };

    #[test]
    fn nothing_but_an_unsent_request_is_tried_again_where_the_method_is_not_idempotent() {
        for kind in [
            Kind::ConnectionReset,
            Kind::ConnectionClosed,
            Kind::FirstByteTimeout,
            Kind::StreamRefused,
        ] {
            assert!(!may_follow(ALL, false, Ended::Broken(kind)), "{kind:?}");
        }
        for status in [502, 503, 504].map(|code| StatusCode::from_u16(code).expect("a status")) {
            assert!(!may_follow(ALL, false, Ended::Answered(status)), "{status}");
        }
        assert!(may_follow(ALL, false, Ended::Unsent));
    }

    #[test]
    fn each_word_allows_its_own_ending_and_no_other() {
        let connect = RetryOn {
            connect: true,
            ..RetryOn::default()
        };
        assert!(may_follow(connect, true, Ended::Unsent));
        assert!(!may_follow(
            connect,
            true,
            Ended::Broken(Kind::ConnectionReset)
        ));
        let reset = RetryOn {
            reset: true,
            ..RetryOn::default()
        };
        assert!(may_follow(
            reset,
            true,
            Ended::Broken(Kind::ConnectionClosed)
        ));
        assert!(!may_follow(reset, true, Ended::Unsent));
        assert!(!may_follow(
            reset,
            true,
            Ended::Broken(Kind::FirstByteTimeout)
        ));
        let bad = RetryOn {
            status_503: true,
            ..RetryOn::default()
        };
        assert!(may_follow(
            bad,
            true,
            Ended::Answered(StatusCode::SERVICE_UNAVAILABLE)
        ));
        assert!(!may_follow(
            bad,
            true,
            Ended::Answered(StatusCode::BAD_GATEWAY)
        ));
        assert!(!may_follow(bad, true, Ended::Answered(StatusCode::OK)));
    }

    #[test]
    fn what_the_client_or_the_answer_did_is_never_tried_again() {
        for kind in [
            Kind::BodyTooLarge,
            Kind::ClientAborted,
            Kind::ResponseInvalid,
            Kind::RequestTimeout,
        ] {
            assert!(!may_follow(ALL, true, Ended::Broken(kind)), "{kind:?}");
        }
    }
}
