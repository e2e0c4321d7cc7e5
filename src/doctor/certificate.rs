//! A certificate as people read it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate};

use super::judge::Shown;

/// What a certificate says, read from its DER form; `None` where it cannot be read.
pub(super) fn read(der: &[u8]) -> Option<Shown> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| &names.value.general_names);
    Some(Shown {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.into_iter().flatten().filter_map(name).collect(),
        not_after: certificate.validity().not_after.timestamp(),
    })
}

/// A name that hosts are known by.
fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn names_issuer_and_end_are_read() {
        let names = ["shop.test".to_owned(), "10.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "the shop");
        params.not_after = date_time_ymd(2030, 1, 1);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let shown = read(made.der()).unwrap();
        assert_eq!(shown.names, ["shop.test", "10.0.0.1"]);
        assert_eq!(shown.not_after, 1_893_456_000);
        assert!(shown.subject.contains("CN=the shop"), "{}", shown.subject);
        assert_eq!(shown.issuer, shown.subject);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\x30\x03\x02\x01\x01"), None);
    }
}
