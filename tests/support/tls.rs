//! Certificates of a test's own, and a client that speaks TLS.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::task::TaskTracker;

/// A certificate for `test`, its own authority.
pub struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    pub fn new() -> Self {
        Self::of("test")
    }

    /// The same for another name or address.
    pub fn of(name: &str) -> Self {
        let made = generate_simple_self_signed([name.to_owned()]);
        Self(made.expect("a certificate"))
    }

    /// One that ends so many days from now, or before now.
    pub fn for_days(days: i64) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let now = i64::try_from(now.as_secs()).expect("seconds");
        let ends = u64::try_from(now + days * 86_400).expect("after 1970");
        let mut params = CertificateParams::new(["test".to_owned()]).expect("parameters");
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(ends);
        let signing_key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&signing_key).expect("a certificate");
        Self(CertifiedKey { cert, signing_key })
    }

    pub fn pem(&self) -> String {
        self.0.cert.pem()
    }

    pub fn key(&self) -> String {
        self.0.signing_key.serialize_pem()
    }

    /// Writes both halves to `cert.pem` and `key.pem` in `folder`.
    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), self.pem()).expect("written");
        std::fs::write(folder.join("key.pem"), self.key()).expect("written");
    }

    /// Shows it at an address of its own, and answers the first request of each connection with 200 until the test ends.
    pub async fn serve(&self) -> SocketAddr {
        let acceptor = TlsAcceptor::from(Arc::new(self.server()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        address
    }

    /// What a server needs to show it.
    pub fn server(&self) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der()], self.private())
            .expect("a certificate")
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).expect("a key")
    }

    /// Its bytes.
    pub fn der(&self) -> CertificateDer<'static> {
        self.0.cert.der().clone()
    }

    /// A connection to `address`, where that shows this certificate; `shows` is what the client shows.
    pub async fn connect(
        &self,
        address: SocketAddr,
        shows: Option<&Self>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match shows {
            None => config.with_no_client_auth(),
            Some(shown) => config
                .with_client_auth_cert(vec![shown.der()], shown.private())
                .expect("a client's certificate"),
        };
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("test").expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Whether `address` shows this certificate.
    pub async fn is_shown(&self, address: SocketAddr) -> bool {
        self.connect(address, None).await.is_ok()
    }

    /// Whether a request is answered where the client shows `shows`.
    pub async fn serves(&self, address: SocketAddr, shows: Option<&Self>) -> bool {
        match self.connect(address, shows).await {
            Ok(mut stream) => is_answered(&mut stream).await,
            Err(_) => false,
        }
    }
}

/// Whether `stream` answers a request with 200, and stays open.
pub async fn is_answered(stream: &mut TlsStream<TcpStream>) -> bool {
    let asked = stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .await;
    let mut head = [0_u8; 12];
    asked.is_ok() && stream.read_exact(&mut head).await.is_ok() && head == *b"HTTP/1.1 200"
}
