//! What upstreams do (U01 to U45).

use http::HeaderValue;
use tokio::net::TcpListener;

use crate::{
    origin::{OK, Origin, Reads, Then},
    support::{
        client::{self, Reply, request},
        gateway::TestGateway,
        until,
        upstream::{Upstream, answer},
    },
    wire::{Talk, all_is_well, any_ejected, gate, in_flight, shout, statuses},
};

const ONCE: &str = "retry = { attempts = 1 }";

async fn one_try(origin: &Origin) -> TestGateway {
    let off = "ejection = { enabled = false }\nconcurrency = { mode = \"fixed\", limit = 16 }";
    gate(origin.address, off, ONCE).await
}

#[track_caller]
fn is_fault(reply: &Reply, status: u16, error: &str) {
    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    let wanted = format!("tidegate; error={error}; cause=");
    assert!(
        reply.header("proxy-status").starts_with(&wanted),
        "{reply:?}"
    );
}

async fn refused_port() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// A GET on a connection of its own, whose whole answer is taken as bytes.
async fn raw_get(gate: &TestGateway) -> String {
    shout(
        gate.web,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await
}

#[tokio::test]
async fn u01_a_refused_connection_moves_any_request_to_the_next_endpoint() {
    let origin = Origin::fine().await;
    let text = format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]\nbalance = \"round_robin\"\nejection = {{ enabled = false }}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        refused_port().await,
        origin.address
    );
    let gate = TestGateway::start(&text).await;
    for method in ["GET", "POST", "POST", "GET", "POST"] {
        let reply = client::send(gate.web, request(method, "/", "body")).await;
        assert_eq!(reply.status.as_u16(), 200, "{method}: {reply:?}");
    }
}

#[tokio::test]
async fn u01_where_all_refuse_it_is_502() {
    let gate = gate(refused_port().await, "", "").await;
    is_fault(&client::get(gate.web, "/").await, 502, "connection_refused");
}

#[tokio::test]
async fn u03_one_that_never_answers_is_504_and_its_connection_is_not_kept() {
    let origin = Origin::saying("", Then::Hang).await;
    let gate = gate(origin.address, "first_byte_timeout = \"200ms\"", ONCE).await;
    is_fault(
        &client::get(gate.web, "/").await,
        504,
        "http_response_timeout",
    );
    until("its connection is closed", || origin.closed() == 1).await;
    all_is_well(&gate).await;
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn u04_one_that_takes_a_request_and_closes_is_502_and_a_post_is_not_repeated() {
    for then in [Then::Close, Then::Reset] {
        let origin = Origin::saying("", then).await;
        let gate = gate(origin.address, "", "").await;
        is_fault(
            &client::send(gate.web, request("POST", "/", "x")).await,
            502,
            "connection_terminated",
        );
        assert_eq!(origin.seen().len(), 1, "a POST was repeated");
        all_is_well(&gate).await;
    }
}

#[tokio::test]
async fn u05_a_kept_connection_that_closes_as_it_is_used_costs_no_request() {
    let origin = Origin::start(Reads::Whole, |seen| {
        if seen.nth == 0 {
            (OK.to_vec(), Then::Keep)
        } else {
            (Vec::new(), Then::Close)
        }
    })
    .await;
    let gate = gate(origin.address, "", "").await;
    for _ in 0..8 {
        assert_eq!(client::get(gate.web, "/").await.status.as_u16(), 200);
    }
    assert!(!any_ejected(&gate));
}

#[tokio::test]
async fn u06_a_connection_that_is_to_be_closed_is_never_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: foo\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let origin = Origin::saying(answer, Then::Hang).await;
        let gate = one_try(&origin).await;
        for _ in 0..3 {
            assert_eq!(client::get(gate.web, "/").await.text(), "ok", "{answer}");
        }
        assert_eq!(origin.connections(), 3, "{answer}");
    }
}

#[tokio::test]
async fn u07_u19_surplus_bytes_never_answer_the_next_request() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
    ] {
        let origin = Origin::saying(format!("{answer}{poison}"), Then::Keep).await;
        let gate = one_try(&origin).await;
        for _ in 0..5 {
            let first = client::send(gate.web, request(method, "/", "")).await;
            assert!(!first.text().contains("poison"), "{answer}");
            if first.status.as_u16() == 204 {
                assert_eq!(first.header("content-length"), "");
            }
            all_is_well(&gate).await;
        }
    }
}

