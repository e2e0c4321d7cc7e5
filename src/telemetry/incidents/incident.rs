//! One incident as it is kept and told.

use std::{
    borrow::Cow,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{Ending, Happening};
use crate::telemetry::{self, timestamp::Timestamp};

/// Faults that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// By which it is asked for.
    pub id: Box<str>,
    /// What it is about.
    pub scope: Scope,
    /// The upstream, where it is about one.
    pub upstream: Option<Box<str>>,
    /// The routes whose requests it hit, `none` for requests that no route took; at most 16.
    pub routes: Vec<Box<str>>,
    /// How its requests ended, the most frequent first.
    pub kinds: Vec<Hit>,
    /// How much it matters.
    pub severity: Severity,
    /// Whose doing it likely is.
    pub cause: Cow<'static, str>,
    /// What it likely is, in one sentence.
    pub sentence: String,
    /// What speaks for that.
    pub evidence: Vec<String>,
    /// The first request of it that is kept, by its id.
    #[serde(default)]
    pub example: Option<Box<str>>,
    /// When it began, in RFC 3339 form: at most a second before its first fault.
    pub began: String,
    /// The same in milliseconds since 1970.
    pub began_ms: u64,
    /// When its last fault was seen, in milliseconds since 1970: at most a second after it.
    pub last_fault_ms: u64,
    /// How it ended; `None`: it has not.
    pub ended: Option<Ended>,
    /// How many requests its routes had meanwhile.
    pub requests: u64,
    /// How many of them it hit.
    pub faulted: u64,
    /// The share of them that it hit.
    pub share: f64,
    /// The largest share in any window.
    pub peak_share: f64,
    /// What happened just before it began.
    pub after: Option<Happening>,
}

/// What an incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// An upstream, through whatever routes.
    Upstream,
    /// A route, before any upstream.
    Route,
    /// The rate limits of a route.
    Limits,
    /// What callers do.
    Clients,
    /// This process.
    Process,
}

/// How much an incident matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A limit does what it is there for, or callers ask for what is not there.
    Low,
    /// Some requests fail.
    Medium,
    /// At least half of the requests failed in a window, or this process itself is ill.
    High,
}

/// How often requests of an incident ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The kind of fault, with its reason; `own_error` for an error of the service's own.
    pub kind: Cow<'static, str>,
    /// Whose doing that is.
    pub cause: Cow<'static, str>,
    /// How many.
    pub requests: u64,
}

/// How an incident ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When its last fault was seen, in RFC 3339 form.
    pub time: String,
    /// The same in milliseconds since 1970.
    pub at_ms: u64,
    /// What ended it, in one sentence.
    pub by: String,
    /// What happened at that time, where anything is known.
    pub after: Option<Happening>,
}

/// Most routes that one incident names.
const MOST_ROUTES: usize = 16;

// === impl Incident ===

impl Incident {
    /// Whether it goes on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// How long it lasted, from its first to its last fault.
    #[must_use]
    pub const fn lasted(&self) -> Duration {
        Duration::from_millis(self.last_fault_ms.saturating_sub(self.began_ms))
    }

    /// Adds what a window or a look has.
    pub(super) fn add(&mut self, requests: u64, faults: &[(Ending, u64)]) {
        self.requests = self.requests.saturating_add(requests);
        for (ending, more) in faults {
            self.faulted = self.faulted.saturating_add(*more);
            let word = ending.word();
            match self.kinds.iter_mut().find(|hit| hit.kind == word) {
                Some(hit) => hit.requests = hit.requests.saturating_add(*more),
                None => self.kinds.push(Hit {
                    kind: word,
                    cause: ending.cause().as_str().into(),
                    requests: *more,
                }),
            }
        }
        self.kinds
            .sort_by_key(|hit| std::cmp::Reverse(hit.requests));
        // Counters are read one after the other: for a moment more may have failed than ended.
        self.requests = self.requests.max(self.faulted);
        self.share = share(self.faulted, self.requests);
        self.peak_share = self.peak_share.max(self.share);
        self.judge();
    }

    /// It hits the requests of this route.
    pub(super) fn hits(&mut self, route: &str) {
        if self.routes.len() < MOST_ROUTES && !self.routes.iter().any(|known| **known == *route) {
            self.routes.push(route.into());
        }
    }

    /// Says anew whose doing it likely is, and how much it matters.
    pub(super) fn judge(&mut self) {
        let known = |hit: &&Hit| Ending::of(&hit.kind).is_some_and(|ending| !ending.follows());
        let Some(root) = self.kinds.iter().find(known).or(self.kinds.first()) else {
            return;
        };
        self.cause = root.cause.clone();
        let title = Ending::of(&root.kind).map_or("", Ending::title);
        let kind = root.kind.clone();
        self.sentence = format!(
            "{title} Cause: {}; kind {kind}, {}.",
            self.cause,
            self.where_()
        );
        self.severity = match self.scope {
            Scope::Limits | Scope::Clients => Severity::Low,
            Scope::Process => Severity::High,
            Scope::Upstream | Scope::Route if self.peak_share >= HALF => Severity::High,
            Scope::Upstream | Scope::Route => Severity::Medium,
        };
    }

    fn where_(&self) -> String {
        let routes = self.routes.join(", ");
        match (self.scope, &self.upstream) {
            (Scope::Process, _) => "in the gateway itself".to_owned(),
            (Scope::Clients, _) => "by what callers ask for".to_owned(),
            (_, Some(upstream)) => format!("at upstream {upstream}, through route {routes}"),
            (_, None) => format!("at route {routes}"),
        }
    }
}

// === impl Ended ===

impl Ended {
    pub(super) fn new(at_ms: u64, by: String, after: Option<Happening>) -> Self {
        Self {
            time: text_of(at_ms),
            at_ms,
            by,
            after,
        }
    }
}

// === impl Severity ===

impl Severity {
    /// How bad the event of its begin is.
    pub(super) const fn of_event(self) -> telemetry::Severity {
        match self {
            Self::Low => telemetry::Severity::Warn,
            Self::Medium | Self::High => telemetry::Severity::Error,
        }
    }

    /// The word in the API and the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

const HALF: f64 = 0.5;

/// The share that `some` have of `all`, 0 to 1; 0 of nothing.
pub(super) fn share(some: u64, all: u64) -> f64 {
    if all == 0 {
        return 0.0;
    }
    (some as f64 / all as f64).min(1.0)
}

/// A moment in RFC 3339 form.
pub(super) fn text_of(at_ms: u64) -> String {
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms));
    Timestamp(at.unwrap_or(UNIX_EPOCH)).to_string()
}
