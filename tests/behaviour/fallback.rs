//! The fallback of a route: for when nothing else can serve, and only then.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::Value;

use crate::support::{
    client,
    gateway::TestGateway,
    until,
    upstream::{Upstream, answer},
};

fn nobody() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address")
}

/// A route to `up`, and another upstream to fall back to.
fn config(up: SocketAddr, of_upstream: &str, other: SocketAddr, of_route: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{up}\" }}]\n{of_upstream}\n\
         [upstreams.other]\nendpoints = [{{ address = \"{other}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n\
         [[routes]]\nname = \"other\"\npath = \"/other\"\nupstream = \"other\"\n"
    )
}

/// Its only server is known to be down.
const CHECKED: &str = "health = { interval = \"1h\", timeout = \"100ms\" }";
const UNCHECKED: &str = "ejection = { enabled = false }";
const SORRY: &str = "fallback = { respond = { status = 503, body = \"sorry\" } }";

async fn start(
    up: SocketAddr,
    of_upstream: &str,
    other: SocketAddr,
    of_route: &str,
) -> TestGateway {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("sorry.html"), "<p>sorry</p>").expect("written");
    let text = config(up, of_upstream, other, of_route);
    let gate = TestGateway::start_in(folder, &text);
    if of_upstream == CHECKED {
        until("it is down", || {
            let snapshot = gate.gateway.snapshot();
            let live = snapshot.upstream_named(&"up".into()).expect("it is named");
            !live.seats.can_serve(tokio::time::Instant::now())
        })
        .await;
    }
    gate
}

async fn taken(gate: &TestGateway, to: &str) -> f64 {
    let series = format!("tidegate_fallbacks_total{{route=\"all\",to=\"{to}\"}}");
    gate.metric(&series).await
}

#[tokio::test]
async fn where_no_endpoint_can_serve_or_be_reached_another_upstream_does() {
    let other = Upstream::start(|request| async {
        let body = http_body_util::BodyExt::collect(request.into_body()).await;
        answer(200, body.expect("whole").to_bytes())
    })
    .await;
    for of_upstream in [CHECKED, UNCHECKED] {
        let gate = start(
            nobody(),
            of_upstream,
            other.address,
            "fallback = { upstream = \"other\" }",
        )
        .await;
        let reply = client::send(gate.web, client::request("POST", "/", "kept")).await;
        assert_eq!(
            (reply.status, &*reply.text()),
            (StatusCode::OK, "kept"),
            "{of_upstream}"
        );
        assert!(taken(&gate, "upstream").await >= 1.0);
        let answered = "tidegate_requests_total{route=\"all\",upstream=\"other\",status=\"200\"}";
        assert!(gate.metric(answered).await >= 1.0, "{of_upstream}");
        let page = client::admin(gate.admin, "/metrics").await.text();
        assert!(
            !page.contains("tidegate_faults_total{route=\"all\""),
            "no fault to the client"
        );
    }
}

#[tokio::test]
async fn a_file_or_an_answer_is_told_with_when_to_come_back() {
    let other = Upstream::saying("other").await;
    for of_upstream in [CHECKED, UNCHECKED] {
        let file = "fallback = { file = \"sorry.html\" }\nresponse_headers = { set = { x-edited = \"yes\" } }";
        let gate = start(nobody(), of_upstream, other.address, file).await;
        let reply = client::get(gate.web, "/").await;
        assert_eq!(
            (reply.status.as_u16(), &*reply.text()),
            (503, "<p>sorry</p>")
        );
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert!(reply.header("retry-after").parse::<u32>().expect("seconds") >= 1);
        assert_eq!(reply.header("x-edited"), "yes");
        assert!(taken(&gate, "file").await >= 1.0);
        let head = client::send(gate.web, client::request("HEAD", "/", "")).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (503, 0));
    }
    let json =
        "fallback = { file = \"sorry.html\", status = 200, content_type = \"application/json\" }";
    let gate = start(nobody(), CHECKED, other.address, json).await;
    let reply = client::get(gate.web, "/").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-type")),
        (200, "application/json")
    );
    assert!(!reply.headers.contains_key("retry-after"));
    let gate = start(nobody(), CHECKED, other.address, SORRY).await;
    let reply = client::get(gate.web, "/").await;
    assert_eq!((reply.status.as_u16(), &*reply.text()), (503, "sorry"));
    assert!(taken(&gate, "respond").await >= 1.0);
}

