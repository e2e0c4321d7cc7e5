//! What is always true of a kind of fault.

use std::fmt;

use http::StatusCode;
use serde::Serialize;

/// Whose doing it was: the five causes of a 502, and the three that complete them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// More work was offered than can be finished in time.
    Overload,
    /// Two servers failed to speak with each other.
    Communication,
    /// Packets were refused, swallowed or found no way.
    Network,
    /// A name was not resolved.
    Dns,
    /// The service behind the gateway is at fault.
    Application,
    /// The caller is at fault.
    Client,
    /// No route takes the request.
    Config,
    /// A bug of Tidegate's.
    Internal,
}

/// Who began it: whose act, or silence, ended the request.
///
/// The cause says what kind of trouble it was, this at whose end to look first. A refusal is Tidegate's, whoever sent too
/// much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// Who sent the request.
    Client,
    /// This gateway: it refused, ran short, or has a bug.
    Tidegate,
    /// The endpoint, or the whole service.
    Upstream,
    /// What is between the gateway and the endpoint: routes, firewalls, name servers.
    Network,
}

/// Where on the road of a request a fault happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Taking the connection.
    Accept,
    /// The client's TLS handshake.
    Tls,
    /// Reading and checking the request's head.
    Head,
    /// Finding a route.
    Route,
    /// Rate limits.
    Rate,
    /// The concurrency limit.
    Concurrency,
    /// Waiting for a permit.
    Queue,
    /// Choosing an endpoint.
    Pick,
    /// Resolving a name.
    Resolve,
    /// Connecting to the endpoint.
    Connect,
    /// The TLS handshake with the endpoint.
    UpstreamTls,
    /// Sending the request.
    Send,
    /// Waiting for the head of the answer.
    FirstByte,
    /// Streaming a body.
    Body,
    /// Opening a tunnel.
    Upgrade,
}

/// What is always true of a [`Kind`](super::Kind).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The kind's name in metrics and logs: an RFC 9209 error type where one exists.
    pub name: &'static str,
    /// Whose doing it was.
    pub cause: Cause,
    /// Who began it.
    pub begun_by: Party,
    /// Where it usually happens.
    pub stage: Stage,
    /// The status of the answer, where it still can be chosen.
    pub status: StatusCode,
    /// The `error` parameter of `Proxy-Status` (RFC 9209 section 2.3).
    pub proxy_error: &'static str,
    /// What tells it from other kinds of the same name; also the `reason` of the log.
    pub reason: Option<&'static str>,
    /// One sentence for people.
    pub title: &'static str,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 8] = [
        Self::Overload,
        Self::Communication,
        Self::Network,
        Self::Dns,
        Self::Application,
        Self::Client,
        Self::Config,
        Self::Internal,
    ];

    /// The word in metrics, logs and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Communication => "communication",
            Self::Network => "network",
            Self::Dns => "dns",
            Self::Application => "application",
            Self::Client => "client",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

impl Party {
    /// The word in JSON and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Tidegate => "tidegate",
            Self::Upstream => "upstream",
            Self::Network => "network",
        }
    }
}

impl Stage {
    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Tls => "tls",
            Self::Head => "head",
            Self::Route => "route",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Queue => "queue",
            Self::Pick => "pick",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::UpstreamTls => "upstream_tls",
            Self::Send => "send",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
            Self::Upgrade => "upgrade",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
