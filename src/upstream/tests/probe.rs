use std::num::NonZeroU16;

use h2::server;
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::*;
use crate::{
    config::{
        AskPlan, BodyPlan, CheckMethod, CheckPlan, DegradedPlan, GrpcCheckPlan, HealthPlan,
        HttpCheckPlan, StatusSet,
    },
    health::{CheckFailure, Passed, Probe, Serving},
};

type Checked = Result<Passed, CheckFailure>;

pub(super) fn checks(check: CheckPlan) -> HealthPlan {
    HealthPlan {
        check,
        port: None,
        interval: PATIENCE,
        fast_interval: PATIENCE,
        timeout: PATIENCE,
        unhealthy_after: NonZeroU32::MIN,
        healthy_after: NonZeroU32::MIN,
        degraded: None,
    }
}

pub(super) fn http(path: &str) -> HttpCheckPlan {
    HttpCheckPlan {
        method: CheckMethod::Get,
        path: path.parse().unwrap(),
        ask: AskPlan::default(),
        expected: StatusSet::of([(200, 399)]),
        body: None,
    }
}

fn expecting(text: &str, within: usize) -> HttpCheckPlan {
    HttpCheckPlan {
        body: Some(BodyPlan {
            text: text.into(),
            within,
        }),
        ..http("/healthz")
    }
}

/// Degraded by `x-health: degraded` or 218.
fn degraded() -> DegradedPlan {
    let name = HeaderName::from_static("x-health");
    DegradedPlan {
        header: Some((name, Some(HeaderValue::from_static("degraded")))),
        statuses: StatusSet::of([(218, 218)]),
        thousandths: NonZeroU32::MIN,
    }
}

pub(super) async fn check(rig: &Rig, plan: HealthPlan) -> Checked {
    let probe = EndpointProbe::new(Arc::new(rig.connector()), rig.seat.clone(), plan);
    timeout(PATIENCE, probe.check())
        .await
        .expect("a check ends")
}

async fn check_http(rig: &Rig, plan: HttpCheckPlan) -> Checked {
    check(rig, checks(CheckPlan::Http(plan))).await
}

/// The result of `plan` where the endpoint answers with `answer`.
async fn answered(plan: HttpCheckPlan, answer: impl Into<Vec<u8>>) -> Checked {
    let script = Script::answering_once(answer).await;
    check_http(&Rig::new(script.address), plan).await
}

async fn status(answer: &'static str) -> Checked {
    answered(http("/healthz"), answer).await
}

