use tokio::time::Instant;

use super::*;
use crate::listener::Pace;

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
    let drain = listener.drain(Instant::now() + CAP, Pace::AtOnce);
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
    let drain = subject.listener.drain(Instant::now() + CAP, Pace::AtOnce);
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
    let cut = within(subject.listener.drain(Instant::now() + SOON, Pace::AtOnce)).await;
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
    let cut = within(subject.listener.drain(Instant::now() + SOON, Pace::AtOnce)).await;
    assert_eq!(cut, 1);
    within(tunnel).await.unwrap();
}

/// A connection that was used once and rests.
async fn rested(subject: &Subject) -> TcpStream {
    let mut stream = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut stream, "hello").await;
    stream
}

#[tokio::test]
async fn a_spread_drain_asks_one_after_the_other_and_a_hurry_ends_that() {
    let subject = Subject::start(plan());
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(rested(&subject).await);
    }
    let within_a_minute = Instant::now() + Duration::from_secs(60);
    let listener = Arc::new(subject.listener);
    let spread = tokio_util::task::TaskTracker::new();
    let draining = Arc::clone(&listener);
    let pace = Pace::Spread {
        within: Duration::from_secs(4),
    };
    let first = spread.spawn(async move { draining.drain(within_a_minute, pace).await });
    within(async {
        while listener.connections() == 40 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(listener.connections() > 10, "all at once is no spread");
    let second = within(listener.drain(within_a_minute, Pace::AtOnce)).await;
    assert_eq!((second, within(first).await.unwrap()), (0, 0));
    for stream in idle {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn a_connection_whose_turn_has_not_come_is_still_served() {
    let subject = Subject::start(plan());
    let mut stream = rested(&subject).await;
    let listener = Arc::new(subject.listener);
    let spread = tokio_util::task::TaskTracker::new();
    let draining = Arc::clone(&listener);
    let hour = Instant::now() + Duration::from_secs(3_600);
    let pace = Pace::Spread {
        within: Duration::from_secs(3_000),
    };
    spread.spawn(async move { draining.drain(hour, pace).await });
    within(listener.shared.draining.cancelled()).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let answer = until(&mut stream, "hello").await;
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "current_thread")]
async fn who_waits_in_the_backlog_is_accepted_and_answered_before_the_socket_closes() {
    let subject = Subject::start(plan());
    subject.strain.send_replace(Strain::StopAccepting);
    tokio::task::yield_now().await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await);
    }
    assert_eq!(subject.listener.connections(), 0, "nothing is accepted");
    let drain = subject.listener.drain(Instant::now() + CAP, Pace::AtOnce);
    let clients = async {
        for stream in waiting {
            assert!(rest(stream).await.ends_with("hello"));
        }
    };
    let (cut, ()) = within(async { tokio::join!(drain, clients) }).await;
    assert_eq!(cut, 0);
}
