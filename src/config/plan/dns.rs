//! What the file says of name servers, and of how their answers are taken.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use ipnet::IpNet;

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsPlan {
    /// Name servers; none: those of [`Self::resolv_conf`].
    pub servers: NameServers,
    /// The file that names the servers where none is given; followed as it changes.
    pub resolv_conf: PathBuf,
    /// A shorter TTL counts as this.
    pub min_ttl: Duration,
    /// A longer TTL counts as this.
    pub max_ttl: Duration,
    /// How long the last good answer serves while errors come.
    pub max_stale: Duration,
    /// So many answers in a row that there is no such name, or nothing of it, are believed.
    pub gone_after: NonZeroU32,
    /// How long an answer that drops more than half of the addresses, or all, is doubted.
    pub hold: Duration,
    /// Networks let through although they are loopback, link-local or metadata.
    pub allow_addresses: Vec<IpNet>,
}

/// Name servers, and who vouches for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameServers {
    /// They are asked in this order.
    pub list: Vec<NameServer>,
    /// The file with the authorities that are trusted where they are asked over TLS; `None`: the system's.
    pub ca: Option<PathBuf>,
}

/// A name server, and what is spoken to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is spoken to it.
    pub transport: DnsTransport,
}

/// What is spoken to a name server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DnsTransport {
    /// UDP, and TCP for answers that do not fit.
    Udp,
    /// TCP alone.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls {
        /// What its certificate must hold: a name, or its address.
        name: Box<str>,
    },
    /// DNS over HTTPS (RFC 8484), over HTTP/2.
    Https {
        /// What its certificate must hold: a name, or its address.
        name: Box<str>,
        /// The path that is asked.
        path: Box<str>,
    },
}

// === impl NameServer ===

impl NameServer {
    /// One that is asked over UDP, and over TCP where an answer does not fit.
    #[must_use]
    pub const fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            transport: DnsTransport::Udp,
        }
    }

    /// Whether questions to it are encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(
            self.transport,
            DnsTransport::Tls { .. } | DnsTransport::Https { .. }
        )
    }
}
