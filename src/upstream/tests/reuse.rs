use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::{net::UnixStream, sync::Notify};

use super::*;
use crate::{fault::Kind, health::Outcome};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Waits until a connection rests. Its driver has then seen the end of the exchange too: it runs on the
/// thread of the test.
async fn settled(rig: &Rig) {
    let connections = &rig.seat.endpoint.connections;
    until(|| connections.count().0 == 1).await;
}

async fn get_ok(rig: &Rig, connector: &Connector) -> Sent {
    let sent = rig.send(connector, get()).await.unwrap();
    assert_eq!(sent.response.status(), 200);
    sent
}

#[tokio::test]
async fn a_connection_serves_again_after_its_answer_was_read() {
    let script = Script::answering(OK).await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    assert!(get_ok(&rig, &connector).await.connect.is_some());
    // The answer was dropped unread: its connection must not serve again.
    read(get_ok(&rig, &connector).await).await.unwrap();
    assert_eq!(script.connections(), 2);
    settled(&rig).await;
    let sent = get_ok(&rig, &connector).await;
    assert!(sent.connect.is_none());
    read(sent).await.unwrap();
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn an_answer_without_a_body_frees_its_connection_at_once() {
    let script = Script::answering("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n").await;
    let rig = Rig::new(script.address);
    let sent = rig.try_once(get()).await.unwrap();
    assert_eq!(rig.seat.endpoint.connections.count(), (1, 0));
    drop(sent);
}

#[tokio::test]
async fn an_endpoint_that_closes_is_taken_at_its_word() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let script = Script::answering(answer).await;
        let rig = Rig::new(script.address);
        let connector = rig.connector();
        for _ in 0..2 {
            read(get_ok(&rig, &connector).await).await.unwrap();
        }
        assert_eq!(script.connections(), 2, "{answer}");
    }
}

#[tokio::test]
async fn what_the_endpoint_may_be_about_to_close_is_not_used_and_most_of_it_is_let_go() {
    let answer = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=10\r\nContent-Length: 2\r\n\r\nok";
    let script = Script::answering(answer).await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(get_ok(&rig, &connector).await);
    }
    for sent in answers {
        read(sent).await.unwrap();
    }
    let connections = &rig.seat.endpoint.connections;
    until(|| connections.count().0 == 5).await;
    let take = |millis| {
        let at = Instant::now() + Duration::from_millis(millis);
        connections.take_http1(connector.lane(&rig.seat), PATIENCE * 60, at)
    };
    let taken = take(8_000).expect("one that rests long enough, and not too long");
    assert!(taken.rested >= Duration::from_secs(7), "{:?}", taken.rested);
    assert!(take(9_500).is_none());
    assert_eq!(connections.count().0, 2, "left to see when they are closed");
    assert!(take(8_000).is_some(), "known by the age, not by the name");
}

