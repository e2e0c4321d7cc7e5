//! Certificates of a test's own, and a client that speaks TLS.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

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

    fn der(&self) -> CertificateDer<'static> {
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
            Some(shown) => {
                let key = PrivateKeyDer::try_from(shown.0.signing_key.serialize_der());
                let key = key.expect("a key");
                config
                    .with_client_auth_cert(vec![shown.der()], key)
                    .expect("a client's certificate")
            }
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
