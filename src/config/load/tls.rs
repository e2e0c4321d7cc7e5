//! Certificates -> what rustls needs to accept and to make connections.

use std::sync::Arc;

use rustls::{
    ClientConfig, Error, RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{Reader, pem};
use crate::config::{
    UpstreamProtocol,
    compile::{NamedPair, NamedRoots},
    problem::{Code, Problem, Span},
};

/// The system's certificate authorities, read when the first upstream wants them.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(Option<RootCertStore>);

/// The certificates of a listener. The first whose names hold the client's is shown, else the first.
///
/// Names are looked up in the certificates themselves, one after the other; a listener has at most 64.
#[derive(Debug)]
struct ByName {
    certificates: Vec<Arc<CertifiedKey>>,
}

/// TLS of a listener; `None` where something is wrong, which was noted.
pub(super) fn server(pairs: &[NamedPair], reader: &mut Reader<'_>) -> Option<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let certificates: Vec<_> = pairs
        .iter()
        .filter_map(|pair| certified(pair, &provider, reader))
        .map(Arc::new)
        .collect();
    if certificates.len() != pairs.len() || certificates.is_empty() {
        return None;
    }
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?;
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName { certificates }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(config)
}

/// TLS of an upstream; `None` where something is wrong, which was noted.
pub(super) fn client(
    named: &NamedRoots,
    system: &mut SystemRoots,
    reader: &mut Reader<'_>,
) -> Option<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let roots = roots(named, system, reader);
    let pair = named.client.as_ref();
    let certified = pair.map(|pair| certified(pair, &provider, reader));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots?);
    let mut config = match certified {
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified?)))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = match named.protocol {
        UpstreamProtocol::Http1 => vec![b"http/1.1".to_vec()],
        UpstreamProtocol::H2 => vec![b"h2".to_vec()],
        UpstreamProtocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Some(config)
}

/// TLS of name servers, the first of which stands at `at`.
pub(super) fn name_servers(
    at: Span,
    system: &mut SystemRoots,
    reader: &Reader<'_>,
) -> Option<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?;
    let config = builder.with_root_certificates(system.roots(at, reader));
    Some(config.with_no_client_auth())
}

fn roots(
    named: &NamedRoots,
    system: &mut SystemRoots,
    reader: &mut Reader<'_>,
) -> Option<RootCertStore> {
    let Some(file) = &named.ca else {
        return Some(system.roots(named.at, reader));
    };
    let certificates = pem::certificates(file, reader)?;
    let mut store = RootCertStore::empty();
    let (_, wrong) = store.add_parsable_certificates(certificates);
    if wrong > 0 || store.is_empty() {
        reader.content(
            file,
            "holds a certificate that cannot be read",
            "expected certificates of authorities",
        );
        return None;
    }
    Some(store)
}

fn certified(
    pair: &NamedPair,
    provider: &CryptoProvider,
    reader: &mut Reader<'_>,
) -> Option<CertifiedKey> {
    let chain = pem::certificates(&pair.cert, reader);
    let key = pem::key(&pair.key, reader);
    let (chain, key) = chain.zip(key)?;
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(certified) => {
            if certified
                .end_entity_cert()
                .is_ok_and(|leaf| ParsedCertificate::try_from(leaf).is_ok())
            {
                return Some(certified);
            }
            reader.content(
                &pair.cert,
                "holds a certificate that cannot be read",
                "expected an X.509 certificate, version 3",
            );
        }
        Err(Error::InconsistentKeys(_)) => reader.problems.add(
            Problem::error(
                Code::KeyMismatch,
                pair.key.at,
                format!(
                    "{} is not the key of {}",
                    pair.key.it.display(),
                    pair.cert.it.display()
                ),
                "belongs to another certificate",
            )
            .and(
                pair.cert.at,
                "the certificate (the first of its chain counts)",
            ),
        ),
        Err(Error::InvalidCertificate(_)) => reader.content(
            &pair.cert,
            "holds a certificate that cannot be read",
            "expected an X.509 certificate, version 3",
        ),
        Err(_) => reader.content(
            &pair.key,
            "holds a key that cannot be used",
            "expected an RSA, ECDSA or Ed25519 key",
        ),
    }
    None
}

// === impl SystemRoots ===

impl SystemRoots {
    /// The roots, for what stands at `at`.
    fn roots(&mut self, at: Span, reader: &Reader<'_>) -> RootCertStore {
        if let Some(store) = &self.0 {
            return store.clone();
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            reader.problems.add(
                Problem::warning(
                    Code::Dangerous,
                    at,
                    "this machine has no certificate authorities: no server will be trusted",
                    "needs some",
                )
                .help("install the system's bundle (ca-certificates), or name one with `ca`"),
            );
        }
        self.0 = Some(store.clone());
        store
    }
}

// === impl ByName ===

impl ByName {
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = ServerName::try_from(name).ok()?;
        self.certificates.iter().find(|certified| {
            certified
                .end_entity_cert()
                .and_then(ParsedCertificate::try_from)
                .is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
        })
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = match (hello.server_name(), self.certificates.len()) {
            (Some(name), 2..) => self.find(name),
            _ => None,
        };
        named.or(self.certificates.first()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> Arc<CertifiedKey> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let chain = vec![made.cert.der().clone()];
        Arc::new(CertifiedKey::from_der(chain, key, &ring::default_provider()).unwrap())
    }

    #[test]
    fn a_name_finds_the_certificate_that_holds_it() {
        let (shop, wild) = (
            certificate(&["shop.example"]),
            certificate(&["*.wild.example"]),
        );
        let by_name = ByName {
            certificates: vec![Arc::clone(&shop), Arc::clone(&wild)],
        };
        let found = |name| by_name.find(name).map(Arc::as_ptr);
        assert_eq!(found("shop.example"), Some(Arc::as_ptr(&shop)));
        assert_eq!(found("SHOP.example"), Some(Arc::as_ptr(&shop)));
        assert_eq!(found("a.wild.example"), Some(Arc::as_ptr(&wild)));
        assert_eq!(found("wild.example"), None);
        assert_eq!(found("a.b.wild.example"), None);
    }
}
