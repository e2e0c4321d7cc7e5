//! The tries of one request: which endpoint, whether again, and whose budget pays.
//!
//! A retry is made only where it is safe: after a try of which nothing was sent, any method; after any other,
//! idempotent methods whose body is still there. It goes to another endpoint where one can serve, and spends
//! from the upstream's retry budget.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, StatusCode, header};
use tokio::time::Instant;

use super::{
    hedge::{self, Pair},
    held::Held,
    once,
    replay::Replay,
    trail::Trail,
};
use crate::{
    admission::{Load, RetryGuard, Wish},
    config::{RetryOn, RoutePlan},
    fault::{Fault, Kind},
    pool::SendBody,
    snapshot::UpstreamLive,
    telemetry::RetryResult,
    upstream::{AttemptError, Progress, Reuse, Sent},
};

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

/// What is asked of the tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The route's.
    pub(super) plan: &'a RoutePlan,
    /// What was asked of admission.
    pub(super) wish: Wish,
}

/// How the tries ended without an answer.
#[derive(Debug)]
pub(super) struct Failed {
    /// What the last one ended with.
    pub(super) fault: Fault,
    /// What is left of the request.
    pub(super) replay: Replay,
}

/// Tries until there is an answer, or no further try is allowed.
///
/// # Cancel safety
/// Dropped, it ends the running try; its connection is closed. Where the limit is learned, the try goes on for a
/// while as a ghost.
pub(super) async fn run(
    upstream: &Arc<UpstreamLive>,
    terms: Terms<'_>,
    mut held: Held,
    request: Request<SendBody>,
    trail: &mut Trail,
) -> Result<(Sent, Held), Box<Failed>> {
    let (plan, deadline) = (&terms.plan.retry, terms.wish.deadline);
    let most = trail.attempts.saturating_add(plan.attempts.get()); // a fallback comes after others
    let mut replay = Replay::of(plan, request);
    let mut retrying: Option<Leave> = None;
    let mut tried = Vec::new();
    let mut reuse = Reuse::Allowed;
    loop {
        let seat = held.seat;
        let request = match replay.next() {
            Ok(request) => request,
            Err(fault) => return Err(Box::new(Failed { fault, replay })),
        };
        let hedged = if tried.is_empty() {
            hedge::of(&terms, &replay, trail)
        } else {
            None
        };
        let result;
        (held, result) = match hedged {
            Some((after, spare)) => {
                let pair = Pair {
                    request,
                    spare,
                    after,
                };
                hedge::run(upstream, held, pair, &terms, trail).await
            }
            None => once::run(upstream, held, request, &terms, reuse, trail).await,
        };
        let retried = retrying.take().is_some();
        let (ended, failure) = match result {
            Ok(sent) if !asks_for_another(plan.on, &replay, &sent) => {
                told(upstream, retried, RetryResult::Success);
                return Ok((sent, held));
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
        let left = trail.attempts < most && is_ahead(deadline);
        if !(left && may_follow(plan.on, replay.idempotent(), ended) && replay.is_whole()) {
            return ended_with(failure, held, replay);
        }
        let allowed = trail.entrance.pressure.retries_allowed();
        let Some(leave) = leave(upstream, ended, deadline, allowed).await else {
            upstream.handles.retry(RetryResult::Budget);
            return ended_with(failure, held, replay);
        };
        tried.push(seat);
        if held.again(upstream, &terms.wish, &tried).await.is_err() {
            upstream.handles.retry(RetryResult::Budget);
            return ended_with(failure, held, replay); // no place for a second try: the first one's end is the answer
        }
        drop(failure); // an answer that is not passed on: its connection is closed
        retrying = Some(leave);
    }
}

fn ended_with(
    failure: Result<Sent, Fault>,
    held: Held,
    replay: Replay,
) -> Result<(Sent, Held), Box<Failed>> {
    match failure {
        Ok(sent) => Ok((sent, held)),
        Err(fault) => Err(Box::new(Failed { fault, replay })),
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
async fn leave(
    upstream: &UpstreamLive,
    ended: Ended,
    deadline: Option<Instant>,
    allowed: bool,
) -> Option<Leave> {
    if !allowed {
        return None; // this process is short of something itself
    }
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
        if let Some(guard) = upstream.budget.try_retry(load_of(upstream)) {
            return Some(Leave::Lent { _guard: guard });
        }
    }
    None
}

/// Whether the upstream has places for all.
pub(super) fn load_of(upstream: &UpstreamLive) -> Load {
    if upstream.gate.is_shedding() {
        Load::Shedding
    } else {
        Load::Bearable
    }
}

fn is_ahead(deadline: Option<Instant>) -> bool {
    deadline.is_none_or(|deadline| Instant::now() < deadline)
}

pub(super) fn told(upstream: &UpstreamLive, retried: bool, result: RetryResult) {
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
            | Kind::HeadReset
            | Kind::ConnectionClosed
            | Kind::KeepAliveRace
            | Kind::StreamRefused
            | Kind::StreamReset
            | Kind::GoneAway
            | Kind::HeadIncomplete,
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
            Kind::KeepAliveRace,
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
        for kind in [
            Kind::ConnectionClosed,
            Kind::KeepAliveRace,
            Kind::HeadReset,
            Kind::HeadIncomplete,
            Kind::StreamReset,
        ] {
            assert!(may_follow(reset, true, Ended::Broken(kind)), "{kind:?}");
        }
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
