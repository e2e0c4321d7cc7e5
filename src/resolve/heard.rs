//! What a lookup gave, in the form in which it is held.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

use super::{Family, Found, Host, Why, allowed::keep_allowed};

/// A good answer, addresses that names may not have taken out. Not yet sorted or capped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// At least one.
    pub(super) hosts: Vec<Host>,
    /// The least on the way; not yet clamped.
    pub(super) ttl: Duration,
    /// Of what nothing was heard.
    pub(super) unknown: Unknown,
}

/// The part of a name that was not answered, though another part was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unknown {
    /// All of it was answered.
    Nothing,
    /// One family.
    Family(Family),
    /// Some of the targets of its SRV records.
    Targets(Vec<Arc<str>>),
}

// === impl Heard ===

impl Heard {
    /// What is left of `found`, and the addresses that `name` may not have.
    pub(super) fn allowed(
        found: Found,
        name: &str,
        allow: &[IpNet],
    ) -> (Result<Self, Why>, Vec<IpAddr>) {
        let (kept, dropped) = keep_allowed(found, name, allow);
        (kept.map(Self::from), dropped)
    }
}

impl From<Found> for Heard {
    fn from(found: Found) -> Self {
        Self {
            hosts: found.addresses.into_iter().map(Host::plain).collect(),
            ttl: found.ttl,
            unknown: found.missing.map_or(Unknown::Nothing, Unknown::Family),
        }
    }
}

// === impl Unknown ===

impl Unknown {
    /// Whether `host` would be of the part that was not answered.
    pub(super) fn covers(&self, host: &Host) -> bool {
        match (self, &host.service) {
            (Self::Nothing, _) | (Self::Targets(_), None) => false,
            (Self::Family(family), _) => family.holds(&host.address),
            (Self::Targets(targets), Some(service)) => targets.contains(&service.target),
        }
    }
}
