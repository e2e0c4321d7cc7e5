//! What happens to a request and its answer on an ordinary day.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    client,
    gateway::TestGateway,
    upstream::{Answer, Upstream, answer},
};

fn config(upstream: &Upstream, of_route: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n",
        upstream.address
    )
}

/// Answers with the head that it saw, a line for each field.
async fn mirror() -> Upstream {
    Upstream::start(|request| async move {
        let mut seen = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            let value = value.to_str().unwrap_or("?");
            seen.extend([name.as_str(), ": ", value, "\n"]);
        }
        answer(200, seen)
    })
    .await
}

#[tokio::test]
async fn the_upstream_sees_who_asked_and_nothing_that_is_not_its_business() {
    let upstream = mirror().await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let request = Request::get("/a/../b?x=1")
        .header("host", "shop.example.com")
        .header("connection", "x-private, keep-alive")
        .header("x-private", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-authorization", "Basic x")
        .header("proxy", "http://evil")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-proto", "https")
        .header("x-real-ip", "6.6.6.6")
        .header("x-request-id", "theirs")
        .header("te", "gzip, trailers")
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let reply = client::send(gate.web, request).await;
    let seen = reply.text();
    assert!(seen.starts_with("GET /b?x=1\n"), "{seen}");
    for line in [
        "host: shop.example.com",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "via: 1.1 tidegate",
    ] {
        assert!(
            seen.lines().any(|seen| seen == line),
            "{line} is missing in\n{seen}"
        );
    }
    for name in [
        "x-private",
        "keep-alive",
        "proxy-authorization",
        "proxy:",
        "6.6.6.6",
        "theirs",
        "gzip",
    ] {
        assert!(!seen.contains(name), "{name} went through:\n{seen}");
    }
    let id = reply.header("x-request-id");
    assert!(
        seen.contains(&format!("x-request-id: {id}\n")),
        "{id} is not in\n{seen}"
    );
    assert_eq!(id.len(), 36);
    assert_eq!(reply.header("via"), "1.1 tidegate");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let upstream = mirror().await;
    let text = format!(
        "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n{}",
        config(&upstream, "")
    );
    let gate = TestGateway::start(&text).await;
    let request = Request::get("/")
        .header("host", "test")
        .header("x-forwarded-for", "6.6.6.6, 203.0.113.9")
        .header("x-request-id", "kept-1")
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let reply = client::send(gate.web, request).await;
    let seen = reply.text();
    assert!(
        seen.contains("x-forwarded-for: 6.6.6.6, 203.0.113.9, 127.0.0.1\n"),
        "{seen}"
    );
    assert_eq!(reply.header("x-request-id"), "kept-1");
}

#[tokio::test]
async fn no_route_is_404_and_says_whose_fault_it_is() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&config(&upstream, "path = \"/only\"")).await;
    let reply = client::get(gate.web, "/other").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(
        reply.header("proxy-status"),
        "tidegate; error=http_request_error; cause=config"
    );
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(body["cause"], "config");
    assert_eq!(body["status"], 404);
    assert_eq!(body["request_id"], reply.header("x-request-id"));
    assert_eq!(upstream.requests(), 0);
}

#[tokio::test]
async fn a_browser_gets_a_page_and_grpc_a_status() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&config(&upstream, "path = \"/only\"")).await;
    let ask = |name: &'static str, value: &'static str| {
        let request = Request::get("/other")
            .header("host", "test")
            .header(name, value);
        client::send(
            gate.web,
            request.body(Full::new(Bytes::new())).expect("a request"),
        )
    };
    let page = ask("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8").await;
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{page:?}"
    );
    assert!(page.text().contains(page.header("x-request-id")));
    let json = ask("accept", "*/*").await;
    assert_eq!(json.header("content-type"), "application/problem+json");
    let grpc = ask("content-type", "application/grpc").await;
    assert_eq!(
        (grpc.status, grpc.header("grpc-status")),
        (StatusCode::OK, "12")
    );
}

