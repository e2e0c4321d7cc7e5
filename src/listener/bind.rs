//! Sockets that listen.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::Inherited;
use crate::names::ListenerName;

/// How many connections the kernel keeps for us before they are accepted. It caps this at `somaxconn`.
const BACKLOG: i32 = 4096;

/// A socket that listens; nothing accepts from it yet.
#[derive(Debug)]
pub struct Bound {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// A listener's address could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// Which listener.
    pub listener: ListenerName,
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

// === impl Bound ===

impl Bound {
    /// Binds `address` for the listener `name`, with `SO_REUSEADDR`; `[::]` takes IPv4 too.
    ///
    /// # Errors
    /// Where the address is taken, privileged or not of this machine. Needs a tokio runtime.
    pub fn bind(name: &ListenerName, address: SocketAddr) -> Result<Self, BindError> {
        listen(address).map_err(|source| BindError {
            listener: name.clone(),
            address,
            source,
        })
    }

    /// The same with the socket that was `inherited` for it, where there is one.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn inherit(
        name: &ListenerName,
        address: SocketAddr,
        inherited: &mut Inherited,
    ) -> Result<Self, BindError> {
        let Some(socket) = inherited.take(name, address) else {
            return Self::bind(name, address);
        };
        adopt(socket).map_err(|source| BindError {
            listener: name.clone(),
            address,
            source,
        })
    }

    /// Where it listens: the port is the real one where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for a server that drives it on its own.
    #[must_use]
    pub fn into_listener(self) -> TcpListener {
        self.listener
    }
}

fn listen(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    adopt(socket.into())
}

/// A socket that listens and does not block.
fn adopt(socket: std::net::TcpListener) -> io::Result<Bound> {
    let listener = TcpListener::from_std(socket)?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

// === impl BindError ===

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            listener,
            address,
            source,
        } = self;
        write!(f, "listener `{listener}` cannot bind {address}: {source}")?;
        if source.kind() == io::ErrorKind::AddrInUse {
            f.write_str("; another process has it: `ss -ltnp` says which")?;
        }
        Ok(())
    }
}

impl From<BindError> for io::Error {
    /// Keeps the kind, and says which listener and where.
    fn from(error: BindError) -> Self {
        Self::new(error.source.kind(), error.to_string())
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
