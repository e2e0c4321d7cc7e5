//! Each way for a request to end badly, made to happen on real sockets.

use std::net::SocketAddr;

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

use crate::support::{
    client,
    gateway::TestGateway,
    upstream::{Upstream, answer},
};

fn config(address: SocketAddr, of_upstream: &str, of_route: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n{of_upstream}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\nretry = {{ attempts = 1 }}\n{of_route}\n"
    )
}

/// An upstream that reads a request's head, writes `bytes`, and then does `end`.
async fn scripted(bytes: &'static [u8], end: End) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    TaskTracker::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(bytes).await;
            match end {
                End::Close => drop(stream),
                End::Reset => reset(&stream),
                End::Hang => {
                    let _ = stream.read(&mut head).await;
                }
            }
        }
    });
    address
}

#[derive(Clone, Copy)]
enum End {
    Close,
    Reset,
    Hang,
}

fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
}

async fn refused_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

#[track_caller]
fn check(reply: &client::Reply, status: u16, proxy_status: &str) {
    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    let told = reply.header("proxy-status");
    let rest = told
        .strip_prefix("tidegate; error=")
        .unwrap_or_else(|| panic!("{told}"));
    assert!(
        rest.starts_with(proxy_status),
        "{rest} instead of {proxy_status}"
    );
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("problem+json");
    assert_eq!(body["status"], status);
}

async fn ask(address: SocketAddr, of_upstream: &str, of_route: &str) -> client::Reply {
    let gate = TestGateway::start(&config(address, of_upstream, of_route)).await;
    client::get(gate.web, "/").await
}

#[tokio::test]
async fn refused() {
    check(
        &ask(refused_port().await, "", "").await,
        502,
        "connection_refused; cause=network",
    );
}

#[tokio::test]
async fn closed_before_the_head() {
    let address = scripted(b"", End::Close).await;
    check(
        &ask(address, "", "").await,
        502,
        "connection_terminated; cause=communication",
    );
}

#[tokio::test]
async fn reset_before_the_head() {
    let address = scripted(b"", End::Reset).await;
    check(
        &ask(address, "", "").await,
        502,
        "connection_terminated; cause=communication",
    );
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    let address = scripted(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", End::Close).await;
    check(
        &ask(address, "", "").await,
        502,
        "http_protocol_error; cause=communication",
    );
}

#[tokio::test]
async fn no_answer_in_time() {
    let address = scripted(b"", End::Hang).await;
    let reply = ask(address, "first_byte_timeout = \"100ms\"", "").await;
    check(&reply, 504, "http_response_timeout; cause=application");
}

#[tokio::test]
async fn the_routes_time_is_over() {
    let address = scripted(b"", End::Hang).await;
    let reply = ask(address, "", "timeout = \"100ms\"").await;
    check(&reply, 504, "http_response_timeout; cause=application");
}

#[tokio::test]
async fn tls_with_one_that_speaks_none() {
    let address = scripted(
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        End::Close,
    )
    .await;
    let reply = ask(address, "tls = { server_name = \"test\" }", "").await;
    check(&reply, 502, "tls_protocol_error; cause=communication");
}

#[tokio::test]
async fn a_name_that_never_resolved() {
    let text = "[dns]\nservers = [\"127.0.0.1:1\"]\n[upstreams.up]\nendpoints = [{ dns = \"nowhere.invalid:80\" }]\n\
                [[routes]]\nname = \"all\"\nupstream = \"up\"\n";
    let gate = TestGateway::start(text).await;
    let reply = client::get(gate.web, "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        reply.header("proxy-status").contains("cause=dns"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn all_endpoints_out() {
    let upstream = Upstream::start(|_| async { answer(500, "no") }).await;
    let health = "[upstreams.up.health]\npath = \"/\"\ninterval = \"1s\"";
    let gate = TestGateway::start(&config(upstream.address, health, "")).await;
    crate::support::until("the check failed", || {
        let snapshot = gate.gateway.snapshot();
        snapshot
            .upstreams
            .iter()
            .flat_map(|up| up.seats.as_slice().iter())
            .all(|seat| !seat.endpoint.health.can_serve(tokio::time::Instant::now()))
    })
    .await;
    let reply = client::get(gate.web, "/").await;
    check(&reply, 503, "destination_unavailable; cause=application");
    assert!(reply.header("retry-after").parse::<u64>().expect("seconds") >= 1);
}

#[tokio::test]
async fn an_answer_cut_short_is_cut_for_the_client_too() {
    let address = scripted(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        End::Close,
    )
    .await;
    let gate = TestGateway::start(&config(address, "", "")).await;
    let cut = client::try_send(gate.web, client::request("GET", "/", "")).await;
    assert!(
        cut.is_err(),
        "the client took half an answer for a whole one: {cut:?}"
    );
    let counted = gate.gateway.telemetry().render();
    assert!(
        counted.contains("tidegate_faults_total{route=\"all\",upstream=\"up\",cause=\"communication\",kind=\"http_response_incomplete\",stage=\"body\"} 1"),
        "{counted}"
    );
}

#[tokio::test]
async fn an_upstreams_own_error_is_passed_on_as_its_own() {
    let upstream = Upstream::start(|_| async { answer(500, "its own page") }).await;
    let reply = ask(upstream.address, "", "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.text().as_str()),
        (500, "its own page")
    );
    assert_eq!(
        reply.header("proxy-status"),
        "tidegate; received-status=500"
    );
    assert_eq!(reply.header("content-type"), "");
    let fine = Upstream::saying("fine").await;
    let reply = ask(fine.address, "", "").await;
    assert_eq!(reply.header("proxy-status"), "");
}

#[tokio::test]
async fn what_http_itself_refuses_is_counted_without_a_route() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&config(upstream.address, "", "")).await;
    let answer = client::raw(gate.web, "NOT HTTP AT ALL\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    crate::support::until("it is counted", || {
        let text = gate.gateway.telemetry().render();
        text.lines().any(|line| {
            line.starts_with(
                "tidegate_faults_total{route=\"none\",upstream=\"none\",cause=\"client\"",
            )
        })
    })
    .await;
}

#[tokio::test]
async fn details_are_shown_only_where_the_operator_says_so() {
    let address = refused_port().await;
    let quiet = ask(address, "", "").await;
    assert!(!quiet.text().contains("detail") && !quiet.header("proxy-status").contains("details"));
    let text = format!("[errors]\ndetails = true\n{}", config(address, "", ""));
    let gate = TestGateway::start(&text).await;
    let open = client::get(gate.web, "/").await;
    let (told, body) = (open.header("proxy-status"), open.text());
    assert!(told.contains("details=\"Connection refused"), "{told}");
    assert!(body.contains("\"detail\":\"Connection refused"), "{body}");
}