#[tokio::test]
async fn bodiless_answers_stay_bodiless_and_keep_their_length() {
    let upstream = Upstream::start(|request| async move {
        let status = match request.uri().path() {
            "/204" => 204,
            "/304" => 304,
            _ => 200,
        };
        let mut answer = answer(status, "");
        if request.method() == http::Method::HEAD {
            answer
                .headers_mut()
                .insert("content-length", http::HeaderValue::from_static("12345"));
        }
        answer
    })
    .await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let mut sender = client::connect(gate.web).await.expect("connected");
    for (method, path, status, length) in [
        ("HEAD", "/", 200, "12345"),
        ("GET", "/204", 204, ""),
        ("GET", "/304", 304, ""),
        ("GET", "/", 200, "0"),
    ] {
        let reply = client::exchange(&mut sender, client::request(method, path, ""))
            .await
            .expect("an answer");
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-length")),
            (status, length),
            "{method} {path}"
        );
        assert!(reply.body.is_empty());
    }
}

#[tokio::test]
async fn trailers_pass_over_both_protocols() {
    let upstream = Upstream::start(|_| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", http::HeaderValue::from_static("abc"));
        trailers.insert("content-length", http::HeaderValue::from_static("7"));
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"body"))),
            Ok(Frame::trailers(trailers)),
        ];
        let mut answer: Answer =
            Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
        answer
            .headers_mut()
            .insert("trailer", http::HeaderValue::from_static("x-checksum"));
        answer
    })
    .await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let h2 = Request::get("http://test/")
        .header("te", "trailers")
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let over_h2 = client::send_h2(gate.web, h2).await.expect("an answer");
    let mut h1 = client::request("GET", "/", "");
    h1.headers_mut()
        .insert("te", http::HeaderValue::from_static("trailers"));
    let over_h1 = client::send(gate.web, h1).await;
    for reply in [over_h2, over_h1] {
        assert_eq!(reply.text(), "body");
        let trailers = reply.trailers.expect("trailers");
        assert_eq!(
            trailers.get("x-checksum").map(http::HeaderValue::as_bytes),
            Some(&b"abc"[..])
        );
        assert!(!trailers.contains_key("content-length"));
    }
}

#[tokio::test]
async fn bodies_stream_both_ways_while_both_are_open() {
    let upstream = Upstream::start(|request: Request<hyper::body::Incoming>| async move {
        Response::new(
            request
                .into_body()
                .map_err(|error| panic!("{error}"))
                .boxed_unsync(),
        )
    })
    .await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let (send, frames) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::unfold(frames, |mut frames| async move {
        let bytes = frames.recv().await?;
        Some((
            Ok::<_, std::convert::Infallible>(Frame::data(bytes)),
            frames,
        ))
    });
    let stream = tokio::net::TcpStream::connect(gate.web)
        .await
        .map(|tcp| (tcp, stream))
        .expect("connected");
    let io = hyper_util::rt::TokioIo::new(stream.0);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .expect("connected");
    tokio::task::spawn(connection);
    let request = Request::post("/")
        .header("host", "test")
        .body(StreamBody::new(Box::pin(stream.1)))
        .expect("a request");
    send.send(Bytes::from_static(b"first")).await.expect("open");
    let response = sender
        .send_request(request)
        .await
        .expect("a head before the body ended");
    let mut body = response.into_body();
    let mut next = async || {
        body.frame()
            .await
            .expect("open")
            .expect("whole")
            .into_data()
            .expect("data")
    };
    assert_eq!(next().await, "first");
    send.send(Bytes::from_static(b"second"))
        .await
        .expect("open");
    assert_eq!(next().await, "second");
    drop(send);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_websocket_is_a_tunnel_and_a_refused_one_is_an_answer() {
    let upstream = Upstream::start(|mut request| async move {
        if request.uri().path() != "/ws" {
            return answer(403, "no");
        }
        let key = request
            .headers()
            .get("sec-websocket-key")
            .cloned()
            .expect("a key");
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::task::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(upgrade.await.expect("upgraded"));
            let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
            let mut socket =
                tokio_tungstenite::WebSocketStream::from_raw_socket(io, role, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() || socket.send(message).await.is_err() {
                    break;
                }
            }
        });
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let mut switch = answer(101, "");
        let fields = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", accept.as_str()),
        ];
        for (name, value) in fields {
            switch
                .headers_mut()
                .insert(name, http::HeaderValue::from_str(value).expect("a value"));
        }
        switch
    })
    .await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let stream = tokio::net::TcpStream::connect(gate.web)
        .await
        .expect("connected");
    let (mut socket, head) = tokio_tungstenite::client_async("ws://test/ws", stream)
        .await
        .expect("a tunnel");
    assert_eq!(head.status(), StatusCode::SWITCHING_PROTOCOLS);
    for number in 0..1_000 {
        socket
            .send(Message::text(format!("message {number}")))
            .await
            .expect("sent");
        let echoed = socket.next().await.expect("open").expect("whole");
        assert_eq!(echoed, Message::text(format!("message {number}")));
    }
    socket.close(None).await.expect("closed");
    let stream = tokio::net::TcpStream::connect(gate.web)
        .await
        .expect("connected");
    let refused = tokio_tungstenite::client_async("ws://test/other", stream).await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(refused)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_unasked_101_opens_nothing() {
    let upstream = Upstream::start(|_| async {
        let mut switch = answer(101, "");
        switch
            .headers_mut()
            .insert("upgrade", http::HeaderValue::from_static("foo"));
        switch
            .headers_mut()
            .insert("connection", http::HeaderValue::from_static("upgrade"));
        switch
    })
    .await;
    let gate = TestGateway::start(&config(&upstream, "")).await;
    let reply = client::get(gate.web, "/").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert_eq!(
        reply.header("proxy-status"),
        "tidegate; error=http_upgrade_failed; cause=communication"
    );
}

