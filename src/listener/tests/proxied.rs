use ppp::v2::{self, Command, Protocol, Version};

use super::*;

fn behind_proxy(trusted: &str) -> Subject {
    Subject::start(ListenerPlan {
        proxy_protocol: true,
        trusted_proxies: vec![trusted.parse().unwrap()],
        header_timeout: SOON * 5,
        ..plan()
    })
}

const REQUEST: &str = "GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

async fn peer(subject: &Subject, header: &[u8]) -> String {
    let bytes = [header, REQUEST.as_bytes()].concat();
    let answer = rest(subject.send(bytes).await).await;
    answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_client_is_who_the_header_says() {
    let subject = behind_proxy("127.0.0.0/8");
    let v1 = b"PROXY TCP4 192.0.2.1 198.51.100.7 5555 443\r\n";
    let told = "192.0.2.1:5555 198.51.100.7:443 trusted=false secure=false";
    assert_eq!(peer(&subject, v1).await, told);

    let v2 = v2::Builder::with_addresses(
        Version::Two | Command::Proxy,
        Protocol::Stream,
        (
            "[::ffff:192.0.2.1]:5555".parse().unwrap(),
            "[::ffff:198.51.100.7]:443".parse().unwrap(),
        ),
    )
    .build()
    .unwrap();
    assert_eq!(peer(&subject, &v2).await, told);
}

#[tokio::test]
async fn local_and_unknown_keep_the_sockets_address() {
    let subject = behind_proxy("127.0.0.0/8");
    let local = v2::Builder::new(Version::Two | Command::Local, 0)
        .build()
        .unwrap();
    for header in [b"PROXY UNKNOWN\r\n".as_slice(), &local] {
        let told = peer(&subject, header).await;
        assert!(told.starts_with("127.0.0.1:"), "{told}");
        assert!(told.contains("trusted=true"), "{told}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_without_a_header_is_closed_without_an_answer() {
    let subject = behind_proxy("127.0.0.0/8");
    let mut stream = subject.send(REQUEST).await;
    let mut bytes = Vec::new();
    let _ = within(stream.read_to_end(&mut bytes)).await;
    assert!(bytes.is_empty(), "{bytes:?}");
    subject.is_empty().await;
}

#[tokio::test]
async fn a_header_that_does_not_end_is_closed_in_time() {
    let subject = behind_proxy("127.0.0.0/8");
    let stream = subject.send("PROXY TCP4 ").await;
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn a_header_from_elsewhere_is_closed_without_an_answer() {
    let subject = behind_proxy("192.0.2.0/24");
    let mut stream = subject.connect().await;
    let mut bytes = Vec::new();
    let _ = stream.write_all(b"PROXY UNKNOWN\r\n").await;
    let _ = within(stream.read_to_end(&mut bytes)).await;
    assert!(bytes.is_empty(), "{bytes:?}");
}
