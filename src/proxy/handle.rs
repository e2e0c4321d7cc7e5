//! The way of a request: the page to read first. It orders the steps and decides nothing itself.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode, request};

use super::{
    ConnectionFacts, Entrance,
    answer::{self, Asked},
    forward::{self, Passed},
    head::{self, Checked},
    steer::Steering,
    trail::Trail,
};
use crate::{
    admission::{self, RateSubject},
    config::ActionPlan,
    fault::{Fault, Kind, ShedReason},
    names::Priority,
    respond, route,
    snapshot::Snapshot,
};

/// The way of a request. Each step may end it with a [`Fault`].
///
/// # Cancel safety
/// Dropped with its client, everything that was held comes back, and the trail tells of the departure.
pub(super) async fn handle(
    entrance: Arc<Entrance>,
    connection: Arc<ConnectionFacts>,
    request: Request<Body>,
) -> Response<Body> {
    let snapshot = entrance.snapshot.load_full(); // the only load: two could see two versions
    let (parts, body) = request.into_parts();
    let mut asked = Asked::of(&parts, &snapshot.pages);
    let mut trail = Trail::begin(entrance, connection, Arc::clone(&snapshot), &parts);
    match steps(&snapshot, parts, body, &mut trail, &mut asked).await {
        Ok(Passed::There(reply)) => answer::carry(*reply, trail),
        Ok(Passed::Here(response)) => answer::local(response, &asked, trail),
        Err(fault) => answer::refuse(&fault, &asked, trail),
    }
}

async fn steps(
    snapshot: &Snapshot,
    parts: request::Parts,
    body: Body,
    trail: &mut Trail,
    asked: &mut Asked,
) -> Result<Passed, Fault> {
    let checked = head::check(&parts, &trail.connection.bounds()).map_err(Fault::new)?;
    asked.class = checked.class;
    trail.knows(&checked, &parts);
    if checked.last_stop || checked.target.as_str() == "*" {
        return Ok(Passed::Here(respond::fixed(
            StatusCode::NO_CONTENT,
            Bytes::new(),
        ))); // RFC 9110 section 7.6.2
    }
    let index = find(snapshot, &checked, &parts).ok_or_else(|| Fault::new(Kind::NoRoute))?;
    trail.takes_route(index);
    let live = snapshot
        .routes
        .get(index)
        .ok_or_else(|| Fault::new(Kind::Internal))?;
    let mut steering = Steering::of(&parts.headers, trail.connection.peer_trust(), checked.class);
    steering.again |= trail.repeats_a_failure(&parts.headers);
    let priority = steering.priority.unwrap_or(live.plan.priority);
    withstand(priority, trail)?;
    let subject = RateSubject {
        client: trail.client,
        headers: &parts.headers,
    };
    let handles = trail.handles();
    let charge = admission::charge(&live.limits, &subject, trail.began, |_| {
        handles.shadow_shed(ShedReason::RateExceeded);
    })?;
    match &live.plan.action {
        ActionPlan::Forward(split) => {
            let target = route::split(split, &mut rand::rng());
            trail.takes_target(target);
            forward::forward(live, (checked, steering), parts, body, charge, trail).await
        }
        ActionPlan::Respond { status, body } => {
            Ok(Passed::Here(respond::fixed(*status, body.clone())))
        }
        ActionPlan::Redirect { status, to } => {
            let target = &checked.target;
            Ok(Passed::Here(respond::redirect(
                *status,
                to,
                target.path(),
                target.query(),
            )))
        }
    }
}

fn find(snapshot: &Snapshot, checked: &Checked, parts: &request::Parts) -> Option<usize> {
    snapshot.table.find(&route::Head {
        host: checked.host.as_str(),
        path: checked.target.path(),
        query: checked.target.query(),
        method: &parts.method,
        headers: &parts.headers,
    })
}

/// Sheds by class while the process itself is short of what it lives on.
fn withstand(priority: Priority, trail: &Trail) -> Result<(), Fault> {
    let pressure = &trail.entrance.pressure;
    if pressure.admits(priority) {
        if pressure.would_shed(priority) {
            trail.handles().shadow_shed(ShedReason::ProcessPressure);
        }
        return Ok(());
    }
    Err(admission::pressed(&mut rand::rng()).into())
}
