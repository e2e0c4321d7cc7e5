//! Certificates -> what rustls needs to accept and to make connections.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, Error, RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{
    CertificateFacts, DnsTrust, Files, Reader,
    kept::{Pair, Print, Roots, print_of},
    pem, validity,
};
use crate::config::{
    ClientAuth, UpstreamProtocol,
    compile::{NamedPair, NamedRoots, NamedServer, NamedTrust},
    problem::{At, Code, Problem, Span},
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

/// Adds the TLS of a listener to `files`, unless something is wrong, which was noted.
pub(super) fn server(named: &NamedServer, reader: &mut Reader<'_>, files: &mut Files) {
    let provider = Arc::new(ring::default_provider());
    let pairs: Vec<_> = named
        .pairs
        .iter()
        .filter_map(|pair| pair_of(pair, &provider, reader, files))
        .collect();
    let clients = named.clients.as_ref().map(|clients| {
        let roots = roots_of(&clients.ca, reader, files)?;
        Some((roots, clients.auth))
    });
    if pairs.len() != named.pairs.len() || pairs.is_empty() || matches!(clients, Some(None)) {
        return;
    }
    let clients = clients.flatten();
    let asks: &[u8] = match &clients {
        None => b"nobody",
        Some((_, ClientAuth::Required)) => b"required",
        Some((_, ClientAuth::Optional)) => b"optional",
    };
    let shown = pairs.iter().map(|pair| pair.print.as_slice());
    let roots = clients.iter().map(|(roots, _)| roots.print.as_slice());
    let print = print_of(shown.chain([asks]).chain(roots));
    let key = named.listener.as_str();
    // What is the same stays the same: it knows the sessions that clients come back with.
    let same = reader.before.and_then(|before| {
        let print_before = before.kept.servers.get(key)?;
        (*print_before == print)
            .then(|| before.listeners.get(&named.listener).cloned())
            .flatten()
    });
    let config = same.or_else(|| server_config(&pairs, clients, provider).map(Arc::new));
    if let Some(config) = config {
        files.kept.servers.insert(key.to_owned(), print);
        files.listeners.insert(named.listener.clone(), config);
    }
    for (pair, named_pair) in pairs.iter().zip(&named.pairs) {
        let certificate = &named_pair.cert.it;
        files.certificates.push(CertificateFacts {
            listener: named.listener.clone(),
            certificate: certificate.clone(),
            not_after: pair.not_after,
            stale: reader.is_troubled(certificate),
        });
    }
}

fn server_config(
    pairs: &[Pair],
    clients: Option<(Roots, ClientAuth)>,
    provider: Arc<CryptoProvider>,
) -> Option<ServerConfig> {
    let certificates = pairs.iter().map(|pair| Arc::clone(&pair.certified));
    let resolver = Arc::new(ByName {
        certificates: certificates.collect(),
    });
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some((roots, auth)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.store, provider);
            let verifier = match auth {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().ok()?)
        }
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(config)
}

/// Adds the TLS of an upstream to `files`, unless something is wrong, which was noted.
pub(super) fn client(
    named: &NamedRoots,
    system: &mut SystemRoots,
    reader: &mut Reader<'_>,
    files: &mut Files,
) {
    let provider = Arc::new(ring::default_provider());
    let own = named.ca.as_ref().map(|ca| roots_of(ca, reader, files));
    let shown = named
        .client
        .as_ref()
        .map(|pair| pair_of(pair, &provider, reader, files));
    if own.as_ref().is_some_and(Option::is_none) || shown.as_ref().is_some_and(Option::is_none) {
        return;
    }
    let (own, shown) = (own.flatten(), shown.flatten());
    let print = print_of([
        own.as_ref()
            .map_or(b"system".as_slice(), |roots| &roots.print),
        shown
            .as_ref()
            .map_or(b"nothing".as_slice(), |pair| &pair.print),
    ]);
    let store = own.map_or_else(
        || Arc::new(system.roots(named.at, reader)),
        |roots| roots.store,
    );
    if let Some(config) = client_config(named, store, shown, provider) {
        let key = named.upstream.as_str().to_owned();
        files.kept.clients.insert(key, print);
        files
            .upstreams
            .insert(named.upstream.clone(), Arc::new(config));
    }
}

