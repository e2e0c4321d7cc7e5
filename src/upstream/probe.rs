//! The active check of one endpoint: HTTP where the plan has a path, else TCP (and TLS where it is spoken).

use std::sync::Arc;

use http::{
    HeaderValue, Request, Uri,
    header::{HOST, USER_AGENT},
};

use super::{
    classify::{self, Answer},
    connector::{Connector, Speech},
    speak, target,
};
use crate::{
    fault::{Fault, Kind},
    health::{CheckFailure, Probe},
    pool::{Seat, SendBody, Shared},
};

/// What checks say they are.
const AGENT: HeaderValue = HeaderValue::from_static("tidegate-health");

/// Checks an endpoint over a connection of its own, which closes with the check: a pooled one would prove that
/// an old connection works, not that the endpoint does.
#[derive(Debug)]
pub struct HttpProbe {
    connector: Arc<Connector>,
    seat: Seat,
    path: Option<Uri>,
}

// === impl HttpProbe ===

impl HttpProbe {
    /// A check of the endpoint of `seat` that asks for `path`; without one, connecting is the check. A status
    /// from 200 to 399 is healthy; the body is not read.
    #[must_use]
    pub fn new(connector: Arc<Connector>, seat: Seat, path: Option<&str>) -> Self {
        Self {
            connector,
            seat,
            path: path.map(|path| path.parse().unwrap_or(Uri::from_static("/"))),
        }
    }

    async fn ask(&self, path: &Uri) -> Result<http::StatusCode, Fault> {
        let wire = self.connector.open(&self.seat, Speech::Any, None).await?;
        let mut request = Request::new(SendBody::Empty);
        *request.uri_mut() = path.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.seat.authority.clone());
        headers.insert(USER_AGENT, AGENT);
        let (lane, drivers) = (
            self.connector.lane(&self.seat),
            self.seat.endpoint.drivers(),
        );
        let exchanged = if self.connector.speaks_http2(&wire)? {
            let shared = speak::http2(&self.connector, lane, wire, drivers).await?;
            target::for_http2(&mut request, self.connector.scheme(), &self.seat)?;
            let mut stream =
                Shared::stream(&shared).ok_or_else(|| Fault::new(Kind::StreamRefused))?;
            stream.sender.try_send_request(request).await
        } else {
            let mut connection = speak::http1(&self.connector, lane, wire, drivers).await?;
            connection.sender.try_send_request(request).await
        };
        exchanged
            .map(|answer| answer.status())
            .map_err(|error| classify::exchange(error.error(), Answer::Nothing))
    }
}

impl Probe for HttpProbe {
    /// # Cancel safety
    /// Dropping the future closes its connection.
    async fn check(&self) -> Result<(), CheckFailure> {
        let failed = |fault| classify::check_failure(&fault);
        let Some(path) = &self.path else {
            let opened = self.connector.open(&self.seat, Speech::Any, None).await;
            return opened.map(drop).map_err(failed);
        };
        let status = self.ask(path).await.map_err(failed)?;
        if status.is_success() || status.is_redirection() {
            Ok(())
        } else {
            Err(CheckFailure::Status(status))
        }
    }
}
