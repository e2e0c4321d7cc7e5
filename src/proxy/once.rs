//! One try at one endpoint: what is written anew for it, and what its end means.

use std::sync::Arc;

use http::{Request, header};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{attempt::Terms, ghost::Haunting, held::Held, outcome, steer, trail::Trail};
use crate::{
    admission::Permit,
    config::HostPolicy,
    fault::{Fault, Kind},
    pool::SendBody,
    snapshot::UpstreamLive,
    telemetry::{Ill, Met},
    upstream::{self, AttemptError, Reuse, Sent},
};

/// How a try ends.
pub(super) type Ends = Result<Sent, Box<AttemptError>>;

/// One try, from its head to the head of the answer.
///
/// # Cancel safety
/// Dropped, its connection is closed; where the limit is learned, it goes on for a while as a ghost.
pub(super) async fn run(
    upstream: &Arc<UpstreamLive>,
    mut held: Held,
    mut request: Request<SendBody>,
    terms: &Terms<'_>,
    reuse: Reuse,
    trail: &mut Trail,
) -> (Held, Ends) {
    prepare(upstream, &mut held, &mut request, terms, trail);
    let entrance = Arc::clone(&trail.entrance);
    let ended = send(upstream, &mut held, request, terms, reuse, &entrance.ghosts).await;
    conclude(upstream, &mut held, terms, &ended, trail);
    (held, ended)
}

/// Writes what this try alone says, and tells the trail and the limit that it begins.
pub(super) fn prepare(
    upstream: &UpstreamLive,
    held: &mut Held,
    request: &mut Request<SendBody>,
    terms: &Terms<'_>,
    trail: &mut Trail,
) {
    trail.attempts = trail.attempts.saturating_add(1);
    let headers = request.headers_mut();
    if let Some(chosen) = upstream.seats.get(held.seat) {
        let own_host = upstream.plan.host == HostPolicy::Upstream;
        if own_host || !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, chosen.authority.clone());
        }
        trail.endpoint = Some(chosen.endpoint.id.address);
    }
    steer::write(headers, terms.wish.deadline, trail.attempts, Instant::now());
    if let Some(permit) = &mut held.permit {
        permit.sent();
    }
}

/// Sends it, and waits for the head of the answer.
pub(super) async fn send(
    upstream: &Arc<UpstreamLive>,
    held: &mut Held,
    request: Request<SendBody>,
    terms: &Terms<'_>,
    reuse: Reuse,
    ghosts: &TaskTracker,
) -> Ends {
    let (seat, deadline) = (held.seat, terms.wish.deadline);
    if !held.permit.as_ref().is_some_and(Permit::is_on_test) {
        let Some(chosen) = upstream.seats.get(seat) else {
            return Err(bug());
        };
        return upstream::send(&upstream.connector, chosen, request, deadline, reuse).await;
    }
    let live = Arc::clone(upstream); // a ghost outlives the request and its snapshot
    let running = async move {
        match live.seats.get(seat) {
            Some(seat) => upstream::send(&live.connector, seat, request, deadline, reuse).await,
            None => Err(bug()),
        }
    };
    let usual = upstream.gate.usual(terms.wish.route).unwrap_or_default();
    let ended = Haunting::new(running, &mut held.permit, usual, ghosts).await;
    ended.unwrap_or_else(|| Err(bug()))
}

/// Tells the endpoint's health, the limit and the trail how it ended.
pub(super) fn conclude(
    upstream: &UpstreamLive,
    held: &mut Held,
    terms: &Terms<'_>,
    ended: &Ends,
    trail: &mut Trail,
) {
    held.judge(upstream, ended, trail); // before its place is free for another that would try the endpoint
    held.answered(match ended {
        Ok(sent) => {
            trail.timings.connect = sent.connect.or(trail.timings.connect);
            trail.timings.upstream_tls = sent.handshake.or(trail.timings.upstream_tls);
            trail.timings.first_byte = Some(sent.first_byte);
            let (status, headers) = (sent.response.status(), sent.response.headers());
            outcome::of_answer(&terms.plan.outcomes, status, headers, sent.first_byte)
        }
        Err(error) => outcome::of_fault(&error.fault),
    });
    let reused = match ended {
        Ok(sent) => sent.connect.is_none(),
        Err(error) => error.reused,
    };
    match (failure(ended), ended) {
        (Some(met), _) => trail.tried(held.began, reused, met),
        (None, Ok(sent)) => trail.answered(held.began, sent.response.status()),
        (None, Err(_)) => {} // each of these failed
    }
}

/// How it failed, where it did.
fn failure(ended: &Ends) -> Option<Met> {
    match ended {
        Ok(sent) => {
            let status = sent.response.status();
            status
                .is_server_error()
                .then_some(Met::Status(status.as_u16()))
        }
        Err(error) => Some(Met::Fault(Ill::of(&error.fault))),
    }
}

fn bug() -> Box<AttemptError> {
    Box::new(AttemptError::ours(Fault::new(Kind::Internal)))
}
