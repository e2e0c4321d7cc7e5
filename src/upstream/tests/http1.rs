use socket2::{Domain, SockRef, Socket, Type};

use super::*;
use crate::{
    fault::{Kind, Stage},
    health::Outcome,
};

async fn fault_of(answer: impl Into<Vec<u8>>) -> Box<AttemptError> {
    let script = Script::answering_once(answer).await;
    Rig::new(script.address).fails(get()).await
}

#[tokio::test]
async fn an_answer_comes_through_and_the_endpoint_sees_the_request() {
    let script = Script::new(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: shop.example\r\n"), "{head}");
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let rig = Rig::new(script.address);
    let absolute = request(Method::GET, "http://other.example/a?b=c", SendBody::Empty);
    let sent = rig.try_once(absolute).await.unwrap();
    assert_eq!(sent.response.status(), 201);
    assert_eq!(sent.response.headers()["x-a"], "b");
    assert!(sent.connect.is_some() && sent.handshake.is_none());
    assert_eq!(read(sent).await.unwrap(), "ok");
}

#[tokio::test]
async fn trailers_come_through() {
    let script = Script::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
    )
    .await;
    let sent = Rig::new(script.address).try_once(get()).await.unwrap();
    let collected = sent.response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "7");
    assert_eq!(collected.to_bytes(), "ok");
}

#[tokio::test]
async fn a_refused_connection_sent_nothing_and_gives_the_request_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Rig::new(address)
        .fails(post(SendBody::Full(Bytes::from_static(b"x"))))
        .await;
    assert_eq!(error.fault.kind, Kind::ConnectRefused);
    assert_eq!(error.fault.stage, Stage::Connect);
    assert_eq!(error.progress, Progress::Unsent);
    assert_eq!(error.outcome, Outcome::LocalFailure);
    assert!(matches!(error.request.unwrap().body(), SendBody::Full(_)));
}

#[tokio::test]
async fn a_swallowed_syn_is_a_connect_timeout() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The backlog is full with what nobody accepts; further packets are dropped.
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    let mut rig = Rig::new(address);
    rig.plan.connect_timeout = SHORT;
    let error = rig.fails(get()).await;
    assert_eq!(error.fault.kind, Kind::ConnectTimeout);
    assert_eq!(error.progress, Progress::Unsent);
    assert!(error.request.is_some());

    let deadline = Some(Instant::now() + SHORT);
    rig.plan.connect_timeout = PATIENCE;
    let ended = send(&rig.connector(), &rig.seat, get(), deadline, Reuse::Allowed).await;
    let fault = ended.unwrap_err().fault;
    assert_eq!(
        (fault.kind, fault.stage),
        (Kind::RequestTimeout, Stage::Connect)
    );
}

#[tokio::test]
async fn a_connection_closed_before_the_answer_may_have_been_served() {
    let error = fault_of("").await;
    assert_eq!(error.fault.kind, Kind::ConnectionClosed);
    assert_eq!(error.progress, Progress::Sent);
    assert_eq!(error.outcome, Outcome::LocalFailure);
    assert!(error.request.is_none());
    assert!(!error.reused);
}

#[tokio::test]
async fn a_reset_is_told_from_a_close() {
    let script = Script::new(|mut stream, _| async move {
        read_head(&mut stream).await;
        let linger = Some(Duration::ZERO);
        SockRef::from(&stream).set_linger(linger).unwrap();
    })
    .await;
    let error = Rig::new(script.address).fails(get()).await;
    assert_eq!(error.fault.kind, Kind::ConnectionReset);
    assert_eq!(error.progress, Progress::Sent);
}

/// Answers the first request with `bytes`, and resets the connection. On this host the bytes are there before that.
async fn reset_after(bytes: &'static str) -> Script {
    Script::new(move |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let linger = Some(Duration::ZERO);
        SockRef::from(&stream).set_linger(linger).unwrap();
    })
    .await
}

#[tokio::test]
async fn a_reset_within_the_head_and_within_the_body_are_told_apart() {
    let head = reset_after("HTTP/1.1 200 OK\r\nContent-Le").await;
    let error = Rig::new(head.address).fails(get()).await;
    assert_eq!(error.fault.kind, Kind::HeadReset);
    assert_eq!(error.fault.stage, Stage::FirstByte);
    let body = reset_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour").await;
    let sent = Rig::new(body.address).try_once(get()).await.unwrap();
    let fault = read(sent).await.unwrap_err();
    assert_eq!((fault.kind, fault.stage), (Kind::BodyReset, Stage::Body));
}

