//! PEM files -> certificates and keys, with sentences for what is wrong.

use std::path::PathBuf;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

use super::Reader;
use crate::config::{problem::At, source::MAX_NAMED};

/// The certificates of a file; at least one.
pub(super) fn certificates(
    file: &At<PathBuf>,
    reader: &mut Reader<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let bytes = reader.bytes(file, MAX_NAMED)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        Ok(_) => {
            let expected = if holds(&bytes, "PRIVATE KEY") {
                "this is a key; expected a certificate"
            } else {
                "expected -----BEGIN CERTIFICATE-----"
            };
            reader.content(file, "holds no certificate", expected);
            None
        }
        Err(error) => {
            reader.content(file, "is not a PEM file", sentence(&error));
            None
        }
    }
}

/// The private key of a file: the first one.
pub(super) fn key(file: &At<PathBuf>, reader: &mut Reader<'_>) -> Option<PrivateKeyDer<'static>> {
    let bytes = reader.bytes(file, MAX_NAMED)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Some(key),
        Err(Error::NoItemsFound) => {
            let expected = if holds(&bytes, "ENCRYPTED PRIVATE KEY") {
                "the key is encrypted; expected one without a passphrase"
            } else if holds(&bytes, "CERTIFICATE") {
                "this is a certificate; expected a private key"
            } else {
                "expected -----BEGIN PRIVATE KEY-----"
            };
            reader.content(file, "holds no private key", expected);
            None
        }
        Err(error) => {
            reader.content(file, "is not a PEM file", sentence(&error));
            None
        }
    }
}

fn holds(bytes: &[u8], what: &str) -> bool {
    let head = format!("-----BEGIN {what}");
    bytes
        .windows(head.len())
        .any(|window| window == head.as_bytes())
}

fn sentence(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no end",
        Error::IllegalSectionStart { .. } => "a section begins in a wrong way",
        Error::Base64Decode(_) => "a section is not base64",
        Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be read",
    }
}
