//! What name servers do (D01 to D23; D10 is tried where answers are held, in `resolve`).

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_proto::{op::ResponseCode, rr::RecordType};
use http_body_util::{BodyExt, StreamBody};

use crate::{
    support::{
        client::{self, Reply},
        dns::{DnsServer, Reply as Says},
        gateway::TestGateway,
        until,
        upstream::{Upstream, answer},
    },
    wire::any_ejected,
};

const NAME: &str = "shop.internal";

/// Names are asked for ten times a second; `of_dns` stands below `[dns]`, `endpoint` is the upstream's only one.
fn config(servers: &[&DnsServer], of_dns: &str, endpoint: &str) -> String {
    let servers: Vec<_> = servers
        .iter()
        .map(|server| format!("\"{}\"", server.address()))
        .collect();
    format!(
        "[dns]\nservers = [{}]\nmin_ttl = \"100ms\"\nmax_ttl = \"100ms\"\nallow_addresses = [\"127.0.0.0/8\"]\n{of_dns}\n\
         [upstreams.up]\nendpoints = [{endpoint}]\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        servers.join(", ")
    )
}

fn named(port: u16) -> String {
    format!("{{ dns = \"{NAME}:{port}\" }}")
}

/// An upstream that answers at every address of this machine, and its port.
async fn everywhere() -> (Upstream, u16) {
    let any = "0.0.0.0:0".parse().expect("an address");
    let upstream = Upstream::start_at(any, |_| async { answer(200, "ok") }).await;
    let port = upstream.address.port();
    (upstream, port)
}

/// A gateway whose upstream is `NAME`, which has 127.0.0.2.
async fn started(server: &DnsServer, of_dns: &str) -> (TestGateway, Upstream) {
    let (upstream, port) = everywhere().await;
    server.says(NAME, Says::addresses(["127.0.0.2"], 0));
    let gate = TestGateway::start(&config(&[server], of_dns, &named(port))).await;
    until("the name is resolved", || addresses(&gate) == ["127.0.0.2"]).await;
    (gate, upstream)
}

/// The addresses of all endpoints in force.
fn addresses(gate: &TestGateway) -> Vec<String> {
    let snapshot = gate.gateway.snapshot();
    let ids = snapshot.endpoints();
    ids.map(|id| id.address.ip().to_string()).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, which metrics show as a number"
)]
async fn count(gate: &TestGateway, series: &str) -> u64 {
    gate.metric(series).await as u64
}

async fn lookups(gate: &TestGateway, result: &str) -> u64 {
    let series = format!("tidegate_dns_lookups_total{{upstream=\"up\",result=\"{result}\"}}");
    count(gate, &series).await
}

async fn events(gate: &TestGateway, event: &str) -> u64 {
    let series = format!("tidegate_dns_events_total{{upstream=\"up\",event=\"{event}\"}}");
    count(gate, &series).await
}

async fn gauge(gate: &TestGateway, metric: &str) -> u64 {
    count(
        gate,
        &format!("{metric}{{upstream=\"up\",name=\"{NAME}\"}}"),
    )
    .await
}