#[tokio::test]
async fn what_is_not_http_is_invalid() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let error = fault_of(answer).await;
        assert_eq!(error.fault.kind, Kind::ResponseInvalid, "{answer}");
        assert_eq!(error.progress, Progress::Sent, "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_breaks_off_is_incomplete() {
    let error = fault_of("HTTP/1.1 200 OK\r\nContent-Le").await;
    assert_eq!(error.fault.kind, Kind::HeadIncomplete);
    assert_eq!(error.fault.stage, Stage::FirstByte);
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n",
        "x".repeat(70 * 1024)
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: x\r\n".repeat(101));
    let endless = format!("HTTP/1.1 200 OK\r\nX-Long: {}", "x".repeat(200 * 1024));
    for answer in [long, many, endless] {
        let error = fault_of(answer).await;
        assert_eq!(error.fault.kind, Kind::ResponseHeadTooLarge);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_incomplete_and_its_connection_gone() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cut = format!("{CHUNKED}4\r\nfour\r\n");
    let broken = format!("{CHUNKED}nonsense\r\n");
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour";
    for (answer, kind) in [
        (short, Kind::ResponseIncomplete),
        (&cut, Kind::ResponseIncomplete),
        (&broken, Kind::BodyMalformed),
    ] {
        let script = Script::answering_once(answer).await;
        let rig = Rig::new(script.address);
        let sent = rig.try_once(get()).await.unwrap();
        let fault = read(sent).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{answer}");
        assert_eq!(fault.stage, Stage::Body);
        assert_eq!(rig.seat.endpoint.connections.count(), (0, 0));
        assert_eq!(rig.seat.endpoint.in_flight(), 0);
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_a_first_byte_timeout() {
    let script = Script::new(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut rig = Rig::new(script.address);
    rig.plan.first_byte_timeout = SHORT;
    let error = rig.fails(get()).await;
    assert_eq!(error.fault.kind, Kind::FirstByteTimeout);
    assert_eq!(error.progress, Progress::Sent);
    assert_eq!(error.outcome, Outcome::RemoteFailure);

    rig.plan.first_byte_timeout = PATIENCE;
    let deadline = Some(Instant::now() + SHORT);
    let ended = send(&rig.connector(), &rig.seat, get(), deadline, Reuse::Allowed).await;
    assert_eq!(ended.unwrap_err().fault.kind, Kind::RequestTimeout);
    assert_eq!(rig.seat.endpoint.in_flight(), 0);
}

#[tokio::test]
async fn interim_answers_do_not_put_the_timeout_off() {
    let script = Script::new(|mut stream, _| async move {
        read_head(&mut stream).await;
        while stream
            .write_all(b"HTTP/1.1 102 Processing\r\n\r\n")
            .await
            .is_ok()
        {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
    let mut rig = Rig::new(script.address);
    rig.plan.first_byte_timeout = SHORT;
    assert_eq!(rig.fails(get()).await.fault.kind, Kind::FirstByteTimeout);
}

#[tokio::test]
async fn an_interim_answer_is_not_the_final_one() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let script = Script::answering(answer).await;
    let sent = Rig::new(script.address).try_once(get()).await.unwrap();
    assert_eq!(sent.response.status(), 204);
}

#[tokio::test]
async fn a_switch_of_protocols_becomes_a_tunnel() {
    let script = Script::new(|mut stream, _| async move {
        read_head(&mut stream).await;
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ";
        stream.write_all(switch).await.unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
    })
    .await;
    let rig = Rig::new(script.address);
    let mut upgrade = get();
    let headers = upgrade.headers_mut();
    headers.insert("connection", HeaderValue::from_static("upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("echo"));
    let mut sent = rig.try_once(upgrade).await.unwrap();
    assert_eq!(sent.response.status(), 101);
    let upgraded = hyper::upgrade::on(&mut sent.response).await.unwrap();
    let mut tunnel = hyper_util::rt::TokioIo::new(upgraded);
    tunnel.write_all(b"world").await.unwrap();
    let mut heard = String::new();
    tunnel.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello world");
    drop(sent);
    assert_eq!(rig.seat.endpoint.in_flight(), 0);
}

#[tokio::test]
async fn a_request_counts_until_the_last_byte_of_its_answer() {
    let script = Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let rig = Rig::new(script.address);
    let sent = rig.try_once(get()).await.unwrap();
    assert_eq!(rig.seat.endpoint.in_flight(), 1);
    read(sent).await.unwrap();
    assert_eq!(rig.seat.endpoint.in_flight(), 0);
    let sent = rig.try_once(get()).await.unwrap();
    drop(sent);
    assert_eq!(rig.seat.endpoint.in_flight(), 0);
}