#[tokio::test]
async fn the_file_is_read_again_when_the_process_is_told_to() {
    let other = Upstream::saying("other").await;
    let gate = start(
        nobody(),
        CHECKED,
        other.address,
        "fallback = { file = \"sorry.html\" }",
    )
    .await;
    let page = gate.path().with_file_name("sorry.html");
    std::fs::write(page, "<p>back at noon</p>").expect("written");
    gate.gateway
        .reload()
        .reload(tidegate::reload::Trigger::Signal);
    let web = gate.web;
    let follow = async {
        while client::get(web, "/").await.text() != "<p>back at noon</p>" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(client::GENEROUS, follow)
        .await
        .expect("the other page");
}

#[tokio::test]
async fn what_is_shed_or_failed_does_not_fall_back() {
    let other = Upstream::saying("other").await;
    let up = Upstream::saying("up").await;
    let limited = format!("{SORRY}\nrate_limits = [{{ key = \"none\", rate = \"1/h\" }}]");
    let gate = start(up.address, UNCHECKED, other.address, &limited).await;
    assert_eq!(client::get(gate.web, "/").await.status, 200);
    let refused = client::get(gate.web, "/").await;
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .header("proxy-status")
            .contains("reason=rate_exceeded"),
        "{refused:?}"
    );

    let (entered, release) = (
        tokio_util::sync::CancellationToken::new(),
        tokio_util::sync::CancellationToken::new(),
    );
    let (inside, go) = (entered.clone(), release.clone());
    let slow = Upstream::start(move |_| {
        inside.cancel();
        let go = go.clone();
        async move {
            go.cancelled().await;
            answer(200, "slow")
        }
    })
    .await;
    let full = "concurrency = { mode = \"fixed\", limit = 1, queue = { max_waiting = 0 } }";
    let gate = start(slow.address, full, other.address, SORRY).await;
    let first = tokio::task::spawn(client::get(gate.web, "/"));
    entered.cancelled().await;
    let refused = client::get(gate.web, "/").await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.header("proxy-status").contains("cause=overload"),
        "{refused:?}"
    );
    release.cancel();
    assert_eq!(first.await.expect("no panic").text(), "slow");

    let broken = Upstream::start(|_| async { answer(500, "its own") }).await;
    let gate = start(broken.address, UNCHECKED, other.address, SORRY).await;
    assert_eq!(client::get(gate.web, "/").await.text(), "its own");
    assert!(taken(&gate, "respond").await <= 0.0);
}

#[tokio::test]
async fn there_is_no_second_fallback_and_none_to_where_a_split_led_already() {
    let to_other = "fallback = { upstream = \"other\" }";
    let gate = start(nobody(), UNCHECKED, nobody(), to_other).await;
    let reply = client::get(gate.web, "/").await;
    assert_eq!(reply.status, 502);
    assert!(
        reply.header("proxy-status").contains("connection_refused"),
        "{reply:?}"
    );
    assert!((taken(&gate, "upstream").await - 1.0).abs() < 1e-9);
    let fault = "tidegate_faults_total{route=\"all\",upstream=\"other\",cause=\"network\",kind=\"connection_refused\",stage=\"connect\"}";
    assert!(gate.metric(fault).await >= 1.0, "told of the fallback");

    let text = config(nobody(), UNCHECKED, nobody(), "").replacen(
        "upstream = \"up\"\n",
        "split = [{ upstream = \"up\", weight = 1 }, { upstream = \"other\", weight = 1000000 }]\nfallback = { upstream = \"other\" }\n",
        1,
    );
    let gate = TestGateway::start(&text).await;
    assert_eq!(client::get(gate.web, "/").await.status, 502);
    assert!(taken(&gate, "upstream").await <= 0.0);
}

#[tokio::test]
async fn the_log_tells_the_fallback_and_what_led_to_it() {
    let other = Upstream::saying("other").await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let text = config(
        nobody(),
        UNCHECKED,
        other.address,
        "fallback = { upstream = \"other\" }",
    );
    let text = format!("[log]\naccess = \"{}\"\n{text}", log.display());
    let gate = TestGateway::start(&text).await;
    assert_eq!(client::get(gate.web, "/").await.text(), "other");
    let line = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the line is written", || line().ends_with('\n')).await;
    let told: Value = serde_json::from_str(line().trim()).expect("one line");
    let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(word("fallback"), "upstream");
    assert_eq!(word("kind"), "connection_refused");
    assert_eq!(
        (word("route"), word("upstream")),
        ("all".to_owned(), "other".to_owned())
    );
    assert_eq!(word("endpoint"), other.address.to_string());
    assert_eq!(told["status"], 200);
}
