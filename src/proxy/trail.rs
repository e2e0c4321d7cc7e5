//! What is remembered of a request on its way, and told when it ends.
//!
//! A trail is begun once and told once: at the last byte of the answer, at the fault that ended it, or, where
//! it is dropped before either, as the client's departure (or as our panic, while one unwinds).

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, request};
use tokio::time::Instant;

use super::{
    ConnectionFacts, Entrance,
    head::{Checked, HostName},
    headers, steer,
};
use crate::{
    admission::{self, KeyMark, RouteNumber},
    config::HeaderEdits,
    fault::{Fault, Kind, Stage},
    names::Protocol,
    snapshot::{RouteLive, Snapshot, UpstreamLive},
    telemetry::{AccessLine, Case, Met, RouteHandles, Timings, Tried},
    upstream::Blame,
};

/// One request, from its head to its end.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) entrance: Arc<Entrance>,
    pub(super) connection: Arc<ConnectionFacts>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) request_id: HeaderValue,
    pub(super) client: IpAddr,
    /// Empty until the head was checked.
    host: HostName,
    pub(super) protocol: Protocol,
    pub(super) method: Method,
    /// The target as the client sent it; the log shows its path alone.
    uri: Uri,
    arrived: SystemTime,
    pub(super) began: Instant,
    route: Option<usize>,
    target: Option<usize>,
    /// What nothing could serve it for, and the word for what did instead.
    fallen: Option<(&'static str, Fault)>,
    /// By which a repeat of it is known; `None` where its client gave it no key.
    key: Option<KeyMark>,
    /// Where the last attempt went.
    pub(super) endpoint: Option<SocketAddr>,
    pub(super) attempts: u32,
    /// The tries that failed.
    tries: Vec<Tried>,
    /// The try that did not, where others were made too.
    answered: Option<Box<Tried>>,
    /// When the head of an upstream's answer was there.
    pub(super) head_at: Option<Instant>,
    /// What its tries have told of their endpoints.
    pub(super) blame: Blame,
    pub(super) timings: Timings,
    pub(super) uploaded: Option<Arc<AtomicU64>>,
    pub(super) downloaded: u64,
    /// The status that was sent, once it was.
    pub(super) status: Option<u16>,
    told: bool,
}

// === impl Trail ===

impl Trail {
    /// A request's head arrived on `connection`.
    pub(super) fn begin(
        entrance: Arc<Entrance>,
        connection: Arc<ConnectionFacts>,
        snapshot: Arc<Snapshot>,
        head: &request::Parts,
    ) -> Self {
        let protocol = match head.version {
            http::Version::HTTP_2 => Protocol::Http2,
            http::Version::HTTP_10 => Protocol::Http10,
            _ => Protocol::Http11,
        };
        Self {
            client: connection.peer.ip(),
            entrance,
            connection,
            snapshot,
            request_id: headers::request_id(None, SystemTime::now(), &mut rand::rng()),
            host: HostName::of(""),
            protocol,
            method: head.method.clone(),
            uri: head.uri.clone(),
            arrived: SystemTime::now(),
            began: Instant::now(),
            route: None,
            target: None,
            fallen: None,
            key: None,
            endpoint: None,
            attempts: 0,
            tries: Vec::new(),
            answered: None,
            head_at: None,
            blame: Blame::default(),
            timings: Timings::default(),
            uploaded: None,
            downloaded: 0,
            status: None,
            told: false,
        }
    }

    /// The head was checked.
    pub(super) fn knows(&mut self, checked: &Checked, head: &request::Parts) {
        self.host = checked.host.clone();
        self.client = headers::client_address(self.connection.peer.ip(), &head.headers, |hop| {
            self.connection.trusts(hop)
        });
        if let Some(kept) = &checked.request_id {
            self.request_id = kept.clone();
        }
    }

    /// The protocol that the client spoke.
    pub(super) const fn version(&self) -> Version {
        match self.protocol {
            Protocol::Http10 => Version::HTTP_10,
            Protocol::Http11 => Version::HTTP_11,
            Protocol::Http2 => Version::HTTP_2,
        }
    }

    /// The edits of its route to answers.
    pub(super) fn response_edits(&self) -> Option<&HeaderEdits> {
        self.route_live().map(|route| &route.plan.response_headers)
    }

