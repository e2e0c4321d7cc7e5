//! One request as it is kept.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    fault::{Fault, Kind},
    telemetry::{AccessLine, Timings, access::escaped, timestamp::Timestamp},
};

/// Longest text of a case, in bytes: what came from a client may be of any length.
const MAX_TEXT_BYTES: usize = 256;

/// One request, as the access log has it, with every try that failed. What came from others is made harmless as in the
/// access log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// When its head had arrived, in milliseconds since 1970.
    pub at_ms: u64,
    /// The same in RFC 3339 form.
    pub time: String,
    /// The id that was returned to the client.
    pub request_id: Box<str>,
    /// The client's true address.
    pub client: IpAddr,
    /// The listener that took it.
    pub listener: Box<str>,
    /// Its method.
    pub method: Box<str>,
    /// Its host, without the port.
    pub host: Box<str>,
    /// Its path, without the query.
    pub path: Box<str>,
    /// The route that took it, else `none`.
    pub route: Box<str>,
    /// The upstream it went to, else `none`.
    pub upstream: Box<str>,
    /// The endpoint of the last try.
    pub endpoint: Option<SocketAddr>,
    /// How many tries were made.
    pub attempts: u32,
    /// The tries that failed, in order.
    pub tries: Vec<Tried>,
    /// The status of the answer, or what it would have been.
    pub status: u16,
    /// How it ended badly; `None` where an upstream's answer was passed on, which may be its own error.
    pub fault: Option<Ill>,
    /// Where its time went.
    pub timings_ms: TimingsMs,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// What the client spoke.
    pub protocol: Cow<'static, str>,
    /// The hash of the config that was in force.
    pub config: Box<str>,
    /// How many requests its route had taken by its end, since the gateway began: between two cases of a route this says
    /// how much traffic there was. `None` where no route took it.
    #[serde(default)]
    pub taken: Option<u64>,
}

/// A fault in words that outlive the version that wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ill {
    /// Whose doing it was.
    pub cause: Cow<'static, str>,
    /// What it was.
    pub kind: Cow<'static, str>,
    /// Who began it; empty in what an older version wrote.
    #[serde(default)]
    pub begun_by: Cow<'static, str>,
    /// Where on the road.
    pub stage: Cow<'static, str>,
    /// What tells it from others of the same kind.
    pub reason: Option<Cow<'static, str>>,
    /// One sentence.
    pub title: Cow<'static, str>,
    /// What the place that saw it could add.
    pub detail: Option<Box<str>>,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Where it went.
    pub endpoint: Option<SocketAddr>,
    /// When it began, in milliseconds from the request's arrival.
    pub began_ms: f64,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Whether it went over a connection that had served before.
    #[serde(default)]
    pub reused: bool,
    /// How it ended.
    pub met: Met,
}

/// How a try failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Met {
    /// This was answered.
    Status(u16),
    /// There was no answer.
    Fault(Ill),
}

/// Where the time of a request went, in milliseconds; `None` for a stage that it did not reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TimingsMs {
    /// From its arrival to the permit, the wait in the queue included.
    pub admission: Option<f64>,
    /// Waiting for a permit.
    pub queue: Option<f64>,
    /// Making a connection, where a new one was made.
    pub connect: Option<f64>,
    /// The TLS handshake in it.
    #[serde(default)]
    pub upstream_tls: Option<f64>,
    /// From sending to the head of the answer.
    pub first_byte: Option<f64>,
    /// From the head of an upstream's answer to its end.
    #[serde(default)]
    pub body: Option<f64>,
    /// From its head to the last byte of the answer.
    pub total: f64,
}

// === impl Case ===

impl Case {
    /// What `line` tells, with the tries that failed, under the config of this hash.
    #[must_use]
    pub fn of(line: &AccessLine<'_>, tries: Vec<Tried>, config: &str) -> Self {
        let since = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            time: Timestamp(line.time).to_string(),
            request_id: line.request_id.into(), // at most 128 visible characters
            client: line.client.to_canonical(),
            listener: short(line.listener),
            method: short(line.method),
            host: short(line.host),
            path: short(line.path),
            route: short(line.route),
            upstream: short(line.upstream),
            endpoint: line.endpoint,
            attempts: line.attempts,
            tries,
            status: line.status,
            fault: line.fault.map(Ill::of),
            timings_ms: TimingsMs::of(line.timings),
            bytes_in: line.bytes_in,
            bytes_out: line.bytes_out,
            protocol: line.protocol.to_string().into(),
            config: config.into(),
            taken: None,
        }
    }

    /// The same, where its route has taken so many requests.
    #[must_use]
    pub fn taken(mut self, requests: Option<u64>) -> Self {
        self.taken = requests;
        self
    }

    /// When its head had arrived.
    #[must_use]
    pub fn arrived(&self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(Duration::from_millis(self.at_ms))
            .unwrap_or(UNIX_EPOCH)
    }

    /// Whether it ended badly: by a fault, or by an error of the upstream's own.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.fault.is_some() || self.status >= 500
    }

    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = [
            self.request_id.len(),
            self.listener.len(),
            self.method.len(),
            self.host.len(),
            self.path.len(),
            self.route.len(),
            self.upstream.len(),
            self.fault.as_ref().map_or(0, Ill::bytes),
        ];
        let tries = self.tries.iter().map(|tried| match &tried.met {
            Met::Fault(ill) => ill.bytes(),
            Met::Status(_) => 0,
        });
        let own = size_of::<Self>() + self.tries.len() * size_of::<Tried>();
        own + texts.into_iter().chain(tries).sum::<usize>()
    }
}

