//! From a route to an upstream's answer: a place, the tries, and what becomes of both heads.

use std::sync::{Arc, atomic::AtomicU64};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header, request};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::{
    attempt::{self, Terms},
    fallback::{self, Instead},
    head::Checked,
    headers::{self, Outgoing},
    held::Held,
    pick::why_none,
    steer::{self, Steering},
    trail::Trail,
    upgrade,
    upload::Upload,
};
use crate::{
    admission::{self, Charge, Denied, Wish},
    config::RoutePlan,
    fault::{Fault, Kind},
    names::TrafficClass,
    pool::SendBody,
    route,
    snapshot::{RouteLive, UpstreamLive},
    upstream::{ReplyBody, Sent},
};

/// How far a request came.
pub(super) enum Passed {
    /// The route answered by itself.
    Here(Response<Bytes>),
    /// An upstream answered.
    There(Box<Reply>),
}

/// A place at an upstream.
pub(super) struct Place {
    pub(super) upstream: Arc<UpstreamLive>,
    pub(super) held: Held,
    /// What was asked of its admission.
    pub(super) wish: Wish,
}

/// An upstream's answer, ready to be passed on.
#[derive(Debug)]
pub(super) struct Reply {
    /// What it said.
    pub(super) response: Response<ReplyBody>,
    /// What the request holds of the upstream.
    pub(super) held: Held,
    /// When its body is cut.
    pub(super) deadline: Option<Instant>,
    /// The client's side of a tunnel that opens with this answer.
    pub(super) tunnel: Option<OnUpgrade>,
}

/// Takes a request to an upstream's answer, or to the route's fallback.
pub(super) async fn forward(
    live: &RouteLive,
    (checked, steering): (Checked, Steering),
    mut parts: request::Parts,
    body: Body,
    charge: Charge<'_>,
    trail: &mut Trail,
) -> Result<Passed, Fault> {
    let plan = &live.plan;
    check_length(&body, plan)?;
    let wish = Wish {
        priority: steering.priority.unwrap_or(plan.priority),
        route: trail.route_number(),
        tenant: admission::tenant_of(&plan.tenant, trail.client, &parts.headers),
        deadline: steering.deadline(trail.began, plan.timeout),
        retry: steering.again,
    };
    let place = match place(live, wish, charge, trail).await? {
        Instead::Place(place) => place,
        Instead::Page(page) => return Ok(Passed::Here(page)),
    };
    steer::strip(&mut parts.headers, trail.connection.peer_trust());
    let client = parts
        .extensions
        .remove::<OnUpgrade>()
        .filter(|_| checked.class == TrafficClass::Upgrade);
    let asked = client
        .is_some()
        .then(|| parts.headers.get(header::UPGRADE).cloned())
        .flatten();
    let request = outgoing(plan, &checked, parts, body, trail)?;
    let (sent, held) = match carry(live, place, request, trail).await? {
        Carried::Answered(answered) => *answered,
        Carried::Page(page) => return Ok(Passed::Here(page)),
    };
    let reply = answered(
        sent,
        held,
        wish.deadline,
        client,
        asked.as_ref(),
        plan,
        trail,
    )?;
    Ok(Passed::There(Box::new(reply)))
}

/// A place at the route's upstream, or what is there instead. Where there is neither, what the rate limits took is
/// given back.
async fn place(
    live: &RouteLive,
    wish: Wish,
    charge: Charge<'_>,
    trail: &mut Trail,
) -> Result<Instead, Fault> {
    let upstream = Arc::clone(trail.upstream().ok_or_else(|| Fault::new(Kind::Internal))?);
    let found = match admit(&upstream, &wish, trail).await {
        Ok(held) => Ok(Instead::Place(Place {
            upstream,
            held,
            wish,
        })),
        Err(fault) => fallback::instead(live, fault, &wish, trail).await,
    };
    if found.is_err() {
        charge.refund();
    }
    found
}

/// How the tries ended.
enum Carried {
    /// An endpoint answered.
    Answered(Box<(Sent, Held)>),
    /// None could be reached; this is said instead.
    Page(Response<Bytes>),
}

