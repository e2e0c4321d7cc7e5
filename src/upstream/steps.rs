//! The road to one endpoint, one step at a time: a connection, TLS on it, an answer. For whoever wants to know where
//! the road ends, rather than to send anything.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::{Connector, EndpointProbe, Looked, Rest, classify, socket};
use crate::{config::HealthPlan, health::CheckFailure, pool::Seat};

/// One endpoint, to be taken step by step. Every step has connections of its own, which nobody else uses.
#[derive(Debug)]
pub struct Steps {
    connector: Arc<Connector>,
    seat: Seat,
    /// How long an answer may take.
    patience: Duration,
    probe: EndpointProbe,
}

/// A connection.
#[derive(Debug)]
pub struct Connected {
    stream: TcpStream,
    /// How long it took.
    pub took: Duration,
    /// The most bytes that go into one packet on the way, where the system says it.
    pub segment: Option<u32>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoConnection {
    /// The host, or somebody in its name, says that nothing listens there.
    Refused,
    /// Nobody says anything.
    Filtered,
    /// There is no way to the host.
    HostUnreachable,
    /// There is no way to its network.
    NetUnreachable,
    /// Somebody says that it is forbidden.
    Prohibited,
    /// It was reset while it was made.
    Reset,
    /// This machine has no port left for it.
    NoPort,
    /// This process has no descriptor left for it.
    NoDescriptor,
    /// The system's own words.
    Other(Box<str>),
}

/// What a handshake agreed on.
#[derive(Debug)]
pub struct Secured {
    /// The version.
    pub protocol: String,
    /// The cipher suite.
    pub cipher: String,
    /// The protocol above it, where one was agreed on.
    pub alpn: Option<String>,
    /// The certificates that were shown, the endpoint's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// How long it took.
    pub took: Duration,
}

/// Why a handshake failed.
#[derive(Debug)]
pub struct NotSecured {
    /// The kind of it.
    pub flaw: Flaw,
    /// What there is to say about it.
    pub detail: String,
    /// The certificates that were shown, where it is about them.
    pub chain: Vec<CertificateDer<'static>>,
}

/// What a handshake fails by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The certificate is for other names.
    Name,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// It is of nobody that we trust.
    Issuer,
    /// Something else about it.
    Certificate,
    /// The endpoint said no, by an alert.
    Alert,
    /// The endpoint closed the connection.
    Closed,
    /// It took too long.
    Timeout,
    /// What was said is not TLS, or nothing of it that both speak.
    Protocol,
}

// === impl Steps ===

impl Steps {
    /// Those to the endpoint of `seat`. What is asked in the end is what `plan` asks.
    #[must_use]
    pub fn new(connector: Arc<Connector>, seat: Seat, plan: HealthPlan) -> Self {
        Self {
            patience: plan.timeout,
            probe: EndpointProbe::new(Arc::clone(&connector), seat.clone(), plan),
            connector,
            seat,
        }
    }

    /// Whom a certificate is to prove; `None` where TLS is not spoken.
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        let (_, name) = self.connector.tls_to(&self.seat)?;
        Some(name.to_str().into_owned())
    }

    /// A connection, within the connector's time.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Cancel safety
    /// Dropping the future gives it up.
    pub async fn connect(&self) -> Result<Connected, NoConnection> {
        let began = Instant::now();
        let address = self.seat.endpoint.id.address;
        let stream = timeout(self.connector.connect_timeout, socket::connect(address))
            .await
            .map_err(|_| NoConnection::Filtered)?
            .map_err(|error| NoConnection::of(&error))?;
        Ok(Connected {
            took: began.elapsed(),
            segment: SockRef::from(&stream).tcp_mss().ok(),
            stream,
        })
    }

    /// TLS on a connection, within the connector's time; `None` where it is not spoken.
    ///
    /// Where the certificate does not do, it is asked for once more, on a connection that goes no further than that.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Cancel safety
    /// Dropping the future gives it up.
    pub async fn secure(&self, connected: Connected) -> Option<Result<Secured, NotSecured>> {
        let (config, name) = self.connector.tls_to(&self.seat)?;
        let began = Instant::now();
        let handshake =
            TlsConnector::from(Arc::clone(&config)).connect(name.clone(), connected.stream);
        let (flaw, detail) = match timeout(self.connector.connect_timeout, handshake).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let word = |of: Option<String>| of.unwrap_or_else(|| "unknown".to_owned());
                let suite = session.negotiated_cipher_suite();
                return Some(Ok(Secured {
                    took: began.elapsed(),
                    protocol: word(session.protocol_version().map(|it| format!("{it:?}"))),
                    cipher: word(suite.map(|it| format!("{:?}", it.suite()))),
                    alpn: session
                        .alpn_protocol()
                        .map(|it| String::from_utf8_lossy(it).into_owned()),
                    chain: session.peer_certificates().unwrap_or_default().to_vec(),
                }));
            }
            Ok(Err(error)) => classify::flaw(&error),
            Err(_) => (Flaw::Timeout, String::new()),
        };
        let chain = if flaw.is_of_the_certificate() {
            self.shown(&config, name).await
        } else {
            Vec::new()
        };
        Some(Err(NotSecured {
            flaw,
            detail,
            chain,
        }))
    }

    /// The answer to what the plan asks, within its time.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection.
    pub async fn ask(&self) -> Result<Looked, CheckFailure> {
        let looked = timeout(self.patience, self.probe.look());
        looked.await.unwrap_or(Err(CheckFailure::Timeout))
    }

    /// How long a connection may rest, `within` being as long as is waited for it.
    ///
    /// # Errors
    /// Why there is none that could.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection.
    pub async fn rest(&self, within: Duration) -> Result<Rest, CheckFailure> {
        let rested = timeout(self.patience + within, self.probe.rest(within));
        rested.await.unwrap_or(Err(CheckFailure::Timeout))
    }

    /// The certificates that the endpoint shows, trusted or not. Nothing is sent to it but an alert.
    async fn shown(
        &self,
        config: &ClientConfig,
        name: ServerName<'static>,
    ) -> Vec<CertificateDer<'static>> {
        let onlooker = Arc::new(Onlooker {
            schemes: config
                .crypto_provider()
                .signature_verification_algorithms
                .supported_schemes(),
            shown: Mutex::default(),
        });
        let mut config = config.clone();
        let verifier = Arc::clone(&onlooker) as _;
        config.dangerous().set_certificate_verifier(verifier);
        let handshake = async {
            let stream = socket::connect(self.seat.endpoint.id.address).await?;
            TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
        };
        drop(timeout(self.connector.connect_timeout, handshake).await);
        std::mem::take(&mut *onlooker.shown.lock())
    }
}

// === impl NoConnection ===

impl NoConnection {
    /// What an error of connecting means.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Self {
        classify::no_connection(error)
    }
}

// === impl Flaw ===

impl Flaw {
    /// Whether the certificate is at fault.
    #[must_use]
    pub const fn is_of_the_certificate(self) -> bool {
        matches!(
            self,
            Self::Name | Self::Expired | Self::NotYet | Self::Issuer | Self::Certificate
        )
    }
}

/// Takes down what certificates are shown, and trusts none.
#[derive(Debug)]
struct Onlooker {
    schemes: Vec<SignatureScheme>,
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

// === impl Onlooker ===

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let chain = std::iter::once(own).chain(others);
        *self.shown.lock() = chain.map(|it| it.clone().into_owned()).collect();
        Err(looked())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(looked())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(looked())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

fn looked() -> TlsError {
    TlsError::General("only looked at".to_owned())
}