#[tokio::test]
async fn a_check_says_who_asks_and_closes_its_connection() {
    let script = Script::new(|mut stream, _| async move {
        let address = stream.local_addr().unwrap();
        let head = read_head(&mut stream).await.unwrap();
        assert!(
            head.starts_with("GET /healthz?deep=1 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("host: shop.test:{}\r\n", address.port())),
            "{head}"
        );
        assert!(head.contains("user-agent: tidegate-health\r\n"), "{head}");
        // More than anybody wants to read.
        let endless = b"HTTP/1.1 200 OK\r\n\r\n";
        stream.write_all(endless).await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let rig = Rig::new(script.address);
    let checked = check_http(&rig, http("/healthz?deep=1")).await;
    assert_eq!(checked, Ok(Passed::Whole));
    closes(&rig).await;
}

/// The check keeps nothing, and its connection ends.
async fn closes(rig: &Rig) {
    assert_eq!(rig.seat.endpoint.connections.count(), (0, 0));
    rig.registry.drivers().close();
    timeout(PATIENCE, rig.registry.drivers().wait())
        .await
        .unwrap();
}

#[tokio::test]
async fn from_200_to_399_passes_and_a_redirect_is_not_followed() {
    for healthy in [
        "200 OK",
        "204 No Content",
        "301 Moved\r\nlocation: /500",
        "399 Odd",
    ] {
        let answer = format!("HTTP/1.1 {healthy}\r\n\r\n").leak();
        assert_eq!(status(answer).await, Ok(Passed::Whole), "{healthy}");
    }
    for sick in ["400 Bad Request", "404 Not Found", "500 Oops", "503 Busy"] {
        let answer = format!("HTTP/1.1 {sick}\r\n\r\n").leak();
        assert!(
            matches!(status(answer).await, Err(CheckFailure::Status(_))),
            "{sick}"
        );
    }
}

#[tokio::test]
async fn only_expected_statuses_pass() {
    let plan = || HttpCheckPlan {
        expected: StatusSet::of([(204, 204), (500, 501)]),
        ..http("/")
    };
    for (status, passes) in [(200, false), (204, true), (301, false), (501, true)] {
        let answer = format!("HTTP/1.1 {status} X\r\n\r\n");
        let checked = answered(plan(), answer).await;
        let expected = if passes {
            Ok(Passed::Whole)
        } else {
            Err(CheckFailure::Status(StatusCode::from_u16(status).unwrap()))
        };
        assert_eq!(checked, expected, "{status}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_sick() {
    assert!(matches!(
        status("what?\r\n\r\n").await,
        Err(CheckFailure::Protocol(_))
    ));
}

#[tokio::test]
async fn without_a_request_connecting_is_the_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::new(listener.local_addr().unwrap());
    let connects = || check(&rig, checks(CheckPlan::Connect));
    assert_eq!(connects().await, Ok(Passed::Whole));
    drop(listener);
    let failed = connects().await;
    assert!(
        matches!(failed, Err(CheckFailure::Connect(_))),
        "{failed:?}"
    );
}

/// An endpoint that answers 200 where the head of the request has all of `lines`, else 500.
async fn wanting(lines: &'static [&'static str]) -> Script {
    Script::new(move |mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        let status = if lines.iter().all(|line| head.contains(line)) {
            200
        } else {
            500
        };
        let answer = format!("HTTP/1.1 {status} X\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_check_says_what_the_plan_says() {
    let lines = &[
        "HEAD / HTTP/1.1\r\n",
        "host: other.test\r\n",
        "x-check: yes\r\n",
        "user-agent: mine\r\n",
    ];
    let script = wanting(lines).await;
    let rig = Rig::new(script.address);
    let header = |name, value| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    let plan = HttpCheckPlan {
        method: CheckMethod::Head,
        ask: AskPlan {
            host: Some(HeaderValue::from_static("other.test")),
            headers: [header("x-check", "yes"), header("user-agent", "mine")].into(),
        },
        ..http("/")
    };
    assert_eq!(check_http(&rig, plan.clone()).await, Ok(Passed::Whole));
    let silent = HttpCheckPlan {
        ask: AskPlan::default(),
        ..plan
    };
    assert!(check_http(&rig, silent).await.is_err());
}

#[tokio::test]
async fn a_check_of_another_port_goes_there_and_says_so() {
    let beside = Script::new(|mut stream, _| async move {
        let port = stream.local_addr().unwrap().port();
        let head = read_head(&mut stream).await.unwrap();
        assert!(
            head.contains(&format!("host: shop.test:{port}\r\n")),
            "{head}"
        );
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    })
    .await;
    let traffic = Script::answering_once("HTTP/1.1 500 No\r\n\r\n").await;
    let rig = Rig::new(traffic.address);
    for plan in [CheckPlan::Http(http("/")), CheckPlan::Connect] {
        let plan = HealthPlan {
            port: NonZeroU16::new(beside.address.port()),
            ..checks(plan)
        };
        assert_eq!(check(&rig, plan).await, Ok(Passed::Whole));
    }
    until(|| beside.connections() == 2).await;
    assert_eq!(traffic.connections(), 0);
}

#[tokio::test]
async fn a_text_is_found_however_the_body_is_cut() {
    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n  all is well ";
    assert_eq!(
        answered(expecting("all is well", 64), whole).await,
        Ok(Passed::Whole)
    );
    // In two chunks that come apart.
    let script = Script::new(|mut stream, _| async move {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\nall is \r\n";
        stream.write_all(head).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"5\r\nwell!\r\n").await.unwrap();
        // It never ends: what was found is enough.
        stream.read_u8().await.ok();
    })
    .await;
    let rig = Rig::new(script.address);
    assert_eq!(
        check_http(&rig, expecting("all is well", 64)).await,
        Ok(Passed::Whole)
    );
    closes(&rig).await;
}

#[tokio::test]
async fn a_body_without_the_text_is_sick_though_its_status_is_well() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nall ill";
    assert_eq!(
        answered(expecting("all is well", 64), answer).await,
        Err(CheckFailure::Body { read: 7 })
    );
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 70\r\n\r\nall ill";
    assert!(matches!(
        answered(expecting("all is well", 64), cut).await,
        Err(CheckFailure::Protocol(_))
    ));
}

#[tokio::test]
async fn of_a_body_of_a_gibibyte_no_more_is_read_than_its_bound() {
    const GIB: usize = 1 << 30;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let script = Script::new(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            read_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {
                count.fetch_add(8192, SeqCst);
            }
        }
    })
    .await;
    let rig = Rig::new(script.address);
    let within = 64 << 10;
    assert_eq!(
        check_http(&rig, expecting("all is well", within)).await,
        Err(CheckFailure::Body { read: within })
    );
    closes(&rig).await;
    // What the sockets between the two hold comes on top, which is megabytes at most.
    assert!(sent.load(SeqCst) < GIB / 16, "{}", sent.load(SeqCst));
}

#[tokio::test]
async fn a_field_or_a_status_says_that_an_endpoint_is_degraded() {
    for (head, expected) in [
        ("200 OK", Ok(Passed::Whole)),
        ("200 OK\r\nx-health: fine", Ok(Passed::Whole)),
        ("200 OK\r\nx-health: Degraded", Ok(Passed::Degraded)),
        ("218 This is fine", Ok(Passed::Degraded)),
        (
            "500 No\r\nx-health: degraded",
            Err(CheckFailure::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        ),
    ] {
        let script = Script::answering_once(format!("HTTP/1.1 {head}\r\n\r\n")).await;
        let plan = HealthPlan {
            degraded: Some(degraded()),
            ..checks(CheckPlan::Http(http("/")))
        };
        let rig = Rig::new(script.address);
        assert_eq!(check(&rig, plan).await, expected, "{head}");
        let deaf = check_http(&rig, http("/")).await;
        assert_eq!(deaf.is_ok(), expected.is_ok(), "{head}");
        assert_ne!(deaf, Ok(Passed::Degraded));
    }
    let outside = HealthPlan {
        degraded: Some(degraded()),
        ..checks(CheckPlan::Http(HttpCheckPlan {
            expected: StatusSet::of([(200, 200)]),
            ..http("/")
        }))
    };
    let script = Script::answering_once("HTTP/1.1 218 This is fine\r\n\r\n").await;
    assert_eq!(
        check(&Rig::new(script.address), outside).await,
        Ok(Passed::Degraded),
        "expected or not"
    );
}

/// What a gRPC health server answers a call with.
#[derive(Clone)]
struct Call {
    status: u16,
    fields: &'static [(&'static str, &'static str)],
    /// In pieces.
    message: &'static [&'static [u8]],
    /// `None`: the stream ends without trailers.
    trailers: Option<&'static [(&'static str, &'static str)]>,
}

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];
const SERVING: Call = Call {
    status: 200,
    fields: GRPC,
    message: &[&[0, 0, 0, 0, 2, 8, 1]],
    trailers: Some(&[("grpc-status", "0")]),
};

