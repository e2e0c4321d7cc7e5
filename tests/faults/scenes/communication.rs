//! Services that speak HTTP/1 and end it in a wrong way.

use tidegate::fault::Kind;
use tokio::io::AsyncWriteExt;

use crate::{
    origin::{Then, on_each, read_head, scripted},
    scene::{
        Played, Scene,
        Told::{Cut, Page, Problem},
        gate, route, scene,
    },
    support::{client, until},
};

const HALF_A_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Le";
const HALF_A_BODY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";

pub const SCENES: &[Scene] = &[
    scene(
        Kind::ConnectionReset,
        "502 connection_terminated/reset communication first_byte upstream",
        Problem,
        || Box::pin(answered("", Then::Reset)),
    ),
    scene(
        Kind::HeadReset,
        "502 connection_terminated/reset_in_head communication first_byte upstream",
        Problem,
        || Box::pin(answered(HALF_A_HEAD, Then::Reset)),
    ),
    scene(
        Kind::ConnectionClosed,
        "502 connection_terminated/closed communication first_byte upstream",
        Problem,
        || Box::pin(answered("", Then::Close)),
    ),
    scene(
        Kind::KeepAliveRace,
        "502 connection_terminated/closed_idle communication first_byte upstream",
        Problem,
        || Box::pin(crossed()),
    ),
    scene(
        Kind::ResponseInvalid,
        "502 http_protocol_error/- communication first_byte upstream",
        Problem,
        || Box::pin(answered("SSH-2.0-OpenSSH_9.6\r\n\r\n", Then::Close)),
    ),
    scene(
        Kind::ResponseHeadTooLarge,
        "502 http_response_header_section_size/- communication first_byte upstream",
        Problem,
        || {
            let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(70 * 1024));
            Box::pin(async move { answered(&long, Then::Close).await })
        },
    ),
    scene(
        Kind::HeadIncomplete,
        "502 http_response_incomplete/head communication first_byte upstream",
        Problem,
        || Box::pin(answered(HALF_A_HEAD, Then::Close)),
    ),
    scene(
        Kind::ResponseIncomplete,
        "200 http_response_incomplete/- communication body upstream",
        Cut,
        || Box::pin(cut(HALF_A_BODY, Then::Close)),
    ),
    scene(
        Kind::BodyReset,
        "200 http_response_incomplete/reset_in_body communication body upstream",
        Cut,
        || Box::pin(cut(HALF_A_BODY, Then::Reset)),
    ),
    scene(
        Kind::BodyMalformed,
        "200 http_protocol_error/body communication body upstream",
        Cut,
        || {
            let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n";
            Box::pin(cut(broken, Then::Hang))
        },
    ),
    scene(
        Kind::UpgradeFailed,
        "502 http_upgrade_failed/- communication upgrade upstream",
        Page,
        || {
            let unasked =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n";
            Box::pin(answered(unasked, Then::Hang))
        },
    ),
];

/// The service writes `bytes`, and then does the rest.
async fn answered(bytes: &str, then: Then) -> Played {
    let page = bytes.contains("Upgrade: other");
    let address = scripted(bytes, then).await;
    let gate = gate(&route(address, "", "")).await;
    let mut request = client::request("GET", "/", "");
    let accept = if page { "text/html" } else { "*/*" };
    let accept = http::HeaderValue::from_static(accept);
    request.headers_mut().insert("accept", accept);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

/// The same, where the answer's head is good.
async fn cut(bytes: &'static str, then: Then) -> Played {
    let address = scripted(bytes, then).await;
    let gate = gate(&route(address, "", "")).await;
    let cut = client::try_send(gate.web, client::request("GET", "/", "")).await;
    assert!(cut.is_err(), "half an answer looks whole: {cut:?}");
    Played::cut(gate)
}

/// The service answers once on a connection, and closes it as the next request comes.
async fn crossed() -> Played {
    let address = on_each(|mut stream, _| async move {
        if read_head(&mut stream).await.is_some() {
            let fine = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let _ = stream.write_all(fine).await;
            read_head(&mut stream).await;
        }
    })
    .await;
    let gate = gate(&route(address, "", "")).await;
    assert_eq!(client::get(gate.web, "/").await.status, 200);
    until("the connection rests", || {
        let snapshot = gate.gateway.snapshot();
        let seat = &snapshot.upstreams[0].seats.as_slice()[0];
        seat.endpoint.connections.count() == (1, 0)
    })
    .await;
    let reply = client::get(gate.web, "/").await;
    Played::told(gate, reply)
}