/// Waits until so many lookups ended so.
async fn until_looked_up(gate: &TestGateway, result: &str, times: u64) {
    let enough = async {
        while lookups(gate, result).await < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(client::GENEROUS, enough).await;
    assert!(waited.is_ok(), "no {times} lookups ended with {result}");
}

async fn get(gate: &TestGateway) -> Reply {
    client::get(gate.web, "/").await
}

async fn status(gate: &TestGateway) -> u16 {
    get(gate).await.status.as_u16()
}

/// Waits until requests end with this status, and returns such an answer.
async fn until_status(gate: &TestGateway, wanted: u16) -> Reply {
    let waiting = async {
        loop {
            let reply = get(gate).await;
            if reply.status.as_u16() == wanted {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reply = tokio::time::timeout(client::GENEROUS, waiting).await;
    reply.unwrap_or_else(|_| panic!("no request ends with {wanted}"))
}

/// Waits until requests end with this error of a name, and returns the status.
async fn until_fault(gate: &TestGateway, error: &str) -> u16 {
    let wanted = format!("tidegate; error={error}; cause=dns");
    let waiting = async {
        loop {
            let reply = get(gate).await;
            if reply.header("proxy-status").starts_with(&wanted) {
                return reply.status.as_u16();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let status = tokio::time::timeout(client::GENEROUS, waiting).await;
    status.unwrap_or_else(|_| panic!("no request ends with {wanted}"))
}

// === errors ===

#[tokio::test]
async fn d01_a_name_that_is_not_found_any_more_serves_from_the_last_set_and_is_502_then() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "max_stale = \"1s\"").await;
    server.says(NAME, Says::Code(ResponseCode::NXDomain));
    until_looked_up(&gate, "not_found", 2).await;
    assert_eq!(status(&gate).await, 200);
    assert_eq!(gauge(&gate, "tidegate_dns_stale").await, 1);
    assert_eq!(events(&gate, "stale").await, 1);
    assert_eq!(lookups(&gate, "server_failure").await, 0, "told apart");
    assert_eq!(until_fault(&gate, "dns_error").await, 502);
    assert_eq!(events(&gate, "expired").await, 1);
    server.says(NAME, Says::addresses(["127.0.0.2"], 0));
    until_status(&gate, 200).await;
    assert_eq!(gauge(&gate, "tidegate_dns_stale").await, 0);
}

#[tokio::test]
async fn d01_a_name_is_gone_only_after_it_was_said_so_often_enough() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "gone_after = 4\nhold = \"0s\"").await;
    server.says(NAME, Says::Code(ResponseCode::NXDomain));
    until_looked_up(&gate, "not_found", 2).await;
    assert_eq!(status(&gate).await, 200);
    until_status(&gate, 502).await;
    assert!(lookups(&gate, "not_found").await >= 4);
}

#[tokio::test]
async fn d02_a_server_that_fails_sends_the_question_on_and_empties_no_set() {
    for code in [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::FormErr,
        ResponseCode::NotImp,
    ] {
        let (bad, good) = (DnsServer::start().await, DnsServer::start().await);
        let (_upstream, port) = everywhere().await;
        bad.says(NAME, Says::Code(code));
        good.says(NAME, Says::addresses(["127.0.0.2"], 0));
        let gate = TestGateway::start(&config(&[&bad, &good], "", &named(port))).await;
        until_status(&gate, 200).await;
        good.says(NAME, Says::Code(code));
        let word = if code == ResponseCode::Refused {
            "refused"
        } else {
            "server_failure"
        };
        until_looked_up(&gate, word, 2).await;
        assert_eq!(status(&gate).await, 200, "{code}");
        assert_eq!(addresses(&gate), ["127.0.0.2"], "{code}");
    }
}

#[tokio::test]
async fn d03_a_server_that_never_answers_is_left_for_the_next_and_delays_no_request() {
    let (silent, good) = (DnsServer::start().await, DnsServer::start().await);
    let (_upstream, port) = everywhere().await;
    silent.says(NAME, Says::Silent);
    good.says(NAME, Says::addresses(["127.0.0.2"], 0));
    let gate = TestGateway::start(&config(&[&silent, &good], "", &named(port))).await;
    until_status(&gate, 200).await;
    let asked = silent.asked().udp;
    good.is_asked(4).await;
    assert_eq!(
        silent.asked().udp,
        asked,
        "the one that answers is asked first"
    );
}

#[tokio::test]
async fn d03_without_any_answer_ever_it_is_503_and_told_as_a_time_out() {
    let server = DnsServer::start().await;
    server.says(NAME, Says::Silent);
    let gate = TestGateway::start(&config(&[&server], "", &named(80))).await;
    assert_eq!(until_fault(&gate, "dns_timeout").await, 503);
    assert!(lookups(&gate, "timeout").await >= 1);
}

#[tokio::test]
async fn d04_an_answer_that_does_not_fit_comes_over_tcp_and_a_cut_one_is_not_taken() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    let many: Vec<IpAddr> = (0..300_u16)
        .map(|n| IpAddr::from([127, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
        .collect();
    server.says(NAME, Says::Addresses(many, 0));
    until("all are there", || addresses(&gate).len() == 300).await;
    assert!(server.asked().tcp > 0);
    server.says(NAME, Says::Cut);
    until_looked_up(&gate, "truncated", 1).await;
    assert_eq!(addresses(&gate).len(), 300);
    assert_eq!(status(&gate).await, 200);
}

#[tokio::test]
async fn d05_one_family_suffices_and_none_is_believed_only_after_the_hold() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "hold = \"1s\"").await;
    server.says_of(NAME, RecordType::AAAA, Says::Empty);
    until_looked_up(&gate, "ok", lookups(&gate, "ok").await + 2).await;
    assert_eq!(addresses(&gate), ["127.0.0.2"]);
    server.says(NAME, Says::Empty);
    until_looked_up(&gate, "empty", 2).await;
    assert_eq!(status(&gate).await, 200);
    assert_eq!(until_fault(&gate, "dns_error").await, 502);
}

// === time to live ===

#[tokio::test]
async fn d06_a_ttl_of_0_asks_no_question_for_a_request_and_the_same_answer_changes_nothing() {
    for ttl in [0, 1, 1 << 31] {
        let server = DnsServer::start().await;
        let (_upstream, port) = everywhere().await;
        server.says(NAME, Says::addresses(["127.0.0.2"], ttl));
        let text = config(&[&server], "", &named(port)).replace("100ms", "1h");
        let gate = TestGateway::start(&text).await;
        until_status(&gate, 200).await;
        for _ in 0..50 {
            assert_eq!(status(&gate).await, 200);
        }
        assert_eq!(server.asked().udp, 2, "A and AAAA, with a TTL of {ttl}");
    }
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    let before = gate.gateway.snapshot();
    server.is_asked(6).await;
    assert!(std::sync::Arc::ptr_eq(&before, &gate.gateway.snapshot()));
    assert_eq!(events(&gate, "changed").await, 1);
}

// === sets that change ===

#[tokio::test]
async fn d07_a_set_that_flips_between_two_halves_is_both_and_loses_no_state() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    let halves = [["127.0.0.2", "127.0.0.3"], ["127.0.0.4", "127.0.0.5"]];
    server.says(NAME, Says::addresses(halves[0], 0));
    until("the first half is there", || addresses(&gate).len() == 2).await;
    let first = gate.gateway.snapshot().upstreams[0]
        .seats
        .get(0)
        .expect("a seat")
        .clone();
    for round in 1..8 {
        server.says(NAME, Says::addresses(halves[round % 2], 0));
        server.is_asked(2).await;
    }
    until("both halves are there", || addresses(&gate).len() == 4).await;
    let snapshot = gate.gateway.snapshot();
    let again = snapshot.upstreams[0].seats.get(0).expect("a seat");
    assert!(std::sync::Arc::ptr_eq(&first.endpoint, &again.endpoint));
}

#[tokio::test]
async fn d07_an_address_that_returns_is_ejected_as_it_was_and_has_what_it_learned() {
    let server = DnsServer::start().await;
    let four = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
    // One of them is bad where it is asked to be: where all fail alike, none is ejected.
    let mut upstreams: Vec<Upstream> = Vec::new();
    for (ip, status) in four.into_iter().zip([500, 200, 200, 200]) {
        let port = upstreams.first().map_or(0, |first| first.address.port());
        let at = SocketAddr::new(ip.parse().expect("an address"), port);
        let says = move |request: http::Request<hyper::body::Incoming>| async move {
            let bad = request.headers()["host"] == "bad";
            answer(if bad { status } else { 200 }, "")
        };
        upstreams.push(Upstream::start_at(at, says).await);
    }
    let upstream = &upstreams[0];
    server.says(NAME, Says::addresses(four, 0));
    let text = config(&[&server], "", &named(upstream.address.port()));
    // In turn: least requests would hardly ask one that fails.
    let text = text.replace(
        "[upstreams.up]",
        "[upstreams.up]\nbalance = \"round_robin\"",
    );
    let gate = TestGateway::start(&text).await;
    until("the name is resolved", || addresses(&gate).len() == 4).await;
    while !any_ejected(&gate) {
        let bad = http::Request::get("/").header("host", "bad");
        client::send(gate.web, bad.body("".into()).expect("a request")).await;
    }
    let now = tokio::time::Instant::now();
    // The endpoint that is out, and what admission learned of it.
    let out = || {
        let snapshot = gate.gateway.snapshot();
        let live = &snapshot.upstreams[0];
        let mut seats = live.seats.as_slice().iter().enumerate();
        let (at, seat) = seats.find(|(_, seat)| seat.endpoint.health.is_ejected(now))?;
        Some((seat.endpoint.clone(), live.roster.lane(at).cloned()?))
    };
    let (ejected, lane) = out().expect("an ejected endpoint");
    let address = ejected.id.address.ip().to_string();
    let others: Vec<&str> = four.into_iter().filter(|other| *other != address).collect();
    server.says(NAME, Says::addresses(others, 0));
    until("it is gone", || !addresses(&gate).contains(&address)).await;
    assert!(out().is_none());
    server.says(NAME, Says::addresses(four, 0));
    until("it is back", || addresses(&gate).contains(&address)).await;
    let (back, lane_of_it) = out().expect("it is ejected still");
    assert!(std::sync::Arc::ptr_eq(&back, &ejected));
    assert!(std::sync::Arc::ptr_eq(&lane, &lane_of_it));
}

#[tokio::test]
async fn d08_an_answer_that_drops_most_is_held_until_it_is_seen_again() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "hold = \"1h\"").await;
    let ten: Vec<String> = (1..=10).map(|n| format!("127.0.1.{n}")).collect();
    server.says(NAME, Says::addresses(ten.iter().map(String::as_str), 0));
    until("all ten are there", || addresses(&gate).len() == 10).await;
    let before = events(&gate, "held").await;
    server.says(NAME, Says::addresses(["127.0.1.1"], 0));
    until("one is left", || addresses(&gate).len() == 1).await;
    assert_eq!(events(&gate, "held").await, before + 1);
    assert_eq!(status(&gate).await, 200);
}