// === impl Ill ===

impl Ill {
    /// The words of `fault`.
    #[must_use]
    pub fn of(fault: &Fault) -> Self {
        let facts = fault.facts();
        Self {
            cause: facts.cause.as_str().into(),
            kind: facts.name.into(),
            begun_by: facts.begun_by.as_str().into(),
            stage: fault.stage.as_str().into(),
            reason: facts.reason.map(Cow::Borrowed),
            title: facts.title.into(),
            detail: fault.detail.as_deref().map(short),
        }
    }

    /// The kind, where this version knows it.
    #[must_use]
    pub fn known(&self) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| {
            let facts = kind.facts();
            facts.name == self.kind && facts.reason == self.reason.as_deref()
        })
    }

    /// The kind and the reason, as they are asked for.
    #[must_use]
    pub fn word(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}/{reason}", self.kind),
            None => self.kind.to_string(),
        }
    }

    fn bytes(&self) -> usize {
        self.detail.as_ref().map_or(0, |detail| detail.len())
    }
}

// === impl Tried ===

impl Tried {
    /// A try at `endpoint` that began so long after the request's arrival.
    #[must_use]
    pub fn new(endpoint: Option<SocketAddr>, began: Duration, took: Duration, met: Met) -> Self {
        Self {
            endpoint,
            began_ms: millis(began),
            took_ms: millis(took),
            reused: false,
            met,
        }
    }

    /// The same, over a connection that had served before.
    #[must_use]
    pub fn reused(mut self, reused: bool) -> Self {
        self.reused = reused;
        self
    }
}

// === impl TimingsMs ===

impl TimingsMs {
    fn of(timings: Timings) -> Self {
        Self {
            admission: timings.admission.map(millis),
            queue: timings.queue.map(millis),
            connect: timings.connect.map(millis),
            upstream_tls: timings.upstream_tls.map(millis),
            first_byte: timings.first_byte.map(millis),
            body: timings.body.map(millis),
            total: millis(timings.total),
        }
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// At most [`MAX_TEXT_BYTES`] of it, made harmless, cut between characters and marked.
fn short(text: &str) -> Box<str> {
    let mut bytes = Vec::with_capacity(text.len().min(MAX_TEXT_BYTES));
    escaped(&mut bytes, text);
    let text = String::from_utf8_lossy(&bytes);
    if text.len() <= MAX_TEXT_BYTES {
        return text.into();
    }
    let cut = (0..=MAX_TEXT_BYTES).rev().find_map(|end| text.get(..end));
    format!("{}…", cut.unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::access::a_line;

    #[test]
    fn a_case_has_what_the_line_has_and_comes_back_from_json() {
        let fault = Fault::new(Kind::ConnectTimeout).detail("10.0.0.1:80");
        let mut line = a_line();
        line.fault = Some(&fault);
        let met = Met::Fault(Ill::of(&fault));
        let tried = Tried::new(None, Duration::from_millis(2), Duration::from_secs(1), met);
        let case = Case::of(&line, vec![tried], "abc");
        assert_eq!(&*case.request_id, line.request_id);
        assert_eq!(case.arrived(), line.time);
        let ill = case.fault.as_ref().unwrap();
        assert_eq!(ill.known(), Some(Kind::ConnectTimeout));
        assert_eq!(ill.word(), "connection_timeout/filtered");
        assert_eq!(ill.begun_by, "network");
        let json = serde_json::to_string(&case).unwrap();
        assert_eq!(serde_json::from_str::<Case>(&json).unwrap(), case);
    }

    #[test]
    fn every_kind_is_known_again_by_its_words() {
        for kind in Kind::ALL {
            assert_eq!(Ill::of(&Fault::new(*kind)).known(), Some(*kind));
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "ä".repeat(1000);
        let cut = short(&long);
        assert!(cut.len() <= MAX_TEXT_BYTES + 3, "{}", cut.len());
        assert!(cut.ends_with("ä…"));
        assert_eq!(&*short("ä"), "ä");
        assert_eq!(&*short("a\u{1b}[2J"), "a\\u001b[2J");
    }
}