#[tokio::test]
async fn u14_an_early_answer_is_delivered_whole_though_the_upstream_closes() {
    let page = "x".repeat(10_000);
    for status in [413, 401, 429, 503] {
        let answer = format!(
            "HTTP/1.1 {status} No\r\nConnection: close\r\nContent-Length: 10000\r\n\r\n{page}"
        );
        let origin = Origin::start(Reads::Head, move |_| (answer.clone().into(), Then::Hang)).await;
        let gate = one_try(&origin).await;
        let mut talk = Talk::to(gate.web).await;
        talk.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst part")
            .await;
        let head = talk.until("\r\n\r\n").await;
        assert_eq!(statuses(&head), [status], "{head}");
        talk.until(&page).await;
        until("its connection is not kept", || origin.closed() == 1).await;
        until("its permit is back", || in_flight(&gate) == 0).await;
    }
}

#[tokio::test]
async fn u15_u16_an_answer_that_breaks_off_never_looks_whole() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let broken = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_owned(),
        format!("{head}4\r\nhalf\r\n"),
        format!("{head}4\r\nhalf\r\n5\r\nhe"),
        format!("{head}4\r\nhalf\r\nxyz\r\nhello\r\n0\r\n\r\n"),
        format!("{head}4\r\nhalf\r\n-5\r\nhello\r\n0\r\n\r\n"),
        format!("{head}4\r\nhalf\n0\r\n\r\n"),
        format!("{head}4\r\nhalfandmore\r\n0\r\n\r\n"),
        format!(
            "{head}4\r\nhalf\r\n1;{}\r\nx\r\n0\r\n\r\n",
            "y".repeat(20_000)
        ),
    ];
    for answer in broken {
        for then in [Then::Close, Then::Reset] {
            let origin = Origin::saying(answer.clone(), then).await;
            let gate = one_try(&origin).await;
            let got = raw_get(&gate).await;
            match statuses(&got)[..] {
                [502] => {}
                [200] => {
                    assert!(
                        !got.ends_with("0\r\n\r\n"),
                        "{answer:.90?} was given an end: {got}"
                    );
                    assert!(!got.contains("Content-Length: 4\r\n"));
                }
                ref other => panic!("{other:?} for {answer:.90?}"),
            }
            until("its permit is back", || in_flight(&gate) == 0).await;
            all_is_well(&gate).await;
        }
    }
}

