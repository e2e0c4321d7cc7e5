//! How the gateway ends.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::support::{
    client::{self, GENEROUS},
    gateway::TestGateway,
    until,
    upstream::{Answer, Upstream},
};

/// Streams a tick each 20 ms, `count` times.
async fn ticking(count: u32) -> Upstream {
    Upstream::start(move |_| async move {
        let ticks = futures_util::stream::unfold(0_u32, move |tick| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            (tick < count).then(|| {
                (
                    Ok(http_body::Frame::data(bytes::Bytes::from_static(b"tick "))),
                    tick + 1,
                )
            })
        });
        let answer: Answer =
            http::Response::new(http_body_util::StreamBody::new(ticks).boxed_unsync());
        answer
    })
    .await
}

fn config(upstream: &Upstream) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        upstream.address
    )
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_refuses_what_is_new() {
    let upstream = ticking(50).await;
    let gate = TestGateway::start(&config(&upstream)).await;
    assert_eq!(
        client::get(gate.admin, "/readyz").await.status,
        StatusCode::OK
    );
    let (web, admin) = (gate.web, gate.admin);
    let streams: Vec<_> = (0..8)
        .map(|_| tokio::task::spawn(client::get(web, "/")))
        .collect();
    until("all stream", || upstream.requests() == 8).await;
    let draining = tokio::task::spawn(async move {
        gate.gateway
            .drain(Duration::from_millis(100), GENEROUS)
            .await
    });
    let not_ready = async {
        while client::get(admin, "/readyz").await.status == StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(GENEROUS, not_ready)
        .await
        .expect("not ready at once");
    for stream in streams {
        assert_eq!(
            stream.await.expect("no panic").body.len(),
            250,
            "a stream was cut"
        );
    }
    let cut = draining.await.expect("no panic");
    assert_eq!(cut, 0);
    assert!(
        tokio::net::TcpStream::connect(web).await.is_err(),
        "the listener is still open"
    );
}

#[tokio::test]
async fn a_drain_cuts_at_its_deadline_and_says_how_many() {
    let upstream = ticking(1_000_000).await;
    let gate = TestGateway::start(&config(&upstream)).await;
    let web = gate.web;
    let stream = tokio::task::spawn(client::try_send(web, client::request("GET", "/", "")));
    until("it streams", || upstream.requests() == 1).await;
    let began = Instant::now();
    let cut = gate
        .gateway
        .drain(Duration::ZERO, Duration::from_millis(200))
        .await;
    assert_eq!(cut, 1);
    assert!(began.elapsed() < GENEROUS / 2);
    assert!(
        stream.await.expect("no panic").is_err(),
        "an endless answer ended well"
    );
}

#[tokio::test]
async fn an_idle_connection_ends_with_the_drain() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&config(&upstream)).await;
    let mut sender = client::connect(gate.web).await.expect("connected");
    assert_eq!(
        client::exchange(&mut sender, client::request("GET", "/", ""))
            .await
            .expect("an answer")
            .status,
        StatusCode::OK
    );
    assert_eq!(gate.gateway.drain(Duration::ZERO, GENEROUS).await, 0);
    assert!(
        sender.ready().await.is_err(),
        "the connection is still open"
    );
}