#[tokio::test]
async fn d08_hosts_that_fail_their_checks_are_not_held() {
    let server = DnsServer::start().await;
    let upstream = Upstream::start_at("127.0.0.2:0".parse().expect("an address"), |_| async {
        answer(200, "ok")
    })
    .await;
    let port = upstream.address.port();
    let five: Vec<String> = (2..=6).map(|n| format!("127.0.0.{n}")).collect();
    server.says(NAME, Says::addresses(five.iter().map(String::as_str), 0));
    let text = config(&[&server], "hold = \"1h\"", &named(port)).replace(
        "[[routes]]",
        "health = { interval = \"100ms\", timeout = \"100ms\" }\n[[routes]]",
    );
    let gate = TestGateway::start(&text).await;
    let serving = || {
        let snapshot = gate.gateway.snapshot();
        let now = tokio::time::Instant::now();
        let seats = snapshot.upstreams[0].seats.as_slice();
        (
            seats.len(),
            seats
                .iter()
                .filter(|seat| seat.endpoint.health.can_serve(now))
                .count(),
        )
    };
    until("the checks of four fail", || serving() == (5, 1)).await;
    server.says(NAME, Says::addresses(["127.0.0.2"], 0));
    until("only one is left", || serving() == (1, 1)).await;
    assert_eq!(events(&gate, "held").await, 0);
}