    /// The request takes the route at `index`.
    pub(super) fn takes_route(&mut self, index: usize) {
        self.route = Some(index);
        self.handles().offered();
    }

    /// Whether its client repeats a request that the route refused or failed a moment ago, by its idempotency key. From
    /// here on its own end is remembered by that key, whichever step brings it.
    pub(super) fn repeats_a_failure(&mut self, headers: &HeaderMap) -> bool {
        let Some((key, route)) = steer::idempotency_key(headers).zip(self.route_live()) else {
            return false;
        };
        let tenant = admission::tenant_of(&route.plan.tenant, self.client, headers);
        let mark = KeyMark::of(key, tenant);
        let repeats = route.failed_keys.has(mark, self.began);
        self.key = Some(mark);
        repeats
    }

    /// A try that began at `began` failed, on a connection that had been `reused` or not: remembered for who asks what
    /// each met, up to [`MOST_TRIES`].
    pub(super) fn tried(&mut self, began: Instant, reused: bool, met: Met) {
        if self.tries.len() < MOST_TRIES {
            let after = began.saturating_duration_since(self.began);
            let tried = Tried::new(self.endpoint, after, began.elapsed(), met);
            self.tries.push(tried.reused(reused));
        }
    }

    /// A try that began at `began` was answered. With others it is one to tell of.
    pub(super) fn answered(&mut self, began: Instant, status: StatusCode) {
        if self.attempts > 1 {
            let after = began.saturating_duration_since(self.began);
            let met = Met::Status(status.as_u16());
            let tried = Tried::new(self.endpoint, after, began.elapsed(), met);
            self.answered = Some(Box::new(tried));
        }
    }

    /// The request goes to the route's target at `index`.
    pub(super) fn takes_target(&mut self, index: usize) {
        self.target = Some(index);
    }

    /// Which of the route's targets that is.
    pub(super) const fn target(&self) -> Option<usize> {
        self.target
    }

    /// Nothing could serve the request, for `fault`: the route's fallback does, which `word` tells.
    pub(super) fn falls_back(&mut self, word: &'static str, fault: Fault) {
        self.fallen = Some((word, fault));
    }

    /// Whether it went to the fallback.
    pub(super) const fn fell_back(&self) -> bool {
        self.fallen.is_some()
    }

    /// What is counted of this request, as far as it has come.
    pub(super) fn handles(&self) -> &RouteHandles {
        match (self.route_live(), self.target) {
            (None, _) => &self.entrance.nowhere,
            (Some(route), None) => &route.handles,
            (Some(route), Some(target)) => route
                .targets
                .get(target)
                .map_or(&route.handles, |target| &target.handles),
        }
    }

    /// The upstream it goes to.
    pub(super) fn upstream(&self) -> Option<&Arc<UpstreamLive>> {
        let target = self.route_live()?.targets.get(self.target?)?;
        self.snapshot.upstream(target.upstream)
    }

    /// How that upstream's gate numbers the route.
    pub(super) fn route_number(&self) -> RouteNumber {
        let target = self
            .route_live()
            .zip(self.target)
            .and_then(|(route, target)| route.targets.get(target));
        target.map(|target| target.route).unwrap_or_default()
    }

    fn route_live(&self) -> Option<&RouteLive> {
        self.snapshot.routes.get(self.route?)
    }

    /// The request ended well, or its head was answered and the rest followed whole.
    pub(super) fn tell_success(&mut self) {
        self.tell(None);
    }

    /// The request ended with `fault`.
    pub(super) fn tell_fault(&mut self, fault: &Fault) {
        self.tell(Some(fault));
    }

