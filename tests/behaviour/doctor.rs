//! The doctor over real sockets: where the road ends is told, and by what.

mod secure;

use std::{net::SocketAddr, path::Path, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tidegate::{
    config::{self, Loaded},
    doctor::{
        Bounds, Code, Finding, Mark, NoSuchTarget, Practice, Progress, Report, Stage, examine,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};
use tokio_util::task::TaskTracker;

use crate::support::{
    client::{self, GENEROUS},
    dns::{DnsServer, Reply},
    gateway::{TestGateway, complete},
    until,
    upstream::{Answer, Upstream, answer},
};

/// Long enough to see a connection close that is closed at once, short enough to wait for.
const IDLE: Duration = Duration::from_millis(300);

fn loaded(toml: &str) -> Loaded {
    let parsed = config::parse(&complete(toml), Path::new("tidegate.toml"));
    parsed.unwrap_or_else(|errors| panic!("{errors}"))
}

async fn examined(loaded: &Loaded, target: Option<&str>, idle: Duration) -> Report {
    let visit = Practice::of_file(loaded).visit(target).expect("a target");
    let bounds = Bounds {
        idle,
        until: Instant::now() + GENEROUS,
        machine: None,
    };
    examine(&visit, &bounds, &Progress::default()).await
}

/// A file of one upstream, `up`, at `address`.
fn of(address: SocketAddr, more: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n{more}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n"
    )
}

async fn of_up(address: SocketAddr, more: &str) -> Report {
    examined(&loaded(&of(address, more)), Some("up"), IDLE).await
}

/// The one finding of a stage.
#[track_caller]
fn at(report: &Report, stage: Stage) -> &Finding {
    let findings = report.sections.iter().flat_map(|it| &it.findings);
    let mut found = findings.filter(|it| it.stage == stage);
    let one = found.next();
    one.unwrap_or_else(|| panic!("nothing of {stage} in {report:#?}"))
}

fn has(report: &Report, stage: Stage) -> bool {
    let mut findings = report.sections.iter().flat_map(|it| &it.findings);
    findings.any(|it| it.stage == stage)
}

#[tokio::test]
async fn a_healthy_upstream_is_well_at_every_step() {
    let upstream = Upstream::saying("ok").await;
    let report = of_up(upstream.address, "").await;
    assert_eq!(report.mark, Mark::Ok, "{report:#?}");
    for stage in [
        Stage::Way,
        Stage::Connect,
        Stage::Http,
        Stage::KeepAlive,
        Stage::Clock,
    ] {
        assert_eq!(at(&report, stage).mark, Mark::Ok, "{stage}");
    }
    assert_eq!(
        at(&report, Stage::Http).says,
        "GET / answers 200 over HTTP/1.1"
    );
    assert!(at(&report, Stage::Connect).took_ms.is_some());
    assert!(!has(&report, Stage::Tls) && !has(&report, Stage::Resolve));
}

#[tokio::test]
async fn refused_is_told_and_the_road_ends_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = of_up(address, "").await;
    let found = at(&report, Stage::Connect);
    assert_eq!((report.mark, found.code), (Mark::Bad, Code::Refused));
    assert!(!has(&report, Stage::Http) && !has(&report, Stage::Hops));
}

#[tokio::test]
async fn filtered_is_told_from_refused_and_hops_are_counted_where_any_router_answers() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Its queue is filled with what nobody accepts; then the kernel swallows whoever asks.
    let mut waiting = Vec::new();
    let soon = Duration::from_millis(200);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, soon) {
        waiting.push(stream);
    }
    let report = of_up(address, "connect_timeout = \"200ms\"").await;
    let found = at(&report, Stage::Connect);
    assert_eq!(
        (found.mark, found.code),
        (Mark::Bad, Code::Filtered),
        "{report:#?}"
    );
    assert!(
        found.says.contains("no answer within 200.0 ms"),
        "{}",
        found.says
    );
    assert_eq!(
        at(&report, Stage::Hops).mark,
        Mark::Skipped,
        "no router is on the way"
    );
}

#[tokio::test]
async fn a_way_that_the_system_does_not_have_is_unreachable() {
    // No connection leads to a group of hosts, on whatever network this runs.
    let report = of_up("224.0.0.1:9".parse().unwrap(), "").await;
    let found = at(&report, Stage::Connect);
    assert_eq!((found.mark, found.code), (Mark::Bad, Code::NetUnreachable));
}

