use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn under_strain_what_rests_is_closed_and_what_runs_is_not() {
    let subject = Subject::start(plan());
    let mut idle = subject.send(GET).await;
    until(&mut idle, "hello").await;
    let mut slow = subject
        .send("GET /pieces HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    until(&mut slow, "\r\n\r\n").await;
    subject.strain.send_replace(Strain::CloseIdle);
    assert_eq!(rest(idle).await, "");
    subject.is_full(1).await;
    let mut newcomer = subject.send(GET).await;
    until(&mut newcomer, "hello").await;
    assert_eq!(rest(newcomer).await, "");
    subject.pieces.send("last words").unwrap();
    until(&mut slow, "last words\r\n").await;
}

#[tokio::test]
async fn a_second_strain_closes_what_came_to_rest_after_the_first() {
    let subject = Subject::start(plan());
    let mut stream = subject.send(GET).await;
    until(&mut stream, "hello").await;
    subject.strain.send_replace(Strain::CloseIdle);
    while !subject.listener.shared.closes_idle() {
        tokio::task::yield_now().await;
    }
    subject.strain.send_replace(Strain::None);
    while subject.listener.shared.closes_idle() {
        tokio::task::yield_now().await;
    }
    stream.write_all(GET.as_bytes()).await.unwrap();
    until(&mut stream, "hello").await;
    assert!(
        timeout(SOON * 15, stream.read_u8()).await.is_err(),
        "closed although the strain is over"
    );
    subject.strain.send_replace(Strain::CloseIdle);
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn while_nothing_is_accepted_clients_wait_and_are_served_after() {
    let subject = Subject::start(plan());
    subject.strain.send_replace(Strain::StopAccepting);
    let mut waiting = subject.send(GET).await;
    assert!(timeout(SOON, waiting.read_u8()).await.is_err());
    assert_eq!(subject.listener.connections(), 0);
    subject.strain.send_replace(Strain::None);
    until(&mut waiting, "hello").await;
}

#[tokio::test]
async fn a_listener_that_accepts_nothing_still_drains_at_once() {
    let subject = Subject::start(plan());
    subject.strain.send_replace(Strain::StopAccepting);
    let drained = subject.listener.drain(
        tokio::time::Instant::now() + CAP,
        crate::listener::Pace::AtOnce,
    );
    assert_eq!(within(drained).await, 0);
    assert!(
        TcpStream::connect(subject.listener.address())
            .await
            .is_err()
    );
}
