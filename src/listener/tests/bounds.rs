use super::*;

#[tokio::test]
async fn a_slow_head_is_closed_and_told() {
    let mut subject = Subject::start(ListenerPlan {
        header_timeout: SOON,
        ..plan()
    });
    let stream = subject.send("GET / HTTP/1.1\r\nhost:").await;
    assert_eq!(rest(stream).await, "");
    assert_eq!(subject.next_refused().await, Kind::HeadTimeout);
}

#[tokio::test]
async fn bytes_that_drip_do_not_prolong_a_head() {
    let mut subject = Subject::start(ListenerPlan {
        header_timeout: SOON,
        ..plan()
    });
    let mut stream = subject.send("GET / HTTP/1.1\r\n").await;
    let dripped = within(async {
        let mut drip = tokio::time::interval(SOON / 10);
        loop {
            drip.tick().await;
            if stream.write_all(b"a: b\r\n").await.is_err() {
                break;
            }
        }
    });
    dripped.await;
    assert_eq!(subject.next_refused().await, Kind::HeadTimeout);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_and_not_told() {
    let mut subject = Subject::start(ListenerPlan {
        header_timeout: SOON,
        ..plan()
    });
    let stream = subject.connect().await;
    assert_eq!(rest(stream).await, "");
    subject.is_empty().await;
    assert!(subject.refused.try_recv().is_err());
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_its_own_time_and_not_told() {
    let mut subject = Subject::start(ListenerPlan {
        idle_timeout: SOON,
        ..plan()
    });
    let mut stream = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut stream, "hello").await;
    assert_eq!(rest(stream).await, "");
    subject.is_empty().await;
    assert!(subject.refused.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_takes_long_is_not_idle() {
    let subject = Subject::start(ListenerPlan {
        idle_timeout: SOON,
        header_timeout: SOON,
        ..plan()
    });
    let mut stream = subject
        .send("GET /pieces HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    until(&mut stream, "\r\n\r\n").await;
    assert!(timeout(SOON * 4, stream.read_u8()).await.is_err());
    subject.pieces.send("late").unwrap();
    until(&mut stream, "late\r\n").await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_and_its_answer_dropped() {
    let mut subject = Subject::start(ListenerPlan {
        body_timeout: SOON,
        ..plan()
    });
    let stream = subject
        .send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    subject.holds(1).await;
    subject.holds(0).await;
    subject.is_empty().await;
    drop(stream);
}

#[tokio::test]
async fn a_connection_beyond_the_cap_is_closed_and_its_place_comes_back() {
    let subject = Subject::start(ListenerPlan {
        max_connections: Some(1.try_into().unwrap()),
        ..plan()
    });
    let mut first = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut first, "hello").await;
    assert_eq!(rest(subject.connect().await).await, "");
    drop(first);
    subject.is_empty().await;
    let mut third = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut third, "hello").await;
}

#[tokio::test]
async fn a_reshaped_listener_holds_new_connections_to_the_new_plan() {
    let mut subject = Subject::start(plan());
    let old = subject.send("GET / HTTP/1.1\r\nhost:").await;
    subject.is_full(1).await;
    let plan = ListenerPlan {
        header_timeout: SOON,
        max_connections: Some(2.try_into().unwrap()),
        ..plan()
    };
    let handles = Telemetry::new().listener(&plan.name);
    subject.listener.reshape(plan, None, handles);
    let new = subject.send("GET / HTTP/1.1\r\nhost:").await;
    subject.is_full(2).await;
    assert_eq!(rest(subject.connect().await).await, "");
    assert_eq!(rest(new).await, "");
    assert_eq!(subject.next_refused().await, Kind::HeadTimeout);
    assert_eq!(subject.listener.connections(), 1);
    drop(old);
}
