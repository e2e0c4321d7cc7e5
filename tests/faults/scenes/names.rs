//! Names of services that do not lead to an address.

use hickory_proto::op::ResponseCode;
use tidegate::fault::Kind;

use crate::{
    scene::{
        Played, Scene,
        Told::{Page, Problem},
        gate, scene,
    },
    support::{
        client,
        dns::{DnsServer, Reply},
        gateway::TestGateway,
        until,
    },
};

const NAME: &str = "shop.internal";

pub const SCENES: &[Scene] = &[
    scene(
        Kind::NameNotFound,
        "503 dns_error/nxdomain dns resolve network",
        Page,
        || {
            Box::pin(never(
                Kind::NameNotFound,
                Reply::Code(ResponseCode::NXDomain),
            ))
        },
    ),
    scene(
        Kind::NameServerFailed,
        "503 dns_error/servfail dns resolve network",
        Problem,
        || {
            Box::pin(never(
                Kind::NameServerFailed,
                Reply::Code(ResponseCode::ServFail),
            ))
        },
    ),
    scene(
        Kind::NameEmpty,
        "503 dns_error/no_address dns resolve network",
        Problem,
        || Box::pin(never(Kind::NameEmpty, Reply::Empty)),
    ),
    scene(
        Kind::NameUnresolved,
        "503 dns_error/never_resolved dns resolve network",
        Problem,
        || {
            Box::pin(never(
                Kind::NameUnresolved,
                Reply::Code(ResponseCode::Refused),
            ))
        },
    ),
    scene(
        Kind::NameUnresolvedTimeout,
        "503 dns_timeout/never_resolved dns resolve network",
        Problem,
        || Box::pin(never(Kind::NameUnresolvedTimeout, Reply::Silent)),
    ),
    scene(
        Kind::AddressProhibited,
        "502 destination_ip_prohibited/address_prohibited dns resolve tidegate",
        Problem,
        || {
            Box::pin(never(
                Kind::AddressProhibited,
                Reply::addresses(["169.254.169.254"], 1),
            ))
        },
    ),
    scene(
        Kind::NameGone,
        "502 dns_error/gone dns resolve network",
        Problem,
        || Box::pin(no_more(Kind::NameGone, Reply::Code(ResponseCode::NXDomain))),
    ),
    scene(
        Kind::NameEmptied,
        "502 dns_error/emptied dns resolve network",
        Problem,
        || Box::pin(no_more(Kind::NameEmptied, Reply::Empty)),
    ),
    scene(
        Kind::NameStale,
        "502 dns_error/stale dns resolve network",
        Problem,
        || {
            Box::pin(no_more(
                Kind::NameStale,
                Reply::Code(ResponseCode::ServFail),
            ))
        },
    ),
    scene(
        Kind::NameStaleTimeout,
        "504 dns_timeout/stale dns resolve network",
        Problem,
        || Box::pin(no_more(Kind::NameStaleTimeout, Reply::Silent)),
    ),
];

async fn gate_that_asks(dns: &DnsServer) -> TestGateway {
    gate(&format!(
        "[dns]\nservers = [\"{}\"]\nmin_ttl = \"100ms\"\nmax_stale = \"100ms\"\nhold = \"0s\"\ngone_after = 1\n\
         [upstreams.up]\nendpoints = [{{ dns = \"{NAME}:80\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        dns.address()
    ))
    .await
}

/// The name server has never said anything else.
async fn never(kind: Kind, reply: Reply) -> Played {
    let dns = DnsServer::start().await;
    dns.says(NAME, reply);
    let gate = gate_that_asks(&dns).await;
    asked(gate, kind).await
}

/// The name had an address, and then the name server says this.
async fn no_more(kind: Kind, reply: Reply) -> Played {
    let dns = DnsServer::start().await;
    dns.says(NAME, Reply::addresses(["192.0.2.77"], 1));
    let gate = gate_that_asks(&dns).await;
    until("it has its address", || {
        let snapshot = gate.gateway.snapshot();
        !snapshot.upstreams[0].seats.as_slice().is_empty()
    })
    .await;
    dns.says(NAME, reply);
    asked(gate, kind).await
}

async fn asked(gate: TestGateway, kind: Kind) -> Played {
    until("the name is known to be so", || {
        let snapshot = gate.gateway.snapshot();
        let upstream = &snapshot.upstreams[0];
        let named = upstream.unresolved();
        upstream.seats.as_slice().is_empty()
            && named.is_some_and(|named| named.answer.fault() == Some(kind))
    })
    .await;
    let mut request = client::request("GET", "/", "");
    let accept = if kind == Kind::NameNotFound {
        "text/html"
    } else {
        "*/*"
    };
    let accept = http::HeaderValue::from_static(accept);
    request.headers_mut().insert("accept", accept);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}
