//! What is told of a request: to a browser, to a gRPC caller, in the access log.

use std::{fs, net::SocketAddr};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{
    client::{self, GENEROUS, Reply},
    gateway::TestGateway,
    until,
    upstream::{Upstream, answer},
};

/// Nobody listens there.
fn nobody() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address")
}

fn browser(method: &str, path: &str, language: &str) -> Request<Full<Bytes>> {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let mut request = client::request(method, path, "");
    let headers = request.headers_mut();
    headers.insert("accept", accept.parse().expect("a value"));
    headers.insert("accept-language", language.parse().expect("a value"));
    request
}

async fn browse(gate: &TestGateway, path: &str, language: &str) -> Reply {
    client::send(gate.web, browser("GET", path, language)).await
}

const GERMAN: &str = r#"
[[errors.texts]]
language = "de"
title = "Das ging nicht"
sentence = "Die Seite ist gerade nicht da."
advice = "Laden Sie die Seite neu."
advice_sent = "Bitte sehen Sie nach, ob es angekommen ist."
"#;

#[tokio::test]
async fn a_browser_is_told_in_its_language_and_what_can_be_tried() {
    let text = format!(
        "{GERMAN}\n[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"up\"\npath_prefix = \"/shop\"\nupstream = \"up\"\n",
        nobody()
    );
    let gate = TestGateway::start(&text).await;
    let german = browse(&gate, "/shop", "de-AT,de;q=0.9,en;q=0.5").await;
    assert_eq!(german.status, StatusCode::BAD_GATEWAY);
    assert_eq!(german.header("content-language"), "de");
    assert_eq!(german.header("vary"), "Accept, Accept-Language");
    let page = german.text();
    assert!(
        page.contains("<html lang=\"de\">") && page.contains("Laden Sie die Seite neu."),
        "{page}"
    );
    assert!(page.contains(german.header("x-request-id")), "{page}");
    let english = browse(&gate, "/nowhere", "en").await;
    assert_eq!(
        (english.status.as_u16(), english.header("content-language")),
        (404, "en")
    );
    assert!(english.text().contains("check the address"), "{english:?}");
    let program = client::get(gate.web, "/nowhere").await;
    assert_eq!(program.header("content-type"), "application/problem+json");
    assert_eq!(
        (program.header("vary"), program.header("content-language")),
        ("Accept", "")
    );
}

#[tokio::test]
async fn who_sent_an_order_that_broke_off_is_not_told_to_send_it_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let closing = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
        }
    });
    let text = format!(
        "{GERMAN}\n[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n\
         [[routes]]\nname = \"up\"\nupstream = \"up\"\nretry = {{ attempts = 1 }}\n"
    );
    let gate = TestGateway::start(&text).await;
    let got = client::send(gate.web, browser("GET", "/", "de")).await;
    assert!(got.text().contains("Laden Sie die Seite neu."), "{got:?}");
    let posted = client::send(gate.web, browser("POST", "/", "de")).await;
    assert!(posted.text().contains("ob es angekommen ist"), "{posted:?}");
    let posted = client::send(gate.web, browser("POST", "/", "en")).await;
    assert!(posted.text().contains("may have arrived"), "{posted:?}");
    closing.abort();
}

#[tokio::test]
async fn an_operators_page_is_followed_and_a_wrong_one_keeps_what_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sorry.html");
    fs::write(&file, "<p>one {status} {request_id}").expect("written");
    let gate = TestGateway::start_in(folder, "[errors]\npage = \"sorry.html\"\n");
    let first = browse(&gate, "/", "en").await;
    let id = first.header("x-request-id");
    assert_eq!(first.text(), format!("<p>one 404 {id}"));
    assert_eq!(first.header("content-type"), "text/html; charset=utf-8");
    let says = async |wanted: &str| {
        let saying = async {
            while !browse(&gate, "/", "en").await.text().contains(wanted) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(GENEROUS, saying)
            .await
            .expect("it is not in force");
    };
    fs::write(&file, "<p>two {title}").expect("written");
    says("two Nothing here").await;
    fs::write(&file, "<p>three {titel}").expect("written");
    gate.reload("[errors]\npage = \"sorry.html\"\n# another config meanwhile\n")
        .await;
    says("two Nothing here").await;
    fs::write(&file, "<p>four").expect("written");
    says("four").await;
}

