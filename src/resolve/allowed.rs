//! Which addresses a name may have.
//!
//! Whoever can change a DNS answer could point a name at the gateway's own machine or at the metadata service
//! of its cloud (DNS rebinding). So those addresses are taken out of answers; literal addresses in the config
//! are not looked at, since the operator wrote them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Found, Why};

/// Metadata services outside of the link-local range: Alibaba's, Oracle's, and what Azure speaks to its machines by.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// Metadata services that no range below covers: Amazon's and Google's over IPv6.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
];

/// Takes prohibited addresses out of `found`, and returns them beside what is left.
///
/// `localhost`, spelled exactly so, may be on the loopback interface without being allowed to. An answer of
/// which nothing is left is [`Why::Prohibited`].
pub(super) fn keep_allowed(
    mut found: Found,
    name: &str,
    allow: &[IpNet],
) -> (Result<Found, Why>, Vec<IpAddr>) {
    let is_localhost = name.trim_end_matches('.') == "localhost";
    let (kept, dropped): (Vec<_>, Vec<_>) = found
        .addresses
        .iter()
        .map(IpAddr::to_canonical)
        .partition(|address| {
            !is_prohibited(*address)
                || (is_localhost && address.is_loopback())
                || allow.iter().any(|net| net.contains(address))
        });
    if kept.is_empty() && !dropped.is_empty() {
        return (Err(Why::Prohibited), dropped);
    }
    found.addresses = kept;
    (Ok(found), dropped)
}

/// Loopback, link-local (the IPv4 metadata address among it), "this network", broadcast, multicast, metadata.
fn is_prohibited(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4 == Ipv4Addr::BROADCAST
                || v4.octets().first() == Some(&0)
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            embedded(v6).is_some_and(|v4| is_prohibited(v4.into()))
                || v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6)
        }
    }
}

/// The IPv4 address that a translator on the way would make of `v6`: behind NAT64's well-known prefix (RFC 6052), or
/// the "compatible" form of old.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, ..] => {}
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {}
        _ => return None,
    }
    let [.., a, b, c, d] = v6.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kept(name: &str, addresses: &[&str], allow: &[&str]) -> Result<Vec<String>, Why> {
        let found = Found {
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ttl: Duration::from_secs(1),
            missing: None,
        };
        let allow: Vec<IpNet> = allow.iter().map(|net| net.parse().unwrap()).collect();
        let (result, _) = keep_allowed(found, name, &allow);
        result.map(|found| found.addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn addresses_that_names_should_not_have_are_prohibited() {
        for address in [
            "127.0.0.1",
            "127.8.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
        ] {
            assert_eq!(
                kept("shop.internal", &[address], &[]),
                Err(Why::Prohibited),
                "{address}"
            );
        }
    }

    #[test]
    fn private_and_public_addresses_pass() {
        let fine = [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "192.0.2.1",
            "fd00::1",
            "2001:db8::1",
            "64:ff9b::c000:201",
        ];
        assert_eq!(kept("shop.internal", &fine, &[]).unwrap(), fine);
    }

    #[test]
    fn what_is_allowed_passes_and_nothing_else_does() {
        assert_eq!(
            kept("shop.internal", &["127.0.0.5", "::1"], &["127.0.0.0/8"]).unwrap(),
            ["127.0.0.5"]
        );
    }

    #[test]
    fn one_good_address_saves_the_answer() {
        assert_eq!(
            kept("shop.internal", &["127.0.0.1", "10.0.0.1"], &[]).unwrap(),
            ["10.0.0.1"]
        );
    }

    #[test]
    fn localhost_may_be_on_loopback_but_nowhere_else_that_is_prohibited() {
        assert_eq!(
            kept("localhost", &["127.0.0.1", "::1"], &[]).unwrap(),
            ["127.0.0.1", "::1"]
        );
        assert_eq!(
            kept("localhost", &["169.254.169.254"], &[]),
            Err(Why::Prohibited)
        );
        assert_eq!(
            kept("db.localhost", &["127.0.0.1"], &[]),
            Err(Why::Prohibited)
        );
    }

    #[test]
    fn a_mapped_address_becomes_ipv4() {
        assert_eq!(
            kept("shop.internal", &["::ffff:10.0.0.1"], &[]).unwrap(),
            ["10.0.0.1"]
        );
    }
}
