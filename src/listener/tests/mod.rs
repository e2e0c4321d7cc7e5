//! A listener over real sockets, with a service that answers by path.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    time::timeout,
};

use super::{Bound, Listener, Strain, Wiring};
use crate::{
    config::ListenerPlan,
    fault::{Fault, Kind},
    names::ListenerName,
    proxy::ConnectionFacts,
    telemetry::Telemetry,
};

mod bodies;
mod bounds;
mod drain;
mod http1;
mod http2;
mod leave;
mod proxied;
mod secure;
mod strained;

/// Longer than anything here takes; a test that waits so long has failed.
const CAP: Duration = Duration::from_secs(20);
/// A time-out that a test waits for.
const SOON: Duration = Duration::from_millis(100);

/// A listener and what it told.
struct Subject {
    listener: Listener,
    refused: mpsc::UnboundedReceiver<Fault>,
    /// How many endless answers are held by a client.
    held: watch::Receiver<usize>,
    /// Sends the pieces of `/pieces`.
    pieces: mpsc::UnboundedSender<&'static str>,
    strain: watch::Sender<Strain>,
}

/// What the service shares with the test.
struct Stage {
    held: watch::Sender<usize>,
    pieces: parking_lot::Mutex<Option<mpsc::UnboundedReceiver<&'static str>>>,
}

fn plan() -> ListenerPlan {
    ListenerPlan {
        name: ListenerName::from("web"),
        bind: "127.0.0.1:0".parse().unwrap(),
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        tls: None,
        header_timeout: CAP,
        body_timeout: CAP,
        idle_timeout: CAP,
        tunnel_idle_timeout: CAP,
        max_header_bytes: (32 * 1024).try_into().unwrap(),
        max_connections: None,
    }
}

impl Subject {
    fn start(plan: ListenerPlan) -> Self {
        Self::start_with(plan, None)
    }

    fn start_with(plan: ListenerPlan, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let (held, is_held) = watch::channel(0);
        let (pieces, receiver) = mpsc::unbounded_channel();
        let stage = Arc::new(Stage {
            held,
            pieces: parking_lot::Mutex::new(Some(receiver)),
        });
        let service = tower::service_fn(move |request| answer(Arc::clone(&stage), request));
        let (told, refused) = mpsc::unbounded_channel();
        let (strain, asked) = watch::channel(Strain::None);
        let bound = Bound::bind(&plan.name, plan.bind).unwrap();
        let wiring = Wiring {
            panicked: |_: Box<dyn std::any::Any + Send>| {
                let mut response = Response::new(Body::from("panicked"));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            },
            refused: Arc::new(move |_: &ConnectionFacts, fault| drop(told.send(fault))),
            handles: Telemetry::new().listener(&plan.name),
            strain: asked,
        };
        Self {
            listener: Listener::start(plan, bound, tls, service, wiring),
            refused,
            held: is_held,
            pieces,
            strain,
        }
    }

    async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.listener.address()))
            .await
            .unwrap()
    }

    /// A connection on which `bytes` were sent.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream
    }

    async fn next_refused(&mut self) -> Kind {
        within(self.refused.recv()).await.unwrap().kind
    }

    /// Waits until `count` endless answers are held.
    async fn holds(&mut self, count: usize) {
        within(self.held.wait_for(|held| *held == count))
            .await
            .unwrap();
    }

    /// Waits until no connection is left.
    async fn is_empty(&self) {
        self.is_full(0).await;
    }

    /// Waits until there are `count` connections.
    async fn is_full(&self, count: usize) {
        within(async {
            while self.listener.connections() != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(CAP, future).await.expect("it takes too long")
}

/// All that comes until the other side closes.
async fn rest(mut stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    let ended = within(stream.read_to_end(&mut bytes)).await;
    if let Err(error) = ended {
        assert_ne!(
            error.kind(),
            io::ErrorKind::ConnectionReset,
            "reset after {bytes:?}"
        );
    }
    String::from_utf8(bytes).unwrap()
}

/// What comes until `end` is at its end.
async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = within(stream.read_u8()).await;
        text.push(char::from(
            byte.unwrap_or_else(|error| panic!("{error} after {text:?}")),
        ));
    }
    text
}

async fn answer(stage: Arc<Stage>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let facts = request
        .extensions()
        .get::<Arc<ConnectionFacts>>()
        .cloned()
        .expect("the facts are in every request");
    let body = match request.uri().path() {
        "/echo" => Body::new(request.into_body()),
        "/length" => {
            let all = request.into_body().collect().await.unwrap().to_bytes();
            Body::from(all.len().to_string())
        }
        "/peer" => Body::from(format!(
            "{} {} trusted={} secure={}",
            facts.peer, facts.local, facts.trusted, facts.secure
        )),
        "/early" => {
            let mut refused = Response::new(Body::from("too much"));
            *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(refused);
        }
        "/endless" => Body::new(Endless::new(stage)),
        "/never" => {
            let _held = Endless::new(stage);
            std::future::pending().await
        }
        "/pieces" => Body::new(Pieces(stage.pieces.lock().take().unwrap())),
        "/nothing" => {
            let mut nothing = Response::new(Body::empty());
            *nothing.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(nothing);
        }
        "/panic" => panic!("asked for"),
        _ => Body::from("hello"),
    };
    Ok(Response::new(body))
}

/// An answer without an end, counted while somebody holds it.
struct Endless(Arc<Stage>);

impl Endless {
    fn new(stage: Arc<Stage>) -> Self {
        stage.held.send_modify(|held| *held += 1);
        Self(stage)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&CHUNK)))))
    }
}

/// An answer whose pieces the test sends.
struct Pieces(mpsc::UnboundedReceiver<&'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}
