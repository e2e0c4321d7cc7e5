use tokio::time::Instant;

use super::*;
use crate::listener::{Backlog, Leave};

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn leave(within: Duration, backlog: Backlog) -> Leave {
    Leave { within, backlog }
}

#[tokio::test]
async fn a_kept_connection_is_told_by_its_next_answer_that_it_was_the_last() {
    let subject = Subject::start(plan());
    let mut kept = subject.send(REQUEST).await;
    until(&mut kept, "hello").await;
    let patient = leave(CAP, Backlog::Left);
    let left = subject.listener.leave(Instant::now() + CAP, patient);
    let client = async {
        assert!(timeout(SOON, kept.read_u8()).await.is_err(), "closed idle");
        kept.write_all(REQUEST.as_bytes()).await.unwrap();
        rest(kept).await
    };
    let (cut, answer) = within(async { tokio::join!(left, client) }).await;
    assert_eq!(cut, 0);
    assert!(
        answer.contains("connection: close\r\n") && answer.ends_with("hello"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed_in_the_end() {
    let subject = Subject::start(plan());
    let mut kept = subject.send(REQUEST).await;
    until(&mut kept, "hello").await;
    let began = Instant::now();
    let brief = leave(SOON, Backlog::Left);
    let left = subject.listener.leave(began + CAP, brief);
    let (cut, more) = within(async { tokio::join!(left, rest(kept)) }).await;
    assert_eq!((cut, more.as_str()), (0, ""));
    assert!(began.elapsed() >= SOON / 2);
}

#[tokio::test]
async fn what_waits_in_the_backlog_is_served_where_nobody_else_will() {
    let subject = Subject::start(plan());
    subject.strain.send_replace(Strain::StopAccepting);
    let waiting = subject.send(REQUEST).await;
    tokio::task::yield_now().await;
    assert_eq!(subject.listener.connections(), 0);
    let taking = leave(CAP, Backlog::Taken);
    let left = subject.listener.leave(Instant::now() + CAP, taking);
    let (cut, answer) = within(async { tokio::join!(left, rest(waiting)) }).await;
    assert_eq!(cut, 0);
    assert!(answer.ends_with("hello"), "{answer}");
}