/// A call of gRPC over HTTP/2.
async fn call(gate: &TestGateway, path: &str) -> Reply {
    let request = Request::post(format!("http://test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::default())
        .expect("a request");
    client::send_h2(gate.web, request).await.expect("an answer")
}

#[tokio::test]
async fn a_grpc_caller_is_told_when_to_retry() {
    let up = Upstream::saying("").await;
    let text = format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [upstreams.down]\nendpoints = [{{ address = \"{}\" }}]\nhealth = {{ interval = \"1h\", timeout = \"100ms\" }}\n\
         [[routes]]\nname = \"down\"\npath_prefix = \"/down\"\nupstream = \"down\"\n\
         [[routes]]\nname = \"up\"\nupstream = \"up\"\nmax_body = \"4B\"\n\
         [[routes.rate_limits]]\nrate = \"1/m\"\n",
        up.address,
        nobody()
    );
    let gate = TestGateway::start(&text).await;
    until("it is known to be down", || {
        let snapshot = gate.gateway.snapshot();
        let live = snapshot
            .upstream_named(&"down".into())
            .expect("it is named");
        !live.seats.can_serve(tokio::time::Instant::now())
    })
    .await;
    let pushback = |reply: &Reply| reply.header("grpc-retry-pushback-ms").to_owned();
    let none = call(&gate, "/down").await;
    assert_eq!(
        (none.status.as_u16(), none.header("grpc-status")),
        (200, "14")
    );
    assert!(
        pushback(&none).parse::<i32>().expect("a number") >= 1,
        "{none:?}"
    );
    assert_eq!(call(&gate, "/").await.status, StatusCode::OK);
    let shed = call(&gate, "/").await;
    assert_eq!(shed.header("grpc-status"), "8");
    let wait = pushback(&shed).parse::<i32>().expect("a number");
    assert!((1..=60_000).contains(&wait), "{wait}");
    assert!(
        shed.body.is_empty() && shed.header("retry-after").is_empty(),
        "{shed:?}"
    );
}

/// The lines of the access log once there are `count`.
async fn logged(path: &std::path::Path, count: usize) -> Vec<Value> {
    let read = || fs::read_to_string(path).unwrap_or_default();
    until("the lines are written", || read().lines().count() >= count).await;
    let text = read();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    lines.collect()
}

#[tokio::test]
async fn the_log_tells_each_try_where_there_were_several_or_one_failed() {
    let up = Upstream::start(|request| async move {
        match request.uri().path() {
            "/broken" => answer(500, "its own"),
            _ => answer(200, "fine"),
        }
    })
    .await;
    let (folder, down) = (tempfile::tempdir().expect("a folder"), nobody());
    let log = folder.path().join("access.log");
    let text = format!(
        "[log]\naccess = \"{}\"\n\
         [upstreams.both]\nbalance = \"round_robin\"\nejection = {{ enabled = false }}\n\
         endpoints = [{{ address = \"{down}\" }}, {{ address = \"{up}\" }}]\n\
         [upstreams.down]\nendpoints = [{{ address = \"{down}\" }}]\n\
         [upstreams.up]\nendpoints = [{{ address = \"{up}\" }}]\n\
         [[routes]]\nname = \"both\"\npath = \"/both\"\nupstream = \"both\"\n\
         [[routes]]\nname = \"down\"\npath = \"/down\"\nupstream = \"down\"\nretry = {{ attempts = 1 }}\n\
         [[routes]]\nname = \"up\"\nupstream = \"up\"\n",
        log.display(),
        up = up.address
    );
    let gate = TestGateway::start_in(folder, &text);
    for path in ["/both", "/both", "/down", "/broken", "/fine"] {
        client::get(gate.web, path).await;
    }
    let lines = logged(&log, 5).await;
    let of = |path: &str| {
        lines
            .iter()
            .filter(|line| line["path"] == path)
            .collect::<Vec<_>>()
    };
    let (down, up) = (down.to_string(), up.address.to_string());
    let retried = of("/both").into_iter().find(|line| line["attempts"] == 2);
    let tries = retried.expect("one of two was tried twice")["tries"]
        .as_array()
        .expect("tries");
    let [first, second] = &tries[..] else {
        panic!("{tries:?}")
    };
    assert_eq!(
        (&first["endpoint"], &first["kind"]),
        (&json!(down), &json!("connection_refused"))
    );
    assert_eq!(
        (&second["endpoint"], &second["status"]),
        (&json!(up), &json!(200))
    );
    let ends =
        first["began_ms"].as_f64().expect("when") + first["took_ms"].as_f64().expect("how long");
    assert!(
        second["began_ms"].as_f64().expect("when") >= ends - 0.01,
        "{tries:?}"
    );
    assert_eq!(of("/down")[0]["tries"].as_array().expect("tries").len(), 1);
    assert_eq!(of("/broken")[0]["tries"][0]["status"], 500);
    let fine = of("/fine")[0];
    assert_eq!(fine["tries"], Value::Null, "one try, and it did not fail");
    assert!(
        fine["timings_ms"]["body"].is_number() && fine["timings_ms"]["upstream_tls"].is_null(),
        "{fine}"
    );
    assert!(
        gate.metric("tidegate_upstream_body_seconds_count{upstream=\"up\"}")
            .await
            >= 2.0
    );
}
