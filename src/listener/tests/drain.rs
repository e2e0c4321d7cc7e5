use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn a_drain_waits_for_a_running_answer_and_closes_what_is_idle() {
    let subject = Subject::start(plan());
    let mut idle = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut idle, "hello").await;
    let mut slow = subject
        .send("GET /pieces HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    until(&mut slow, "\r\n\r\n").await;

    let Subject {
        listener, pieces, ..
    } = subject;
    let drain = listener.drain(Instant::now() + CAP);
    let client = async {
        assert_eq!(rest(idle).await, "");
        pieces.send("last words").unwrap();
        drop(pieces);
        rest(slow).await
    };
    let (cut, answer) = within(async { tokio::join!(drain, client) }).await;
    assert_eq!(cut, 0);
    assert!(
        answer.ends_with("last words\r\n0\r\n\r\n"),
        "the answer is whole: {answer}"
    );
    assert!(TcpStream::connect(listener.address()).await.is_err());
}

#[tokio::test]
async fn an_answer_that_begins_in_a_drain_says_that_the_connection_closes() {
    let subject = Subject::start(plan());
    let mut stream = subject
        .send(
            "POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n",
        )
        .await;
    until(&mut stream, "100 Continue\r\n\r\n").await;
    let drain = subject.listener.drain(Instant::now() + CAP);
    let client = async {
        assert!(timeout(SOON, stream.read_u8()).await.is_err());
        stream.write_all(b"abc").await.unwrap();
        rest(stream).await
    };
    let (cut, answer) = within(async { tokio::join!(drain, client) }).await;
    assert_eq!(cut, 0);
    assert!(
        answer.to_lowercase().contains("connection: close\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_deadline_and_counted() {
    let mut subject = Subject::start(plan());
    let stuck = [
        subject.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await,
        subject.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await,
    ];
    subject.holds(2).await;
    let cut = within(subject.listener.drain(Instant::now() + SOON)).await;
    assert_eq!(cut, 2);
    subject.holds(0).await;
    drop(stuck);
}

#[tokio::test]
async fn a_tunnel_is_told_at_the_deadline_and_counted() {
    let subject = Subject::start(plan());
    let shared = Arc::clone(&subject.listener.shared);
    let stop = shared.stop_tunnels.clone();
    let tunnel = shared.tunnels.spawn(async move { stop.cancelled().await });
    let cut = within(subject.listener.drain(Instant::now() + SOON)).await;
    assert_eq!(cut, 1);
    within(tunnel).await.unwrap();
}
