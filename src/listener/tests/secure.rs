use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::ResolvesServerCertUsingSni,
    sign::CertifiedKey as SigningKey,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

const HOSTS: [&str; 2] = ["one.example", "two.example"];

/// A server of two hosts, and the roots that a client needs.
fn two_hosts() -> (Arc<ServerConfig>, [CertificateDer<'static>; 2]) {
    let mut resolver = ResolvesServerCertUsingSni::new();
    let certificates = HOSTS.map(|host| {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([host.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        let chain = vec![cert.der().clone()];
        resolver.add(host, SigningKey::new(chain, key)).unwrap();
        cert.der().clone()
    });
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(config), certificates)
}

async fn shake(
    subject: &Subject,
    root: &CertificateDer<'static>,
    host: &'static str,
    alpn: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from(host).unwrap();
    let stream = subject.connect().await;
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

#[tokio::test]
async fn each_name_is_served_by_its_own_certificate() {
    let (tls, roots) = two_hosts();
    let subject = Subject::start_with(plan(), Some(tls));
    for (host, root) in HOSTS.into_iter().zip(&roots) {
        let mut stream = shake(&subject, root, host, b"http/1.1").await.unwrap();
        stream
            .write_all(b"GET /peer HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        until(&mut stream, "secure=true").await;
    }
    let wrong = shake(&subject, &roots[1], HOSTS[0], b"http/1.1").await;
    assert!(wrong.is_err(), "the other host's root must not do");
}

#[tokio::test]
async fn alpn_chooses_http2() {
    let (tls, roots) = two_hosts();
    let subject = Subject::start_with(plan(), Some(tls));
    let stream = shake(&subject, &roots[0], HOSTS[0], b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut client, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .handshake::<_, Body>(io)
            .await
            .unwrap();
    tokio_util::task::TaskTracker::new().spawn(connection);
    let request = Request::get("https://one.example/")
        .body(Body::empty())
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let body = within(response.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let (tls, _) = two_hosts();
    let mut subject = Subject::start_with(plan(), Some(tls));
    let stream = subject.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("speaks HTTPS"), "{answer}");
    assert_eq!(subject.next_refused().await, Kind::FramingInvalid);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed_in_time() {
    let (tls, _) = two_hosts();
    let subject = Subject::start_with(
        ListenerPlan {
            header_timeout: SOON,
            ..plan()
        },
        Some(tls),
    );
    let stream = subject.send([22, 3, 1]).await;
    assert_eq!(rest(stream).await, "");
    subject.is_empty().await;
}

#[tokio::test]
async fn noise_on_a_tls_port_is_closed() {
    let (tls, _) = two_hosts();
    let subject = Subject::start_with(plan(), Some(tls));
    let mut stream = subject.send([0xFF]).await;
    let mut bytes = Vec::new();
    let _ = within(stream.read_to_end(&mut bytes)).await;
    assert!(bytes.is_empty(), "{bytes:?}");
    subject.is_empty().await;
}