    fn tell(&mut self, fault: Option<&Fault>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.timings.total = self.began.elapsed();
        let now = self.began + self.timings.total;
        self.timings.body = self.head_at.map(|head| now.saturating_duration_since(head));
        let status = self.shown_status(fault);
        let mut tries = std::mem::take(&mut self.tries);
        if let Some((took, upstream)) = self.timings.body.zip(self.upstream()) {
            upstream.handles.body(took);
        }
        let handles = self.handles();
        if let Some(fault) = fault {
            handles.fault(fault);
            if let Some(refusal) = &fault.refusal {
                handles.shed(refusal.reason);
            }
        } else if status >= 500 && self.target.is_some() && !self.fell_back() {
            handles.own_error();
        }
        handles.finished(status, self.timings.total);
        let cases = self.entrance.telemetry.cases();
        if handles.is_kept(cases, status, fault, now) {
            let hash = self.snapshot.config.hash.as_str();
            let case = Case::of(&self.line(status, fault, &[]), tries.clone(), hash);
            let taken = self.route_live().map(|route| route.handles.taken());
            cases.keep(case.taken(taken), &mut rand::rng());
        }
        self.remember_failure(status, fault);
        let told = fault.is_some() || self.fell_back();
        if told || self.entrance.pressure.log_sample() {
            tries.extend(self.answered.take().map(|tried| *tried));
            self.entrance
                .access
                .write(&self.line(status, fault, &tries));
        }
    }

    /// Where it failed and has a key, a repeat of it is known from now on.
    fn remember_failure(&self, status: u16, fault: Option<&Fault>) {
        let Some((mark, route)) = self.key.zip(self.route_live()) else {
            return;
        };
        // A fault has its own status: of one that is told by gRPC, or in a body, the status sent is 200.
        let status = fault.map_or(status, |fault| fault.facts().status.as_u16());
        if is_failure(status) {
            route.failed_keys.add(mark, Instant::now());
        }
    }

    /// What was sent; before that, what the fault would have sent. A client that left is 499 either way.
    fn shown_status(&self, fault: Option<&Fault>) -> u16 {
        match (fault, self.status) {
            (Some(fault), _) if fault.kind == Kind::ClientAborted => fault.facts().status.as_u16(),
            (_, Some(sent)) => sent,
            (Some(fault), None) => fault.facts().status.as_u16(),
            (None, None) => 0,
        }
    }

    fn line<'a>(
        &'a self,
        status: u16,
        fault: Option<&'a Fault>,
        tries: &'a [Tried],
    ) -> AccessLine<'a> {
        let route = self.route_live();
        AccessLine {
            time: self.arrived,
            request_id: self.request_id.to_str().unwrap_or_default(),
            client: self.client,
            listener: self.connection.listener.as_str(),
            method: self.method.as_str(),
            host: self.host.as_str(),
            path: self.uri.path(),
            route: route.map_or(NONE, |route| route.plan.name.as_str()),
            upstream: self
                .upstream()
                .map_or(NONE, |upstream| upstream.plan.name.as_str()),
            endpoint: self.endpoint,
            attempts: self.attempts,
            status,
            fault: fault.or(self.fallen.as_ref().map(|(_, fault)| fault)),
            fallback: self.fallen.as_ref().map(|(word, _)| *word),
            timings: self.timings,
            tries,
            bytes_in: self
                .uploaded
                .as_ref()
                .map_or(0, |count| count.load(Ordering::Relaxed)),
            bytes_out: self.downloaded,
            protocol: self.protocol,
        }
    }
}

/// Whether a client may take this status for a reason to try again: what was refused, what broke, and what it did not
/// wait for.
const fn is_failure(status: u16) -> bool {
    matches!(status, 429 | 499 | 500..)
}

/// Most tries of one request that are remembered.
const MOST_TRIES: usize = 16;

/// What the log shows where there is no route or upstream.
pub(super) const NONE: &str = "none";

impl Drop for Trail {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let fault = if std::thread::panicking() {
            Fault::new(Kind::Panicked)
        } else if self.connection.reading.has_stopped() {
            Fault::new(Kind::ReadTimeout)
        } else {
            let stage = if self.status.is_some() {
                Stage::Body
            } else {
                self.stage_so_far()
            };
            Fault::new(Kind::ClientAborted).at(stage)
        };
        self.tell(Some(&fault));
    }
}

impl Trail {
    /// Where on the road the request is, seen from what is known of it.
    fn stage_so_far(&self) -> Stage {
        match (self.route, self.endpoint) {
            (None, _) => Stage::Head,
            (Some(_), None) => Stage::Queue,
            (Some(_), Some(_)) => Stage::FirstByte,
        }
    }
}
