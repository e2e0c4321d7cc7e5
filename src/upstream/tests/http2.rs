use h2::{Reason, server};
use http::{Response, StatusCode};

use super::*;
use crate::fault::{Kind, Stage};

/// How an HTTP/2 endpoint takes a request.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    AnswersWithTrailers,
    Refuses,
    /// Ends a body in the middle when the next request comes.
    Breaks(Reason),
    GoesAwayAfterOne,
    Keeps,
}

impl Script {
    /// An HTTP/2 endpoint that allows so many streams.
    async fn http2(manner: Manner, streams: u32) -> Self {
        Self::new(move |stream, _| serve(stream, manner, streams)).await
    }
}

async fn serve(stream: TcpStream, manner: Manner, streams: u32) {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(streams);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let mut kept = Vec::new();
    let mut broken: Option<h2::SendStream<Bytes>> = None;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri(), "http://shop.example/a?b=c");
        let mut head = Response::new(());
        match manner {
            Manner::Refuses => respond.send_reset(Reason::REFUSED_STREAM),
            Manner::Keeps => kept.push(respond),
            Manner::Answers | Manner::GoesAwayAfterOne => {
                let mut body = respond.send_response(head, false).unwrap();
                body.send_data(Bytes::from_static(b"ok"), true).unwrap();
                if matches!(manner, Manner::GoesAwayAfterOne) {
                    connection.graceful_shutdown();
                }
            }
            Manner::AnswersWithTrailers => {
                let mut body = respond.send_response(head, false).unwrap();
                body.send_data(Bytes::from_static(b"ok"), false).unwrap();
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                body.send_trailers(trailers).unwrap();
            }
            Manner::Breaks(reason) => {
                head.headers_mut()
                    .insert("content-length", HeaderValue::from_static("4"));
                let mut body = respond.send_response(head, false).unwrap();
                body.send_data(Bytes::from_static(b"ok"), false).unwrap();
                if let Some(mut earlier) = broken.replace(body) {
                    earlier.send_reset(reason);
                }
            }
        }
    }
}

fn rig(script: &Script) -> Rig {
    Rig::speaking(UpstreamProtocol::H2, script.address)
}

fn get_abc() -> Request<SendBody> {
    request(Method::GET, "/a?b=c", SendBody::Empty)
}

#[tokio::test]
async fn requests_share_a_connection() {
    let script = Script::http2(Manner::Answers, 100).await;
    let rig = rig(&script);
    let connector = rig.connector();
    let first = rig.send(&connector, get_abc()).await.unwrap();
    let second = rig.send(&connector, get_abc()).await.unwrap();
    assert!(first.connect.is_some() && second.connect.is_none());
    for sent in [first, second] {
        assert_eq!(read(sent).await.unwrap(), "ok");
    }
    assert_eq!(script.connections(), 1);
    assert_eq!(rig.seat.endpoint.connections.count(), (0, 1));
}

