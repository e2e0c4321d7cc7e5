//! Services with which TLS does not come about.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tidegate::fault::Kind;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use crate::{
    origin::{Then, blurting, on_each},
    scene::{
        Played, Scene,
        Told::{Grpc, Page, Problem},
        gate_in, route, scene,
    },
    support::client,
};

/// A record of TLS 1.1, and in it a hello that chooses that version.
const OLD_HELLO: [u8; 47] = {
    let mut hello = [0; 47];
    let head = [0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    hello[44] = 0xc0; // behind 32 random bytes and no session: a cipher, and no compression
    hello[45] = 0x13;
    hello
};
// Alerts: `protocol_version` and `internal_error`.
const NO_SUCH_VERSION: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 70];
const FAILED_INSIDE: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 80];

pub const SCENES: &[Scene] = &[
    scene(
        Kind::TlsTimeout,
        "502 tls_protocol_error/handshake_timeout communication upstream_tls upstream",
        Problem,
        || Box::pin(answered(b"", Then::Hang)),
    ),
    scene(
        Kind::TlsProtocol,
        "502 tls_protocol_error/- communication upstream_tls upstream",
        Problem,
        || Box::pin(answered(b"HTTP/1.1 400 Bad Request\r\n\r\n", Then::Close)),
    ),
    scene(
        Kind::TlsMismatch,
        "502 tls_protocol_error/mismatch communication upstream_tls upstream",
        Problem,
        || Box::pin(answered(&OLD_HELLO, Then::Hang)),
    ),
    scene(
        Kind::TlsMismatch,
        "502 tls_protocol_error/mismatch communication upstream_tls upstream",
        Problem,
        || Box::pin(without_http2()),
    ),
    scene(
        Kind::TlsAlertMismatch,
        "502 tls_alert_received/mismatch communication upstream_tls upstream",
        Problem,
        || Box::pin(answered(&NO_SUCH_VERSION, Then::Close)),
    ),
    scene(
        Kind::TlsAlert,
        "502 tls_alert_received/- communication upstream_tls upstream",
        Problem,
        || Box::pin(answered(&FAILED_INSIDE, Then::Close)),
    ),
    scene(
        Kind::TlsName,
        "502 tls_certificate_error/name communication upstream_tls upstream",
        Problem,
        || {
            Box::pin(showing(
                |of| {
                    of.subject_alt_names =
                        vec![SanType::DnsName("other.test".try_into().expect("a name"))];
                },
                "*/*",
            ))
        },
    ),
    scene(
        Kind::TlsExpired,
        "502 tls_certificate_error/expired communication upstream_tls upstream",
        Page,
        || {
            Box::pin(showing(
                |of| of.not_after = date_time_ymd(2021, 2, 3),
                "text/html",
            ))
        },
    ),
    scene(
        Kind::TlsNotYetValid,
        "502 tls_certificate_error/not_yet_valid communication upstream_tls upstream",
        Problem,
        || {
            Box::pin(showing(
                |of| of.not_before = date_time_ymd(2100, 1, 1),
                "*/*",
            ))
        },
    ),
    scene(
        Kind::TlsUnknownIssuer,
        "502 tls_certificate_error/unknown_issuer communication upstream_tls upstream",
        Grpc(14),
        || Box::pin(of_a_stranger()),
    ),
    scene(
        Kind::TlsCertificate,
        "502 tls_certificate_error/- communication upstream_tls upstream",
        Problem,
        || {
            Box::pin(showing(
                |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
                "*/*",
            ))
        },
    ),
];

/// An authority, and its certificate in PEM.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let root = params.self_signed(&key).expect("a root").pem();
    (Issuer::new(params, key), root)
}

/// A service that shows a certificate of `issuer` for `shop.test`, with `change`.
async fn service(
    issuer: &Issuer<'static, KeyPair>,
    change: fn(&mut CertificateParams),
) -> SocketAddr {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).expect("a name");
    change(&mut params);
    let chain = vec![
        params
            .signed_by(&key, issuer)
            .expect("signed")
            .der()
            .clone(),
    ];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    on_each(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut some = [0; 1024];
                while let Ok(1..) = stream.read(&mut some).await {}
            }
        }
    })
    .await
}

/// A request through a gateway that trusts `root`.
async fn asked(address: SocketAddr, root: &str, field: (&'static str, &'static str)) -> Played {
    asked_with(address, root, field, "").await
}

async fn asked_with(
    address: SocketAddr,
    root: &str,
    field: (&'static str, &'static str),
    of_upstream: &str,
) -> Played {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), root).expect("written");
    let tls = "tls = { server_name = \"shop.test\", ca = \"ca.pem\" }";
    let gate = gate_in(
        folder,
        &route(address, &format!("{tls}\n{of_upstream}"), ""),
    );
    let mut request = client::request("POST", "/", "");
    let (name, value) = field;
    let value = http::HeaderValue::from_static(value);
    request.headers_mut().insert(name, value);
    let reply = client::send(gate.web, request).await;
    Played::told(gate, reply)
}

async fn showing(change: fn(&mut CertificateParams), accept: &'static str) -> Played {
    let (issuer, root) = authority("ours");
    asked(service(&issuer, change).await, &root, ("accept", accept)).await
}

async fn of_a_stranger() -> Played {
    let (stranger, _) = authority("theirs");
    let (_, root) = authority("ours");
    let grpc = ("content-type", "application/grpc");
    asked(service(&stranger, |_| {}).await, &root, grpc).await
}

/// The service agrees on no HTTP/2.
async fn without_http2() -> Played {
    let (issuer, root) = authority("ours");
    let address = service(&issuer, |_| {}).await;
    asked_with(address, &root, ("accept", "*/*"), "protocol = \"h2\"").await
}

/// The service answers the hello with `bytes`.
async fn answered(bytes: &'static [u8], then: Then) -> Played {
    let (_, root) = authority("ours");
    let address = blurting(bytes, then).await;
    let short = "connect_timeout = \"300ms\"";
    asked_with(address, &root, ("accept", "*/*"), short).await
}