#[tokio::test]
async fn d09_a_removed_address_gets_no_new_request_and_ends_what_runs() {
    let server = DnsServer::start().await;
    let slow = |text: &'static str| {
        move |request: http::Request<hyper::body::Incoming>| async move {
            if request.uri().path() != "/slow" {
                return answer(200, text);
            }
            let ticks = futures_util::stream::unfold(0, |tick| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let data = bytes::Bytes::from_static(b"tick ");
                (tick < 60).then(|| (Ok(http_body::Frame::data(data)), tick + 1))
            });
            http::Response::new(StreamBody::new(ticks).boxed_unsync())
        }
    };
    let old = Upstream::start_at("127.0.0.2:0".parse().expect("an address"), slow("old")).await;
    let port = old.address.port();
    let address = format!("127.0.0.3:{port}").parse().expect("an address");
    let new = Upstream::start_at(address, slow("new")).await;
    server.says(NAME, Says::addresses(["127.0.0.2"], 0));
    let gate = TestGateway::start(&config(&[&server], "", &named(port))).await;
    until_status(&gate, 200).await;
    let web = gate.web;
    let running = tokio::spawn(async move { client::get(web, "/slow").await });
    until("it runs", || old.requests() >= 2).await;
    server.says(NAME, Says::addresses(["127.0.0.3"], 0));
    until("the address is removed", || {
        addresses(&gate) == ["127.0.0.3"]
    })
    .await;
    let before = old.requests();
    for _ in 0..20 {
        assert_eq!(get(&gate).await.text(), "new");
    }
    assert_eq!(old.requests(), before);
    let ended = running.await.expect("it ends");
    assert_eq!((ended.status.as_u16(), ended.body.len()), (200, 300));
    drop(new);
}

