//! Slow clients, expectations, too much body, trailers and upgrades (C53 to C65).

use crate::{
    origin::{Origin, Reads, Then},
    support::until,
    wire::{Talk, all_is_well, any_ejected, gate, gate_with, in_flight, shout, statuses},
};

const FOUR: &str = "concurrency = { mode = \"fixed\", limit = 4 }";

#[tokio::test]
async fn c53_c56_who_says_nothing_or_half_a_head_is_closed() {
    let origin = Origin::fine().await;
    let gate = gate_with(
        origin.address,
        "header_timeout = \"300ms\"\nidle_timeout = \"300ms\"",
        "",
    )
    .await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let half = [
        "",
        "G",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Half",
        "PRI * HTTP/2.0",
        preface,
    ];
    let mut waiting = tokio::task::JoinSet::new();
    for bytes in half {
        let web = gate.web;
        waiting.spawn(async move { (bytes, shout(web, bytes).await) });
    }
    all_is_well(&gate).await;
    while let Some(ended) = waiting.join_next().await {
        let (bytes, answer) = ended.expect("closed");
        let told = statuses(&answer);
        assert!(
            told.is_empty() || told == [408] || told == [400],
            "{told:?} to {bytes:?}"
        );
    }
    // A byte now and then does not prolong it.
    let mut drip = Talk::to(gate.web).await;
    drip.say("GET / HTTP/1.1\r\nX: ").await;
    let dripping = async {
        while tokio::io::AsyncWriteExt::write_all(&mut drip.stream, b"y")
            .await
            .is_ok()
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(crate::support::client::GENEROUS, dripping).await;
    assert!(ended.is_ok(), "a slow head is read for ever");
    assert_eq!(origin.seen().len(), 0);
}

#[tokio::test]
async fn c57_a_body_that_stops_is_408_and_gives_its_permit_back() {
    let origin = Origin::fine().await;
    let gate = gate_with(origin.address, "body_timeout = \"300ms\"", FOUR).await;
    for fields in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let answer = shout(
            gate.web,
            format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n5\r\nhello\r\n"),
        )
        .await;
        assert_eq!(statuses(&answer), [408], "{answer}");
    }
    until("its permit is back", || in_flight(&gate) == 0).await;
    until("its upstream is closed", || {
        origin.closed() == origin.connections()
    })
    .await;
    assert_eq!(origin.seen().len(), 0);
    assert!(!any_ejected(&gate));
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c58_who_does_not_read_pins_nothing_for_ever() {
    let big = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n{}",
        "x".repeat(50_000_000)
    );
    let origin = Origin::saying(big, Then::Keep).await;
    let gate = gate_with(origin.address, "body_timeout = \"300ms\"", FOUR).await;
    let mut talk = Talk::to(gate.web).await;
    talk.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("it is at the upstream", || origin.heads() == 1).await;
    all_is_well(&gate).await;
    until("its permit is back", || in_flight(&gate) == 0).await;
    until("its upstream is let go", || origin.closed() >= 1).await;
    assert!(!any_ejected(&gate));
    let got = talk.rest().await;
    assert!(got.len() < 50_000_000, "it was all buffered");
}

