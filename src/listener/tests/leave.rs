use tokio::time::Instant;

use super::*;
use crate::listener::{Backlog, Pace};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_busy_connection_is_told_by_an_answer_that_it_was_the_last() {
    let subject = Subject::start(plan());
    let mut kept = subject.send(REQUEST).await;
    until(&mut kept, "hello").await;
    let within_a_second = Pace::Spread {
        within: Duration::from_secs(1),
    };
    let left = subject
        .listener
        .drain(Instant::now() + CAP, within_a_second);
    let client = async {
        loop {
            kept.write_all(REQUEST.as_bytes()).await.unwrap();
            let answer = until(&mut kept, "hello").await;
            if answer.contains("connection: close\r\n") {
                return rest(kept).await;
            }
        }
    };
    let (cut, more) = within(async { tokio::join!(left, client) }).await;
    assert_eq!((cut, more.as_str()), (0, ""));
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed_in_the_end() {
    let subject = Subject::start(plan());
    let mut kept = subject.send(REQUEST).await;
    until(&mut kept, "hello").await;
    let began = Instant::now();
    let brief = Pace::Spread { within: SOON };
    let left = subject.listener.drain(began + CAP, brief);
    let (cut, more) = within(async { tokio::join!(left, rest(kept)) }).await;
    assert_eq!((cut, more.as_str()), (0, ""));
    assert!(began.elapsed() >= SOON / 2);
}

#[tokio::test]
async fn what_waits_in_the_backlog_is_left_to_whom_shares_the_socket() {
    let subject = Subject::start(plan());
    subject.strain.send_replace(Strain::StopAccepting);
    tokio::task::yield_now().await;
    let other = subject.listener.socket().unwrap();
    let waiting = subject.send(REQUEST).await;
    subject.listener.close(Backlog::Left);
    let drained = subject.listener.drain(Instant::now() + CAP, Pace::AtOnce);
    assert_eq!(within(drained).await, 0);
    let (accepted, peer) = within(other.accept()).await.unwrap();
    assert_eq!(peer, waiting.local_addr().unwrap());
    drop(accepted);
}