fn fields(pairs: &'static [(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    pairs.iter().map(field).collect()
}

/// A server that answers each call about `shop.v1.Orders` with `call`.
async fn grpc_server(call: Call) -> Script {
    Script::new(move |stream, _| {
        let call = call.clone();
        async move {
            let tasks = TaskTracker::new();
            let mut connection = server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let call = call.clone();
                let answer = async move {
                    let (head, mut body) = request.into_parts();
                    assert_eq!(head.method, Method::POST);
                    assert_eq!(head.uri.path(), "/grpc.health.v1.Health/Check");
                    assert_eq!(head.uri.authority().unwrap().host(), "shop.test");
                    assert_eq!(head.headers["content-type"], "application/grpc");
                    assert_eq!(head.headers["te"], "trailers");
                    assert_eq!(head.headers["grpc-timeout"], "20000m");
                    let mut asked = Vec::new();
                    while let Some(bytes) = body.data().await {
                        asked.extend_from_slice(&bytes.unwrap());
                    }
                    assert_eq!(asked, b"\0\0\0\0\x10\x0a\x0eshop.v1.Orders");
                    let mut head = Response::new(());
                    *head.status_mut() = StatusCode::from_u16(call.status).unwrap();
                    *head.headers_mut() = fields(call.fields);
                    let alone = call.message.is_empty() && call.trailers.is_none();
                    let mut body = respond.send_response(head, alone).unwrap();
                    if alone {
                        return;
                    }
                    for piece in call.message {
                        body.send_data(Bytes::from_static(piece), false).unwrap();
                    }
                    match call.trailers {
                        Some(trailers) => body.send_trailers(fields(trailers)).unwrap(),
                        None => body.send_data(Bytes::new(), true).unwrap(),
                    }
                };
                // The connection must be driven while the body is read.
                tasks.spawn(answer);
            }
        }
    })
    .await
}