#[tokio::test]
async fn the_check_is_asked_as_configured() {
    let upstream = Upstream::start(|request: Request<_>| async move {
        let status = if request.uri().path() == "/healthz" {
            500
        } else {
            200
        };
        answer(status, "")
    })
    .await;
    let health = "[upstreams.up.health]\npath = \"/healthz\"";
    let report = of_up(upstream.address, health).await;
    let found = at(&report, Stage::Http);
    assert_eq!((found.mark, found.code), (Mark::Bad, Code::CheckFailed));
    assert!(
        found.says.starts_with("GET /healthz answers 500"),
        "{}",
        found.says
    );
    let report = of_up(
        upstream.address,
        &format!("{health}\nexpected_statuses = [500]"),
    )
    .await;
    assert_eq!(at(&report, Stage::Http).mark, Mark::Ok, "{report:#?}");
}

fn with(name: &'static str, value: &'static str) -> Answer {
    Response::builder()
        .header(name, value)
        .body(Full::from("ok").boxed_unsync())
        .unwrap()
}

#[tokio::test]
async fn a_service_that_says_it_closes_before_us_is_warned_of() {
    let upstream = Upstream::start(|_| async { with("keep-alive", "timeout=5") }).await;
    let report = of_up(upstream.address, "").await;
    let found = at(&report, Stage::KeepAlive);
    assert_eq!((found.mark, found.code), (Mark::Warn, Code::ClosesFirst));
    assert_eq!(
        found.says,
        "the service says that it closes resting connections after 5 s; we reuse them for 60 s"
    );
    let report = of_up(upstream.address, "idle_timeout = \"4s\"").await;
    assert_eq!(at(&report, Stage::KeepAlive).mark, Mark::Ok);
}

#[tokio::test]
async fn http2_needs_no_idle_time_and_a_port_of_checks_says_nothing_of_it() {
    let upstream = Upstream::saying("ok").await;
    let report = of_up(upstream.address, "protocol = \"h2\"").await;
    assert_eq!(
        at(&report, Stage::Http).says,
        "GET / answers 200 over HTTP/2.0"
    );
    assert!(
        at(&report, Stage::KeepAlive).says.starts_with("HTTP/2"),
        "{report:#?}"
    );
    let other = Upstream::saying("ok").await;
    let port = other.address.port();
    let health = format!("[upstreams.up.health]\npath = \"/up\"\nport = {port}");
    let report = of_up(upstream.address, &health).await;
    assert_eq!(
        at(&report, Stage::Http).says,
        format!("GET /up at port {port} answers 200 over HTTP/1.1")
    );
    assert_eq!(at(&report, Stage::KeepAlive).mark, Mark::Skipped);
}

