//! The road to one endpoint, to its end or to where it ends.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{
    HeaderMap, HeaderName, Version,
    header::{CONNECTION, DATE},
};

use super::{
    certificate, hops,
    judge::{self, Answered, KeepAlive},
    report::{Finding, Stage},
    ways,
};
use crate::{
    config::{CheckPlan, HealthPlan, UpstreamPlan},
    upstream::{Connected, Looked, NoConnection, Rest, Steps},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// An endpoint, and what is asked of it.
#[derive(Debug)]
pub(super) struct Endpoint<'a> {
    pub(super) address: SocketAddr,
    pub(super) steps: Steps,
    pub(super) upstream: &'a UpstreamPlan,
    /// What is asked, as the config has it or in its place.
    pub(super) check: &'a HealthPlan,
    /// For how long a connection is left alone to see whether it is closed.
    pub(super) idle: Duration,
}

// === impl Endpoint ===

impl Endpoint<'_> {
    /// Goes the whole road, and notes what it finds as it goes.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connections; what was found by then is noted.
    pub(super) async fn visit(&self, found: &mut Vec<Finding>) {
        let way = ways::find(self.address).map_err(|error| error.to_string());
        let way = way.as_ref().map_err(String::as_str);
        found.push(judge::way(self.address.ip(), way));
        let patience = self.upstream.connect_timeout;
        match self.steps.connect().await {
            Ok(connected) => {
                let made = Ok((connected.took, connected.segment));
                found.push(judge::connect(made, patience));
                if self.secure(connected, found).await {
                    self.ask(found).await;
                }
            }
            Err(why) => {
                found.push(judge::connect(Err(&why), patience));
                if why == NoConnection::Filtered {
                    found.push(match hops::walk(self.address).await {
                        Some(walked) => judge::hops(&walked),
                        None => Finding::skipped(
                            Stage::Hops,
                            "this machine lets nobody set how far packets go",
                        ),
                    });
                }
            }
        }
    }

    /// Whether the road goes on after the handshake.
    async fn secure(&self, connected: Connected, found: &mut Vec<Finding>) -> bool {
        let Some(secured) = self.steps.secure(connected).await else {
            return true;
        };
        let chain = secured
            .as_ref()
            .map_or_else(|refused| &refused.chain, |secured| &secured.chain);
        let chain: Vec<_> = chain
            .iter()
            .filter_map(|it| certificate::read(it))
            .collect();
        let name = self.steps.server_name().unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        found.extend(judge::certificate(secured.as_ref(), &chain, &name, now));
        secured.is_ok()
    }

    async fn ask(&self, found: &mut Vec<Finding>) {
        let asked = self.words();
        let looked = match self.steps.ask().await {
            Ok(looked) => looked,
            Err(why) => {
                found.push(judge::answer(&asked, Err(&why)));
                return;
            }
        };
        let answered = Answered {
            asked: &asked,
            configured: self.is_configured(),
            status: looked.status,
            version: looked.version,
            first_byte: looked.first_byte,
            patience: self.check.timeout,
            verdict: &looked.verdict,
        };
        found.push(judge::answer(&asked, Ok(&answered)));
        found.push(self.rest(&looked).await);
        let date = text(&looked.headers, &DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        found.push(judge::skew(date, looked.between));
    }

    async fn rest(&self, looked: &Looked) -> Finding {
        if self.check.port.is_some() {
            return Finding::skipped(
                Stage::KeepAlive,
                "checks go to a port of their own, which says nothing of connections for requests",
            );
        }
        let closes = text(&looked.headers, &CONNECTION)
            .is_some_and(|said| said.to_ascii_lowercase().contains("close"));
        let seen = if looked.version == Version::HTTP_2 {
            Some((Rest::Shared, Duration::ZERO))
        } else if closes || self.idle.is_zero() {
            None
        } else {
            let rested = self.steps.rest(self.idle).await;
            rested.ok().map(|rest| (rest, self.idle))
        };
        let known = KeepAlive {
            told: text(&looked.headers, &KEEP_ALIVE),
            closes,
            seen,
        };
        judge::keep_alive(known, self.upstream.idle_timeout)
    }

    /// Whether the config says what is asked, and what passes.
    fn is_configured(&self) -> bool {
        let by_config = self.upstream.health.as_ref() == Some(self.check);
        by_config && self.check.check != CheckPlan::Connect
    }

    /// What is asked, in words.
    fn words(&self) -> String {
        let port = self.check.port.map(|port| format!(" at port {port}"));
        let asked = match &self.check.check {
            CheckPlan::Connect => "GET /".to_owned(),
            CheckPlan::Http(plan) => format!("{} {}", plan.method.method(), plan.path),
            CheckPlan::Grpc(plan) if plan.service.is_empty() => "gRPC health".to_owned(),
            CheckPlan::Grpc(plan) => format!("gRPC health of {}", plan.service),
        };
        asked + &port.unwrap_or_default()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