// === aliases and services ===

#[tokio::test]
async fn d11_aliases_are_followed_so_far_and_a_loop_is_an_error_that_empties_nothing() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "hold = \"0s\"\ngone_after = 1").await;
    server.says(NAME, Says::Alias("b.internal.", 60));
    server.says("b.internal", Says::Alias("c.internal.", 60));
    server.says("c.internal", Says::addresses(["127.0.0.3"], 60));
    until("the chain is followed", || {
        addresses(&gate) == ["127.0.0.3"]
    })
    .await;
    server.says("c.internal", Says::Alias("shop.internal.", 60));
    until_looked_up(&gate, "alias_loop", 2).await;
    assert_eq!(status(&gate).await, 200);
    assert_eq!(addresses(&gate), ["127.0.0.3"]);
    server.says("c.internal", Says::Code(ResponseCode::NXDomain));
    until_looked_up(&gate, "not_found", 1).await;
    until_status(&gate, 502).await;
}

/// A gateway whose upstream is a service.
async fn service(server: &DnsServer, more: &str) -> TestGateway {
    let endpoint = "{ srv = \"_http._tcp.shop.internal\" }";
    let text =
        config(&[server], "", endpoint).replace("[[routes]]", &format!("{more}\n[[routes]]"));
    TestGateway::start(&text).await
}

const SERVICE: &str = "_http._tcp.shop.internal";

#[tokio::test]
async fn d12_a_service_is_served_by_its_lowest_priority_at_its_ports_and_by_its_weights() {
    let server = DnsServer::start().await;
    let [heavy, light, spare] = [
        Upstream::saying("heavy").await,
        Upstream::saying("light").await,
        Upstream::saying("spare").await,
    ];
    let port = |upstream: &Upstream| upstream.address.port();
    let records = vec![
        (1, 30, port(&heavy), "a.internal."),
        (1, 10, port(&light), "a.internal."),
        (2, 10, port(&spare), "a.internal."),
    ];
    server.says(SERVICE, Says::Services(records.clone(), 0));
    server.says("a.internal", Says::addresses(["127.0.0.1"], 0));
    let checks = "health = { interval = \"100ms\", timeout = \"100ms\" }";
    let gate = service(&server, &format!("balance = \"round_robin\"\n{checks}")).await;
    until_status(&gate, 200).await;
    let (before_heavy, before_light) = (heavy.requests(), light.requests());
    for _ in 0..80 {
        assert_eq!(status(&gate).await, 200);
    }
    let got = (
        heavy.requests() - before_heavy,
        light.requests() - before_light,
    );
    assert!(
        (55..=65).contains(&got.0) && (15..=25).contains(&got.1),
        "{got:?}"
    );
    assert_eq!(spare.requests(), 0);
    heavy.kill();
    light.kill();
    let down = || {
        let snapshot = gate.gateway.snapshot();
        let now = tokio::time::Instant::now();
        let seats = snapshot.upstreams[0].seats.as_slice();
        seats
            .iter()
            .filter(|seat| !seat.endpoint.health.can_serve(now))
            .count()
    };
    until("both are down", || down() == 2).await;
    for _ in 0..20 {
        let reply = get(&gate).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text().as_str()),
            (200, "spare")
        );
    }
    let moved = Upstream::saying("moved").await;
    let records = vec![(0, 0, port(&moved), "a.internal.")];
    server.says(SERVICE, Says::Services(records, 0));
    until("the port changed", || {
        gate.gateway
            .snapshot()
            .endpoints()
            .all(|id| id.address.port() == port(&moved))
    })
    .await;
    assert_eq!(get(&gate).await.text(), "moved");
}

