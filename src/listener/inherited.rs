//! Sockets that listen already when the process begins: those of the process before it, or systemd's.
//!
//! A socket goes to the listener whose address it has. Its name only decides between several, and lets a listener
//! with port 0 keep the port that the system chose: never does a name alone open an address that the config does
//! not name.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::names::ListenerName;

/// Sockets that wait for their listeners.
#[derive(Debug)]
pub struct Inherited {
    held: Vec<Held>,
    taken: Vec<String>,
    unwanted: Unwanted,
}

/// What becomes of sockets that no listener wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// They are closed: who had them before has them still.
    Closed,
    /// The start fails: clients would connect to them and wait for nobody.
    Refused,
}

/// A socket that waits for its listener.
#[derive(Debug)]
struct Held {
    name: String,
    address: SocketAddr,
    socket: TcpListener,
}

/// Sockets that no listener wants.
#[derive(Debug)]
pub struct NotWanted(Vec<String>);

// === impl Inherited ===

impl Inherited {
    /// None yet.
    #[must_use]
    pub const fn none(unwanted: Unwanted) -> Self {
        Self {
            held: Vec::new(),
            taken: Vec::new(),
            unwanted,
        }
    }

    /// Adds a socket that is called `name`.
    ///
    /// # Errors
    /// Where it is not a TCP socket that listens.
    pub fn add(&mut self, name: String, socket: OwnedFd) -> io::Result<()> {
        let socket = Socket::from(socket);
        let local = socket.local_addr()?;
        let internet = matches!(local.domain(), Domain::IPV4 | Domain::IPV6);
        let address = local.as_socket().filter(|_| internet);
        let (Some(address), true) = (address, socket.r#type()? == Type::STREAM) else {
            return Err(io::Error::other("it is not a TCP socket"));
        };
        if !socket.is_listener()? {
            return Err(io::Error::other("it does not listen"));
        }
        socket.set_nonblocking(true)?;
        self.held.push(Held {
            name,
            address,
            socket: socket.into(),
        });
        Ok(())
    }

    /// The socket of the listener `name` at `bind`, where there is one.
    pub(super) fn take(&mut self, name: &ListenerName, bind: SocketAddr) -> Option<TcpListener> {
        let named = |held: &Held| held.name == name.as_str();
        let same = |held: &Held| held.address == bind;
        // Port 0 means any port, so that the one which was chosen before will do.
        let chosen = |held: &Held| bind.port() == 0 && held.address.ip() == bind.ip();
        let at = self
            .held
            .iter()
            .position(|held| named(held) && (same(held) || chosen(held)))
            .or_else(|| self.held.iter().position(same))?;
        let held = self.held.swap_remove(at);
        self.taken.push(held.name);
        Some(held.socket)
    }

    /// Those that wait for a listener. One that overlaps an address which another listener wants has none: the config
    /// would be wrong.
    pub(super) fn waiting(&self) -> impl Iterator<Item = SockRef<'_>> {
        self.held.iter().map(|held| SockRef::from(&held.socket))
    }

    /// The names of those that were taken, as they were when they came.
    #[must_use]
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// Every listener has what it wants: ends the others.
    ///
    /// # Errors
    /// Where there are some, and there must be none.
    pub fn finish(&mut self) -> Result<(), NotWanted> {
        let rest = std::mem::take(&mut self.held);
        if rest.is_empty() || self.unwanted == Unwanted::Closed {
            return Ok(());
        }
        let told = |held: &Held| format!("{} (`{}`)", held.address, held.name);
        Err(NotWanted(rest.iter().map(told).collect()))
    }
}

// === impl NotWanted ===

impl fmt::Display for NotWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sockets were handed to the process that no listener of the config is bound to: {}",
            self.0.join(", ")
        )
    }
}

impl std::error::Error for NotWanted {}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn listening() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Sockets of these names, and where each listens.
    fn inherited(names: &[&str]) -> (Inherited, Vec<SocketAddr>) {
        let mut inherited = Inherited::none(Unwanted::Refused);
        let addresses = names.iter().map(|name| {
            let (socket, address) = listening();
            inherited.add((*name).to_owned(), socket.into()).unwrap();
            address
        });
        let addresses = addresses.collect();
        (inherited, addresses)
    }

    fn taken(inherited: &mut Inherited, name: &str, bind: SocketAddr) -> Option<SocketAddr> {
        let socket = inherited.take(&ListenerName::from(name), bind)?;
        Some(socket.local_addr().unwrap())
    }

    #[test]
    fn a_socket_goes_to_the_listener_of_its_address_whatever_it_is_called() {
        let (mut inherited, at) = inherited(&["a", "b"]);
        assert_eq!(taken(&mut inherited, "a", at[1]), Some(at[1]));
        assert_eq!(taken(&mut inherited, "renamed", at[0]), Some(at[0]));
        assert_eq!(inherited.taken(), ["b", "a"]);
        assert!(inherited.finish().is_ok());
    }

    #[test]
    fn a_name_never_opens_another_address() {
        let (mut inherited, _) = inherited(&["admin"]);
        let (_other, elsewhere) = listening();
        assert_eq!(taken(&mut inherited, "admin", elsewhere), None);
        let any_port = "127.0.0.2:0".parse().unwrap();
        assert_eq!(taken(&mut inherited, "admin", any_port), None);
    }

    #[test]
    fn a_listener_with_port_0_keeps_the_port_it_had_and_takes_no_others() {
        let (mut inherited, at) = inherited(&["a", "b"]);
        let any_port = "127.0.0.1:0".parse().unwrap();
        assert_eq!(taken(&mut inherited, "b", any_port), Some(at[1]));
        assert_eq!(taken(&mut inherited, "c", any_port), None);
    }

    #[test]
    fn what_nobody_wants_is_told_or_closed() {
        let (mut refusing, at) = inherited(&["a"]);
        let told = refusing.finish().unwrap_err().to_string();
        assert!(told.ends_with(&format!("{} (`a`)", at[0])), "{told}");
        let mut closing = Inherited::none(Unwanted::Closed);
        let (socket, address) = listening();
        closing.add("a".to_owned(), socket.into()).unwrap();
        assert!(closing.finish().is_ok());
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn only_tcp_sockets_that_listen_are_taken() {
        let mut inherited = Inherited::none(Unwanted::Refused);
        let mut add = |socket: OwnedFd| inherited.add("a".to_owned(), socket).is_ok();
        let folder = tempfile::tempdir().unwrap();
        assert!(!add(UnixListener::bind(folder.path().join("s"))
            .unwrap()
            .into()));
        assert!(!add(std::net::UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .into()));
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(!add(deaf.into()));
        assert!(!add(tempfile::tempfile().unwrap().into()));
        assert!(add(listening().0.into()));
    }
}
