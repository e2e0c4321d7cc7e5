//! One thing that happened, as it is kept.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{ConfigEvent, EventKind, NameEvent, What};
use crate::{
    names::{ListenerName, RouteName, UpstreamName},
    telemetry::timestamp::Timestamp,
};

/// Longest text that came from elsewhere, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// One thing that happened. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Grows by one with each event, and from one run of the program to the next.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The same in RFC 3339 form.
    pub time: Box<str>,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing.
    pub kind: EventKind,
    /// Whom it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// What happened, in one sentence.
    pub sentence: Box<str>,
    /// The same as typed fields.
    #[serde(rename = "fields")]
    pub what: What,
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something does not work as it should; requests are served.
    Warn,
    /// Requests fail, or will.
    Error,
}

/// Whom an event is about; what does not apply is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamName>,
    /// The address of one of its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<SocketAddr>,
    /// The route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteName>,
    /// The listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<ListenerName>,
    /// The DNS name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
}

// === impl Event ===

impl Event {
    /// `what` happened at `at`.
    #[must_use]
    pub fn new(id: u64, at: SystemTime, what: What) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id,
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            time: Timestamp(at).to_string().into(),
            severity: what.severity(),
            kind: what.kind(),
            subject: what.subject(),
            sentence: what.to_string().into(),
            what,
        }
    }

    /// Whether it is about this upstream.
    #[must_use]
    pub fn is_about_upstream(&self, upstream: &str) -> bool {
        let own = self.subject.upstream.as_ref();
        let is = |name: &UpstreamName| name.as_str() == upstream;
        own.is_some_and(is)
            || matches!(&self.what, What::Name(NameEvent { upstreams, .. }) if upstreams.iter().any(is))
    }

    /// Whether it is about this route, or changed what it does.
    #[must_use]
    pub fn is_about_route(&self, route: &str) -> bool {
        let own = self.subject.route.as_ref();
        own.is_some_and(|name| name.as_str() == route)
            || matches!(&self.what, What::Config(ConfigEvent::Applied { touches, .. }) if touches.contains(route))
    }

    /// As JSON, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // nothing in it can fail
    }

    /// Bytes that it takes, about: its texts are in the JSON once, and the sentence is made of them again.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.json().len()
    }
}

// === impl Subject ===

impl Subject {
    /// An upstream as a whole.
    #[must_use]
    pub fn upstream(upstream: &UpstreamName) -> Self {
        Self {
            upstream: Some(upstream.clone()),
            ..Self::default()
        }
    }
}

/// At most [`MAX_TEXT_BYTES`] of it, cut between characters.
pub(super) fn short(text: &str) -> &str {
    let mut ends = (0..=MAX_TEXT_BYTES.min(text.len())).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}