#[tokio::test]
async fn d12_one_bad_target_loses_none_of_the_others_and_the_root_means_no_service() {
    let server = DnsServer::start().await;
    let fine = Upstream::saying("fine").await;
    let port = fine.address.port();
    for bad in [
        Says::Code(ResponseCode::NXDomain),
        Says::Code(ResponseCode::ServFail),
        Says::Empty,
        Says::addresses(["169.254.169.254"], 0),
    ] {
        let records = vec![
            (0, 1, port, "good.internal."),
            (0, 1, port, "bad.internal."),
        ];
        server.says(SERVICE, Says::Services(records, 0));
        server.says("good.internal", Says::addresses(["127.0.0.1"], 0));
        server.says("bad.internal", bad.clone());
        let gate = service(&server, "").await;
        until_status(&gate, 200).await;
        assert_eq!(addresses(&gate), ["127.0.0.1"], "{bad:?}");
    }
    server.says(SERVICE, Says::Services(vec![(0, 0, 0, ".")], 0));
    let gate = service(&server, "").await;
    assert_eq!(until_fault(&gate, "dns_error").await, 503);
    until_looked_up(&gate, "empty", 1).await;
}

#[tokio::test]
async fn d12_a_service_behind_aliases_is_followed_whoever_goes_the_way() {
    let server = DnsServer::start().await;
    let [one, two] = [Upstream::saying("one").await, Upstream::saying("two").await];
    let records =
        |of: &Upstream, ttl| Says::Services(vec![(0, 1, of.address.port(), "a.internal.")], ttl);
    server.says("a.internal", Says::addresses(["127.0.0.1"], 0));
    // A server that leaves the way to who asks, then one that goes it by itself.
    server.says(SERVICE, Says::Alias("b.internal.", 0));
    server.says("b.internal", Says::Alias("_http._tcp.other.internal.", 0));
    server.says("_http._tcp.other.internal", records(&one, 0));
    let gate = service(&server, "").await;
    until_status(&gate, 200).await;
    assert_eq!(get(&gate).await.text(), "one");
    let whole = Says::Through("_http._tcp.far.internal.", 0, records(&two, 0).into());
    server.says(SERVICE, whole);
    let ports = || -> Vec<u16> {
        let snapshot = gate.gateway.snapshot();
        snapshot.endpoints().map(|id| id.address.port()).collect()
    };
    until("the other service is there", || {
        ports() == [two.address.port()]
    })
    .await;
    assert_eq!(get(&gate).await.text(), "two");
    server.says(SERVICE, Says::Alias("b.internal.", 0));
    server.says("b.internal", Says::Alias("_HTTP._tcp.shop.internal.", 0));
    until_looked_up(&gate, "alias_loop", 1).await;
    assert_eq!(get(&gate).await.text(), "two");
    server.says("b.internal", Says::Alias("gone.internal.", 0));
    until_looked_up(&gate, "not_found", 1).await;
    assert_eq!(get(&gate).await.text(), "two", "one answer is not believed");
}

#[tokio::test]
async fn d13_a_family_that_is_not_answered_does_not_hold_up_the_other() {
    let server = DnsServer::start().await;
    let (_upstream, port) = everywhere().await;
    server.says(NAME, Says::addresses(["127.0.0.2"], 0));
    server.says_of(NAME, RecordType::AAAA, Says::Silent);
    let start = std::time::Instant::now();
    let gate = TestGateway::start(&config(&[&server], "", &named(port))).await;
    until_status(&gate, 200).await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "it waited for the other family"
    );
}

// === addresses ===

#[tokio::test]
async fn d14_a_mapped_address_is_its_ipv4_form_and_a_scoped_one_is_refused() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    server.says_of(NAME, RecordType::A, Says::Empty);
    server.says_of(
        NAME,
        RecordType::AAAA,
        Says::addresses(["::ffff:127.0.0.3", "fe80::1"], 0),
    );
    until("it is followed", || addresses(&gate) == ["127.0.0.3"]).await;
    assert_eq!(status(&gate).await, 200);
    assert!(events(&gate, "refused").await >= 1);
}

