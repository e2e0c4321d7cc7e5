use super::*;

const NEXT: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_body_is_asked_for_by_100_continue_only_where_it_is_read() {
    let subject = Subject::start(plan());
    let mut stream = subject
        .send(
            "POST /length HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
        )
        .await;
    let interim = until(&mut stream, "\r\n\r\n").await;
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    until(&mut stream, "\r\n\r\n3").await;

    let stream = subject
        .send(
            "POST /early HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
        )
        .await;
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("too much"), "{answer}");
}

#[tokio::test]
async fn an_early_answer_leaves_a_short_body_behind_and_the_connection_goes_on() {
    let subject = Subject::start(plan());
    let mut stream = subject
        .send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n")
        .await;
    until(&mut stream, "too much").await;
    // The unread body looks like a request; it must never become one.
    let smuggled = "GET /panic HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut body = smuggled.repeat(60_000 / smuggled.len());
    body.push_str(&"z".repeat(60_000 - body.len()));
    stream.write_all(body.as_bytes()).await.unwrap();
    stream.write_all(NEXT.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn an_early_answer_to_a_long_body_arrives_and_the_connection_closes() {
    let mut subject = Subject::start(plan());
    for length in ["content-length: 1000000", "transfer-encoding: chunked"] {
        let mut stream = subject
            .send(format!(
                "POST /early HTTP/1.1\r\nhost: a\r\n{length}\r\n\r\n"
            ))
            .await;
        let answer = until(&mut stream, "too much").await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        let more = format!("{}\r\n{}", "186a0", NEXT.repeat(4000));
        // It may be closed while this is on its way.
        let _ = stream.write_all(more.as_bytes()).await;
        let mut after = Vec::new();
        let _ = within(stream.read_to_end(&mut after)).await;
        assert!(after.is_empty(), "{:?}", String::from_utf8_lossy(&after));
        subject.is_empty().await;
    }
    assert!(subject.refused.try_recv().is_err());
}

#[tokio::test]
async fn an_unread_body_that_does_not_come_closes_the_connection_after_a_second() {
    let subject = Subject::start(plan());
    let mut stream = subject
        .send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    until(&mut stream, "too much").await;
    assert_eq!(rest(stream).await, "");
    subject.is_empty().await;
}

#[tokio::test]
async fn a_refused_head_is_read_to_its_end_so_that_its_answer_is_not_lost() {
    let subject = Subject::start(plan());
    let stream = subject
        .send(format!("BAD\r\n\r\n{}", "x".repeat(40_000)))
        .await;
    let (mut reader, mut writer) = stream.into_split();
    writer.shutdown().await.unwrap();
    let answer = until(&mut reader, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(rest(reader).await, "");
}