/// The tries at the upstream that has a place, and where none can be reached at the fallback.
async fn carry(
    live: &RouteLive,
    place: Place,
    request: Request<SendBody>,
    trail: &mut Trail,
) -> Result<Carried, Fault> {
    let terms = |wish| Terms {
        plan: &live.plan,
        wish,
    };
    let Place {
        upstream,
        held,
        wish,
    } = place;
    let host = request.headers().get(header::HOST).cloned();
    let failed = match attempt::run(&upstream, terms(wish), held, request, trail).await {
        Ok(answered) => return Ok(Carried::Answered(Box::new(answered))),
        Err(failed) => *failed,
    };
    let (place, request) = match fallback::after(live, failed, host, &wish, trail).await? {
        (Instead::Place(place), Some(request)) => (place, request),
        (Instead::Page(page), _) => return Ok(Carried::Page(page)),
        (Instead::Place(_), None) => return Err(Fault::new(Kind::Internal)),
    };
    let (upstream, wish) = (place.upstream, place.wish);
    let tried = attempt::run(&upstream, terms(wish), place.held, request, trail).await;
    let answered = tried.map_err(|failed| failed.fault)?;
    Ok(Carried::Answered(Box::new(answered)))
}

/// A body whose length is known to be over the limit is refused before anybody is asked.
fn check_length(body: &Body, plan: &RoutePlan) -> Result<(), Fault> {
    match plan.max_body_bytes {
        Some(most) if body.size_hint().lower() > most => Err(Fault::new(Kind::BodyTooLarge)),
        _ => Ok(()),
    }
}

/// Waits for a place.
pub(super) async fn admit(
    upstream: &Arc<UpstreamLive>,
    wish: &Wish,
    trail: &mut Trail,
) -> Result<Held, Fault> {
    let began = Instant::now();
    match upstream.gate.admit(wish, &*upstream.roster).await {
        Ok(permit) => {
            let waited = permit.queued();
            trail.timings.admission = Some(trail.began.elapsed());
            trail.timings.queue = Some(waited);
            if let Some(predicted) = permit.predicted() {
                upstream.handles.queue_wait(waited, predicted);
            }
            if let Some(reason) = permit.shadow() {
                trail.handles().shadow_shed(reason);
            }
            trail.handles().admitted();
            let (handles, seats) = (&upstream.handles, &upstream.seats);
            upstream.spill.admitted(handles, seats, permit.seat());
            Ok(Held::new(permit, upstream))
        }
        Err(denied) => {
            trail.timings.queue = Some(began.elapsed());
            Err(match denied {
                Denied::Refused(refusal) => refusal.into(),
                Denied::NoEndpoint => why_none(upstream),
                Denied::DeadlinePast => Fault::new(Kind::DeadlinePast),
            })
        }
    }
}

/// The request as the upstream gets it.
fn outgoing(
    plan: &RoutePlan,
    checked: &Checked,
    mut parts: request::Parts,
    body: Body,
    trail: &mut Trail,
) -> Result<Request<SendBody>, Fault> {
    let out = Outgoing {
        checked,
        hop: trail.connection.hop(),
        client: trail.client,
        request_id: &trail.request_id,
        method: &parts.method,
    };
    headers::prepare_request(&mut parts.headers, &out);
    headers::edit_request(&mut parts.headers, &plan.request_headers);
    parts.uri = target(plan, checked)?;
    parts.extensions.clear();
    let body = if body.is_end_stream() {
        SendBody::Empty
    } else {
        let counted = Arc::new(AtomicU64::new(0));
        trail.uploaded = Some(Arc::clone(&counted));
        let patience = trail.connection.body_timeout;
        SendBody::stream(Box::pin(Upload::new(
            body,
            plan.max_body_bytes,
            patience,
            counted,
        )))
    };
    Ok(Request::from_parts(parts, body))
}

/// The path and query that go upstream.
fn target(plan: &RoutePlan, checked: &Checked) -> Result<Uri, Fault> {
    let target = match &plan.rewrite {
        None => checked.target.clone(),
        Some(rewrite) => {
            let path = route::rewrite(rewrite, &plan.matcher.path, checked.target.path());
            super::head::with_path(&path, checked.target.query()).map_err(Fault::new)?
        }
    };
    Ok(Uri::from(target))
}

/// What becomes of the answer's head, and whether it opens a tunnel.
fn answered(
    sent: Sent,
    held: Held,
    deadline: Option<Instant>,
    client: Option<OnUpgrade>,
    asked: Option<&HeaderValue>,
    plan: &RoutePlan,
    trail: &Trail,
) -> Result<Reply, Fault> {
    let mut response = sent.response;
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switching && !(client.is_some() && upgrade::agrees(asked, response.headers())) {
        return Err(Fault::new(Kind::UpgradeFailed));
    }
    let (status, version) = (response.status(), trail.version());
    headers::prepare_response(response.headers_mut(), status, version);
    headers::mark_own_error(response.headers_mut(), status);
    headers::edit(response.headers_mut(), &plan.response_headers);
    headers::sign(response.headers_mut(), &trail.request_id);
    Ok(Reply {
        response,
        held,
        deadline,
        tunnel: client.filter(|_| switching),
    })
}