#[tokio::test]
async fn d15_addresses_that_names_may_not_have_are_refused_and_told() {
    for address in [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fd00:ec2::254",
        "0.0.0.0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "100.100.100.200",
        "224.0.0.1",
    ] {
        let server = DnsServer::start().await;
        server.says(NAME, Says::addresses([address], 0));
        let text = config(&[&server], "", &named(80)).replace("\"127.0.0.0/8\"", "");
        let gate = TestGateway::start(&text).await;
        let status = until_fault(&gate, "destination_ip_prohibited").await;
        assert_eq!(status, 502, "{address}");
        assert!(lookups(&gate, "prohibited").await >= 1, "{address}");
        assert!(events(&gate, "refused").await >= 1, "{address}");
    }
}

// === what is no answer ===

#[tokio::test]
async fn d16_answers_with_another_id_or_question_are_waited_past() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    let right = Box::new(Says::addresses(["127.0.0.3"], 0));
    server.says(NAME, Says::Spoofed(right));
    until("the right one is taken", || {
        addresses(&gate) == ["127.0.0.3"]
    })
    .await;
    server.is_asked(4).await;
    assert_eq!(addresses(&gate), ["127.0.0.3"]);
}

#[tokio::test]
async fn d17_bytes_that_are_no_answer_are_an_error_and_no_more() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    // A response to nothing; then one whose name points at itself.
    let itself = [0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1];
    for bytes in [vec![], vec![0xff; 3], itself.to_vec(), vec![0xc0; 4000]] {
        let before = server.asked().udp;
        server.says(NAME, Says::Raw(bytes));
        until("it is asked", || server.asked().udp > before).await;
        assert_eq!(status(&gate).await, 200);
    }
    server.says(NAME, Says::addresses(["127.0.0.3"], 0));
    until("it goes on", || addresses(&gate) == ["127.0.0.3"]).await;
}

#[tokio::test]
async fn d18_two_servers_that_disagree_are_not_mixed() {
    let (one, other) = (DnsServer::start().await, DnsServer::start().await);
    let (_upstream, port) = everywhere().await;
    one.says(NAME, Says::addresses(["127.0.0.2"], 0));
    other.says(NAME, Says::addresses(["127.0.0.3"], 0));
    let gate = TestGateway::start(&config(&[&one, &other], "", &named(port))).await;
    until_status(&gate, 200).await;
    one.is_asked(10).await;
    assert_eq!(addresses(&gate), ["127.0.0.2"]);
    assert_eq!(other.asked().udp, 0);
}

// === the process ===

#[tokio::test]
async fn d19_a_changed_resolv_conf_has_names_asked_for_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.1\n").expect("written");
    let (_upstream, port) = everywhere().await;
    let text = format!(
        "[dns]\nresolv_conf = \"{}\"\nmin_ttl = \"1h\"\nmax_ttl = \"1h\"\n\
         [upstreams.up]\nendpoints = [{{ dns = \"localhost:{port}\" }}]\n[[routes]]\nupstream = \"up\"\n",
        file.display()
    );
    let gate = TestGateway::start(&text).await;
    until_looked_up(&gate, "ok", 1).await;
    for (times, next) in [(2, "nameserver 127.0.0.2\n"), (3, "nameserver 127.0.0.3\n")] {
        let beside = folder.path().join("beside");
        std::fs::write(&beside, next).expect("written");
        std::fs::rename(&beside, &file).expect("renamed");
        until_looked_up(&gate, "ok", times).await;
    }
}

#[tokio::test]
async fn d20_a_resolver_that_is_down_stops_neither_the_start_nor_other_routes() {
    let server = DnsServer::start().await;
    server.says(NAME, Says::Code(ResponseCode::ServFail));
    let (upstream, port) = everywhere().await;
    let text = format!(
        "{}[upstreams.literal]\nendpoints = [{{ address = \"127.0.0.1:{port}\" }}]\n\
         [[routes]]\nname = \"literal\"\npath = \"/literal\"\nupstream = \"literal\"\n",
        config(&[&server], "", &named(port))
    );
    let gate = TestGateway::start(&text).await;
    assert_eq!(client::get(gate.web, "/literal").await.status.as_u16(), 200);
    until_looked_up(&gate, "server_failure", 1).await;
    assert_eq!(until_fault(&gate, "dns_error").await, 503);
    server.says(NAME, Says::addresses(["127.0.0.2"], 0));
    until_status(&gate, 200).await;
    drop(upstream);
}

