//! One server that a name stands for.

use std::{fmt, net::IpAddr, sync::Arc};

/// An address of a name, and what the name says of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// Where. IPv4-mapped ones are stored as IPv4.
    pub address: IpAddr,
    /// What an SRV record says of it; `None` where it comes from an A or AAAA record, which has no port.
    pub service: Option<Service>,
}

/// What an SRV record says (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Where the service listens.
    pub port: u16,
    /// Lower ones are to be used first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The name whose address this is.
    pub target: Arc<str>,
}

/// Who a host is: two of the same key are one, whatever is said of it. The port is 0 where none is said.
pub(super) type Key = (IpAddr, u16);

// === impl Host ===

impl Host {
    /// A host of an A or AAAA record.
    #[must_use]
    pub const fn plain(address: IpAddr) -> Self {
        Self {
            address,
            service: None,
        }
    }

    pub(super) fn key(&self) -> Key {
        let port = self.service.as_ref().map_or(0, |service| service.port);
        (self.address, port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            None => write!(f, "{}", self.address),
            Some(service) => write!(
                f,
                "{}",
                std::net::SocketAddr::new(self.address, service.port)
            ),
        }
    }
}
