//! Bodies that do not come or go through for the client's doing, and clients that leave.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidegate::fault::Kind;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::heads::read;
use crate::{
    origin::{Then, scripted},
    scene::{
        Played, Scene,
        Told::{Nothing, Problem},
        gate, route, scene,
    },
    support::{
        client, until,
        upstream::{Upstream, answer},
    },
};

pub const SCENES: &[Scene] = &[
    scene(
        Kind::BodyTooLarge,
        "413 http_request_error/body_too_large client body client",
        Problem,
        || Box::pin(sent("Content-Length: 2000\r\n\r\n", "")),
    ),
    scene(
        Kind::BodyTimeout,
        "408 http_request_error/body_timeout client body client",
        Problem,
        || Box::pin(sent("Content-Length: 20\r\n\r\nhalf", "")),
    ),
    scene(
        Kind::BodyInvalid,
        "400 http_request_error/body client body client",
        Problem,
        || Box::pin(sent("Transfer-Encoding: chunked\r\n\r\n", "no size\r\n")),
    ),
    scene(
        Kind::ReadTimeout,
        "200 connection_write_timeout/slow_reader client body client",
        Nothing,
        || Box::pin(does_not_read()),
    ),
    scene(
        Kind::ReadTimeout,
        "200 connection_write_timeout/slow_reader client body client",
        Nothing,
        || Box::pin(does_not_read_its_stream()),
    ),
    scene(
        Kind::ClientAborted,
        "499 connection_terminated/client_abort client first_byte client",
        Nothing,
        || Box::pin(leaves()),
    ),
];

/// A listener of little patience, and a route of small bodies.
fn config(upstream: &Upstream) -> String {
    const LISTENER: &str =
        "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nbody_timeout = \"200ms\"\n";
    LISTENER.to_owned() + &route(upstream.address, "", "max_body = \"1KiB\"")
}

/// A POST with these fields and `first`, and `later` once the service has its head.
async fn sent(first: &str, later: &str) -> Played {
    let upstream = Upstream::start(|request: Request<hyper::body::Incoming>| async {
        let _ = request.into_body().collect().await;
        answer(200, "ok")
    })
    .await;
    let gate = gate(&config(&upstream)).await;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{first}");
    let reply = if later.is_empty() {
        client::raw(gate.web, head).await
    } else {
        let mut stream = TcpStream::connect(gate.web).await.expect("connected");
        stream.write_all(head.as_bytes()).await.expect("written");
        until("the service has its head", || upstream.requests() == 1).await;
        stream.write_all(later.as_bytes()).await.expect("written");
        let mut answer = String::new();
        let all = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await;
        all.expect("an answer");
        answer
    };
    Played::told(gate, read(&reply))
}

/// A service with much to say.
async fn talkative() -> Upstream {
    let much = Bytes::from(vec![b'x'; 32 * 1024 * 1024]);
    Upstream::start(move |_| {
        let much = much.clone();
        async move { http::Response::new(Full::new(much).boxed_unsync()) }
    })
    .await
}

async fn does_not_read() -> Played {
    let upstream = talkative().await;
    let gate = gate(&config(&upstream)).await;
    let mut stream = TcpStream::connect(gate.web).await.expect("connected");
    let asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(asked).await.expect("written");
    until("it is told of", || faulted(&gate)).await;
    drop(stream);
    Played::nothing(gate)
}

/// The connection goes on, and one stream of it is not read.
async fn does_not_read_its_stream() -> Played {
    let upstream = talkative().await;
    let gate = gate(&config(&upstream)).await;
    let stream = TcpStream::connect(gate.web).await.expect("connected");
    let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::task::spawn(connection);
    let asked = client::request("GET", "/", "");
    let unread = sender.send_request(asked).await.expect("a head");
    until("it is told of", || faulted(&gate)).await;
    drop(unread);
    Played::nothing(gate)
}

/// Whether any fault was counted.
fn faulted(gate: &crate::support::gateway::TestGateway) -> bool {
    let text = gate.gateway.telemetry().render();
    text.lines()
        .any(|line| line.starts_with("tidegate_faults_total{"))
}

async fn leaves() -> Played {
    let address = scripted("", Then::Hang).await;
    let gate = gate(&route(address, "", "")).await;
    let mut stream = TcpStream::connect(gate.web).await.expect("connected");
    let asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(asked).await.expect("written");
    until("it is at the service", || {
        let snapshot = gate.gateway.snapshot();
        let seats = snapshot.upstreams[0].seats.as_slice();
        seats.iter().any(|seat| seat.endpoint.in_flight() == 1)
    })
    .await;
    drop(stream);
    Played::nothing(gate)
}