fn grpc() -> HealthPlan {
    checks(CheckPlan::Grpc(GrpcCheckPlan {
        service: "shop.v1.Orders".into(),
        ask: AskPlan::default(),
    }))
}

async fn called(call: Call) -> Checked {
    let script = grpc_server(call).await;
    // Plain text and no word of HTTP/2: the call speaks it by prior knowledge.
    let rig = Rig::speaking(UpstreamProtocol::Auto, script.address);
    let checked = check(&rig, grpc()).await;
    closes(&rig).await;
    checked
}

#[tokio::test]
async fn a_grpc_service_that_serves_passes() {
    assert_eq!(called(SERVING).await, Ok(Passed::Whole));
    let cut = Call {
        message: &[&[0, 0, 0], &[0, 2], &[8], &[1]],
        ..SERVING
    };
    assert_eq!(called(cut).await, Ok(Passed::Whole));
}

#[tokio::test]
async fn what_a_grpc_service_says_of_itself_is_told_apart() {
    let says = |message: &'static [&'static [u8]]| Call { message, ..SERVING };
    let table: [(&'static [&'static [u8]], Serving); 3] = [
        (&[&[0, 0, 0, 0, 2, 8, 2]], Serving::NotServing),
        (&[&[0, 0, 0, 0, 0]], Serving::Unknown),
        (&[&[0, 0, 0, 0, 2, 8, 3]], Serving::ServiceUnknown),
    ];
    for (message, serving) in table {
        let checked = called(says(message)).await;
        assert_eq!(checked, Err(CheckFailure::NotServing(serving)));
    }
}

#[tokio::test]
async fn a_grpc_call_that_fails_fails_with_its_status() {
    let failed = |code, message: &str| {
        Err(CheckFailure::GrpcStatus {
            code,
            message: message.into(),
        })
    };
    let trailers = Call {
        message: &[],
        trailers: Some(&[("grpc-status", "5"), ("grpc-message", "no%20such")]),
        ..SERVING
    };
    assert_eq!(called(trailers).await, failed(5, "no such"));
    let head_alone = Call {
        fields: &[("content-type", "application/grpc"), ("grpc-status", "12")],
        message: &[],
        trailers: None,
        ..SERVING
    };
    assert_eq!(called(head_alone).await, failed(12, ""));
    // SERVING, and then it failed after all.
    let after_all = Call {
        trailers: Some(&[("grpc-status", "13")]),
        ..SERVING
    };
    assert_eq!(called(after_all).await, failed(13, ""));
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_does_not_pass() {
    let status = Call {
        status: 503,
        ..SERVING
    };
    assert_eq!(
        called(status).await,
        Err(CheckFailure::Status(StatusCode::SERVICE_UNAVAILABLE))
    );
    let unreadable = [
        Call {
            fields: &[("content-type", "text/html")],
            ..SERVING
        },
        Call {
            trailers: None,
            ..SERVING
        },
        Call {
            trailers: Some(&[("x-other", "1")]),
            ..SERVING
        },
        Call {
            message: &[&[0; 5000]],
            ..SERVING
        },
    ];
    for (index, call) in unreadable.into_iter().enumerate() {
        let checked = called(call).await;
        assert!(
            matches!(checked, Err(CheckFailure::Protocol(_))),
            "{index}: {checked:?}"
        );
    }
}

#[tokio::test]
async fn a_grpc_server_says_that_it_is_degraded_in_its_head() {
    let script = grpc_server(Call {
        fields: &[
            ("content-type", "application/grpc"),
            ("x-health", "degraded"),
        ],
        ..SERVING
    })
    .await;
    let plan = HealthPlan {
        degraded: Some(degraded()),
        ..grpc()
    };
    let rig = Rig::speaking(UpstreamProtocol::H2, script.address);
    assert_eq!(check(&rig, plan).await, Ok(Passed::Degraded));
}
