//! What happens is told as it happens, to who listens at the admin listener.

use std::time::Duration;

use bytes::Bytes;
use hickory_proto::op::ResponseCode;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value as Json;
use tokio::time::timeout;

use crate::support::{
    client::{self, GENEROUS},
    dns::{DnsServer, Reply},
    gateway::TestGateway,
    tls::Certificate,
    until,
    upstream::{Upstream, answer},
};

const NAME: &str = "shop.internal";

/// A stream of events.
struct Told {
    body: Incoming,
    /// What came and was not read.
    text: String,
    /// The id that came last.
    last: String,
}

impl Told {
    /// Listens to what `query` asks for; with `after`, as who comes again.
    async fn listen(gate: &TestGateway, query: &str, after: Option<&str>) -> Self {
        let mut sender = client::connect(gate.admin).await.expect("connected");
        let mut request = Request::get(format!("/api/v1/events{query}"))
            .header("host", gate.admin.to_string())
            .header("accept", "text/event-stream");
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let mut told = Self {
            body: response.into_body(),
            text: String::new(),
            last: String::new(),
        };
        let hello = told.block().await.expect("a beginning");
        assert!(hello.contains("id: "), "{hello}");
        told
    }

    /// What comes up to the next empty line; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let id = block.lines().find_map(|line| line.strip_prefix("id: "));
                if let Some(id) = id {
                    id.clone_into(&mut self.last);
                }
                return Some(block);
            }
            let frame = timeout(GENEROUS, self.body.frame()).await;
            let frame = frame.expect("something comes")?.ok()?;
            let bytes = frame.into_data().ok()?;
            self.text
                .push_str(std::str::from_utf8(&bytes).expect("text"));
        }
    }

    /// The next event of this kind. Heartbeats in between do not count.
    async fn next(&mut self, kind: &str) -> Json {
        let found = timeout(GENEROUS, self.find(kind)).await;
        found.unwrap_or_else(|_| panic!("no {kind} came in time"))
    }

    async fn find(&mut self, kind: &str) -> Json {
        loop {
            let block = self
                .block()
                .await
                .unwrap_or_else(|| panic!("no {kind} came"));
            let is_it = block
                .lines()
                .any(|line| line.strip_prefix("event: ") == Some(kind));
            let data = block.lines().find_map(|line| line.strip_prefix("data: "));
            if let (true, Some(data)) = (is_it, data) {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }
}

fn with_timeout(upstream: &Upstream, timeout: &str) -> String {
    format!(
        "[upstreams.up]\nbalance = \"round_robin\"\nendpoints = [{{ address = \"{}\" }}, {{ address = \"127.0.0.1:1\" }}]\n\
         ejection = {{ consecutive_failures = 2, base_time = \"30s\" }}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\ntimeout = \"{timeout}\"\n",
        upstream.address
    )
}

#[tokio::test]
async fn a_reload_is_told_with_what_it_touches_and_a_bad_one_with_its_error() {
    let upstream = Upstream::start(|_| async { answer(200, "fine") }).await;
    let gate = TestGateway::start(&with_timeout(&upstream, "5s")).await;
    let mut told = Told::listen(&gate, "", None).await;
    gate.reload(&with_timeout(&upstream, "6s")).await;
    let applied = told.next("config_applied").await;
    assert_eq!(applied["fields"]["touches"], serde_json::json!(["all"]));
    let change = &applied["fields"]["changes"][0];
    assert_eq!(change, "route all: timeout \"5s\" -> \"6s\"");
    assert_eq!(applied["severity"], "info");
    let hash = gate.gateway.snapshot().config.hash.to_string();
    assert_eq!(applied["fields"]["hash"], *hash);
    gate.write("[[routes]]\nupstream = \"nobody\"\n");
    let rejected = told.next("config_rejected").await;
    assert_eq!(rejected["fields"]["running"], *hash);
    assert!(rejected["fields"]["line"].is_u64(), "{rejected}");
    assert_eq!(rejected["severity"], "error");
}

#[tokio::test]
async fn an_ejection_is_told_and_who_comes_again_hears_what_it_missed() {
    let upstream = Upstream::start(|_| async { answer(200, "fine") }).await;
    let gate = TestGateway::start(&with_timeout(&upstream, "5s")).await;
    let told = Told::listen(&gate, "", None).await;
    let last = told.last.clone();
    drop(told);
    let out = || gate.gateway.telemetry().events().last().to_string() != last;
    let asking = async {
        while !out() {
            client::get(gate.web, "/").await;
        }
    };
    timeout(GENEROUS, asking).await.expect("an ejection");
    let mut again = Told::listen(&gate, "?upstream=up", Some(&last)).await;
    let ejected = again.next("endpoint_ejected").await;
    assert_eq!(ejected["endpoint"], "127.0.0.1:1");
    assert_eq!(ejected["upstream"], "up");
    assert_eq!(
        ejected["id"].as_u64().map(|id| id.to_string()),
        Some(again.last.clone())
    );
    let count = "tidegate_events_total{kind=\"endpoint_ejected\"}";
    assert!(gate.metric(count).await >= 1.0);
}

#[tokio::test]
async fn a_name_that_moves_and_then_fails_is_told_ahead_of_its_end() {
    let server = DnsServer::start().await;
    let upstream = Upstream::start(|_| async { answer(200, "fine") }).await;
    server.says(NAME, Reply::addresses(["127.0.0.1"], 0));
    let gate = TestGateway::start(&format!(
        "[dns]\nservers = [\"{}\"]\nmin_ttl = \"100ms\"\nmax_ttl = \"100ms\"\nmax_stale = \"3s\"\n\
         allow_addresses = [\"127.0.0.0/8\"]\n\
         [upstreams.up]\nendpoints = [{{ dns = \"{NAME}:{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        server.address(),
        upstream.address.port()
    ))
    .await;
    until("the name is resolved", || {
        gate.gateway.snapshot().endpoints().count() == 1
    })
    .await;
    let mut told = Told::listen(&gate, "?upstream=up", None).await;
    server.says(NAME, Reply::addresses(["127.0.0.1", "127.0.0.2"], 0));
    let changed = told.next("addresses_changed").await;
    assert_eq!(changed["name"], NAME);
    assert_eq!(changed["fields"]["count"], 2);
    assert_eq!(
        changed["fields"]["added"]["first"],
        serde_json::json!(["127.0.0.2"])
    );
    server.says(NAME, Reply::Code(ResponseCode::ServFail));
    let failing = told.next("lookups_fail").await;
    assert_eq!(failing["fields"]["serves"], true);
    let left = format!("tidegate_dns_stale_left_seconds{{upstream=\"up\",name=\"{NAME}\"}}");
    assert!(gate.metric(&left).await <= 3.0);
    let page = client::admin(gate.admin, "/metrics").await.text();
    assert!(page.contains(&left), "{page}");
    let ahead = told.next("name_expires").await;
    let within = ahead["fields"]["in_s"].as_f64().expect("seconds");
    assert!(within > 0.0 && within <= 1.5, "{within}");
    let over = told.next("name_expired").await;
    assert_eq!(over["fields"]["why"], "server_failure");
    server.says(NAME, Reply::addresses(["127.0.0.1"], 0));
    told.next("name_recovered").await;
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_told_of_at_the_start_and_when_another_replaces_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().to_path_buf();
    Certificate::for_days(2).write(&at);
    let gate = TestGateway::start_in(
        folder,
        "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n\
         tls = { certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }] }\n\
         [[routes]]\nname = \"all\"\nrespond = { status = 200, body = \"ok\" }\n",
    );
    let mut told = Told::listen(&gate, "?since=0&kind=certificate_expires", None).await;
    let soon = told.next("certificate_expires").await;
    assert_eq!(soon["listener"], "web");
    assert_eq!(soon["severity"], "warn");
    let days = soon["fields"]["days"].as_u64();
    assert!(days.is_some_and(|days| (1..=2).contains(&days)), "{soon}");
    Certificate::for_days(-1).write(&at);
    let over = told.next("certificate_expires").await;
    assert_eq!(over["severity"], "error");
    assert_eq!(over["fields"]["days"], Json::Null);
}

#[tokio::test]
async fn a_certificate_of_an_upstream_that_ends_soon_is_told_of_at_the_next_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let shown = Certificate::for_days(2);
    shown.write(folder.path());
    let address = shown.serve().await;
    let text = |timeout: &str| {
        format!(
            "[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n\
             tls = {{ server_name = \"test\", ca = \"cert.pem\" }}\n\
             [[routes]]\nname = \"all\"\nupstream = \"up\"\ntimeout = \"{timeout}\"\n"
        )
    };
    let gate = TestGateway::start_in(folder, &text("5s"));
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    let series = format!(
        "tidegate_upstream_certificate_expiry_timestamp_seconds{{upstream=\"up\",endpoint=\"{address}\"}}"
    );
    assert!(gate.metric(&series).await > 1.7e9);
    let mut told = Told::listen(&gate, "?since=0&upstream=up", None).await;
    gate.reload(&text("6s")).await; // looks at once; else it is hourly
    let soon = told.next("certificate_expires").await;
    assert_eq!(soon["endpoint"], address.to_string());
    assert!(soon["fields"]["days"].as_u64() <= Some(2), "{soon}");
}

#[tokio::test]
async fn listeners_that_come_and_go_are_told() {
    let route = "[[routes]]\nname = \"all\"\nrespond = { status = 200, body = \"ok\" }\n";
    let web = "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n";
    let gate = TestGateway::start(&format!("{web}{route}")).await;
    let mut told = Told::listen(&gate, "?since=0", None).await;
    let other = "[[listeners]]\nname = \"other\"\nbind = \"127.0.0.9:0\"\n";
    gate.reload(&format!("{web}{other}{route}")).await;
    let added = told.next("listener_added").await;
    assert_eq!(added["listener"], "other", "those of the start are no news");
    gate.reload(&format!("{web}{route}")).await;
    let removed = told.next("listener_removed").await;
    assert_eq!(removed["fields"]["address"], added["fields"]["address"]);
}

#[tokio::test]
async fn a_stream_does_not_hold_up_the_end() {
    let gate = TestGateway::start("[[routes]]\nname = \"all\"\nrespond = { status = 200 }\n").await;
    let mut told = Told::listen(&gate, "", None).await;
    let ended = timeout(GENEROUS, gate.gateway.drain(Duration::ZERO, GENEROUS));
    assert_eq!(ended.await.expect("it ends"), 0);
    while told.block().await.is_some() {}
}