#[tokio::test]
async fn c59_an_expectation_is_not_met_where_the_request_is_refused() {
    let origin = Origin::fine().await;
    let gate = gate(
        origin.address,
        "",
        "path_prefix = \"/fine\"\nmax_body = \"1KiB\"",
    )
    .await;
    for (path, length, status) in [
        ("/none", 1_073_741_824_u64, 404),
        ("/fine", 1_073_741_824, 413),
        ("/none", 10, 404),
    ] {
        let bytes = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        let answer = shout(gate.web, bytes).await;
        assert_eq!(statuses(&answer), [status], "{answer}");
    }
    assert_eq!(origin.seen().len(), 0);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c60_a_client_that_expects_is_told_to_go_on_once() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    let mut talk = Talk::to(gate.web).await;
    talk.say(head).await;
    assert_eq!(statuses(&talk.until("\r\n\r\n").await), [100]);
    talk.say("hello").await;
    assert_eq!(statuses(&talk.rest().await), [200]);
    assert_eq!(origin.seen()[0].body, b"hello");
    let old =
        "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    let told = shout(gate.web, old).await;
    assert_eq!(
        told.matches("HTTP/1.").count(),
        1,
        "HTTP/1.0 knows no 100: {told}"
    );
    assert!(told.contains(" 200 "), "{told}");
    for other in ["x", "y 100-continue", "100-continue, x"] {
        let bytes = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: {other}\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(statuses(&shout(gate.web, bytes).await), [417], "{other}");
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn c61_too_much_body_is_413_and_the_upstream_never_gets_a_whole_one() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, FOUR, "max_body = \"1KiB\"").await;
    let announced = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n{}",
        "x".repeat(1025)
    );
    let answer = shout(
        gate.web,
        announced + "GET /fine HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(statuses(&answer)[0], 413, "{answer}");
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(3)
    );
    let answer = shout(gate.web, chunked).await;
    assert_eq!(statuses(&answer), [413], "{answer}");
    assert_eq!(origin.seen().len(), 0, "more than it may came through");
    until("its permit is back", || in_flight(&gate) == 0).await;
    assert!(!any_ejected(&gate));
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c63_trailers_never_become_fields_and_those_that_frame_are_dropped() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Ok, Host, Content-Length\r\nTE: trailers\r\nConnection: close\r\n\r\n\
                 5\r\nhello\r\n0\r\nX-Ok: 1\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: evil\r\nTransfer-Encoding: evil\r\n\r\n";
    let told = statuses(&shout(gate.web, bytes).await);
    assert_eq!(told, [200]);
    let seen = &origin.seen()[0];
    assert_eq!(
        (seen.field("host"), &*seen.body),
        (vec!["a"], &b"hello"[..])
    );
    assert!(seen.field("x-ok").is_empty());
    let trailers = seen.framing.to_ascii_lowercase();
    for name in [
        "content-length",
        "host",
        "authorization",
        "transfer-encoding",
        "evil",
    ] {
        assert!(!trailers.contains(name), "{name} in {trailers}");
    }
    let many = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n{}\r\n",
        "X-Trailer: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(10_000)
    );
    let told = statuses(&shout(gate.web, many).await);
    assert!(
        told.is_empty() || told == [400] || told == [431],
        "{told:?}"
    );
    assert_eq!(origin.seen().len(), 1);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c54_an_upgrade_to_h2c_is_not_heard() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(statuses(&shout(gate.web, bytes).await), [200]);
    let seen = &origin.seen()[0];
    assert!(
        seen.field("upgrade").is_empty() && seen.field("http2-settings").is_empty(),
        "{}",
        seen.head
    );
}

#[tokio::test]
async fn c64_what_follows_an_upgrade_that_was_not_taken_is_the_next_request() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "path_prefix = \"/a\"").await;
    let bytes = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n\
                 GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = shout(gate.web, bytes).await;
    assert_eq!(statuses(&answer), [200, 200, 404], "{answer}");
    let seen = origin.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].field("upgrade").is_empty(), "{}", seen[1].head);
    assert_eq!(seen[1].field("x-forwarded-for"), ["127.0.0.1"]);
}

#[tokio::test]
async fn c65_a_refused_websocket_opens_no_tunnel() {
    let origin = Origin::start(Reads::Whole, |seen| {
        let status = seen
            .line()
            .split(['/', ' '])
            .nth(2)
            .unwrap_or("200")
            .to_owned();
        (
            format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok").into(),
            Then::Keep,
        )
    })
    .await;
    let gate = gate(origin.address, "", "").await;
    let upgrade = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    for status in [426, 400, 403] {
        let bytes = format!(
            "GET /{status} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Version: 7\r\n\r\nGET /201 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let answer = shout(gate.web, bytes).await;
        assert_eq!(statuses(&answer), [status, 201], "{answer}");
    }
    let old = shout(gate.web, format!("GET /202 HTTP/1.0\r\n{upgrade}\r\n")).await;
    assert!(old.contains(" 202 "), "{old}");
    let seen = origin.seen();
    let last = seen.last().expect("a request");
    assert!(
        last.field("upgrade").is_empty(),
        "HTTP/1.0 cannot upgrade: {}",
        last.head
    );
}

#[tokio::test]
async fn c19_noise_is_turned_away_and_counted() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec();
    for bytes in [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(),
        [hello, vec![0xee; 160]].concat(),
        vec![0; 4096],
        b"PRI * HTTP/2.0\r\n\r\nno\r\n\r\n".to_vec(),
    ] {
        let told = statuses(&shout(gate.web, &bytes).await);
        assert!(told.is_empty() || told == [400], "{told:?} to {bytes:.20?}");
    }
    assert_eq!(origin.connections(), 0);
    until("it is counted", || {
        let counted = gate.gateway.telemetry().render();
        counted.contains("tidegate_faults_total{route=\"none\",upstream=\"none\",cause=\"client\"")
    })
    .await;
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c62_a_coded_body_is_passed_on_as_it_is() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "max_body = \"1KiB\"").await;
    let bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\nConnection: close\r\n\r\nnot gzip";
    assert_eq!(statuses(&shout(gate.web, bytes).await), [200]);
    let seen = &origin.seen()[0];
    assert_eq!(
        (seen.field("content-encoding"), &*seen.body),
        (vec!["gzip"], &b"not gzip"[..])
    );
}
