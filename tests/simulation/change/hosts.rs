//! The machines behind the gateway: whether they listen, and how their answers are.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::{net::TcpListener, task::AbortHandle};

/// How many there are.
pub(super) const HOSTS: usize = 16;

/// How a host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers.
    Well,
    /// It answers late.
    Slow,
    /// It passes its checks and fails its requests.
    Gray,
    /// Every other request fails.
    Flaky,
    /// Nothing listens.
    Dead,
}

/// All of them. Checks connect to real sockets on the loopback interface, which answer at once.
#[derive(Debug)]
pub(super) struct Hosts {
    port: u16,
    moods: Arc<Mutex<[Mood; HOSTS]>>,
    listening: Vec<Option<AbortHandle>>,
    /// Keeps the port from everybody else.
    _reserved: std::net::TcpListener,
}

/// What hosts do to requests.
#[derive(Debug, Clone)]
pub(super) struct Moods(Arc<Mutex<[Mood; HOSTS]>>);

/// The address of a host: every run has a network of its own.
pub(super) fn address(port: u16, host: usize) -> Ipv4Addr {
    let [high, low] = port.to_be_bytes();
    let last = u8::try_from(host + 1).expect("few hosts");
    Ipv4Addr::new(127, high | 128, low, last)
}

// === impl Hosts ===

impl Hosts {
    /// All of them well, on a port that was free.
    pub(super) fn start() -> Self {
        let reserved = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = reserved.local_addr().expect("an address").port();
        let mut hosts = Self {
            port,
            moods: Arc::new(Mutex::new([Mood::Dead; HOSTS])),
            listening: (0..HOSTS).map(|_| None).collect(),
            _reserved: reserved,
        };
        (0..HOSTS).for_each(|host| hosts.turn(host, Mood::Well));
        hosts
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn moods(&self) -> Moods {
        Moods(Arc::clone(&self.moods))
    }

    /// From now on it does like this.
    pub(super) fn turn(&mut self, host: usize, mood: Mood) {
        self.moods.lock()[host] = mood;
        match (&self.listening[host], mood) {
            (Some(listening), Mood::Dead) => {
                listening.abort();
                self.listening[host] = None;
            }
            (None, Mood::Dead) | (Some(_), _) => {}
            (None, _) => self.listening[host] = self.listen(host),
        }
    }

    /// `None` where the socket of a moment ago is not gone yet.
    fn listen(&self, host: usize) -> Option<AbortHandle> {
        let socket = std::net::TcpListener::bind((address(self.port, host), self.port)).ok()?;
        socket.set_nonblocking(true).expect("a socket");
        let socket = TcpListener::from_std(socket).expect("within a runtime");
        let accepting = tokio::spawn(async move {
            loop {
                drop(socket.accept().await);
            }
        });
        Some(accepting.abort_handle())
    }
}

// === impl Moods ===

impl Moods {
    /// How long `address` takes for a request, and whether it fails then.
    pub(super) fn ask(&self, address: SocketAddr, rng: &mut StdRng) -> (Duration, bool) {
        let IpAddr::V4(ip) = address.ip() else {
            return (Duration::ZERO, true);
        };
        let host = usize::from(ip.octets()[3]).saturating_sub(1);
        let mood = self.0.lock().get(host).copied().unwrap_or(Mood::Dead);
        let usual = Duration::from_millis(rng.random_range(5..120));
        match mood {
            Mood::Well => (usual, false),
            Mood::Slow => (usual * 20, false),
            Mood::Gray => (usual / 5, true),
            Mood::Flaky => (usual, rng.random_bool(0.5)),
            Mood::Dead => (Duration::from_millis(1), true),
        }
    }
}