#[tokio::test]
async fn u17_an_answer_that_ends_with_its_connection_is_framed_anew() {
    let origin = Origin::saying("HTTP/1.0 200 OK\r\n\r\nbody", Then::Close).await;
    let gate = one_try(&origin).await;
    let new = raw_get(&gate).await;
    assert!(
        new.to_ascii_lowercase()
            .contains("transfer-encoding: chunked")
            && new.ends_with("0\r\n\r\n"),
        "{new}"
    );
    let old = shout(gate.web, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(
        !old.to_ascii_lowercase().contains("transfer-encoding") && old.ends_with("\r\n\r\nbody"),
        "{old}"
    );
}

#[tokio::test]
async fn u18_u22_an_answer_that_may_be_read_in_two_ways_or_none_is_502() {
    for head in [
        "200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
        "200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2",
        "200 OK\r\nContent-Length: 2\r\nContent-Length: 3",
        "200 OK\r\nContent-Length: 2, 3",
        "200 OK\r\nContent-Length: +2",
        "200 OK\r\nContent-Length: x",
        "200 OK\r\nTransfer-Encoding: gzip, chunked",
        "200 OK\r\nTransfer-Encoding: foo",
        "99 Short",
        "1000 Long",
        "abc Letters",
        "200 OK\r\nno colon",
        "200 OK\r\nX: a\0b",
        "200 OK\r\n: no name",
    ] {
        let answer = format!("HTTP/1.1 {head}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        let origin = Origin::saying(answer, Then::Close).await;
        let gate = one_try(&origin).await;
        let reply = client::get(gate.web, "/").await;
        is_fault(&reply, 502, "http_protocol_error");
        until("its connection is closed", || origin.closed() == 1).await;
        all_is_well(&gate).await;
    }
}

#[tokio::test]
async fn u22_a_head_without_end_is_502_and_a_missing_reason_is_fine() {
    let endless = format!(
        "HTTP/1.1 200 OK\r\n{}",
        "X-Filler: yyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(100_000)
    );
    for answer in [
        endless,
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(3_000_000)),
    ] {
        let origin = Origin::saying(answer, Then::Hang).await;
        let gate = one_try(&origin).await;
        let reply = client::get(gate.web, "/").await;
        assert_eq!(reply.status.as_u16(), 502, "{reply:?}");
        until("its connection is closed", || origin.closed() == 1).await;
    }
    let origin = Origin::saying("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Then::Keep).await;
    let gate = one_try(&origin).await;
    assert_eq!(client::get(gate.web, "/").await.text(), "ok");
}

#[tokio::test]
async fn u20_interim_answers_are_not_the_answer() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10);
    let answer = format!(
        "HTTP/1.1 100 Continue\r\n\r\n{hints}HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    );
    let origin = Origin::saying(answer, Then::Keep).await;
    let gate = one_try(&origin).await;
    for _ in 0..3 {
        assert_eq!(client::get(gate.web, "/").await.text(), "ok");
    }
    let origin = Origin::saying(hints, Then::Close).await;
    let gate = one_try(&origin).await;
    assert_eq!(client::get(gate.web, "/").await.status.as_u16(), 502);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn u21_a_101_for_another_protocol_opens_nothing() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let origin = Origin::saying(answer, Then::Hang).await;
    let gate = one_try(&origin).await;
    for upgrade in [
        "Upgrade: websocket\r\nConnection: Upgrade, close\r\n",
        "Connection: close\r\n",
    ] {
        let got = shout(
            gate.web,
            format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n"),
        )
        .await;
        assert_eq!(statuses(&got), [502], "{got}");
        assert!(got.contains("error=http_upgrade_failed"), "{got}");
    }
    until("its permits are back", || in_flight(&gate) == 0).await;
    all_is_well(&gate).await;
}

#[tokio::test]
async fn u23_fields_that_repeat_keep_their_number_and_order() {
    let cookies: Vec<_> = (0..80).map(|n| format!("c{n}=v, {n}")).collect();
    let fields = format!("Set-Cookie: {}\r\n", cookies.join("\r\nSet-Cookie: "));
    let origin = Origin::saying(
        format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"),
        Then::Keep,
    )
    .await;
    let gate = one_try(&origin).await;
    for reply in [
        client::get(gate.web, "/").await,
        client::send_h2(
            gate.web,
            http::Request::get("http://test/")
                .body(http_body_util::Full::default())
                .unwrap(),
        )
        .await
        .expect("an answer"),
    ] {
        let got: Vec<_> = reply
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|v| v.to_str().unwrap())
            .collect();
        assert_eq!(got, cookies);
    }
}

#[tokio::test]
async fn u25_u37_u38_what_is_of_the_hop_goes_and_what_is_the_servers_stays() {
    let answer = "HTTP/1.1 302 Found\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: foo\r\n\
                  Proxy-Authenticate: Basic\r\nProxy-Status: other; error=dns_error\r\nServer: theirs\r\nVia: 1.1 theirs\r\n\
                  Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nLocation: http://10.0.0.1/private\r\nSet-Cookie: a=b; Domain=in.example\r\n\
                  Content-Length: 2\r\n\r\nok";
    let origin = Origin::saying(answer, Then::Keep).await;
    let gate = one_try(&origin).await;
    let reply = client::get(gate.web, "/").await;
    for name in ["x-secret", "keep-alive", "upgrade", "proxy-authenticate"] {
        assert_eq!(reply.header(name), "", "{name}");
    }
    assert!(
        reply
            .header("proxy-status")
            .starts_with("other; error=dns_error"),
        "{reply:?}"
    );
    assert_eq!(reply.header("server"), "theirs");
    assert_eq!(reply.header("location"), "http://10.0.0.1/private");
    assert_eq!(reply.header("set-cookie"), "a=b; Domain=in.example");
    assert_eq!(
        reply.headers.get_all("date").iter().collect::<Vec<_>>(),
        ["Sun, 06 Nov 1994 08:49:37 GMT"]
    );
    assert_eq!(origin.seen().len(), 1, "the redirect was followed");
    let via: Vec<_> = reply
        .headers
        .get_all("via")
        .iter()
        .map(|v| v.to_str().unwrap())
        .collect();
    assert_eq!(via.join(", "), "1.1 theirs, 1.1 tidegate");
}

