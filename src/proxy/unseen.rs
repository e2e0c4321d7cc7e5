//! Requests that ended where no step could see them: refused by the HTTP library, or by a panic or a bug of ours.

use std::{
    any::Any,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::body::Body;
use http::{HeaderValue, Response};
use tokio::time::Instant;
use tower_http::catch_panic::ResponseForPanic;

use super::{ConnectionFacts, Entrance, headers, trail::NONE};
use crate::{
    fault::{Fault, Kind, Stage},
    names::{Protocol, TrafficClass},
    respond,
    telemetry::{AccessLine, Case, Timings},
};

/// Counts and logs a request that the HTTP library refused: its route is `none`, and what it said is not known. It gets
/// an id, by which the log and who explains it have it; its client never hears of that.
pub fn refused(entrance: &Entrance, connection: &ConnectionFacts, fault: &Fault) {
    let client: IpAddr = connection.peer.ip();
    tell(entrance, client, connection.listener.as_str(), fault);
}

/// The answer to a request that came by no listener: nothing is known of its client, so nothing can be decided.
pub(super) fn stray(entrance: &Entrance) -> Response<Body> {
    let fault = Fault::new(Kind::Internal)
        .at(Stage::Accept)
        .detail("the request came without the facts of its connection");
    let id = tell(entrance, Ipv4Addr::UNSPECIFIED.into(), NONE, &fault);
    bare(&fault, id.to_str().unwrap_or_default())
}

/// Tells of a request of which only the fault is known, and returns the id that it was given.
fn tell(entrance: &Entrance, client: IpAddr, listener: &str, fault: &Fault) -> HeaderValue {
    let (status, now) = (fault.facts().status.as_u16(), SystemTime::now());
    let id = headers::request_id(None, now, &mut rand::rng());
    let handles = &entrance.nowhere;
    handles.fault(fault);
    handles.finished(status, Duration::ZERO);
    let line = AccessLine {
        time: now,
        request_id: id.to_str().unwrap_or_default(),
        client,
        listener,
        method: "",
        host: "",
        path: "",
        route: NONE,
        upstream: NONE,
        endpoint: None,
        attempts: 0,
        status,
        fallback: None,
        fault: Some(fault),
        timings: Timings::default(),
        tries: &[],
        bytes_in: 0,
        bytes_out: 0,
        protocol: Protocol::Http11,
    };
    let cases = entrance.telemetry.cases();
    if handles.is_kept(cases, status, Some(fault), Instant::now()) {
        let snapshot = entrance.snapshot.load();
        let case = Case::of(&line, Vec::new(), snapshot.config.hash.as_str());
        cases.keep(case, &mut rand::rng());
    }
    entrance.access.write(&line);
    id
}

/// The answer to somebody of whom nothing is known.
fn bare(fault: &Fault, request_id: &str) -> Response<Body> {
    let ask = respond::Ask {
        method: &http::Method::GET,
        accept: None,
        accept_language: None,
        class: TrafficClass::Http,
        request_id,
        close: true,
    };
    respond::render(fault, &ask, respond::Pages::built_in()).map(Body::from)
}

/// The answer to a request whose handling panicked. The trail that unwound has logged it.
#[derive(Debug, Clone)]
pub struct Panicked {
    entrance: Arc<Entrance>,
}

impl Panicked {
    /// Counts panics where `entrance` counts.
    #[must_use]
    pub const fn new(entrance: Arc<Entrance>) -> Self {
        Self { entrance }
    }
}

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(panic = text.unwrap_or("not text"), "a request panicked");
        self.entrance.telemetry.panicked();
        bare(&Fault::new(Kind::Panicked), "")
    }
}
