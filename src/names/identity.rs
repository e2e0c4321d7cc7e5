//! Names of things that live longer than one version of the config file.

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::{Serialize, Serializer};

/// The name of a route, as the config gives it. A renamed route is a new route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteName(Arc<str>);

/// The name of an upstream: its key under `[upstreams]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamName(Arc<str>);

/// The name of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerName(Arc<str>);

/// One server behind an upstream: the upstream's name and the server's address, nothing tunable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId {
    /// The upstream it belongs to.
    pub upstream: UpstreamName,
    /// Where it listens. IPv4-mapped IPv6 addresses are stored as IPv4.
    pub address: SocketAddr,
}

/// One rate limit of one route. Its rate, burst and key are facts about it, not part of its identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId {
    /// The route it guards.
    pub route: RouteName,
    /// Its name, unique in the route.
    pub limit: Arc<str>,
}

macro_rules! name {
    ($($type:ident),+) => {$(
        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )+};
}
name!(RouteName, UpstreamName, ListenerName);

// === impl EndpointId ===

impl EndpointId {
    /// The endpoint of `upstream` at `address`; an IPv4-mapped IPv6 address is taken as its IPv4 form.
    #[must_use]
    pub fn new(upstream: UpstreamName, address: SocketAddr) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { upstream, address }
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.upstream, self.address)
    }
}

impl fmt::Display for LimitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.route, self.limit)
    }
}
