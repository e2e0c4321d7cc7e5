//! What clients do with the framing of HTTP/1 (C01 to C22).

use std::{fmt::Write as _, time::Duration};

use crate::{
    origin::{OK, Origin, Reads, Then},
    support::{client, until},
    wire::{Talk, all_is_well, any_ejected, gate, gate_with, in_flight, shout, statuses},
};

/// A POST with these fields and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// None of these gets anything but one of its statuses, once, with the connection closed behind it.
async fn refuses(table: &[(String, &[u16])]) {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "max_body = \"1MiB\"").await;
    for (bytes, allowed) in table {
        let answer = shout(gate.web, bytes).await;
        match statuses(&answer)[..] {
            [status] => assert!(allowed.contains(&status), "{status} to {bytes:?}"),
            ref other => panic!("{other:?} to {bytes:?}"),
        }
        assert_eq!(origin.seen().len(), 0, "it came through: {bytes:?}");
    }
    all_is_well(&gate).await;
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn c01_c02_length_and_coding_together_never_hide_a_request() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 39\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        let before = origin.seen().len();
        let answer = shout(gate.web, post(fields, &format!("0\r\n\r\n{HIDDEN}"))).await;
        let told = statuses(&answer);
        assert!(told == [400] || told == [200], "{told:?} to {fields:?}");
        let seen = origin.seen().split_off(before);
        assert!(seen.len() <= 1, "{seen:?}");
        for seen in seen {
            assert!(seen.line().starts_with("POST / "), "{seen:?}");
            assert!(
                seen.field("content-length").len() + seen.field("transfer-encoding").len() <= 1,
                "two framings: {seen:?}"
            );
        }
    }
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c03_lengths_that_differ_are_refused() {
    let table = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5, 6\r\n",
    ]
    .map(|fields| (post(fields, "hello!"), &[400][..]));
    refuses(&table).await;
}

#[tokio::test]
async fn c03_equal_lengths_are_refused_or_become_one() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let fields = "Content-Length: 5\r\nContent-Length: 5\r\nConnection: close\r\n";
    let told = statuses(&shout(gate.web, post(fields, "hello")).await);
    let seen = origin.seen();
    match told[..] {
        [400] => assert!(seen.is_empty()),
        [200] => assert_eq!(seen[0].field("content-length"), ["5"]),
        _ => panic!("{told:?}"),
    }
}

#[tokio::test]
async fn c04_a_length_that_is_no_plain_number_is_refused() {
    let lengths = [
        "",
        "+5",
        "-1",
        "0x5",
        "5 5",
        "5_0",
        "\u{665}",
        "5;",
        "18446744073709551621",
        "5.0",
        "1e3",
    ];
    let table = lengths.map(|length| {
        (
            post(&format!("Content-Length: {length}\r\n"), "hello"),
            &[400][..],
        )
    });
    refuses(&table).await;
}

#[tokio::test]
async fn c04_a_length_with_zeros_before_it_is_refused_or_written_anew() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let fields = "Content-Length: 00000000000000000005\r\nConnection: close\r\n";
    let told = statuses(&shout(gate.web, post(fields, "hello")).await);
    let seen = origin.seen();
    match told[..] {
        [400] => assert!(seen.is_empty()),
        [200] => assert_eq!(seen[0].field("content-length"), ["5"]),
        _ => panic!("{told:?}"),
    }
}

#[tokio::test]
async fn c05_a_coding_behind_a_broken_name_is_refused() {
    let table = [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding\x0b: chunked\r\n",
        "Transfer-Encoding\x0c: chunked\r\n",
        "Transfer-Encoding\0: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
    ]
    .map(|field| {
        let fields = format!("{field}Content-Length: 5\r\nConnection: close\r\n");
        (post(&fields, "0\r\n\r\n"), &[400][..])
    });
    refuses(&table).await;
}