#[tokio::test]
async fn routes_answer_redirect_and_rewrite() {
    let upstream = mirror().await;
    let text = format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"api\"\npath_prefix = \"/api\"\nstrip_prefix = \"/api\"\nupstream = \"up\"\n\
         request_headers = {{ set = {{ X-Team = \"blue\" }}, remove = [\"Cookie\"] }}\n\
         response_headers = {{ set = {{ X-Frame-Options = \"DENY\" }} }}\n\
         [[routes]]\nname = \"old\"\npath_prefix = \"/old\"\nredirect = {{ status = 308, to = \"https://new.example.com{{path}}\" }}\n\
         [[routes]]\nname = \"teapot\"\npath = \"/tea\"\nrespond = {{ status = 418, body = \"short and stout\" }}\n",
        upstream.address
    );
    let gate = TestGateway::start(&text).await;
    let mut request = client::request("GET", "/api/users?x=1", "");
    request
        .headers_mut()
        .insert("cookie", http::HeaderValue::from_static("secret"));
    let api = client::send(gate.web, request).await;
    assert!(api.text().starts_with("GET /users?x=1\n"), "{}", api.text());
    assert!(api.text().contains("x-team: blue\n") && !api.text().contains("secret"));
    assert_eq!(api.header("x-frame-options"), "DENY");
    let old = client::get(gate.web, "/old/page").await;
    assert_eq!(
        (old.status.as_u16(), old.header("location")),
        (308, "https://new.example.com/old/page")
    );
    let tea = client::get(gate.web, "/tea").await;
    assert_eq!(
        (tea.status.as_u16(), tea.text().as_str()),
        (418, "short and stout")
    );
}

/// Heads that are refused, and how.
const REFUSED: [(&str, &str); 14] = [
    (
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "405",
    ),
    (
        "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "405",
    ),
    ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\nConnection: close\r\n\r\n",
        "400",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
        "400",
    ),
    (
        "GET /%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "400",
    ),
    (
        "GET /../etc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "400",
    ),
    (
        "GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "400",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.1.1.1\r\nConnection: close\r\n\r\n",
        "400",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 tidegate\r\nConnection: close\r\n\r\n",
        "502",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n",
        "417",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345",
        "413",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n12345",
        "400",
    ),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
];

#[tokio::test]
async fn what_no_gateway_forwards_never_reaches_the_upstream() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&config(&upstream, "max_body = \"4B\"")).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(40_000));
    let fat = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    for (bytes, status) in REFUSED.into_iter().chain([(&*long, "414"), (&*fat, "431")]) {
        let answer = client::raw(gate.web, bytes).await;
        let line = answer.lines().next().unwrap_or_default();
        let wanted = format!("HTTP/1.1 {status}");
        assert!(
            line.starts_with(&wanted),
            "{line:?} instead of {status} for {bytes:.80}"
        );
    }
    assert_eq!(upstream.requests(), 0);
}

#[tokio::test]
async fn an_early_refusal_never_turns_the_body_into_a_request() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&config(&upstream, "path = \"/only\"")).await;
    let hidden = "GET /only HTTP/1.1\r\nHost: a\r\n\r\n";
    let bytes = format!(
        "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}GET /only HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        hidden.len()
    );
    let answer = client::raw(gate.web, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(upstream.requests() <= 1, "the body was read as a request");
}
