//! Whose bucket it is.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::LazyLock,
};

use http::{HeaderMap, HeaderName};

use crate::config::{RateKey, TenantKey};

/// What a limit may know of a request: who sent it, and its head.
#[derive(Debug, Clone, Copy)]
pub struct RateSubject<'a> {
    /// The client's address, after trusted proxies.
    pub client: IpAddr,
    /// The request's head.
    pub headers: &'a HeaderMap,
}

/// The owner of a bucket. Of fixed size, whatever the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// All requests alike.
    Everyone,
    /// An IPv4 address, also where it came mapped into IPv6.
    V4(u32),
    /// The first 64 bits of an IPv6 address: what one host can roam in.
    V6(u64),
    /// 128 bits of keyed hash of a field's value. No client can find a second value of the same hash.
    Header(u64, u64),
}

// === impl Key ===

impl Key {
    /// The key of `subject`.
    ///
    /// Of a repeated field the first value counts. A field that is missing or blank falls back to the address,
    /// so that leaving it out gains nothing.
    pub(super) fn of(kind: &RateKey, subject: &RateSubject<'_>) -> Self {
        match kind {
            RateKey::None => Self::Everyone,
            RateKey::ClientIp => Self::address(subject.client),
            RateKey::Header(name) => Self::named(name, subject),
        }
    }

    fn named(name: &HeaderName, subject: &RateSubject<'_>) -> Self {
        let value = subject
            .headers
            .get(name)
            .map(|value| value.as_bytes().trim_ascii());
        match value {
            Some(value) if !value.is_empty() => Self::header(value),
            _ => Self::address(subject.client),
        }
    }

    fn address(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64;
                Self::V6(u64::try_from(network).unwrap_or(u64::MAX))
            }
        }
    }

    fn header(value: &[u8]) -> Self {
        /// Two independent halves, keyed anew in each process.
        static HASH: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        let [high, low] = &*HASH;
        Self::Header(high.hash_one(value), low.hash_one(value))
    }
}

/// A hash of the tenant that a request belongs to: those with the same are one. Keyed, so that nobody can aim.
#[must_use]
pub fn tenant_of(key: &TenantKey, client: IpAddr, headers: &HeaderMap) -> u64 {
    /// Keyed anew in each process.
    static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let kind = match key {
        TenantKey::None => return 0,
        TenantKey::ClientIp => Key::address(client),
        TenantKey::Header(name) => Key::named(name, &RateSubject { client, headers }),
    };
    HASH.hash_one(kind)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TENANT: HeaderName = HeaderName::from_static("x-tenant");

    fn by_address(text: &str) -> Key {
        let headers = HeaderMap::new();
        let subject = RateSubject {
            client: text.parse().unwrap(),
            headers: &headers,
        };
        Key::of(&RateKey::ClientIp, &subject)
    }

    fn by_header(values: &[&'static str]) -> Key {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TENANT, HeaderValue::from_static(value));
        }
        let subject = RateSubject {
            client: "192.0.2.1".parse().unwrap(),
            headers: &headers,
        };
        Key::of(&RateKey::Header(TENANT), &subject)
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        assert_eq!(by_address("::ffff:192.0.2.1"), by_address("192.0.2.1"));
        assert_ne!(by_address("192.0.2.1"), by_address("192.0.2.2"));
    }

    #[test]
    fn a_host_does_not_gain_by_roaming_in_its_64() {
        assert_eq!(
            by_address("2001:db8:1:2::1"),
            by_address("2001:db8:1:2:ffff::9")
        );
        assert_ne!(by_address("2001:db8:1:2::1"), by_address("2001:db8:1:3::1"));
    }

    #[test]
    fn a_missing_or_blank_field_falls_back_to_the_address() {
        assert_eq!(by_header(&[]), by_address("192.0.2.1"));
        assert_eq!(by_header(&[""]), by_address("192.0.2.1"));
        assert_eq!(by_header(&["  "]), by_address("192.0.2.1"));
        assert_ne!(by_header(&["a"]), by_address("192.0.2.1"));
    }

    #[test]
    fn of_a_repeated_field_the_first_value_counts() {
        assert_eq!(by_header(&["a", "b"]), by_header(&["a"]));
        assert_ne!(by_header(&["b", "a"]), by_header(&["a"]));
    }
}
