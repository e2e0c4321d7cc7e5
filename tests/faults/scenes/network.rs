//! Endpoints to which no connection can be made.

use std::{net::SocketAddr, time::Duration};

use socket2::{Domain, Socket, Type};
use tidegate::fault::Kind;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    origin::nobody,
    scene::{
        Place, Played, Scene,
        Told::{Page, Problem},
        gate, route, scene,
    },
    support::client,
};

pub const SCENES: &[Scene] = &[
    scene(
        Kind::ConnectRefused,
        "502 connection_refused/- network connect upstream",
        Page,
        || Box::pin(async { towards(nobody().await, "text/html").await }),
    ),
    // A net of its own has a route that says so; elsewhere it depends on who lives beside this host.
    scene(
        Kind::HostUnreachable,
        "502 destination_ip_unroutable/host network connect network",
        Problem,
        || Box::pin(towards(([198, 51, 100, 7], 80).into(), "*/*")),
    )
    .played_in(Place::Network),
    // TCP has no way to a group, on any host.
    scene(
        Kind::NetUnreachable,
        "502 destination_ip_unroutable/net network connect network",
        Problem,
        || Box::pin(towards(([224, 0, 0, 1], 80).into(), "*/*")),
    ),
    // A host without IPv6 has no address to come from, which the system tells by the error of a want of ports.
    scene(
        Kind::NetUnreachable,
        "502 destination_ip_unroutable/net network connect network",
        Problem,
        || Box::pin(without_ipv6()),
    )
    .played_in(Place::Network),
    scene(
        Kind::ConnectTimeout,
        "504 connection_timeout/filtered network connect network",
        Problem,
        || Box::pin(swallowed()),
    ),
    // Without a device's name behind it, such an address is not one that can be connected to.
    scene(
        Kind::ConnectFailed,
        "502 connection_terminated/connect network connect network",
        Problem,
        || Box::pin(towards("[fe80::1]:80".parse().expect("an address"), "*/*")),
    ),
];

async fn towards(address: SocketAddr, accept: &'static str) -> Played {
    let gate = gate(&route(address, "", "")).await;
    let mut request = client::request("GET", "/", "");
    let accept = http::HeaderValue::from_static(accept);
    request.headers_mut().insert("accept", accept);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

async fn without_ipv6() -> Played {
    let off = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
    std::fs::write(off, "1").expect("it can be turned off");
    towards("[::1]:80".parse().expect("an address"), "*/*").await
}

/// The backlog is full with what nobody accepts; the system drops what comes besides, as a firewall would.
async fn swallowed() -> Played {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("it listens");
    let address = socket
        .local_addr()
        .expect("bound")
        .as_socket()
        .expect("of IP");
    let mut waiting = Vec::new();
    let short = Duration::from_millis(200);
    while let Ok(stream) = timeout(short, TcpStream::connect(address)).await {
        waiting.push(stream.expect("a place in the backlog"));
    }
    let gate = gate(&route(address, "connect_timeout = \"200ms\"", "")).await;
    let reply = client::get(gate.web, "/").await;
    Played::told(gate, reply)
}
