use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

use super::{
    probe::{check, checks, http},
    *,
};
use crate::{
    config::{AskPlan, CheckPlan, GrpcCheckPlan},
    fault::{Kind, Stage},
    health::{CheckFailure, Outcome, Passed},
};

/// An authority, and certificates of it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self {
            root: root.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }

    fn client(&self, alpn: &[&str]) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let (chain, key) = self.certificate(change);
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    fn server_that_wants_certificates(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> ServerConfig {
        let (chain, key) = self.certificate(|_| {});
        let roots = Arc::new(self.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap()
    }

    fn certificate(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (vec![certificate.der().clone()], key.into())
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Serves one thing over TLS: `alpn` said, then HTTP by what was agreed.
async fn secure(mut config: ServerConfig, alpn: &[&str]) -> Script {
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Script::new(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let io = hyper_util::rt::TokioIo::new(stream);
            let service =
                hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let version = format!("{:?}", request.version());
                    Ok::<_, std::convert::Infallible>(http::Response::new(
                        http_body_util::Full::new(Bytes::from(version)),
                    ))
                });
            let builder =
                hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            builder.serve_connection(io, service).await.ok();
        }
    })
    .await
}

async fn spoken(protocol: UpstreamProtocol, client: &[&str], server: &[&str]) -> Bytes {
    let authority = Authority::new();
    let script = secure(authority.server(|_| {}), server).await;
    let rig = Rig::speaking(protocol, script.address).with_tls(authority.client(client));
    read(rig.try_once(get()).await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let (both, h1, h2) = (&["h2", "http/1.1"][..], &["http/1.1"][..], &["h2"][..]);
    assert_eq!(spoken(UpstreamProtocol::Auto, both, both).await, "HTTP/2.0");
    assert_eq!(spoken(UpstreamProtocol::Auto, both, h1).await, "HTTP/1.1");
    assert_eq!(spoken(UpstreamProtocol::Auto, both, &[]).await, "HTTP/1.1");
    assert_eq!(spoken(UpstreamProtocol::H2, h2, both).await, "HTTP/2.0");
    assert_eq!(spoken(UpstreamProtocol::Http1, h1, both).await, "HTTP/1.1");
}

#[tokio::test]
async fn the_handshake_is_a_part_of_the_time_that_connecting_took() {
    let authority = Authority::new();
    let script = secure(authority.server(|_| {}), &[]).await;
    let rig =
        Rig::speaking(UpstreamProtocol::Http1, script.address).with_tls(authority.client(&[]));
    let sent = rig.try_once(get()).await.unwrap();
    let (connect, handshake) = (sent.connect.unwrap(), sent.handshake.unwrap());
    assert!(
        Duration::ZERO < handshake && handshake <= connect,
        "{handshake:?} of {connect:?}"
    );
}

#[tokio::test]
async fn an_upgrade_is_asked_for_over_http1_where_alpn_would_choose_http2() {
    let authority = Authority::new();
    let both = &["h2", "http/1.1"];
    let script = secure(authority.server(|_| {}), both).await;
    let rig =
        Rig::speaking(UpstreamProtocol::Auto, script.address).with_tls(authority.client(both));
    let mut upgrade = get();
    upgrade
        .headers_mut()
        .insert("connection", HeaderValue::from_static("upgrade"));
    upgrade
        .headers_mut()
        .insert("upgrade", HeaderValue::from_static("websocket"));
    let sent = rig.try_once(upgrade).await.unwrap();
    assert_eq!(read(sent).await.unwrap(), "HTTP/1.1");
}

#[tokio::test]
async fn http2_that_is_not_agreed_on_is_not_spoken() {
    let authority = Authority::new();
    let script = secure(authority.server(|_| {}), &[]).await;
    let rig =
        Rig::speaking(UpstreamProtocol::H2, script.address).with_tls(authority.client(&["h2"]));
    let fault = rig.fails(get()).await.fault;
    assert_eq!(
        (fault.kind, fault.stage),
        (Kind::TlsMismatch, Stage::UpstreamTls)
    );
}

async fn refused(server: ServerConfig, client: ClientConfig) -> Box<AttemptError> {
    let script = secure(server, &[]).await;
    let rig = Rig::new(script.address).with_tls(client);
    let error = rig.fails(get()).await;
    assert_eq!(error.fault.stage, Stage::UpstreamTls);
    assert_eq!(error.outcome, Outcome::LocalFailure);
    error
}

#[tokio::test]
async fn it_is_known_when_the_certificate_ends_that_was_shown_last() {
    let authority = Authority::new();
    for (year, seconds) in [(2040, 2_208_988_800), (2035, 2_051_222_400)] {
        let server = authority.server(|params| params.not_after = date_time_ymd(year, 1, 1));
        let script = secure(server, &["http/1.1"]).await;
        let rig = Rig::new(script.address).with_tls(authority.client(&["http/1.1"]));
        let end = || rig.seat.endpoint.certificate_ends();
        assert_eq!(end(), None);
        read(rig.try_once(get()).await.unwrap()).await.unwrap();
        assert_eq!(end(), Some(seconds));
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_and_named() {
    let authority = Authority::new();
    let server = authority.server(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
    });
    let error = refused(server, authority.client(&[])).await;
    assert_eq!(error.fault.kind, Kind::TlsName);
    assert_eq!(error.progress, Progress::Unsent);
    let detail = error.fault.detail.unwrap();
    assert!(
        detail.contains("shop.test") && detail.contains("other.test"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let error = refused(
        Authority::new().server(|_| {}),
        Authority::new().client(&[]),
    )
    .await;
    assert_eq!(error.fault.kind, Kind::TlsUnknownIssuer);
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_date() {
    let authority = Authority::new();
    let server = authority.server(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 2, 3);
    });
    let error = refused(server, authority.client(&[])).await;
    assert_eq!(error.fault.kind, Kind::TlsExpired);
    let detail = error.fault.detail.unwrap();
    assert!(detail.contains("expired on Wed, 03 Feb 2021"), "{detail}");
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_with_its_date() {
    let authority = Authority::new();
    let server = authority.server(|params| params.not_before = date_time_ymd(2100, 1, 1));
    let error = refused(server, authority.client(&[])).await;
    assert_eq!(error.fault.kind, Kind::TlsNotYetValid);
    let detail = error.fault.detail.unwrap();
    assert!(
        detail.contains("not valid before Fri, 01 Jan 2100"),
        "{detail}"
    );
}

#[tokio::test]
async fn an_endpoint_that_wants_our_certificate_sends_an_alert() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new();
        let server = authority.server_that_wants_certificates(version);
        let error = refused(server, authority.client(&[])).await;
        assert_eq!(error.fault.kind, Kind::TlsAlert, "{version:?}: {error:?}");
    }
}

#[tokio::test]
async fn plain_http_where_tls_is_expected_is_a_tls_fault() {
    let script = Script::new(|mut stream, _| async move {
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let rig = Rig::new(script.address).with_tls(Authority::new().client(&[]));
    let error = rig.fails(get()).await;
    assert_eq!(error.fault.kind, Kind::TlsProtocol);
    assert_eq!(error.progress, Progress::Unsent);
    assert!(error.request.is_some());
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_tls_timeout() {
    let script = Script::new(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut rig = Rig::new(script.address).with_tls(Authority::new().client(&[]));
    rig.plan.connect_timeout = SHORT;
    assert_eq!(rig.fails(get()).await.fault.kind, Kind::TlsTimeout);
}

#[tokio::test]
async fn a_connection_closed_in_the_handshake_is_closed() {
    let script = Script::new(|mut stream, _| async move {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).await.unwrap();
        while !hello.is_empty() && timeout(SHORT, stream.read(&mut hello)).await.is_ok() {}
    })
    .await;
    let rig = Rig::new(script.address).with_tls(Authority::new().client(&[]));
    let fault = rig.fails(get()).await.fault;
    assert_eq!(
        (fault.kind, fault.stage),
        (Kind::ConnectionClosed, Stage::UpstreamTls)
    );
}

#[tokio::test]
async fn a_connection_is_not_shared_between_names_that_were_checked_apart() {
    let authority = Authority::new();
    let server = authority.server(|params| {
        params.subject_alt_names = ["shop.test", "other.test"]
            .map(|name| rcgen::SanType::DnsName(name.try_into().unwrap()))
            .to_vec();
    });
    let script = secure(server, &["http/1.1"]).await;
    let mut rig = Rig::new(script.address).with_tls(authority.client(&["http/1.1"]));
    let connector = rig.connector();
    read(rig.send(&connector, get()).await.unwrap())
        .await
        .unwrap();
    until(|| rig.seat.endpoint.connections.count().0 == 1).await;
    rig.seat = Seat::new(
        Arc::clone(&rig.seat.endpoint),
        NonZeroU32::MIN,
        Some("other.test"),
    );
    read(rig.send(&connector, get()).await.unwrap())
        .await
        .unwrap();
    assert_eq!(script.connections(), 2);
}

#[tokio::test]
async fn a_body_that_ends_without_a_goodbye_of_tls_is_cut_off() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server(|_| {})));
    let script = Script::new(move |stream, number| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
                .await
                .unwrap();
            stream.flush().await.unwrap();
            if number == 0 {
                stream.shutdown().await.unwrap(); // says goodbye first
            }
        }
    })
    .await;
    let rig = Rig::new(script.address).with_tls(authority.client(&[]));
    let polite = rig.try_once(get()).await.unwrap();
    assert_eq!(read(polite).await.unwrap(), "half");
    let cut = rig.try_once(get()).await.unwrap();
    assert_eq!(read(cut).await.unwrap_err().kind, Kind::ResponseIncomplete);
}