#[tokio::test]
async fn a_connection_that_rested_too_long_is_not_used() {
    let script = Script::answering(OK).await;
    let mut rig = Rig::new(script.address);
    rig.plan.idle_timeout = SHORT;
    let connector = rig.connector();
    read(get_ok(&rig, &connector).await).await.unwrap();
    settled(&rig).await;
    let connections = &rig.seat.endpoint.connections;
    assert_eq!(connections.sweep(Instant::now()), 0);
    assert_eq!(connections.sweep(Instant::now() + SHORT), 1);
    assert_eq!(connections.count(), (0, 0));
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_not_used() {
    let script = Script::answering(OK).await;
    let mut rig = Rig::new(script.address);
    rig.plan.max_connection_age = Duration::ZERO;
    let connector = rig.connector();
    for _ in 0..2 {
        read(get_ok(&rig, &connector).await).await.unwrap();
    }
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_pooled_connection_that_closes_as_we_write_costs_nobody_a_fault() {
    let (mut bell, rope) = UnixStream::pair().unwrap();
    let rope = Arc::new(Mutex::new(Some(rope)));
    let close = Arc::new(Notify::new());
    let closing = Arc::clone(&close);
    let script = Script::new(move |mut stream, _| {
        let (closing, rope) = (Arc::clone(&closing), Arc::clone(&rope));
        async move {
            read_head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            closing.notified().await;
            // The bell and the end arrive together; who hears the bell sends before the driver sees the end.
            let rope = rope.lock().take();
            rope.unwrap().write_all(b"!").await.unwrap();
        }
    })
    .await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    read(get_ok(&rig, &connector).await).await.unwrap();
    settled(&rig).await;
    close.notify_one();
    bell.read_u8().await.unwrap();
    let body = SendBody::Full(Bytes::from_static(b"not idempotent"));
    let sent = rig.send(&connector, post(body)).await.unwrap();
    assert!(sent.connect.is_some());
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_close_on_a_reused_connection_is_a_crossing_only_where_it_comes_at_once() {
    let script = Script::new(|mut stream, number| async move {
        read_head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        if number == 1 {
            tokio::time::sleep(3 * SHORT).await; // longer than a crossing takes
        }
    })
    .await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    read(get_ok(&rig, &connector).await).await.unwrap();
    settled(&rig).await;
    let error = rig.send(&connector, get()).await.unwrap_err();
    assert_eq!(error.fault.kind, Kind::KeepAliveRace);
    assert_eq!(error.progress, Progress::Sent);
    assert_eq!(error.outcome, Outcome::LocalFailure);
    assert!(error.reused);
    read(get_ok(&rig, &connector).await).await.unwrap();
    settled(&rig).await;
    let error = rig.send(&connector, get()).await.unwrap_err();
    assert_eq!(error.fault.kind, Kind::ConnectionClosed);
    assert!(error.reused);
}

#[tokio::test]
async fn bytes_on_a_resting_connection_never_answer_the_next_request() {
    let script = Script::new(|mut stream, number| async move {
        read_head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        if number == 0 {
            let poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
            stream.write_all(poison).await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    for _ in 0..2 {
        assert_eq!(read(get_ok(&rig, &connector).await).await.unwrap(), "ok");
    }
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_removed_endpoint_closes_what_rests_and_finishes_what_runs() {
    let (go, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (going, ending) = (Arc::clone(&go), Arc::clone(&ended));
    let script = Script::new(move |mut stream, number| {
        let (going, ending) = (Arc::clone(&going), Arc::clone(&ending));
        async move {
            read_head(&mut stream).await;
            if number == 1 {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
                    .await
                    .unwrap();
                going.notified().await;
                stream.write_all(b"ok").await.unwrap();
            } else {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            assert!(read_head(&mut stream).await.is_none());
            ending.notify_one();
        }
    })
    .await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    let first = get_ok(&rig, &connector).await;
    let running = get_ok(&rig, &connector).await;
    read(first).await.unwrap();
    rig.registry.retire(&BTreeSet::new(), Instant::now());
    timeout(PATIENCE, ended.notified()).await.unwrap(); // the resting one
    go.notify_one();
    assert_eq!(read(running).await.unwrap(), "ok");
    timeout(PATIENCE, ended.notified()).await.unwrap(); // the other, which was not kept
    assert_eq!(rig.seat.endpoint.connections.count(), (0, 0));
}

#[tokio::test]
async fn a_new_connector_uses_the_connections_unless_the_transport_changed() {
    let script = Script::answering(OK).await;
    let rig = Rig::new(script.address);
    let first = rig.connector();
    read(get_ok(&rig, &first).await).await.unwrap();
    settled(&rig).await;
    let mut plan = rig.plan.clone();
    plan.first_byte_timeout = SHORT;
    let handles = || Telemetry::new().upstream(&plan.name);
    let tuned = first.succeed(&rig.plan, &plan, None, NamedFiles::Changed, handles());
    let sent = get_ok(&rig, &tuned).await;
    assert!(sent.connect.is_none());
    read(sent).await.unwrap();
    settled(&rig).await;
    plan.protocol = UpstreamProtocol::Auto;
    let other = tuned.succeed(&rig.plan, &plan, None, NamedFiles::Same, handles());
    assert!(get_ok(&rig, &other).await.connect.is_some());
}

#[tokio::test]
async fn no_more_connections_rest_than_the_bound() {
    let script = Script::answering(OK).await;
    let rig = Rig::new(script.address);
    let connector = rig.connector();
    let mut running = Vec::new();
    for _ in 0..=crate::pool::MAX_RESTING {
        running.push(get_ok(&rig, &connector).await);
    }
    for sent in running {
        read(sent).await.unwrap();
    }
    assert_eq!(
        rig.seat.endpoint.connections.count(),
        (crate::pool::MAX_RESTING, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_on_several_threads_reuse_connections_without_a_fault() {
    const CLIENTS: usize = 32;
    const REQUESTS: usize = 100;
    let script = Script::answering(OK).await;
    let rig = Arc::new(Rig::new(script.address));
    let connector = Arc::new(rig.connector());
    let tasks = TaskTracker::new();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (rig, connector) = (Arc::clone(&rig), Arc::clone(&connector));
            tasks.spawn(async move {
                for _ in 0..REQUESTS {
                    let sent = get_ok(&rig, &connector).await;
                    assert_eq!(read(sent).await.unwrap(), "ok");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(rig.seat.endpoint.in_flight(), 0);
    // Some are opened because one that is free is not known to be so for a moment.
    assert!(script.connections() < CLIENTS * REQUESTS / 10);
}
