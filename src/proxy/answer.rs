//! Giving the answer back: an upstream's, the route's own, or a fault.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, Version, header, request};
use tokio::time::Instant;

use super::{body::GateBody, forward::Reply, head::class_of, headers, trail::Trail, upgrade};
use crate::{fault::Fault, names::TrafficClass, respond};

/// What of a request decides how it is answered from here.
#[derive(Debug)]
pub(super) struct Asked {
    accept: Option<HeaderValue>,
    /// There where it makes a difference.
    accept_language: Option<HeaderValue>,
    method: Method,
    version: Version,
    /// What kind of exchange it is, once its head was checked.
    pub(super) class: TrafficClass,
}

// === impl Asked ===

impl Asked {
    /// What `head` asks for, as far as `pages` look at it.
    pub(super) fn of(head: &request::Parts, pages: &respond::Pages) -> Self {
        let field = |name| head.headers.get(name).cloned();
        let languages = pages.have_languages();
        Self {
            accept: field(header::ACCEPT),
            accept_language: languages.then(|| field(header::ACCEPT_LANGUAGE)).flatten(),
            method: head.method.clone(),
            version: head.version,
            class: class_of(head),
        }
    }
}

/// Passes an upstream's answer on. Its body carries the permit and the trail to their end.
pub(super) fn carry(reply: Reply, mut trail: Trail) -> Response<Body> {
    let Reply {
        response,
        held,
        deadline,
        tunnel,
    } = reply;
    trail.status = Some(response.status().as_u16());
    if let Some(client) = tunnel {
        let (head, body) = response.into_parts();
        let mut upstream = Response::from_parts(head, body);
        let server = hyper::upgrade::on(&mut upstream);
        let (head, body) = upstream.into_parts();
        drop(held); // a tunnel may last for hours: its place goes back, the endpoint counts it while `body` lives
        upgrade::open(client, server, body, trail);
        return Response::from_parts(head, Body::empty());
    }
    trail.head_at = Some(Instant::now());
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11; // the listener speaks the client's; the upstream's means nothing there
    let patience = trail.connection.body_timeout;
    Response::from_parts(
        head,
        Body::new(GateBody::new(body, deadline, patience, held, trail)),
    )
}

/// The route's own answer.
pub(super) fn local(response: Response<Bytes>, asked: &Asked, mut trail: Trail) -> Response<Body> {
    let response = respond::body_for(&asked.method, response);
    let (mut head, body) = response.into_parts();
    if let Some(edits) = trail.response_edits() {
        headers::edit(&mut head.headers, edits);
    }
    headers::sign(&mut head.headers, &trail.request_id);
    trail.status = Some(head.status.as_u16());
    trail.downloaded = body.len() as u64;
    trail.tell_success();
    Response::from_parts(head, Body::from(body))
}

/// A fault, told as the client understands it best.
pub(super) fn refuse(fault: &Fault, asked: &Asked, mut trail: Trail) -> Response<Body> {
    let one_request = matches!(asked.version, Version::HTTP_10 | Version::HTTP_11);
    let request_id = trail.request_id.clone();
    let ask = respond::Ask {
        method: &asked.method,
        accept: asked.accept.as_ref(),
        accept_language: asked.accept_language.as_ref(),
        class: asked.class,
        request_id: request_id.to_str().unwrap_or_default(),
        close: one_request && ends_the_connection(fault),
    };
    let mut response = respond::render(fault, &ask, &trail.snapshot.pages);
    headers::sign(response.headers_mut(), &trail.request_id);
    trail.status = Some(response.status().as_u16());
    trail.downloaded = response.body().len() as u64;
    trail.tell_fault(fault);
    response.map(Body::from)
}

/// Whether what the client sent leaves doubt about where its next request begins.
fn ends_the_connection(fault: &Fault) -> bool {
    use crate::fault::{Cause, Kind, Stage};
    match fault.kind {
        Kind::PathInvalid | Kind::NoRoute | Kind::ExpectationRefused => false,
        _ => {
            fault.facts().cause == Cause::Client && matches!(fault.stage, Stage::Head | Stage::Body)
        }
    }
}
