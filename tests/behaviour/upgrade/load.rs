//! Clients that go on through upgrades, and remember every failure.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    client::{self, GENEROUS},
    until,
    upstream::{Answer, Upstream, answer},
};

/// Clients with kept connections, and clients that connect for each request.
const KEPT: usize = 4;
const NEW: usize = 2;
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(3);

/// See the module.
pub struct Load {
    answered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    clients: Vec<JoinHandle<()>>,
}

/// One client.
struct Client {
    to: SocketAddr,
    answered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
}

impl Load {
    pub fn start(to: SocketAddr) -> Self {
        let (answered, failed) = (Arc::default(), Arc::default());
        let stop = CancellationToken::new();
        let clients = (0..KEPT + NEW).map(|index| {
            let client = Client {
                to,
                answered: Arc::clone(&answered),
                failed: Arc::clone(&failed),
                stop: stop.clone(),
            };
            tokio::task::spawn(client.ask(index < KEPT))
        });
        let clients = clients.collect();
        Self {
            answered,
            failed,
            stop,
            clients,
        }
    }

    /// Waits for more answers.
    pub async fn goes_on(&self) {
        let wanted = self.answered.load(Ordering::Relaxed) + 50;
        let more = || self.answered.load(Ordering::Relaxed) >= wanted;
        until("more is answered", more).await;
    }

    /// Ends it, and says what failed.
    pub async fn stop(self) -> Vec<String> {
        self.stop.cancel();
        for client in self.clients {
            timeout(GENEROUS, client)
                .await
                .expect("a client hangs")
                .expect("no panic");
        }
        let failed = self.failed.lock();
        failed.clone()
    }
}

impl Client {
    async fn ask(self, keeps: bool) {
        let mut kept = None;
        while !self.stop.is_cancelled() {
            match self.once(&mut kept).await {
                Ok(()) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(why) => {
                    kept = None;
                    self.failed.lock().push(why);
                }
            }
            if !keeps {
                kept = None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One request, on the connection that is there or a new one. One that is to be the last of its connection is.
    async fn once(&self, kept: &mut Option<SendRequest<Full<Bytes>>>) -> Result<(), String> {
        let mut sender = match kept.take() {
            Some(sender) => sender,
            None => connect(self.to).await?,
        };
        let request = client::request("GET", "/", "");
        let reply = client::exchange(&mut sender, request).await;
        let reply = reply.map_err(|error| format!("{error:?}"))?;
        if reply.status != StatusCode::OK {
            return Err(format!("{} {}", reply.status, reply.header("proxy-status")));
        }
        if reply.header("connection") != "close" {
            *kept = Some(sender);
        }
        Ok(())
    }
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(to).await;
    let stream = stream.map_err(|error| format!("not connected: {error}"))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| format!("{error:?}"))?;
    tokio::task::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// An upstream that says `ok`, and echoes what tunnels send.
pub async fn echoing() -> Upstream {
    Upstream::start(|mut request| async move {
        if !request.headers().contains_key(header::UPGRADE) {
            return answer(200, "ok");
        }
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::task::spawn(async move {
            let tunnel = upgrade.await.expect("a tunnel");
            let (mut from, mut to) = tokio::io::split(TokioIo::new(tunnel));
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
        let head = http::Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket");
        let head: Answer = head
            .body(Full::default().boxed_unsync())
            .expect("an answer");
        head
    })
    .await
}

/// A WebSocket, as far as a gateway sees one.
pub struct Tunnel(TcpStream);

impl Tunnel {
    pub async fn open(to: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(to).await.expect("connected");
        let head = "GET /chat HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let byte = timeout(GENEROUS, stream.read_u8()).await;
            answer.push(byte.expect("an answer").expect("a byte"));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{answer:?}");
        Self(stream)
    }

    /// Sends some bytes, and waits until they are back.
    pub async fn echoes(&mut self) {
        self.0.write_all(b"hello").await.expect("written");
        let mut back = [0; 5];
        let read = timeout(GENEROUS, self.0.read_exact(&mut back)).await;
        read.expect("an echo").expect("read");
        assert_eq!(&back, b"hello");
    }

    /// Waits until the gateway ends it.
    pub async fn ends(mut self) {
        let mut rest = Vec::new();
        let read = timeout(GENEROUS, self.0.read_to_end(&mut rest)).await;
        // By a reset too.
        drop(read.expect("the tunnel is still open"));
    }
}
