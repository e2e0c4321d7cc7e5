use super::*;

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let subject = Subject::start(plan());
    let mut stream = subject.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let answer = until(&mut stream, "hello").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_eq!(subject.listener.connections(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let subject = Subject::start(plan());
    let stream = subject
        .send(
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n\
             POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc\
             GET /length HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        )
        .await;
    let answers = rest(stream).await;
    let bodies: Vec<_> = answers
        .split("\r\n\r\n")
        .skip(1)
        .map(|part| part.split("HTTP/1.1").next().unwrap())
        .collect();
    assert_eq!(bodies, ["hello", "abc", "0"], "{answers}");
}

#[tokio::test]
async fn a_client_that_closes_before_its_answer_ends_its_request_at_once() {
    let mut subject = Subject::start(plan());
    let stream = subject.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    subject.holds(1).await;
    drop(stream);
    subject.holds(0).await;
    subject.is_empty().await;
}

#[tokio::test]
async fn a_client_that_resets_ends_its_request_at_once() {
    let mut subject = Subject::start(plan());
    let stream = subject.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    subject.holds(1).await;
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
    subject.holds(0).await;
    subject.is_empty().await;
}

#[tokio::test]
async fn a_panic_is_the_answer_of_one_request() {
    let subject = Subject::start(plan());
    let mut stream = subject.send("GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = until(&mut stream, "panicked").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    until(&mut stream, "hello").await;
}

#[tokio::test]
async fn no_length_is_made_up_for_an_answer_without_a_body() {
    let subject = Subject::start(plan());
    for request in ["HEAD /endless", "GET /nothing"] {
        let stream = subject
            .send(format!(
                "{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            ))
            .await;
        let answer = rest(stream).await.to_lowercase();
        assert!(!answer.contains("content-length"), "{request}: {answer}");
    }
}

#[tokio::test]
async fn what_http_refuses_is_told_and_the_answer_arrives() {
    let mut subject = Subject::start(plan());
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(300_000)
    );
    for (request, status, kind) in [
        ("NOT HTTP\r\n\r\n", "400", Kind::FramingInvalid),
        (long.as_str(), "431", Kind::HeadTooLarge),
    ] {
        let mut stream = subject.connect().await;
        // The listener may stop reading before all is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = until(&mut stream, "\r\n\r\n").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        drop(stream);
        assert_eq!(subject.next_refused().await, kind);
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_a_head_is_told_and_one_that_leaves_between_is_not() {
    let mut subject = Subject::start(plan());
    let mut idle = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut idle, "hello").await;
    drop(idle);
    drop(subject.connect().await);
    subject.is_empty().await;
    drop(subject.send("GET / HTTP/1.1\r\nhos").await);
    assert_eq!(subject.next_refused().await, Kind::ClientAborted);
    assert!(subject.refused.try_recv().is_err());
}
