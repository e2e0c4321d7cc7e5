//! What was found, as it is told and sent.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was asked for; `None`: everything.
    pub target: Option<String>,
    /// The worst of all marks; what was skipped is neither good nor bad.
    pub mark: Mark,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// What was looked at, in the order of the config; the machine last.
    pub sections: Vec<Section>,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The upstream that it belongs to; `None`: the machine, or a route.
    pub upstream: Option<String>,
    /// A name, an address, a route, or `machine`.
    pub about: String,
    /// In the order of the road.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Where on the road.
    pub stage: Stage,
    /// How good it is.
    pub mark: Mark,
    /// What it is, in one word.
    pub code: Code,
    /// How long the step took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_ms: Option<f64>,
    /// What it is, in a sentence.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub advice: Option<String>,
}

/// How good a thing is; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Not looked at, or not to be known here.
    Skipped,
    /// It works, and will not always.
    Warn,
    /// It does not work.
    Bad,
}

/// A step of the road, or a thing of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Which upstreams are meant.
    Route,
    /// The configured resolver.
    Resolve,
    /// The resolver of the system, beside it.
    System,
    /// The network's way to an address.
    Way,
    /// TCP.
    Connect,
    /// How far packets come that are not answered.
    Hops,
    /// The handshake.
    Tls,
    /// The certificates shown in it.
    Certificate,
    /// The check, or `GET /` where there is none.
    Http,
    /// How long a connection may rest.
    KeepAlive,
    /// The clocks of both sides.
    Clock,
    /// Descriptors of the process.
    Descriptors,
    /// Ports for connections to upstreams.
    Ports,
    /// Connections that the kernel's firewall keeps in mind.
    Conntrack,
    /// Connections that wait to be accepted.
    Backlog,
    /// Memory of the process.
    Memory,
    /// Processor time of the process.
    Cpu,
}

/// What a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// As it should be.
    Well,
    /// It cannot be known here.
    Unknown,
    /// There was no time left for it.
    NoTime,
    /// There are too many to look at all of them.
    TooMany,
    /// The route answers by itself.
    NoUpstream,
    /// No route takes it.
    NoRoute,
    /// Two resolvers say different things.
    Differs,
    /// The system's resolver has no answer.
    SystemFails,
    /// The name does not exist.
    NotFound,
    /// The name has no address.
    Empty,
    /// Name servers do not answer in time.
    DnsTimeout,
    /// Name servers fail or refuse.
    DnsFailure,
    /// Addresses that names may not have.
    AddressProhibited,
    /// Nothing listens there.
    Refused,
    /// Nobody answers.
    Filtered,
    /// There is no way to the host.
    HostUnreachable,
    /// There is no way to its network.
    NetUnreachable,
    /// Somebody says that it is forbidden.
    Prohibited,
    /// Reset while it was made.
    Reset,
    /// No port is left.
    NoPort,
    /// No descriptor is left.
    NoDescriptor,
    /// It fails in another way.
    Failed,
    /// Packets are small.
    SmallPackets,
    /// The certificate is for other names.
    NameMismatch,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is of nobody that is trusted.
    UnknownIssuer,
    /// Something else is wrong with the certificate.
    CertificateInvalid,
    /// The certificate expires soon.
    ExpiresSoon,
    /// The endpoint refused by an alert.
    TlsAlert,
    /// The endpoint closed the connection in the handshake.
    TlsClosed,
    /// The handshake took too long.
    TlsTimeout,
    /// What was said is no TLS that both speak.
    TlsProtocol,
    /// The check does not pass.
    CheckFailed,
    /// The answer is an error of the service.
    ServerError,
    /// The service says that it can do less.
    Degraded,
    /// The answer takes long.
    Slow,
    /// The endpoint closes resting connections before we do.
    ClosesFirst,
    /// The endpoint closes after each answer.
    NoKeepAlive,
    /// Clocks differ.
    Skewed,
    /// There is not enough of it.
    Scarce,
    /// There was not enough of it.
    Overflowed,
    /// It is not what it should be.
    Unsynchronised,
}

// === impl Report ===

impl Report {
    /// Of these sections.
    #[must_use]
    pub fn new(target: Option<String>, took: Duration, sections: Vec<Section>) -> Self {
        let findings = sections.iter().flat_map(|section| &section.findings);
        let marks = findings.map(|finding| finding.mark);
        let mark = marks.filter(|mark| *mark != Mark::Skipped).max();
        Self {
            target,
            mark: mark.unwrap_or(Mark::Ok),
            took_ms: millis(took),
            sections,
        }
    }

    /// How many findings have this mark.
    #[must_use]
    pub fn count(&self, mark: Mark) -> usize {
        let findings = self.sections.iter().flat_map(|section| &section.findings);
        findings.filter(|finding| finding.mark == mark).count()
    }
}

// === impl Finding ===

impl Finding {
    pub(super) fn new(stage: Stage, mark: Mark, code: Code, says: impl Into<String>) -> Self {
        Self {
            stage,
            mark,
            code,
            took_ms: None,
            says: says.into(),
            advice: None,
        }
    }

    pub(super) fn well(stage: Stage, says: impl Into<String>) -> Self {
        Self::new(stage, Mark::Ok, Code::Well, says)
    }

    pub(super) fn skipped(stage: Stage, why: impl Into<String>) -> Self {
        Self::new(stage, Mark::Skipped, Code::Unknown, why)
    }

    pub(super) fn warn(stage: Stage, code: Code, says: impl Into<String>) -> Self {
        Self::new(stage, Mark::Warn, code, says)
    }

    pub(super) fn bad(stage: Stage, code: Code, says: impl Into<String>) -> Self {
        Self::new(stage, Mark::Bad, code, says)
    }

    pub(super) fn took(mut self, time: Duration) -> Self {
        self.took_ms = Some(millis(time));
        self
    }

    pub(super) fn advise(mut self, what: impl Into<String>) -> Self {
        self.advice = Some(what.into());
        self
    }
}

/// Milliseconds with microseconds behind the point.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

// === impl Mark ===

impl Mark {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

// === impl Stage ===

impl Stage {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Resolve => "resolve",
            Self::System => "system",
            Self::Way => "way",
            Self::Connect => "connect",
            Self::Hops => "hops",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Http => "http",
            Self::KeepAlive => "keep_alive",
            Self::Clock => "clock",
            Self::Descriptors => "descriptors",
            Self::Ports => "ports",
            Self::Conntrack => "conntrack",
            Self::Backlog => "backlog",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
