use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use socket2::SockRef;
use tokio::sync::mpsc;

use super::*;
use crate::{fault::Kind, health::Outcome};

type Frames = mpsc::Sender<Result<Bytes, Fault>>;

/// A body that the test feeds. The sender is closed when the body is let go of.
fn fed() -> (Frames, SendBody) {
    let (frames, receiver) = mpsc::channel(1);
    let frames_in = stream::unfold(receiver, |mut receiver| async move {
        let item: Result<Bytes, Fault> = receiver.recv().await?;
        Some((item.map(Frame::data), receiver))
    });
    (
        frames,
        SendBody::stream(Box::pin(StreamBody::new(Box::pin(frames_in)))),
    )
}

fn data(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_streamed_body_arrives_and_its_connection_serves_again() {
    let script = Script::new(|mut stream, _| async move {
        while read_head(&mut stream).await.is_some() {
            // A chunked body ends as a head does.
            let body = read_head(&mut stream).await.unwrap();
            assert_eq!(body, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    let rig = Rig::new(script.address);
    let (frames, body) = fed();
    rig.registry.drivers().spawn(async move {
        for text in ["one", "two"] {
            frames.send(Ok(data(text))).await.unwrap();
        }
    });
    let sent = rig.try_once(post(body)).await.unwrap();
    assert_eq!(sent.response.status(), 200);
    assert_eq!(rig.seat.endpoint.connections.count(), (1, 0));
}

#[tokio::test]
async fn the_fault_of_a_failed_upload_is_the_clients() {
    for protocol in [UpstreamProtocol::Http1, UpstreamProtocol::H2] {
        let script = Script::new(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        let rig = Rig::speaking(protocol, script.address);
        let (frames, body) = fed();
        frames
            .try_send(Err(Fault::new(Kind::BodyTooLarge)))
            .unwrap();
        let error = rig.fails(post(body)).await;
        assert_eq!(error.fault.kind, Kind::BodyTooLarge, "{protocol:?}");
        assert_eq!(error.outcome, Outcome::Ignored, "{protocol:?}");
        assert_eq!(error.progress, Progress::Sent);
    }
}

#[tokio::test]
async fn an_upload_that_fails_after_the_head_of_the_answer_is_still_the_clients_fault() {
    let script = Script::answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour").await;
    let rig = Rig::new(script.address);
    let (frames, body) = fed();
    let sent = rig.try_once(post(body)).await.unwrap();
    frames
        .send(Err(Fault::new(Kind::ClientAborted)))
        .await
        .unwrap();
    assert_eq!(read(sent).await.unwrap_err().kind, Kind::ClientAborted);
}

#[tokio::test]
async fn an_early_answer_is_delivered_and_the_rest_of_the_body_let_go() {
    let script = Script::answering("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    let rig = Rig::new(script.address);
    let (frames, body) = fed();
    let sent = rig.try_once(post(body)).await.unwrap();
    assert_eq!(sent.response.status(), 413);
    assert!(!frames.is_closed());
    assert_eq!(read(sent).await.unwrap(), "big");
    timeout(PATIENCE, frames.closed()).await.unwrap();
    assert_eq!(rig.seat.endpoint.connections.count(), (0, 0));
}

#[tokio::test]
async fn a_reset_of_our_writes_does_not_hide_an_early_answer() {
    let script = Script::new(|mut stream, _| async move {
        read_head(&mut stream).await;
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        stream.write_all(answer).await.unwrap();
        // Closing with bytes unread makes the kernel send a reset at the next write.
        SockRef::from(&stream)
            .shutdown(std::net::Shutdown::Read)
            .unwrap();
    })
    .await;
    for _ in 0..20 {
        let rig = Rig::new(script.address);
        let body = SendBody::Full(Bytes::from(vec![b'x'; 4 << 20]));
        let sent = rig.try_once(post(body)).await.unwrap();
        assert_eq!(sent.response.status(), 403);
        assert_eq!(read(sent).await.unwrap(), "no");
    }
}

#[tokio::test]
async fn a_long_upload_is_not_a_slow_answer() {
    let script = Script::new(|mut stream, _| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut rig = Rig::new(script.address);
    rig.plan.first_byte_timeout = SHORT;
    let (frames, body) = fed();
    rig.registry.drivers().spawn(async move {
        tokio::time::sleep(SHORT * 3).await;
        frames.send(Ok(data("late"))).await.unwrap();
    });
    let began = Instant::now();
    assert_eq!(
        rig.try_once(post(body)).await.unwrap().response.status(),
        204
    );
    assert!(began.elapsed() >= SHORT * 3);
}

#[tokio::test]
async fn an_endpoint_that_stops_reading_is_a_slow_answer() {
    let script = Script::new(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut rig = Rig::new(script.address);
    rig.plan.first_byte_timeout = SHORT;
    let (frames, body) = fed();
    rig.registry.drivers().spawn(async move {
        let chunk = Bytes::from(vec![0; 1 << 20]);
        while frames.send(Ok(chunk.clone())).await.is_ok() {}
    });
    let error = rig.fails(post(body)).await;
    assert_eq!(error.fault.kind, Kind::FirstByteTimeout);
    assert_eq!(error.outcome, Outcome::RemoteFailure);
}

#[tokio::test]
async fn time_that_ran_out_waiting_for_the_client_is_not_held_against_the_endpoint() {
    let script = Script::new(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let rig = Rig::new(script.address);
    let (_frames, body) = fed();
    let deadline = Some(Instant::now() + SHORT);
    let ended = send(
        &rig.connector(),
        &rig.seat,
        post(body),
        deadline,
        Reuse::Allowed,
    )
    .await;
    let error = ended.unwrap_err();
    assert_eq!(error.fault.kind, Kind::RequestTimeout);
    assert_eq!(error.outcome, Outcome::Ignored);
}
