//! The doctor and TLS: certificates of other names, of the past, of strangers.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http_body_util::Full;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority of the test's own.
struct House(Issuer<'static, KeyPair>, String);

impl House {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A server with a certificate of this house for `shop.test`, changed by `change`.
    async fn serves(&self, change: impl FnOnce(&mut CertificateParams)) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2200, 1, 1);
        change(&mut params);
        let chain = vec![params.signed_by(&key, &self.0).unwrap().der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = TaskTracker::new();
        TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tasks.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = hyper::service::service_fn(|_| async {
                        Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::from("ok")))
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        address
    }

    /// What is found of `address`, where this house is trusted.
    async fn looks_at(&self, address: SocketAddr) -> Report {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("house.pem"), &self.1).unwrap();
        let file = folder.path().join("tidegate.toml");
        let tls = "tls = { ca = \"house.pem\", server_name = \"shop.test\" }";
        std::fs::write(&file, complete(&of(address, tls))).unwrap();
        let loaded = config::read(&file).unwrap_or_else(|errors| panic!("{errors}"));
        examined(&loaded, Some("up"), Duration::ZERO).await
    }
}

#[track_caller]
fn refused(report: &Report, code: Code, says: &str) {
    let found = at(report, Stage::Tls);
    assert_eq!((found.mark, found.code), (Mark::Bad, code), "{report:#?}");
    assert!(found.says.contains(says), "{}", found.says);
    assert!(
        has(report, Stage::Certificate),
        "what is shown is told: {report:#?}"
    );
    assert!(!has(report, Stage::Http), "{report:#?}");
}

#[tokio::test]
async fn a_good_handshake_is_told_with_version_names_issuer_and_days() {
    let house = House::new("the house");
    let report = house.looks_at(house.serves(|_| {}).await).await;
    assert!(
        at(&report, Stage::Tls).says.starts_with("TLSv1_3, TLS13_"),
        "{report:#?}"
    );
    let found = at(&report, Stage::Certificate);
    assert_eq!(found.mark, Mark::Ok, "{report:#?}");
    for words in ["for shop.test, by ", "CN=the house", ", ends in "] {
        assert!(found.says.contains(words), "{}", found.says);
    }
    assert_eq!(at(&report, Stage::Http).mark, Mark::Ok, "{report:#?}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_told_with_its_names() {
    let house = House::new("the house");
    let other = |params: &mut CertificateParams| {
        let name = "other.test".to_owned().try_into().unwrap();
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    };
    let report = house.looks_at(house.serves(other).await).await;
    let says = "the certificate is for other.test, not for shop.test";
    refused(&report, Code::NameMismatch, says);
}

#[tokio::test]
async fn a_certificate_of_the_past_is_told_with_its_day() {
    let house = House::new("the house");
    let past = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    };
    let report = house.looks_at(house.serves(past).await).await;
    refused(&report, Code::Expired, "expired on Mon, 01 Jan 2001");
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_told_with_its_issuer() {
    let (house, stranger) = (House::new("the house"), House::new("a stranger"));
    let report = house.looks_at(stranger.serves(|_| {}).await).await;
    refused(&report, Code::UnknownIssuer, "CN=a stranger");
}

#[tokio::test]
async fn a_service_that_speaks_no_tls_is_told_from_a_wrong_certificate() {
    let upstream = Upstream::saying("ok").await;
    let report = House::new("the house").looks_at(upstream.address).await;
    let found = at(&report, Stage::Tls);
    assert_eq!(found.mark, Mark::Bad);
    assert!(
        matches!(found.code, Code::TlsProtocol | Code::TlsClosed),
        "{report:#?}"
    );
    assert!(!has(&report, Stage::Certificate));
}
