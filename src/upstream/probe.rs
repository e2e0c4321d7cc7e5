//! The active check of one endpoint: a connection, a request, or a gRPC call, as the plan says.
//!
//! Each check has a connection of its own, which closes with it: a pooled one would prove that an old connection
//! works, not that the endpoint does. What an answer holds is judged in `answer.rs`; `grpc.rs` has the messages of
//! the gRPC health protocol.

mod answer;
mod grpc;
mod look;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{
    HeaderValue, Method, Request, Response, Uri,
    header::{HOST, USER_AGENT},
    uri::Authority,
};
use hyper::body::Incoming;
use tokio::time::Instant;

pub use self::look::{Looked, Rest};
use super::{
    classify::{self, Answer},
    connector::{Connector, Speech},
    reply::Hold,
    speak, target,
};
use crate::{
    config::{AskPlan, CheckPlan, GrpcCheckPlan, HealthPlan, HttpCheckPlan},
    fault::{Fault, Kind},
    health::{CheckFailure, Passed, Probe},
    pool::{Seat, SendBody, Shared},
};

/// What checks say they are.
const AGENT: HeaderValue = HeaderValue::from_static("tidegate-health");

/// Checks an endpoint over a connection of its own, which closes with the check.
#[derive(Debug)]
pub struct EndpointProbe {
    connector: Arc<Connector>,
    seat: Seat,
    plan: HealthPlan,
    /// Where checks go.
    address: SocketAddr,
    /// Whom they ask, unless the plan says.
    authority: HeaderValue,
}

/// An answer whose body may still come, and the connection that brings it.
struct Exchanged {
    response: Response<Incoming>,
    connection: Hold,
    /// From the request's going out to the answer's head.
    took: Duration,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// What requests are spoken over.
    Same,
    /// HTTP/2, by prior knowledge where the text is plain.
    Http2,
}

// === impl EndpointProbe ===

impl EndpointProbe {
    /// The check that `plan` describes, of the endpoint of `seat`.
    #[must_use]
    pub fn new(connector: Arc<Connector>, seat: Seat, plan: HealthPlan) -> Self {
        let mut address = seat.endpoint.id.address;
        let mut authority = seat.authority.clone();
        if let Some(port) = plan.port {
            address.set_port(port.get());
            authority = with_port(&authority, port.get());
        }
        Self {
            connector,
            seat,
            plan,
            address,
            authority,
        }
    }

    async fn connect(&self) -> Result<Passed, Fault> {
        let opened = self
            .connector
            .open_at(self.address, &self.seat, Speech::Any, None);
        opened.await.map(|_| Passed::Whole)
    }

    /// Asks what the plan asks.
    async fn ask(&self, check: &CheckPlan) -> Result<Exchanged, Fault> {
        match check {
            CheckPlan::Connect => self.http(&HttpCheckPlan::of_root()).await,
            CheckPlan::Http(plan) => self.http(plan).await,
            CheckPlan::Grpc(plan) => self.grpc(plan).await,
        }
    }

    /// Whether the answer passes.
    async fn judge(
        &self,
        response: Response<Incoming>,
        check: &CheckPlan,
    ) -> Result<Passed, CheckFailure> {
        let degraded = self.plan.degraded.as_ref();
        match check {
            CheckPlan::Connect => answer::http(response, &HttpCheckPlan::of_root(), degraded).await,
            CheckPlan::Http(plan) => answer::http(response, plan, degraded).await,
            CheckPlan::Grpc(_) => answer::grpc(response, degraded).await,
        }
    }

    async fn http(&self, plan: &HttpCheckPlan) -> Result<Exchanged, Fault> {
        let mut request = Request::new(SendBody::Empty);
        *request.method_mut() = plan.method.method();
        *request.uri_mut() = Uri::from(plan.path.clone());
        self.fill(&mut request, &plan.ask);
        self.exchange(request, Over::Same).await
    }

    async fn grpc(&self, plan: &GrpcCheckPlan) -> Result<Exchanged, Fault> {
        let mut request = Request::new(SendBody::Full(grpc::request(&plan.service)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(grpc::CHECK);
        request
            .headers_mut()
            .extend(grpc::headers(self.plan.timeout));
        self.fill(&mut request, &plan.ask);
        self.exchange(request, Over::Http2).await
    }

    fn fill(&self, request: &mut Request<SendBody>, ask: &AskPlan) {
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, AGENT);
        headers.extend(ask.headers.iter().cloned());
        let host = ask.host.clone();
        headers.insert(HOST, host.unwrap_or_else(|| self.authority.clone()));
    }

    /// Sends `request` on a new connection.
    async fn exchange(
        &self,
        mut request: Request<SendBody>,
        over: Over,
    ) -> Result<Exchanged, Fault> {
        let connector = &self.connector;
        let wire = connector
            .open_at(self.address, &self.seat, Speech::Any, None)
            .await?;
        let (lane, endpoint) = (connector.lane(&self.seat), &self.seat.endpoint);
        let http2 = match over {
            Over::Same => connector.speaks_http2(&wire)?,
            Over::Http2 if connector.is_secure() && !wire.agreed_on_h2() => {
                let fault = Fault::new(Kind::TlsMismatch);
                return Err(fault.detail("the endpoint did not agree on HTTP/2"));
            }
            Over::Http2 => true,
        };
        let began = Instant::now();
        let (exchanged, connection) = if http2 {
            let shared = speak::http2(connector, lane, wire, endpoint.drivers()).await?;
            target::for_http2(&mut request, connector.scheme(), &self.seat)?;
            let stream = Shared::stream(&shared);
            let mut stream = stream.ok_or_else(|| Fault::new(Kind::StreamRefused))?;
            let exchanged = stream.sender.try_send_request(request).await;
            (exchanged, Hold::Http2(stream))
        } else {
            let mut line = speak::http1(connector, lane, wire, endpoint).await?;
            let exchanged = line.sender.try_send_request(request).await;
            (exchanged, Hold::Http1(line))
        };
        exchanged
            .map(|response| Exchanged {
                response,
                connection,
                took: began.elapsed(),
            })
            .map_err(|error| classify::exchange(error.error(), Answer::Unknown))
    }
}

impl Probe for EndpointProbe {
    /// # Cancel safety
    /// Dropping the future closes its connection.
    async fn check(&self) -> Result<Passed, CheckFailure> {
        match &self.plan.check {
            CheckPlan::Connect => {
                let connected = self.connect().await;
                connected.map_err(|fault| classify::check_failure(&fault))
            }
            check => {
                let exchanged = self.ask(check).await;
                let exchanged = exchanged.map_err(|fault| classify::check_failure(&fault))?;
                self.judge(exchanged.response, check).await
            }
        }
    }
}

/// The same host, at another port.
fn with_port(authority: &HeaderValue, port: u16) -> HeaderValue {
    let host = Authority::try_from(authority.as_bytes());
    let changed = host.map(|of| format!("{}:{port}", of.host()));
    let changed = changed
        .ok()
        .and_then(|text| HeaderValue::try_from(text).ok());
    changed.unwrap_or_else(|| authority.clone())
}
