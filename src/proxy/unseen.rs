//! Requests that ended where no step could see them: refused by the HTTP library, or by a panic of ours.

use std::{any::Any, net::IpAddr, sync::Arc, time::SystemTime};

use axum::body::Body;
use http::{Response, StatusCode};
use tower_http::catch_panic::ResponseForPanic;

use super::{ConnectionFacts, Entrance, trail::NONE};
use crate::{
    fault::{Fault, Kind},
    names::{Protocol, TrafficClass},
    respond,
    telemetry::{AccessLine, Timings},
};

/// Counts and logs a request that the HTTP library refused: its route is `none`, and what it said is not known.
pub fn refused(entrance: &Entrance, connection: &ConnectionFacts, fault: &Fault) {
    let status = fault.facts().status.as_u16();
    entrance.nowhere.fault(fault);
    entrance.nowhere.finished(status, std::time::Duration::ZERO);
    let client: IpAddr = connection.peer.ip();
    entrance.access.write(&AccessLine {
        time: SystemTime::now(),
        request_id: "",
        client,
        listener: connection.listener.as_str(),
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
    });
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
        let ask = respond::Ask {
            method: &http::Method::GET,
            accept: None,
            accept_language: None,
            class: TrafficClass::Http,
            request_id: "",
            close: true,
        };
        let pages = respond::Pages::built_in();
        let response = respond::render(&Fault::new(Kind::Panicked), &ask, pages);
        debug_assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        response.map(Body::from)
    }
}
