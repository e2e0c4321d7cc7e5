//! Services that can be reached and do not do their work.

use tidegate::fault::Kind;
use tokio::time::Instant;

use crate::{
    origin::{Then, scripted},
    scene::{
        Played, Scene,
        Told::{Cut, Grpc, Problem},
        gate, route, scene,
    },
    support::{
        client, until,
        upstream::{Upstream, answer},
    },
};

pub const SCENES: &[Scene] = &[
    scene(
        Kind::NoEndpoint,
        "503 destination_unavailable/no_endpoint application pick upstream",
        Problem,
        || Box::pin(all_out()),
    ),
    scene(
        Kind::FirstByteTimeout,
        "504 http_response_timeout/first_byte_timeout application first_byte upstream",
        Problem,
        || Box::pin(silent("first_byte_timeout = \"100ms\"", "", "text/plain")),
    ),
    scene(
        Kind::RequestTimeout,
        "504 http_response_timeout/timeout application first_byte upstream",
        Grpc(4),
        || Box::pin(silent("", "timeout = \"100ms\"", "application/grpc")),
    ),
    scene(
        Kind::ResponseStalled,
        "200 connection_read_timeout/stalled application body upstream",
        Cut,
        || Box::pin(stalls()),
    ),
];

async fn all_out() -> Played {
    let upstream = Upstream::start(|_| async { answer(500, "no") }).await;
    let health = "[upstreams.up.health]\npath = \"/\"\ninterval = \"1s\"";
    let gate = gate(&route(upstream.address, health, "")).await;
    until("its check has failed", || {
        let snapshot = gate.gateway.snapshot();
        let mut seats = snapshot.upstreams[0].seats.as_slice().iter();
        seats.all(|seat| !seat.endpoint.health.can_serve(Instant::now()))
    })
    .await;
    let reply = client::get(gate.web, "/").await;
    let id = reply.header("x-request-id");
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    let why = format!("{}: out", upstream.address);
    assert!(
        told.text().contains(&why),
        "why it is out is told: {told:?}"
    );
    Played::told(gate, reply)
}

async fn silent(of_upstream: &str, of_route: &str, kind: &'static str) -> Played {
    let address = scripted("", Then::Hang).await;
    let gate = gate(&route(address, of_upstream, of_route)).await;
    let mut request = client::request("POST", "/", "");
    let kind = http::HeaderValue::from_static(kind);
    request.headers_mut().insert("content-type", kind);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

async fn stalls() -> Played {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let address = scripted(half, Then::Hang).await;
    let listener =
        "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nbody_timeout = \"200ms\"\n";
    let gate = gate(&(listener.to_owned() + &route(address, "", ""))).await;
    let cut = client::try_send(gate.web, client::request("GET", "/", "")).await;
    assert!(cut.is_err(), "half an answer looks whole: {cut:?}");
    Played::cut(gate)
}