#[tokio::test]
async fn u34_the_status_of_grpc_reaches_the_client_whole() {
    use http_body_util::BodyExt;
    let origin = Upstream::start(|request| async move {
        let mut status = http::HeaderMap::new();
        status.insert("grpc-status", HeaderValue::from_static("14"));
        status.insert("grpc-message", HeaderValue::from_static("try%20later"));
        let mut reply = if request.uri().path() == "/only" {
            let mut reply = answer(200, "");
            reply.headers_mut().extend(status);
            reply
        } else {
            let frames = [
                Ok(http_body::Frame::data(bytes::Bytes::from_static(
                    b"\0\0\0\0\0",
                ))),
                Ok(http_body::Frame::trailers(status)),
            ];
            http::Response::new(
                http_body_util::StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync(),
            )
        };
        reply
            .headers_mut()
            .insert("content-type", HeaderValue::from_static("application/grpc"));
        reply
    })
    .await;
    let gate = gate(origin.address, "protocol = \"h2\"", "").await;
    let ask = async |path: &str| {
        let request = http::Request::post(format!("http://a{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = request
            .body(http_body_util::Full::default())
            .expect("a request");
        client::send_h2(gate.web, request).await.expect("an answer")
    };
    let only = ask("/only").await;
    assert_eq!(
        (only.header("grpc-status"), only.header("grpc-message")),
        ("14", "try%20later")
    );
    let whole = ask("/whole").await;
    let trailers = whole.trailers.expect("trailers");
    assert_eq!(
        (&trailers["grpc-status"], &trailers["grpc-message"]),
        (
            &HeaderValue::from_static("14"),
            &HeaderValue::from_static("try%20later")
        )
    );
    assert_eq!(&*whole.body, b"\0\0\0\0\0");
    assert_eq!(origin.requests(), 2, "a call was repeated");
}

#[tokio::test]
async fn u27_what_an_upstream_says_is_passed_on_as_it_comes() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
        Then::Hang,
    )
    .await;
    let gate = one_try(&origin).await;
    let mut talk = Talk::to(gate.web).await;
    talk.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    talk.until("data: 1\n\n").await;
    drop(talk);
    until("its permit is back", || in_flight(&gate) == 0).await;
}

#[tokio::test]
async fn u35_trailers_pass_but_those_that_frame_or_steer() {
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Ok, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
                  X-Ok: 1\r\nContent-Length: 7\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n";
    let origin = Origin::saying(answer, Then::Keep).await;
    let gate = one_try(&origin).await;
    let mut asks = request("GET", "/", "");
    asks.headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    let over_h1 = client::send(gate.web, asks).await;
    let asks = http::Request::get("http://test/").header("te", "trailers");
    let asks = asks
        .body(http_body_util::Full::default())
        .expect("a request");
    let over_h2 = client::send_h2(gate.web, asks).await.expect("an answer");
    for reply in [over_h1, over_h2] {
        assert_eq!(reply.text(), "ok");
        let trailers = reply.trailers.expect("trailers");
        let names: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["x-ok"]);
    }
    let plain = client::get(gate.web, "/").await;
    assert_eq!(plain.text(), "ok");
    assert_eq!(plain.header("x-ok"), "", "a trailer became a field");
}

#[tokio::test]
async fn u36_a_server_that_says_when_to_come_back_is_obeyed() {
    for status in [429, 503] {
        let answer =
            format!("HTTP/1.1 {status} Wait\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait");
        let origin = Origin::saying(answer, Then::Keep).await;
        let retry = "retry = { attempts = 3, on = [\"connect\", \"reset\", \"503\"] }";
        let gate = gate(origin.address, "", retry).await;
        for round in 1..=10 {
            let reply = client::get(gate.web, "/").await;
            assert_eq!(
                (
                    reply.status.as_u16(),
                    reply.header("retry-after"),
                    &*reply.text()
                ),
                (status, "7", "wait")
            );
            assert_eq!(origin.seen().len(), round, "tried again before its time");
        }
        assert!(!any_ejected(&gate));
        all_is_well(&gate).await;
    }
}

#[tokio::test]
async fn u45_the_only_endpoint_is_never_ejected() {
    let origin = Origin::saying("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", Then::Keep).await;
    let gate = gate(
        origin.address,
        "ejection = { consecutive_failures = 2 }",
        "",
    )
    .await;
    for _ in 0..20 {
        assert_eq!(client::get(gate.web, "/").await.status.as_u16(), 500);
    }
    assert!(!any_ejected(&gate));
    all_is_well(&gate).await;
}