#[tokio::test]
async fn c06_c07_c08_a_coding_besides_chunked_is_refused() {
    let codings: [(&str, &[u16]); 12] = [
        ("Transfer-Encoding: xchunked\r\n", &[400, 501]),
        ("Transfer-Encoding: chunked;q=1\r\n", &[400]),
        ("Transfer-Encoding: \"chunked\"\r\n", &[400]),
        ("Transfer-Encoding: ,chunked\r\n", &[400]),
        ("Transfer-Encoding: chunked,\r\n", &[400]),
        ("Transfer-Encoding: \r\n", &[400]),
        ("Transfer-Encoding: gzip, chunked\r\n", &[501]),
        ("Transfer-Encoding: chunked, chunked\r\n", &[400]),
        ("Transfer-Encoding: identity, chunked\r\n", &[400, 501]),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            &[400],
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
            &[400],
        ),
        ("Transfer-Encoding: chunked, gzip\r\n", &[400]),
    ];
    let mut table: Vec<_> = codings
        .iter()
        .map(|(fields, allowed)| {
            let fields = format!("{fields}Connection: close\r\n");
            (post(&fields, "5\r\nhello\r\n0\r\n\r\n"), *allowed)
        })
        .collect();
    table.push((
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            .into(),
        &[400],
    ));
    refuses(&table).await;
}

#[tokio::test]
async fn c06_chunked_in_any_case_is_chunked() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let fields = "Transfer-Encoding: ChUnKeD\r\nConnection: close\r\n";
    let told = statuses(&shout(gate.web, post(fields, "5\r\nhello\r\n0\r\n\r\n")).await);
    assert_eq!(told, [200]);
    let seen = origin.seen();
    assert!(seen[0].field("transfer-encoding")[0].eq_ignore_ascii_case("chunked"));
    assert_eq!(seen[0].body, b"hello");
}

#[tokio::test]
async fn c09_c10_a_broken_chunk_ends_both_connections_and_blames_the_client() {
    let origin = Origin::fine().await;
    let gate = gate(
        origin.address,
        "concurrency = { mode = \"fixed\", limit = 4 }",
        "",
    )
    .await;
    let broken = [
        "0x5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "5_\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "fffffffffffffffff\r\nhello\r\n",
        "\r\nhello\r\n",
        "\x005\r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\nhello!!\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
    ];
    for rest in broken {
        let bytes = post(
            "Transfer-Encoding: chunked\r\n",
            &format!("5\r\nfirst\r\n{rest}{HIDDEN}"),
        );
        let told = statuses(&shout(gate.web, &bytes).await);
        assert!(told == [400] || told.is_empty(), "{told:?} to {rest:?}");
        assert_eq!(origin.seen().len(), 0, "{rest:?} ended a request");
    }
    until("its half-written requests are closed", || {
        origin.closed() == origin.connections()
    })
    .await;
    until("every permit is back", || in_flight(&gate) == 0).await;
    assert!(!any_ejected(&gate));
    let counted = gate.gateway.telemetry().render();
    assert!(
        !counted
            .lines()
            .any(|line| line.starts_with("tidegate_faults_total")
                && !line.contains("cause=\"client\"")),
        "{counted}"
    );
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c11_chunk_extensions_are_read_bounded_and_never_passed_on() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\nConnection: close\r\n", body);
    let told = statuses(&shout(gate.web, chunked("5;a=b;c\r\nhello\r\n0;d\r\n\r\n")).await);
    assert_eq!(told, [200]);
    let seen = origin.seen();
    assert_eq!(seen[0].body, b"hello");
    assert!(!seen[0].framing.contains(';'), "{seen:?}");
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000));
    let many = format!("1;{}\r\nx\r\n", "y".repeat(8_000)).repeat(20) + "0\r\n\r\n";
    for body in ["5;a\nb\r\nhello\r\n0\r\n\r\n", &long, &many] {
        let told = statuses(&shout(gate.web, chunked(body)).await);
        assert!(told == [400] || told.is_empty(), "{told:?} to {body:.40?}");
    }
    assert_eq!(origin.seen().len(), 1);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c12_a_body_of_a_method_that_has_none_keeps_its_framing() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        for (field, body) in [
            (
                format!("Content-Length: {}", HIDDEN.len()),
                HIDDEN.to_owned(),
            ),
            (
                "Transfer-Encoding: chunked".into(),
                format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()),
            ),
        ] {
            let before = origin.seen().len();
            let bytes = format!(
                "{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n\r\n{body}"
            );
            let answer = shout(gate.web, bytes).await;
            let seen = origin.seen().split_off(before);
            match statuses(&answer)[..] {
                [200] => assert_eq!(
                    (seen.len(), &*seen[0].body),
                    (1, HIDDEN.as_bytes()),
                    "{method}"
                ),
                [400 | 411 | 413 | 501] => assert!(seen.is_empty()),
                ref other => panic!("{other:?} to {method} with {field}"),
            }
        }
    }
    all_is_well(&gate).await;
    assert!(
        origin
            .seen()
            .iter()
            .all(|seen| !seen.line().contains("hidden"))
    );
}

