//! A service whose manners change while it runs.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::ServerConfig;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Well, after this time.
    Well(Duration),
    /// With an error of its own.
    Error,
    /// With an error on paths that begin so; well elsewhere.
    ErrorOn(&'static str),
    /// Never.
    Hang,
    /// With a reset.
    Reset,
    /// With a close.
    Close,
    /// With half of what it announces.
    Cut,
    /// With something that is not HTTP.
    Garbage,
    /// Well on a new connection, with a close on one that has served.
    CloseRested,
}

/// Pending connections that fit.
const BACKLOG: i32 = 16;
/// Far shorter than a gateway waits for a connection, far longer than one takes on this host.
const A_MOMENT: Duration = Duration::from_millis(50);

/// One process of a service.
pub struct Server {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    tls: Option<Arc<Mutex<Arc<ServerConfig>>>>,
    stop: CancellationToken,
    /// What fills the backlog, where nothing is to come through.
    plug: Vec<TcpStream>,
    plugged: Option<TcpListener>,
}

// === impl Server ===

impl Server {
    pub fn start(manner: Manner, tls: Option<Arc<ServerConfig>>) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), manner, tls)
    }

    pub fn start_at(address: SocketAddr, manner: Manner, tls: Option<Arc<ServerConfig>>) -> Self {
        let mut server = Self {
            address,
            manner: Arc::new(Mutex::new(manner)),
            tls: tls.map(|tls| Arc::new(Mutex::new(tls))),
            stop: CancellationToken::new(),
            plug: Vec::new(),
            plugged: None,
        };
        server.listen();
        server
    }

    /// From now on it answers so.
    pub fn turns(&self, manner: Manner) {
        *self.manner.lock() = manner;
    }

    /// From now on it shows this certificate.
    pub fn shows(&self, config: Arc<ServerConfig>) {
        *self.tls.as_ref().expect("it speaks TLS").lock() = config;
    }

    /// Ends, with all connections.
    pub fn goes_down(&mut self) {
        self.stop.cancel();
    }

    /// Starts again, at the same address.
    pub async fn comes_up(&mut self, manner: Manner) {
        sleep(A_MOMENT).await; // the old listener closes where its task ends
        self.turns(manner);
        self.stop = CancellationToken::new();
        self.listen();
    }

    /// From now on no packet is answered: connections end, and new ones wait in a backlog that is full.
    pub async fn goes_dark(&mut self) {
        self.goes_down();
        sleep(A_MOMENT).await;
        self.plugged = Some(bind(self.address).expect("its port again"));
        while let Ok(stream) = timeout(A_MOMENT, TcpStream::connect(self.address)).await {
            self.plug.push(stream.expect("a place in the backlog"));
        }
    }

    fn listen(&mut self) {
        let listener = bind(self.address).expect("a port");
        self.address = listener.local_addr().expect("an address");
        let (stop, manner, tls) = (
            self.stop.clone(),
            Arc::clone(&self.manner),
            self.tls.clone(),
        );
        let tasks = TaskTracker::new();
        let inner = tasks.clone();
        tasks.spawn(async move {
            loop {
                let stream = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted.expect("accepted").0,
                };
                let (stop, manner, tls) = (stop.clone(), Arc::clone(&manner), tls.clone());
                inner.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = serve_one(stream, &manner, tls) => {}
                    }
                });
            }
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn serve_one(
    stream: TcpStream,
    manner: &Mutex<Manner>,
    tls: Option<Arc<Mutex<Arc<ServerConfig>>>>,
) -> io::Result<()> {
    let socket = SockRef::from(&stream).try_clone()?;
    match tls {
        None => serve(stream, &socket, manner).await,
        Some(config) => {
            let config = Arc::clone(&config.lock());
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            serve(stream, &socket, manner).await
        }
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    socket: &Socket,
    manner: &Mutex<Manner>,
) -> io::Result<()> {
    const WELL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const ERROR: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno";
    for served in 0.. {
        let Some(path) = request(&mut stream).await? else {
            return Ok(());
        };
        let manner = *manner.lock();
        match manner {
            Manner::Well(time) => {
                sleep(time).await;
                stream.write_all(WELL).await?;
            }
            Manner::ErrorOn(prefix) if path.starts_with(prefix) => stream.write_all(ERROR).await?,
            Manner::ErrorOn(_) => stream.write_all(WELL).await?,
            Manner::Error => stream.write_all(ERROR).await?,
            Manner::CloseRested if served == 0 => stream.write_all(WELL).await?,
            Manner::CloseRested | Manner::Close => return Ok(()),
            Manner::Hang => std::future::pending().await,
            Manner::Reset => return socket.set_linger(Some(Duration::ZERO)),
            Manner::Cut => {
                let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
                return stream.write_all(half).await;
            }
            Manner::Garbage => return stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await,
        }
    }
    Ok(())
}

/// The path of the next request, once its body was read; `None` at the end of the connection.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let path = text.split(' ').nth(1).unwrap_or_default();
    Ok(Some(path.to_owned()))
}
