//! More than can be done: refusals of admission, and what this process runs short of.

use std::{net::SocketAddr, os::fd::AsRawFd, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate::{
    admission::{Readings, Signals},
    fault::Kind,
};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    origin::{Then, scripted},
    scene::{
        Place, Played, Scene,
        Told::{Grpc, Page, Problem},
        gate, gate_with, route, scene,
    },
    support::{client, until, upstream::Upstream},
};

pub const SCENES: &[Scene] = &[
    scene(
        Kind::RateExceeded,
        "429 http_request_denied/rate_exceeded overload rate tidegate",
        Problem,
        || Box::pin(too_often()),
    ),
    scene(
        Kind::ConcurrencyExceeded,
        "503 connection_limit_reached/concurrency_exceeded overload concurrency tidegate",
        Problem,
        || Box::pin(crowded("max_waiting = 0", 1, ("accept", "*/*"))),
    ),
    scene(
        Kind::QueueFull,
        "503 connection_limit_reached/queue_full overload queue tidegate",
        Page,
        || {
            let queue = "max_waiting = 1, max_wait = \"20s\"";
            Box::pin(crowded(queue, 2, ("accept", "text/html")))
        },
    ),
    scene(
        Kind::QueueTimeout,
        "503 connection_limit_reached/queue_timeout overload queue tidegate",
        Grpc(14),
        || {
            let queue = "max_waiting = 8, max_wait = \"50ms\"";
            Box::pin(crowded(queue, 1, ("content-type", "application/grpc")))
        },
    ),
    scene(
        Kind::DeadlineUnmeetable,
        "503 connection_limit_reached/deadline_unmeetable overload queue tidegate",
        Problem,
        || {
            let queue = "max_waiting = 8, max_wait = \"20s\"";
            Box::pin(crowded(queue, 1, ("x-request-timeout", "100ms")))
        },
    ),
    scene(
        Kind::DeadlinePast,
        "504 http_response_timeout/deadline overload queue tidegate",
        Grpc(4),
        || Box::pin(too_late()),
    ),
    scene(
        Kind::ProcessPressure,
        "503 connection_limit_reached/process_pressure overload accept tidegate",
        Problem,
        || Box::pin(pressed()),
    ),
    scene(
        Kind::DescriptorsExhausted,
        "503 connection_limit_reached/fds overload connect tidegate",
        Problem,
        || Box::pin(no_descriptor()),
    )
    .played_in(Place::Process),
    scene(
        Kind::PortsExhausted,
        "503 connection_limit_reached/ports overload connect tidegate",
        Problem,
        || Box::pin(no_port()),
    )
    .played_in(Place::Network),
];

async fn too_often() -> Played {
    let upstream = Upstream::saying("ok").await;
    let limit = "[[routes.rate_limits]]\nrate = \"1/h\"\nburst = 1\n";
    let gate = gate(&route(upstream.address, "", limit)).await;
    assert_eq!(client::get(gate.web, "/").await.status, 200);
    let reply = client::get(gate.web, "/").await;
    Played::told(gate, reply)
}

/// One place at a service that never answers, and `others` who came before.
async fn crowded(queue: &str, others: u32, field: (&'static str, &'static str)) -> Played {
    let address = scripted("", Then::Hang).await;
    let limit = format!("concurrency = {{ mode = \"fixed\", limit = 1, queue = {{ {queue} }} }}");
    // Who asks for a deadline of its own must be trusted.
    let listener = "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let gate = gate(&(listener.to_owned() + &route(address, &limit, ""))).await;
    let mut before = tokio::task::JoinSet::new();
    for _ in 0..others {
        before.spawn(client::get(gate.web, "/"));
    }
    until("the others are inside or wait", || {
        let view = gate.gateway.snapshot().upstreams[0].gate.view();
        view.in_flight + view.waiting == others
    })
    .await;
    let mut request = client::request("POST", "/", "");
    let (name, value) = field;
    let value = http::HeaderValue::from_static(value);
    request.headers_mut().insert(name, value);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

async fn too_late() -> Played {
    let upstream = Upstream::saying("ok").await;
    let gate = gate(&route(upstream.address, "", "")).await;
    let mut request = client::request("POST", "/", "");
    let headers = request.headers_mut();
    for (name, value) in [("content-type", "application/grpc"), ("grpc-timeout", "1n")] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

/// A process whose memory is nearly full.
struct Full;

impl Signals for Full {
    fn read(&mut self) -> Readings {
        Readings {
            memory: Some(0.95),
            ..Readings::default()
        }
    }
}

/// A process that is well, whatever the system says.
struct Well;

impl Signals for Well {
    fn read(&mut self) -> Readings {
        Readings::default()
    }
}

async fn pressed() -> Played {
    let upstream = Upstream::saying("ok").await;
    let gate = gate_with(&route(upstream.address, "", ""), Full).await;
    let rising = async {
        while gate.metric("tidegate_pressure_level").await < 3.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let risen = tokio::time::timeout(client::GENEROUS, rising).await;
    assert!(risen.is_ok(), "the level never rose");
    let reply = client::get(gate.web, "/").await;
    Played::told(gate, reply)
}

/// A route that the gateway answers itself, beside the one that is asked.
fn with_own_answer(address: SocketAddr) -> String {
    const OWN: &str = "[[routes]]\nname = \"own\"\npath = \"/own\"\nrespond = { status = 200 }\n";
    route(address, "", "path_prefix = \"/app\"") + OWN
}

async fn no_descriptor() -> Played {
    let upstream = Upstream::saying("ok").await;
    let gate = gate_with(&with_own_answer(upstream.address), Well).await;
    let mut sender = client::connect(gate.web).await.expect("connected");
    let own = client::exchange(&mut sender, client::request("GET", "/own", "")).await;
    assert_eq!(own.expect("an answer").status, 200); // the gateway has taken the connection
    let before = getrlimit(Resource::Nofile);
    let next = std::fs::File::open("/dev/null")
        .expect("a descriptor")
        .as_raw_fd();
    let none_left = Rlimit {
        current: Some(u64::try_from(next).expect("a descriptor")),
        maximum: before.maximum,
    };
    setrlimit(Resource::Nofile, none_left).expect("a lower limit");
    let reply = client::exchange(&mut sender, client::request("GET", "/app", "")).await;
    setrlimit(Resource::Nofile, before).expect("the limit as it was");
    Played::told(gate, reply.expect("an answer"))
}

/// Takes every port towards the service. In a network of its own, since all of a host share them.
async fn no_port() -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let gate = gate_with(&with_own_answer(address), Well).await;
    let few = "50000 50003";
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", few).expect("fewer ports");
    let mut taken = Vec::new();
    let error = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => taken.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::AddrNotAvailable,
        "{error}"
    );
    // Towards the gateway they are free.
    let reply = client::get(gate.web, "/app").await;
    Played::told(gate, reply)
}
