use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

async fn client(subject: &Subject) -> SendRequest<Body> {
    let io = TokioIo::new(subject.connect().await);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(65_535)
        .handshake(io)
        .await
        .unwrap();
    tokio_util::task::TaskTracker::new().spawn(connection);
    sender
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("http://a{path}"))
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let subject = Subject::start(plan());
    let mut client = client(&subject).await;
    for _ in 0..3 {
        let response = within(client.send_request(get("/"))).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let body = within(response.into_body().collect()).await.unwrap();
        assert_eq!(body.to_bytes(), "hello");
    }
    let request = Request::post("http://a/length")
        .body(Body::from(vec![b'x'; 300_000]))
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let body = within(response.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "300000");
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_reset_and_the_others_go_on() {
    let mut subject = Subject::start(ListenerPlan {
        body_timeout: SOON,
        ..plan()
    });
    let mut client = client(&subject).await;
    let unread = within(client.send_request(get("/endless"))).await.unwrap();
    subject.holds(1).await;
    subject.holds(0).await;
    let response = within(client.send_request(get("/"))).await.unwrap();
    let body = within(response.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "hello");
    drop(unread);
}

#[tokio::test]
async fn a_stream_that_the_client_resets_is_dropped() {
    let mut subject = Subject::start(plan());
    let mut client = client(&subject).await;
    let request = client.send_request(get("/never"));
    let held = subject.holds(1);
    tokio::select! {
        _ = request => panic!("it never answers"),
        () = held => {}
    }
    subject.holds(0).await;
}

#[tokio::test]
async fn an_idle_connection_says_goodbye() {
    let mut subject = Subject::start(ListenerPlan {
        idle_timeout: SOON,
        ..plan()
    });
    let mut client = client(&subject).await;
    let response = within(client.send_request(get("/"))).await.unwrap();
    within(response.into_body().collect()).await.unwrap();
    subject.is_empty().await;
    assert!(within(client.ready()).await.is_err());
    assert!(subject.refused.try_recv().is_err());
}

#[tokio::test]
async fn a_body_without_length_is_cut_into_pieces_and_comes_whole() {
    let subject = Subject::start(plan());
    let mut client = client(&subject).await;
    let sent: Vec<u8> = (0..=255).cycle().take(200_001).collect();
    let request = Request::post("http://a/echo")
        .body(Body::from(sent.clone()))
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let body = within(response.into_body().collect()).await.unwrap();
    assert!(body.to_bytes() == sent, "the body differs");
}
