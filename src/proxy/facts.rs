//! What a request's connection is, put into the extensions of each of its requests.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ipnet::IpNet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    head::{Bounds, Peer, Transport},
    headers::Hop,
};
use crate::names::ListenerName;

/// What is known of a client's connection. One for each connection, shared by its requests.
#[derive(Clone)]
pub struct ConnectionFacts {
    /// The listener that took it.
    pub listener: ListenerName,
    /// The client, after the PROXY header where there is one. An IPv4-mapped IPv6 address is its IPv4 form.
    pub peer: SocketAddr,
    /// Where the client connected to, by the PROXY header where there is one.
    pub local: SocketAddr,
    /// Whether the client speaks TLS with us.
    pub secure: bool,
    /// Whether `peer` is one of `trusted_proxies`: its forwarding headers count.
    pub trusted: bool,
    /// Longest time without progress of a body.
    pub body_timeout: Duration,
    /// How long a tunnel may rest.
    pub tunnel_idle_timeout: Duration,
    /// Largest request head, in bytes.
    pub max_header_bytes: usize,
    /// Where tunnels run; a drain waits for them.
    pub tunnels: TaskTracker,
    /// Cancelled when a drain's deadline is over: tunnels end now.
    pub stop_tunnels: CancellationToken,
    /// Whose forwarding headers count.
    pub trusted_proxies: Arc<[IpNet]>,
    /// What it adds to the head of each of its requests; begins empty.
    pub hop: HopOnce,
    /// Whether its client has stopped reading; begins as reading.
    pub reading: Reading,
}

/// Whether what ends now ends because the client stopped reading: said by the listener just before it drops the answers.
///
/// `Relaxed`: who drops an answer has said it before, on the same thread. On HTTP/2 another stream of the connection may
/// end in that moment and be told of the same way.
#[derive(Debug, Clone, Default)]
pub struct Reading(Arc<AtomicBool>);

/// Made with the first request of a connection.
#[derive(Clone, Default)]
pub struct HopOnce(OnceLock<Hop>);

/// The longest request target, whatever the head may hold besides (nginx has 8 KiB for it; a head has four).
const MAX_TARGET_BYTES: usize = 16 * 1024;

// === impl Reading ===

impl Reading {
    /// The client has taken nothing for too long.
    pub fn stopped(&self) {
        self.0.store(true, Relaxed);
    }

    /// Only one of its streams had stopped, and that has ended.
    pub fn goes_on(&self) {
        self.0.store(false, Relaxed);
    }

    /// Whether it stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.0.load(Relaxed)
    }
}

// === impl ConnectionFacts ===

impl ConnectionFacts {
    /// What a head that came over it is measured by.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            max_header_bytes: self.max_header_bytes,
            max_target_bytes: MAX_TARGET_BYTES.min(self.max_header_bytes),
            transport: self.transport(),
            peer: self.trust(),
        }
    }

    /// What it adds to the head of each of its requests.
    pub(super) fn hop(&self) -> &Hop {
        let made = || {
            Hop::new(
                self.peer.ip(),
                self.local.port(),
                self.transport(),
                self.trust(),
            )
        };
        self.hop.0.get_or_init(made)
    }

    /// Whether the forwarding headers of `address` count.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }

    const fn transport(&self) -> Transport {
        if self.secure {
            Transport::Tls
        } else {
            Transport::Plain
        }
    }

    /// Whether the peer's own word on how its requests are treated counts.
    pub(super) const fn peer_trust(&self) -> Peer {
        self.trust()
    }

    const fn trust(&self) -> Peer {
        if self.trusted {
            Peer::Trusted
        } else {
            Peer::Untrusted
        }
    }
}

impl fmt::Debug for ConnectionFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionFacts")
            .field("listener", &self.listener)
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("secure", &self.secure)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}
