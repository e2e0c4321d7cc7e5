//! Requests that are refused for their head.

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate::fault::Kind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    scene::{
        Played, Scene,
        Told::{Nothing, Page, Problem},
        gate, route, scene,
    },
    support::{
        client::{self, Reply},
        upstream::Upstream,
    },
};

pub const SCENES: &[Scene] = &[
    scene(
        Kind::FramingInvalid,
        "400 http_request_error/framing client head client",
        Problem,
        || {
            Box::pin(asked(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\nx",
            ))
        },
    ),
    scene(
        Kind::HostInvalid,
        "400 http_request_error/host client head client",
        Problem,
        || Box::pin(asked("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")),
    ),
    scene(
        Kind::TargetInvalid,
        "400 http_request_error/target client head client",
        Problem,
        || Box::pin(asked("GET * HTTP/1.1\r\nHost: a\r\n\r\n")),
    ),
    scene(
        Kind::PathInvalid,
        "400 http_request_error/path client head client",
        Page,
        || {
            Box::pin(asked(
                "GET /%00 HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
            ))
        },
    ),
    scene(
        Kind::HeaderInvalid,
        "400 http_request_error/header client head client",
        Problem,
        || {
            Box::pin(asked(
                "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 10.0.0.1\r\n\r\n",
            ))
        },
    ),
    scene(
        Kind::CodingUnsupported,
        "501 http_request_error/transfer_coding client head client",
        Problem,
        || {
            Box::pin(asked(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ))
        },
    ),
    scene(
        Kind::MethodRefused,
        "405 http_request_error/method client head client",
        Problem,
        || Box::pin(asked("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")),
    ),
    scene(
        Kind::ExpectationRefused,
        "417 http_request_error/expectation client head client",
        Problem,
        || {
            Box::pin(asked(
                "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n",
            ))
        },
    ),
    scene(
        Kind::UriTooLong,
        "414 http_request_error/uri_too_long client head client",
        Problem,
        || {
            Box::pin(async {
                asked(&format!(
                    "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
                    "a".repeat(17 * 1024)
                ))
                .await
            })
        },
    ),
    scene(
        Kind::HeadTooLarge,
        "431 http_request_error/head_too_large client head client",
        Problem,
        || {
            Box::pin(async {
                asked(&format!(
                    "GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n",
                    "a".repeat(33 * 1024)
                ))
                .await
            })
        },
    ),
    scene(
        Kind::HeadTimeout,
        "408 http_request_error/header_timeout client head client",
        Nothing,
        || Box::pin(half_a_head()),
    ),
    scene(
        Kind::LoopDetected,
        "502 proxy_loop_detected/- communication head tidegate",
        Problem,
        || {
            Box::pin(asked(
                "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 tidegate\r\nConnection: close\r\n\r\n",
            ))
        },
    ),
    scene(
        Kind::NoRoute,
        "404 http_request_error/no_route config route tidegate",
        Page,
        || Box::pin(no_route()),
    ),
];

/// These bytes are sent to a gateway whose service is fine.
async fn asked(bytes: &str) -> Played {
    let upstream = Upstream::saying("ok").await;
    let gate = gate(&route(upstream.address, "", "")).await;
    let reply = read(&client::raw(gate.web, bytes).await);
    Played::told(gate, reply)
}

async fn no_route() -> Played {
    let upstream = Upstream::saying("ok").await;
    let gate = gate(&route(upstream.address, "", "path_prefix = \"/app\"")).await;
    let mut request = client::request("GET", "/other", "");
    let html = HeaderValue::from_static("text/html");
    request.headers_mut().insert("accept", html);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

async fn half_a_head() -> Played {
    let upstream = Upstream::saying("ok").await;
    let listener =
        "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nheader_timeout = \"200ms\"\n";
    let gate = gate(&(listener.to_owned() + &route(upstream.address, "", ""))).await;
    let mut stream = TcpStream::connect(gate.web).await.expect("connected");
    let half = b"GET / HTTP/1.1\r\nHost: a\r\nX-Ha";
    stream.write_all(half).await.expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer, b"", "it was closed without an answer");
    Played::nothing(gate)
}

/// An answer with a length, from its bytes.
pub fn read(text: &str) -> Reply {
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let first = lines.next().expect("a status line");
    let status = first.split(' ').nth(1).expect("a status");
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field");
        let name: HeaderName = name.parse().expect("a name");
        headers.insert(name, value.parse().expect("a value"));
    }
    Reply {
        status: status.parse().expect("a status"),
        headers,
        body: body.to_owned().into(),
        trailers: None,
    }
}
