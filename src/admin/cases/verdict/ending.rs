//! How a request or one of its tries failed, and where.

use std::{
    hash::{Hash, Hasher},
    net::SocketAddr,
};

use crate::{
    fault::{Cause, Facts, Kind},
    telemetry::{Case, Ill, Met, Tried},
};

/// How a request failed. Two are equal where they are of one family: whether a connection was closed or reset says
/// little, whether a certificate was old or for another name says much.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// By a fault of this kind.
    Fault(Kind),
    /// By a kind of fault that this version does not know.
    Unknown,
    /// The service answered with an error of its own.
    Own,
}

// === impl Ending ===

impl Ending {
    /// How `case` failed; where it went well after a try that did not, how that did. `None`: nothing failed.
    pub(super) fn of(case: &Case) -> Option<Self> {
        match &case.fault {
            Some(ill) => Some(Self::of_ill(ill)),
            None if case.is_bad() => Some(Self::Own),
            None => case.tries.last().map(Self::of_try),
        }
    }

    /// How `case` failed, and how each of its tries did.
    pub(super) fn all_of(case: &Case) -> impl Iterator<Item = Self> + '_ {
        let tries = case.tries.iter().map(Self::of_try);
        Self::of(case).into_iter().chain(tries)
    }

    fn of_try(tried: &Tried) -> Self {
        match &tried.met {
            Met::Fault(ill) => Self::of_ill(ill),
            Met::Status(_) => Self::Own,
        }
    }

    fn of_ill(ill: &Ill) -> Self {
        ill.known().map_or(Self::Unknown, Self::Fault)
    }

    pub(super) fn is(self, kinds: &[Kind]) -> bool {
        matches!(self, Self::Fault(kind) if kinds.contains(&kind))
    }

    /// What is always true of its kind of fault.
    pub(super) const fn facts(self) -> Option<Facts> {
        match self {
            Self::Fault(kind) => Some(kind.facts()),
            Self::Unknown | Self::Own => None,
        }
    }

    /// Its family: name, cause, and the reason where that tells more than the two.
    fn family(self) -> Option<(&'static str, Cause, &'static str)> {
        let facts = self.facts()?;
        let reason = facts.reason.unwrap_or_default();
        let apart = match facts.name {
            "http_request_error" | "tls_certificate_error" | "dns_error" => true,
            "connection_terminated" => matches!(reason, "connect" | "closed_idle"),
            "connection_limit_reached" => matches!(reason, "ports" | "fds" | "process_pressure"),
            _ => false,
        };
        Some((facts.name, facts.cause, if apart { reason } else { "" }))
    }
}

impl PartialEq for Ending {
    fn eq(&self, other: &Self) -> bool {
        matches!(self, Self::Own) == matches!(other, Self::Own) && self.family() == other.family()
    }
}

impl Eq for Ending {}

impl Hash for Ending {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (matches!(self, Self::Own), self.family()).hash(state);
    }
}

/// Its last try that failed so.
pub(super) fn last_try(case: &Case, ending: Ending) -> Option<&Tried> {
    let mut tries = case.tries.iter().rev();
    tries.find(|tried| Ending::of_try(tried) == ending)
}

/// Where it failed so: where its last such try did, else where it went.
pub(super) fn failed_at(case: &Case, ending: Ending) -> Option<SocketAddr> {
    let tried = last_try(case, ending).and_then(|tried| tried.endpoint);
    tried.or(case.endpoint)
}