#[tokio::test]
async fn d21_one_lookup_at_a_time_is_shared_by_all_who_use_the_name() {
    let server = DnsServer::start().await;
    let (_upstream, port) = everywhere().await;
    let late = Says::addresses(["127.0.0.2"], 0);
    server.says(NAME, Says::Late(Duration::from_millis(300), Box::new(late)));
    let text = format!(
        "{}[upstreams.other]\nendpoints = [{{ dns = \"{NAME}:{port}\" }}]\n\
         [[routes]]\nname = \"other\"\npath = \"/other\"\nupstream = \"other\"\n",
        config(&[&server], "", &named(port)).replace("100ms", "1h")
    );
    let gate = TestGateway::start(&text).await;
    until("it is asked for", || server.asked().udp > 0).await;
    until("both have it", || addresses(&gate).len() == 2).await;
    assert_eq!(server.asked().udp, 2, "A and AAAA, once");
    assert_eq!(client::get(gate.web, "/other").await.status.as_u16(), 200);
    let counted = "tidegate_dns_lookups_total{upstream=\"other\",result=\"ok\"}";
    assert!(count(&gate, counted).await >= 1);
}

#[tokio::test]
async fn d22_names_are_the_same_whatever_their_case_and_may_have_underscores() {
    let server = DnsServer::start().await;
    let (_upstream, port) = everywhere().await;
    server.says("_app.shop.internal", Says::addresses(["127.0.0.2"], 0));
    let endpoint = format!("{{ dns = \"_APP.Shop.internal.:{port}\" }}");
    let gate = TestGateway::start(&config(&[&server], "", &endpoint)).await;
    until_status(&gate, 200).await;
}

#[tokio::test]
async fn d23_a_reload_with_dns_down_keeps_what_is_known_and_is_not_refused() {
    let server = DnsServer::start().await;
    let (gate, upstream) = started(&server, "").await;
    server.says(NAME, Says::Code(ResponseCode::ServFail));
    until_looked_up(&gate, "server_failure", 1).await;
    let port = upstream.address.port();
    let text = format!(
        "{}[upstreams.new]\nendpoints = [{{ dns = \"new.internal:{port}\" }}]\n\
         [[routes]]\nname = \"new\"\npath = \"/new\"\nupstream = \"new\"\n",
        config(&[&server], "max_stale = \"2h\"", &named(port))
    );
    server.says("new.internal", Says::Code(ResponseCode::ServFail));
    gate.reload(&text).await;
    assert_eq!(status(&gate).await, 200);
    assert_eq!(addresses(&gate), ["127.0.0.2"]);
    assert_eq!(client::get(gate.web, "/new").await.status.as_u16(), 503);
    server.says("new.internal", Says::addresses(["127.0.0.3"], 0));
    until("the new one is there", || addresses(&gate).len() == 2).await;
}

// === what is shown ===

#[tokio::test]
async fn the_api_tells_what_is_in_force_since_when_and_when_it_is_asked_for_again() {
    let server = DnsServer::start().await;
    let (gate, _upstream) = started(&server, "").await;
    server.says(NAME, Says::Code(ResponseCode::Refused));
    until_looked_up(&gate, "refused", 2).await;
    let text = client::admin(gate.admin, "/api/v1/upstreams").await.text();
    let page: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let name = &page[0]["names"][0];
    assert_eq!(name["name"], NAME, "{page}");
    assert_eq!(name["addresses"], 1);
    assert_eq!(name["stale"], true);
    assert_eq!(
        name["why"],
        "lookups fail (refused): the last good answer serves"
    );
    let sentence = name["in_force"].as_str().expect("a sentence");
    assert!(sentence.starts_with("1 address, for "), "{sentence}");
    assert!(sentence.contains(", stale for "), "{sentence}");
    assert!(sentence.contains("; asked for"), "{sentence}");
}