#[tokio::test]
async fn many_requests_at_once_open_one_connection() {
    let script = Script::http2(Manner::Answers, 100).await;
    let rig = rig(&script);
    let connector = rig.connector();
    let requests = (0..50).map(|_| rig.send(&connector, get_abc()));
    for sent in futures_util::future::join_all(requests).await {
        assert_eq!(sent.unwrap().response.status(), StatusCode::OK);
    }
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn a_leader_that_leaves_does_not_strand_those_who_wait() {
    let script = Script::http2(Manner::Answers, 100).await;
    let rig = rig(&script);
    let connector = rig.connector();
    let mut leader = Box::pin(rig.send(&connector, get_abc()));
    assert!(futures_util::poll!(leader.as_mut()).is_pending());
    let mut follower = Box::pin(rig.send(&connector, get_abc()));
    assert!(futures_util::poll!(follower.as_mut()).is_pending());
    drop(leader);
    assert_eq!(follower.await.unwrap().response.status(), StatusCode::OK);
}

#[tokio::test]
async fn no_more_streams_than_the_endpoint_allows_share_a_connection() {
    let script = Script::http2(Manner::Answers, 1).await;
    let rig = rig(&script);
    let connector = rig.connector();
    read(rig.send(&connector, get_abc()).await.unwrap())
        .await
        .unwrap();
    // The driver has seen the endpoint's settings once it was woken by the first answer.
    tokio::task::yield_now().await;
    let held = rig.send(&connector, get_abc()).await.unwrap();
    let other = rig.send(&connector, get_abc()).await.unwrap();
    assert_eq!(script.connections(), 2);
    for sent in [held, other] {
        assert_eq!(read(sent).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn trailers_come_through() {
    let script = Script::http2(Manner::AnswersWithTrailers, 100).await;
    let sent = rig(&script).try_once(get_abc()).await.unwrap();
    let collected = sent.response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_refused_stream_was_provably_not_processed() {
    let script = Script::http2(Manner::Refuses, 100).await;
    let error = rig(&script).fails(get_abc()).await;
    assert_eq!(error.fault.kind, Kind::StreamRefused);
    assert_eq!(error.progress, Progress::Unsent);
}

#[tokio::test]
async fn after_a_goaway_the_next_request_gets_a_new_connection() {
    let script = Script::http2(Manner::GoesAwayAfterOne, 100).await;
    let rig = rig(&script);
    let connector = rig.connector();
    for connections in 1..=3 {
        let sent = rig.send(&connector, get_abc()).await.unwrap();
        assert_eq!(read(sent).await.unwrap(), "ok");
        assert_eq!(script.connections(), connections);
    }
}

#[tokio::test]
async fn a_body_that_is_reset_or_stops_short_is_incomplete() {
    for (reason, kind) in [
        (Reason::INTERNAL_ERROR, Kind::BodyReset),
        (Reason::NO_ERROR, Kind::ResponseIncomplete),
    ] {
        let script = Script::http2(Manner::Breaks(reason), 100).await;
        let rig = rig(&script);
        let connector = rig.connector();
        let mut sent = rig.send(&connector, get_abc()).await.unwrap();
        let frame = sent.response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ok");
        let _next = rig.send(&connector, get_abc()).await.unwrap();
        let fault = read(sent).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{reason:?}");
        assert_eq!(fault.stage, Stage::Body);
    }
}

#[tokio::test]
async fn a_connection_that_closes_under_its_streams_may_have_served_them() {
    let script = Script::new(|mut stream, _| async move {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
    })
    .await;
    let error = rig(&script).fails(get_abc()).await;
    let ended = matches!(
        error.fault.kind,
        Kind::ConnectionClosed | Kind::ConnectionReset
    );
    assert!(ended, "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_speaks_http1_is_invalid() {
    let script = Script::answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let error = rig(&script).fails(get_abc()).await;
    assert_eq!(error.fault.kind, Kind::Http2Broken, "{error:?}");
}

#[tokio::test]
async fn an_upgrade_is_refused_before_anything_is_sent() {
    let script = Script::http2(Manner::Keeps, 100).await;
    let mut upgrade = get_abc();
    upgrade
        .headers_mut()
        .insert("upgrade", HeaderValue::from_static("websocket"));
    let error = rig(&script).fails(upgrade).await;
    assert_eq!(error.fault.kind, Kind::UpgradeFailed);
    assert_eq!(error.progress, Progress::Unsent);
    assert_eq!(script.connections(), 0);
}

#[tokio::test]
async fn a_refused_connection_fails_all_who_wait_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rig = Rig::speaking(UpstreamProtocol::H2, address);
    let connector = rig.connector();
    let requests = (0..5).map(|_| rig.send(&connector, get_abc()));
    for ended in futures_util::future::join_all(requests).await {
        let error = ended.unwrap_err();
        assert_eq!(error.fault.kind, Kind::ConnectRefused);
        assert!(error.request.is_some());
    }
}