#[tokio::test]
async fn c13_a_connection_whose_request_was_not_fully_sent_takes_no_other() {
    let origin = Origin::start(Reads::Head, |_| (OK.to_vec(), Then::Keep)).await;
    let gate = gate(origin.address, "", "").await;
    let mut early = Talk::to(gate.web).await;
    early.say(post("Content-Length: 100\r\n", "some")).await;
    early.until("\r\n\r\nok").await;
    early.say(format!("{HIDDEN}{HIDDEN}")).await;
    drop(early);
    all_is_well(&gate).await;
    until("the second head came", || origin.heads() >= 2).await;
    assert!(
        origin.connections() >= 2,
        "the unfinished one was used again"
    );
    assert!(
        origin
            .seen()
            .iter()
            .all(|seen| !seen.line().contains("hidden"))
    );
}

#[tokio::test]
async fn c14_an_early_refusal_drains_or_closes() {
    let origin = Origin::fine().await;
    let limit = "path_prefix = \"/fine\"\n[[routes.rate_limits]]\nname = \"r\"\nrate = \"1/h\"\nburst = 1\nkey = \"header:X-Key\"\n";
    let gate = gate(origin.address, "", limit).await;
    let post = |path: &str, fields: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nX-Key: k\r\n{fields}\r\n{body}GET /fine/found HTTP/1.1\r\nHost: a\r\nX-Key: other\r\nConnection: close\r\n\r\n"
        )
    };
    let length = format!("Content-Length: {}\r\n", HIDDEN.len());
    let chunks = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let big = HIDDEN.repeat(200_000 / HIDDEN.len());
    let big_length = format!("Content-Length: {}\r\n", big.len());
    // 404 for no route, then 429 for the limit.
    let spent = shout(
        gate.web,
        "GET /fine/first HTTP/1.1\r\nHost: a\r\nX-Key: k\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(statuses(&spent), [200], "not yet spent: {spent}");
    for (path, status) in [("/none", 404), ("/fine/first", 429)] {
        for (fields, body) in [
            (&*length, HIDDEN),
            ("Transfer-Encoding: chunked\r\n", &*chunks),
        ] {
            let answer = shout(gate.web, post(path, fields, body)).await;
            let told = statuses(&answer);
            assert_eq!(told.first(), Some(&status), "{answer}");
            assert!(told.len() <= 2, "{told:?}");
        }
        let answer = shout(gate.web, post(path, &big_length, &big)).await;
        assert_eq!(statuses(&answer), [status], "{answer}");
    }
    let paths: Vec<_> = origin
        .seen()
        .iter()
        .map(|seen| seen.line().to_owned())
        .collect();
    assert!(
        paths.iter().all(|line| !line.contains("hidden")),
        "{paths:?}"
    );
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c15_other_line_ends_are_refused_or_written_anew() {
    let table = [
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\r",
        "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    .map(|bytes| (bytes.to_owned(), &[400][..]));
    refuses(&table).await;
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let told = statuses(
        &shout(
            gate.web,
            "GET / HTTP/1.1\nHost: a\nX: y\nConnection: close\n\n",
        )
        .await,
    );
    let seen = origin.seen();
    match told[..] {
        [400] => assert!(seen.is_empty()),
        [200] => {
            assert_eq!(
                seen[0].head.matches('\n').count(),
                seen[0].head.matches("\r\n").count()
            );
            assert_eq!(seen[0].field("x"), ["y"]);
        }
        _ => panic!("{told:?}"),
    }
}

#[tokio::test]
async fn c16_a_broken_field_is_refused_with_all_that_follow() {
    let table = [
        " Folded: first\r\n",
        "no colon\r\n",
        ": no name\r\n",
        "na me: x\r\n",
        "na(me: x\r\n",
        "nul\0: x\r\n",
        "X: a\0b\r\n",
        "X: a\x01b\r\n",
        "X: a\x7fb\r\n",
        "X: a\r\n folded\r\n",
        "X: a\r\n\tfolded\r\n",
    ]
    .map(|field| {
        let bytes = format!("GET / HTTP/1.1\r\n{field}Host: a\r\nConnection: close\r\n\r\n");
        (bytes, &[400][..])
    });
    refuses(&table).await;
}

#[tokio::test]
async fn c17_a_broken_request_line_is_refused() {
    let lines: [(&str, &[u16]); 12] = [
        ("GET  / HTTP/1.1", &[400]),
        ("GET /  HTTP/1.1", &[400]),
        ("GET\t/ HTTP/1.1", &[400]),
        ("GET / HTTP/1.1 ", &[400]),
        ("GET / http/1.1", &[400]),
        ("GET / HTTP/1.01", &[400]),
        ("GET / HTTP/2.0", &[400, 505]),
        ("GET / HTTP/3.0", &[400, 505]),
        ("GET / HTTP/0.9", &[400, 505]),
        ("GET HTTP/1.1", &[400]),
        ("G(T / HTTP/1.1", &[400]),
        ("GET /", &[400]),
    ];
    let table: Vec<_> = lines
        .iter()
        .map(|(line, allowed)| {
            (
                format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n"),
                *allowed,
            )
        })
        .collect();
    refuses(&table).await;
}

#[tokio::test]
async fn c18_empty_lines_before_a_request_are_skipped_within_the_header_timeout() {
    let origin = Origin::fine().await;
    let gate = gate_with(origin.address, "header_timeout = \"300ms\"", "").await;
    let few = shout(
        gate.web,
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(statuses(&few), [200]);
    let mut talk = Talk::to(gate.web).await;
    let endless = async {
        while tokio::io::AsyncWriteExt::write_all(&mut talk.stream, b"\r\n")
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(client::GENEROUS, endless)
            .await
            .is_ok(),
        "empty lines keep it open"
    );
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c20_pipelined_requests_are_answered_in_order_and_each_pays() {
    let origin = Origin::start(Reads::Whole, |seen| {
        let path = seen.line().split(' ').nth(1).unwrap_or_default();
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            )
            .into(),
            Then::Keep,
        )
    })
    .await;
    let limit = "[[routes.rate_limits]]\nrate = \"1/h\"\nburst = 1000\n";
    let gate = gate(
        origin.address,
        "concurrency = { mode = \"fixed\", limit = 1 }",
        limit,
    )
    .await;
    let mut bytes = String::new();
    for n in 0..2_000 {
        let _ = write!(bytes, "GET /{n}. HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    bytes.push_str("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = shout(gate.web, bytes).await;
    let told = statuses(&answer);
    assert_eq!(told.len(), 2_001);
    assert!(
        told[..1_000].iter().all(|status| *status == 200),
        "one at a time needs one place only"
    );
    assert!(told[1_000..].iter().all(|status| *status == 429));
    let mut at = 0;
    for n in 0..1_000 {
        let body = format!("\r\n\r\n/{n}.");
        at += answer[at..]
            .find(&body)
            .unwrap_or_else(|| panic!("{n} is not in its place"));
    }
    let seen: Vec<_> = origin
        .seen()
        .iter()
        .map(|seen| seen.line().to_owned())
        .collect();
    let sent: Vec<_> = (0..1_000).map(|n| format!("GET /{n}. HTTP/1.1")).collect();
    assert_eq!(seen, sent);
}

#[tokio::test]
async fn c21_c22_a_client_that_closes_or_resets_gives_all_back_and_blames_nobody() {
    let origin = Origin::saying("", Then::Hang).await;
    let gate = gate(
        origin.address,
        "concurrency = { mode = \"fixed\", limit = 8 }",
        "",
    )
    .await;
    for round in 1..=4 {
        let mut talk = Talk::to(gate.web).await;
        talk.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until("it is at the upstream", || origin.heads() == round).await;
        if round % 2 == 0 {
            let socket = socket2::SockRef::from(&talk.stream);
            socket.set_linger(Some(Duration::ZERO)).expect("a socket");
            drop(talk);
        } else {
            socket2::SockRef::from(&talk.stream)
                .shutdown(std::net::Shutdown::Write)
                .expect("a socket");
            assert_eq!(talk.rest().await, "");
        }
        until("its permit is back", || in_flight(&gate) == 0).await;
        until("its attempt is cancelled", || origin.closed() == round).await;
    }
    assert!(!any_ejected(&gate));
    assert_eq!(origin.heads(), 4, "tried again");
    until("each is counted", || {
        let counted = gate.gateway.telemetry().render();
        counted.contains("tidegate_requests_total{route=\"all\",upstream=\"up\",status=\"499\"} 4")
    })
    .await;
    all_is_well(&gate).await;
}
