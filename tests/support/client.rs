//! Clients: one that speaks HTTP, and one that writes bytes.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::task::TaskTracker;

/// Longer than anything that works takes, even on a busy machine.
pub const GENEROUS: Duration = Duration::from_secs(20);

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// `GET path` on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, request("GET", path, "")).await
}

/// `GET path` of the admin pages, which answer to their own host only.
pub async fn admin(address: SocketAddr, path: &str) -> Reply {
    let request = Request::get(path).header("host", address.to_string());
    send(address, request.body(Full::default()).expect("a request")).await
}

/// A request with `Host: test`.
pub fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "test")
        .body(Full::from(body))
        .expect("a request")
}

/// Sends over HTTP/1.1 on a connection of its own.
pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    try_send(address, request).await.expect("an answer")
}

/// The same, where failing is a possibility.
pub async fn try_send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Reply, hyper::Error> {
    let mut sender = connect(address).await?;
    exchange(&mut sender, request).await
}

/// An HTTP/1.1 connection.
pub async fn connect(address: SocketAddr) -> Result<http1::SendRequest<Full<Bytes>>, hyper::Error> {
    let stream = TcpStream::connect(address).await.expect("connected");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    TaskTracker::new().spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// One exchange on a connection.
pub async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Reply, hyper::Error> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    whole(response).await
}

/// Sends over HTTP/2 with prior knowledge, on a connection of its own.
pub async fn send_h2(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Reply, hyper::Error> {
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    TaskTracker::new().spawn(async move {
        let _ = connection.await;
    });
    whole(sender.send_request(request).await?).await
}

/// Reads an answer to its end.
pub async fn whole(response: http::Response<hyper::body::Incoming>) -> Result<Reply, hyper::Error> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body: collected.to_bytes(),
        trailers,
    })
}

/// Writes `bytes` on a connection of its own and reads until the other side closes it.
pub async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(bytes.as_ref()).await.expect("written");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(GENEROUS, stream.read_to_end(&mut answer)).await;
    assert!(
        read.is_ok(),
        "the connection stayed open after {:?}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}
