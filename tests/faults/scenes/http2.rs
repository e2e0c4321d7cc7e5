//! Services that speak HTTP/2 and end it in a wrong way.

use tidegate::fault::Kind;

use crate::{
    origin::framing,
    scene::{
        Played, Scene,
        Told::{Grpc, Problem},
        gate, route, scene,
    },
    support::client,
};

// Frames: three bytes of length, the type, flags, four bytes of the stream, and what the type has.
const REFUSED: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
const FAILED: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];
const GOES_AWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// DATA that belongs to no stream.
const NO_STREAM: [u8; 10] = [0, 0, 1, 0, 0, 0, 0, 0, 0, b'x'];

pub const SCENES: &[Scene] = &[
    scene(
        Kind::StreamRefused,
        "502 connection_terminated/stream_refused communication first_byte upstream",
        Problem,
        || Box::pin(framed(&REFUSED, "text/plain")),
    ),
    scene(
        Kind::StreamReset,
        "502 connection_terminated/stream_reset communication first_byte upstream",
        Grpc(14),
        || Box::pin(framed(&FAILED, "application/grpc")),
    ),
    scene(
        Kind::GoneAway,
        "502 connection_terminated/goaway communication first_byte upstream",
        Problem,
        || Box::pin(framed(&GOES_AWAY, "text/plain")),
    ),
    scene(
        Kind::Http2Broken,
        "502 http_protocol_error/http2 communication first_byte upstream",
        Problem,
        || Box::pin(framed(&NO_STREAM, "text/plain")),
    ),
];

/// The service writes `frames` once the request has come.
async fn framed(frames: &'static [u8], kind: &'static str) -> Played {
    let address = framing(frames).await;
    let gate = gate(&route(address, "protocol = \"h2\"", "")).await;
    let mut request = client::request("POST", "/", "");
    let kind = http::HeaderValue::from_static(kind);
    request.headers_mut().insert("content-type", kind);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}