#[tokio::test]
async fn checks_speak_what_requests_speak() {
    let authority = Authority::new();
    let script = secure(authority.server(|_| {}), &["h2"]).await;
    let rig = Rig::speaking(UpstreamProtocol::H2, script.address);
    let trusting = rig.with_tls(authority.client(&["h2"]));
    let asks = || checks(CheckPlan::Http(http("/")));
    assert_eq!(check(&trusting, asks()).await, Ok(Passed::Whole));
    let wary = Rig::speaking(UpstreamProtocol::H2, script.address)
        .with_tls(Authority::new().client(&["h2"]));
    assert!(matches!(
        check(&wary, asks()).await,
        Err(CheckFailure::Tls(_))
    ));
}

#[tokio::test]
async fn a_grpc_check_needs_http2_to_be_agreed_on() {
    let authority = Authority::new();
    let script = secure(authority.server(|_| {}), &["http/1.1"]).await;
    let rig = Rig::speaking(UpstreamProtocol::Auto, script.address)
        .with_tls(authority.client(&["h2", "http/1.1"]));
    let call = CheckPlan::Grpc(GrpcCheckPlan {
        service: "".into(),
        ask: AskPlan::default(),
    });
    let refused = CheckFailure::Tls("the endpoint did not agree on HTTP/2".into());
    assert_eq!(check(&rig, checks(call)).await, Err(refused));
}

#[tokio::test]
async fn a_check_of_another_host_keeps_the_name_of_tls() {
    let authority = Authority::new();
    let script = secure(authority.server(|_| {}), &["h2"]).await;
    let rig =
        Rig::speaking(UpstreamProtocol::H2, script.address).with_tls(authority.client(&["h2"]));
    let mut asks = http("/");
    asks.ask.host = Some(HeaderValue::from_static("other.test"));
    let checked = check(&rig, checks(CheckPlan::Http(asks))).await;
    assert_eq!(
        checked,
        Ok(Passed::Whole),
        "the certificate is of shop.test"
    );
}
