use super::*;
use crate::health::{CheckFailure, Probe};

fn probe(rig: &Rig, path: Option<&str>) -> HttpProbe {
    HttpProbe::new(Arc::new(rig.connector()), rig.seat.clone(), path)
}

async fn status(answer: &'static str) -> Result<(), CheckFailure> {
    let script = Script::answering(answer).await;
    probe(&Rig::new(script.address), Some("/healthz"))
        .check()
        .await
}

#[tokio::test]
async fn a_check_says_who_asks_and_closes_its_connection() {
    let script = Script::new(|mut stream, _| async move {
        let address = stream.local_addr().unwrap();
        let head = read_head(&mut stream).await.unwrap();
        assert!(
            head.starts_with("GET /healthz?deep=1 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("host: shop.test:{}\r\n", address.port())),
            "{head}"
        );
        assert!(head.contains("user-agent: tidegate-health\r\n"), "{head}");
        // More than anybody wants to read.
        let endless = b"HTTP/1.1 200 OK\r\n\r\n";
        stream.write_all(endless).await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let rig = Rig::new(script.address);
    assert_eq!(probe(&rig, Some("/healthz?deep=1")).check().await, Ok(()));
    assert_eq!(rig.seat.endpoint.connections.count(), (0, 0));
    rig.registry.drivers().close();
    timeout(PATIENCE, rig.registry.drivers().wait())
        .await
        .unwrap();
}

#[tokio::test]
async fn from_200_to_399_is_healthy() {
    for healthy in ["200 OK", "204 No Content", "301 Moved", "399 Odd"] {
        let answer = format!("HTTP/1.1 {healthy}\r\n\r\n").leak();
        assert_eq!(status(answer).await, Ok(()), "{healthy}");
    }
    for sick in ["400 Bad Request", "404 Not Found", "500 Oops", "503 Busy"] {
        let answer = format!("HTTP/1.1 {sick}\r\n\r\n").leak();
        assert!(
            matches!(status(answer).await, Err(CheckFailure::Status(_))),
            "{sick}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_sick() {
    assert!(matches!(
        status("what?\r\n\r\n").await,
        Err(CheckFailure::Protocol(_))
    ));
}

#[tokio::test]
async fn without_a_path_connecting_is_the_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::new(listener.local_addr().unwrap());
    assert_eq!(probe(&rig, None).check().await, Ok(()));
    drop(listener);
    let failed = probe(&rig, None).check().await;
    assert!(
        matches!(failed, Err(CheckFailure::Connect(_))),
        "{failed:?}"
    );
}