fn client_config(
    named: &NamedRoots,
    roots: Arc<RootCertStore>,
    shown: Option<Pair>,
    provider: Arc<CryptoProvider>,
) -> Option<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots);
    let mut config = match shown {
        Some(pair) => {
            let certified = CertifiedKey::clone(&pair.certified);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
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

/// Adds the TLS of name servers to `files`, unless something is wrong, which was noted, or it is there.
pub(super) fn name_servers(
    named: &NamedTrust,
    system: &mut SystemRoots,
    reader: &mut Reader<'_>,
    files: &mut Files,
) {
    let key = named.ca.as_ref().map(|ca| ca.it.clone());
    if files.name_servers.contains_key(&key) {
        return;
    }
    let (print, store) = match &named.ca {
        None => (
            print_of([b"system".as_slice()]),
            Arc::new(system.roots(named.at, reader)),
        ),
        Some(ca) => match roots_of(ca, reader, files) {
            Some(roots) => (roots.print, roots.store),
            None => return,
        },
    };
    let before = reader.before.and_then(|files| files.name_servers.get(&key));
    let same = before.filter(|trust| trust.print == print).cloned();
    let trust = same.or_else(|| {
        let config = Arc::new(trusting(store)?);
        Some(DnsTrust { config, print })
    });
    if let Some(trust) = trust {
        files.name_servers.insert(key, trust);
    }
}

fn trusting(roots: Arc<RootCertStore>) -> Option<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?;
    Some(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The authorities of a file, or those that it held before.
pub(super) fn roots_of(
    file: &At<PathBuf>,
    reader: &mut Reader<'_>,
    files: &mut Files,
) -> Option<Roots> {
    let kept = |before: &Files| before.kept.roots.get(&file.it).cloned();
    let roots = reader.or_before(&file.it, kept, |reader| roots(file, reader))?;
    files.kept.roots.insert(file.it.clone(), roots.clone());
    Some(roots)
}

fn roots(file: &At<PathBuf>, reader: &mut Reader<'_>) -> Option<Roots> {
    let certificates = pem::certificates(file, reader)?;
    let print = print_of(certificates.iter().map(AsRef::as_ref));
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
    let store = Arc::new(store);
    Some(Roots { print, store })
}

/// A certificate with its key, or what its files held before.
fn pair_of(
    named: &NamedPair,
    provider: &CryptoProvider,
    reader: &mut Reader<'_>,
    files: &mut Files,
) -> Option<Pair> {
    let key = (named.cert.it.clone(), named.key.it.clone());
    let kept = |before: &Files| before.kept.pairs.get(&key).cloned();
    let pair = reader.or_before(&named.cert.it, kept, |reader| {
        let (print, certified) = certified(named, provider, reader)?;
        let leaf = certified.end_entity_cert().ok()?;
        Some(Pair {
            print,
            not_after: validity::not_after(leaf),
            certified: Arc::new(certified),
        })
    })?;
    files.kept.pairs.insert(key, pair.clone());
    Some(pair)
}

fn certified(
    pair: &NamedPair,
    provider: &CryptoProvider,
    reader: &mut Reader<'_>,
) -> Option<(Print, CertifiedKey)> {
    let chain = pem::certificates(&pair.cert, reader);
    let key = pem::key(&pair.key, reader);
    let (chain, key) = chain.zip(key)?;
    let parts = chain.iter().map(AsRef::as_ref);
    let print = print_of(parts.chain([key.secret_der()]));
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(certified) => {
            if certified
                .end_entity_cert()
                .is_ok_and(|leaf| ParsedCertificate::try_from(leaf).is_ok())
            {
                return Some((print, certified));
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
    pub(super) fn roots(&mut self, at: Span, reader: &Reader<'_>) -> RootCertStore {
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
