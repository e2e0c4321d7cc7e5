//! Sockets that listen.

use std::{io, net::SocketAddr, sync::Arc};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;

use super::Inherited;
use crate::names::ListenerName;

/// How many connections the kernel keeps for us before they are accepted. It caps this at `somaxconn`.
pub const BACKLOG: i32 = 4096;

/// A socket that listens; nothing accepts from it yet.
#[derive(Debug)]
pub struct Bound {
    pub(super) listener: Arc<TcpListener>,
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
        listen(address, Port::Alone).map_err(|source| BindError::new(name, address, source))
    }

    /// The same, where sockets of ours that are about to close may hold `address` or a part of it, like `0.0.0.0:80`
    /// of `127.0.0.1:80`: for the moment of binding they and the new one share the port, which the system allows to
    /// sockets of one user that ask for it. Before and after it no other process can join, by mistake least of all.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub(super) fn bind_beside(
        name: &ListenerName,
        address: SocketAddr,
        going: &[SockRef<'_>],
    ) -> Result<Self, BindError> {
        let alone = match Self::bind(name, address) {
            Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => error,
            done => return done,
        };
        let in_the_way: Vec<_> = going
            .iter()
            .filter(|socket| {
                let held = socket.local_addr().ok().and_then(|held| held.as_socket());
                held.is_some_and(|held| overlaps(held, address))
            })
            .collect();
        if in_the_way.is_empty() {
            return Err(alone);
        }
        let share = |shared: bool| {
            in_the_way
                .iter()
                .try_for_each(|socket| socket.set_reuse_port(shared))
        };
        let bound = share(true).and_then(|()| listen(address, Port::Shared));
        let apart = share(false);
        let bound = bound.and_then(|bound| {
            SockRef::from(&*bound.listener).set_reuse_port(false)?;
            apart.map(|()| bound)
        });
        bound.map_err(|source| BindError::new(name, address, source))
    }

    /// The socket that was `inherited` for it; where there is none, one that is bound beside those that are `going`, and
    /// beside those that were handed over for listeners that are not there any more.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub(super) fn inherit(
        name: &ListenerName,
        address: SocketAddr,
        inherited: &mut Inherited,
        going: &[Arc<TcpListener>],
    ) -> Result<Self, BindError> {
        if let Some(socket) = inherited.take(name, address) {
            return adopt(socket).map_err(|source| BindError::new(name, address, source));
        }
        let going = going.iter().map(|socket| SockRef::from(&**socket));
        let going: Vec<_> = going.chain(inherited.waiting()).collect();
        Self::bind_beside(name, address, &going)
    }

    /// Where it listens: the port is the real one where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whether others may hold the port too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Alone,
    Shared,
}

/// Whether two addresses are in each other's way: one port, and one of them means every address.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (everywhere || one.ip() == other.ip())
}

fn listen(address: SocketAddr, port: Port) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if port == Port::Shared {
        socket.set_reuse_port(true)?;
    }
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
    Ok(Bound {
        listener: Arc::new(listener),
        address,
    })
}

// === impl BindError ===

impl BindError {
    fn new(listener: &ListenerName, address: SocketAddr, source: io::Error) -> Self {
        Self {
            listener: listener.clone(),
            address,
            source,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ListenerName {
        ListenerName::from("web")
    }

    #[test]
    fn addresses_overlap_where_one_of_them_means_all() {
        let cases = [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::]:80", true),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:81", false),
        ];
        for (one, other, wanted) in cases {
            let found = overlaps(one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(found, wanted, "{one} {other}");
        }
    }

    #[tokio::test]
    async fn what_goes_lets_a_part_of_its_address_be_bound_and_nothing_else_does() {
        let all = Bound::bind(&name(), "0.0.0.0:0".parse().unwrap()).unwrap();
        let part = SocketAddr::new([127, 0, 0, 1].into(), all.address().port());
        let refused = Bound::bind_beside(&name(), part, &[]).unwrap_err();
        assert_eq!(refused.source.kind(), io::ErrorKind::AddrInUse);
        let beside = Bound::bind_beside(&name(), part, &[SockRef::from(&*all.listener)]).unwrap();
        assert_eq!(beside.address(), part);
        drop(all);
        let twice = Bound::bind(&name(), part).unwrap_err();
        assert_eq!(twice.source.kind(), io::ErrorKind::AddrInUse);
        let elsewhere = std::net::TcpStream::connect(part);
        assert!(elsewhere.is_ok(), "it does not listen: {elsewhere:?}");
    }

    #[tokio::test]
    async fn what_another_process_holds_lets_a_part_of_its_address_be_bound() {
        use super::super::Unwanted;
        let old = Bound::bind(&name(), "0.0.0.0:0".parse().unwrap()).unwrap();
        let part = SocketAddr::new([127, 0, 0, 1].into(), old.address().port());
        let handed = rustix::io::dup(&*old.listener).unwrap();
        let mut inherited = Inherited::none(Unwanted::Closed);
        inherited.add("web".to_owned(), handed).unwrap();
        let bound = Bound::inherit(&name(), part, &mut inherited, &[]).unwrap();
        assert_eq!(bound.address(), part);
        assert!(inherited.taken().is_empty(), "the old one goes");
        inherited.finish().unwrap();
        let still = SockRef::from(&*old.listener);
        assert!(still.is_listener().unwrap() && !still.reuse_port().unwrap());
    }
}