/// Answers a request, and closes the connection when nothing more comes for `rest`.
async fn impatient(rest: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tasks.spawn(async move {
                let mut head = [0; 4096];
                while let Ok(Ok(1..)) = tokio::time::timeout(rest, stream.read(&mut head)).await {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.ok();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_service_that_closes_resting_connections_without_a_word_is_caught_at_it() {
    let address = impatient(Duration::from_millis(100)).await;
    let long = Duration::from_secs(10);
    let report = examined(&loaded(&of(address, "")), Some("up"), long).await;
    let found = at(&report, Stage::KeepAlive);
    assert_eq!(
        (found.mark, found.code),
        (Mark::Warn, Code::ClosesFirst),
        "{report:#?}"
    );
    assert!(
        found
            .says
            .starts_with("the service closed a resting connection after")
    );
    assert!(report.took_ms < 9_000.0, "it does not wait on: {report:#?}");
    assert_eq!(
        at(&report, Stage::Clock).mark,
        Mark::Skipped,
        "there is no Date"
    );
}

#[tokio::test]
async fn a_clock_that_differs_is_told_with_its_direction() {
    let upstream =
        Upstream::start(|_| async { with("date", "Sun, 06 Nov 1994 08:49:37 GMT") }).await;
    let report = of_up(upstream.address, "").await;
    let found = at(&report, Stage::Clock);
    assert_eq!((found.mark, found.code), (Mark::Warn, Code::Skewed));
    assert!(found.says.contains(" behind ours"), "{}", found.says);
}

/// A name that the system's resolver knows without asking anybody: a number in another spelling of 127.0.0.1.
const NUMBER: &str = "0x7f000001";

async fn of_name(server: &DnsServer, more: &str) -> Report {
    let toml = format!(
        "[dns]\nservers = [\"{}\"]\n{more}\n\
         [upstreams.up]\nendpoints = [{{ dns = \"{NUMBER}:9\" }}]\nconnect_timeout = \"100ms\"\n\
         [[routes]]\nupstream = \"up\"\n",
        server.address()
    );
    examined(&loaded(&toml), None, Duration::ZERO).await
}

#[tokio::test]
async fn resolvers_that_say_different_things_are_told() {
    let server = DnsServer::start().await;
    server.says(NUMBER, Reply::addresses(["127.0.0.2"], 30));
    let report = of_name(&server, "allow_addresses = [\"127.0.0.0/8\"]").await;
    let ours = at(&report, Stage::Resolve);
    assert_eq!(
        (ours.mark, ours.says.as_str()),
        (Mark::Ok, "1 address (127.0.0.2), for 30 s")
    );
    let system = at(&report, Stage::System);
    assert_eq!(
        (system.mark, system.code),
        (Mark::Warn, Code::Differs),
        "{report:#?}"
    );
    assert_eq!(
        system.says,
        "the system's resolver says also 127.0.0.1 and not 127.0.0.2"
    );
    server.says(NUMBER, Reply::addresses(["127.0.0.1"], 30));
    let report = of_name(&server, "allow_addresses = [\"127.0.0.0/8\"]").await;
    assert_eq!(at(&report, Stage::System).mark, Mark::Ok, "{report:#?}");
}

#[tokio::test]
async fn a_name_that_may_not_have_its_address_is_told_and_not_followed() {
    let server = DnsServer::start().await;
    server.says(NUMBER, Reply::addresses(["127.0.0.1"], 30));
    let report = of_name(&server, "").await;
    let found = at(&report, Stage::Resolve);
    assert_eq!(
        (found.mark, found.code),
        (Mark::Bad, Code::AddressProhibited)
    );
    assert!(!has(&report, Stage::Connect), "{report:#?}");
    server.says(NUMBER, Reply::Empty);
    let report = of_name(&server, "").await;
    assert_eq!(at(&report, Stage::Resolve).code, Code::Empty);
}

#[tokio::test]
async fn a_service_leads_to_the_ports_of_its_records() {
    let (server, upstream) = (DnsServer::start().await, Upstream::saying("ok").await);
    let port = upstream.address.port();
    let records = Reply::Services(vec![(0, 1, port, "one.internal.")], 30);
    server.says("_http._tcp.shop.internal", records);
    server.says("one.internal", Reply::addresses(["127.0.0.1"], 30));
    let toml = format!(
        "[dns]\nservers = [\"{}\"]\nallow_addresses = [\"127.0.0.0/8\"]\n\
         [upstreams.up]\nendpoints = [{{ srv = \"_http._tcp.shop.internal\" }}]\n\
         [[routes]]\nupstream = \"up\"\n",
        server.address()
    );
    let report = examined(&loaded(&toml), None, Duration::ZERO).await;
    assert_eq!(report.mark, Mark::Ok, "{report:#?}");
    assert_eq!(at(&report, Stage::System).mark, Mark::Skipped);
    let abouts: Vec<_> = report.sections.iter().map(|it| &*it.about).collect();
    let address = upstream.address.to_string();
    assert_eq!(abouts, ["_http._tcp.shop.internal", &address]);
}

#[tokio::test]
async fn of_very_many_addresses_some_are_looked_at_and_the_rest_is_told() {
    let server = DnsServer::start().await;
    let all: Vec<_> = (1..=70).map(|last| format!("127.0.9.{last}")).collect();
    server.says(NUMBER, Reply::addresses(all.iter().map(String::as_str), 30));
    let toml = format!(
        "[dns]\nservers = [\"{}\"]\nallow_addresses = [\"127.0.0.0/8\"]\n\
         [upstreams.up]\nendpoints = [{{ dns = \"{NUMBER}:9\" }}]\n\
         [[routes]]\nupstream = \"up\"\n",
        server.address()
    );
    let report = examined(&loaded(&toml), None, Duration::ZERO).await;
    let findings = report.sections.iter().flat_map(|it| &it.findings);
    let refused = findings.clone().filter(|it| it.code == Code::Refused);
    assert_eq!(refused.count(), 64, "{report:#?}");
    let mut rest = findings.filter(|it| it.code == Code::TooMany);
    assert!(
        rest.next()
            .is_some_and(|it| it.says.starts_with("6 of its addresses "))
    );
}

#[tokio::test]
async fn a_target_is_a_route_an_upstream_or_a_url_and_else_an_error() {
    let (shop, other) = (Upstream::saying("ok").await, Upstream::saying("ok").await);
    let file = loaded(&format!(
        "[upstreams.a]\nendpoints = [{{ address = \"{}\" }}]\n\
         [upstreams.b]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"shop\"\nhosts = [\"shop.test\"]\npath_prefix = \"/cart\"\nupstream = \"a\"\n\
         [routes.fallback]\nupstream = \"b\"\n\
         [[routes]]\nname = \"page\"\nhosts = [\"shop.test\"]\nrespond = {{ status = 200 }}\n",
        shop.address, other.address
    ));
    let upstreams = async |target| {
        let report = examined(&file, Some(target), Duration::ZERO).await;
        let sections = report.sections.into_iter();
        sections.filter_map(|it| it.upstream).collect::<Vec<_>>()
    };
    assert_eq!(upstreams("a").await, ["a"]);
    assert_eq!(upstreams("shop").await, ["a", "b"]);
    assert_eq!(upstreams("https://shop.test/cart/1").await, ["a", "b"]);
    assert_eq!(upstreams("http://SHOP.test/").await, [""; 0]);
    let page = examined(&file, Some("page"), Duration::ZERO).await;
    assert_eq!(
        (page.mark, at(&page, Stage::Route).code),
        (Mark::Ok, Code::NoUpstream)
    );
    let visit = |target: &str| Practice::of_file(&file).visit(Some(target)).map(drop);
    assert_eq!(visit("c"), Err(NoSuchTarget::Name("c".to_owned())));
    for wrong in ["ftp://shop.test/", "http://", "http://a b/"] {
        assert_eq!(visit(wrong), Err(NoSuchTarget::Url(wrong.to_owned())));
    }
}

#[tokio::test]
async fn a_url_that_no_route_takes_is_asked_for_as_it_is() {
    let upstream = Upstream::start(|request: Request<_>| async move {
        let well = request
            .uri()
            .path_and_query()
            .is_some_and(|it| it == "/deep?a=1");
        answer(if well { 200 } else { 503 }, "")
    })
    .await;
    let file = loaded("[[routes]]\nhosts = [\"shop.test\"]\nrespond = { status = 200 }\n");
    let url = format!("http://{}/deep?a=1", upstream.address);
    let report = examined(&file, Some(&url), Duration::ZERO).await;
    assert_eq!(at(&report, Stage::Route).code, Code::NoRoute);
    let found = at(&report, Stage::Http);
    assert_eq!(found.says, "GET /deep?a=1 answers 200 over HTTP/1.1");
    assert_eq!(found.mark, Mark::Ok);
}

#[tokio::test]
async fn what_was_found_by_the_end_of_the_time_is_told() {
    let upstream = Upstream::start(|_| async {
        std::future::pending::<()>().await;
        answer(200, "")
    })
    .await;
    let file = loaded(&of(upstream.address, ""));
    let visit = Practice::of_file(&file).visit(None).unwrap();
    let bounds = Bounds {
        idle: Duration::ZERO,
        until: Instant::now() + Duration::from_millis(500),
        machine: Some("a test"),
    };
    let report = examine(&visit, &bounds, &Progress::default()).await;
    assert_eq!(at(&report, Stage::Connect).mark, Mark::Ok);
    assert_eq!(at(&report, Stage::Http).code, Code::NoTime);
    assert!(
        has(&report, Stage::Descriptors),
        "the machine is told all the same"
    );
}

async fn post(gate: &TestGateway, path: &str) -> client::Reply {
    let request = Request::post(path).header("host", gate.admin.to_string());
    client::send(gate.admin, request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn a_running_gateway_looks_by_what_is_in_force_and_touches_no_traffic() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&of(upstream.address, "")).await;
    let reply = post(&gate, "/api/v1/doctor?target=all&idle_ms=0").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let report: Report = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (report.mark, report.target.as_deref()),
        (Mark::Ok, Some("all"))
    );
    assert!(
        !has(&report, Stage::Descriptors),
        "the machine was not asked for"
    );
    let seat = gate.gateway.snapshot().upstreams[0].seats.as_slice()[0].clone();
    assert_eq!(seat.endpoint.connections.count(), (0, 0));
    let none = post(&gate, "/api/v1/doctor?target=nobody").await;
    assert_eq!(none.status, 404);
    assert!(
        none.text().contains("no route and no upstream `nobody`"),
        "{}",
        none.text()
    );
    assert_eq!(
        post(&gate, "/api/v1/doctor?idle_ms=60001").await.status,
        400
    );
    let read = client::admin(gate.admin, "/api/v1/doctor").await;
    assert_eq!(read.status, 405, "looking is doing");
}

#[tokio::test]
async fn there_is_one_examination_at_a_time() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&of(upstream.address, "")).await;
    let both = async {
        until("the first one is under way", || upstream.requests() > 0).await;
        post(&gate, "/api/v1/doctor?target=up&idle_ms=0").await
    };
    let (first, second) = tokio::join!(post(&gate, "/api/v1/doctor?target=up&idle_ms=2000"), both);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 503));
    assert_eq!(
        post(&gate, "/api/v1/doctor?target=up&idle_ms=0")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn nobody_looks_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "s3cret").unwrap();
    let toml = format!(
        "[admin]\nbind = \"127.0.0.1:0\"\ntoken_file = \"token\"\n{}",
        of("127.0.0.1:9".parse().unwrap(), "")
    );
    let gate = TestGateway::start_in(folder, &toml);
    assert_eq!(post(&gate, "/api/v1/doctor").await.status, 401);
}
