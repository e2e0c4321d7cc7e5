//! The host that a request names.

use std::{borrow::Cow, fmt, net::Ipv6Addr};

/// A host and its port, as `Host` or `:authority` gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host<'a> {
    /// Lower case, without port and trailing dot. An IPv6 address stands in brackets, in its shortest form.
    pub name: Cow<'a, str>,
    /// The port, where one was given.
    pub port: Option<u16>,
}

/// Why an authority names no host; the request is refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// Nothing before the port.
    Empty,
    /// Longer than a DNS name may be, or with a label that is.
    TooLong,
    /// A byte that no host name holds: a list, user info, a path, a space, an escape.
    BadName,
    /// `[` without an IPv6 address and `]` behind it.
    BadAddress,
    /// `:` without a number of 16 bits behind it.
    BadPort,
}

/// Longest name, without the trailing dot (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
/// Longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// Reads `host` or `host:port`, strictly: letters, digits, `-`, `_` and `.`, or an IPv6 address in brackets.
///
/// Narrower than RFC 3986, which allows escapes and punctuation: no host on the Internet has them, and
/// servers disagree about their meaning. Borrowed where the name is lower case already.
///
/// # Errors
/// [`HostError`] where the text is anything else.
pub fn host_of(authority: &str) -> Result<Host<'_>, HostError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(HostError::BadAddress)?;
        return Ok(Host {
            name: address_name(address)?,
            port: port_of(rest)?,
        });
    }
    let end = authority.find(':').unwrap_or(authority.len());
    let (name, rest) = authority.split_at_checked(end).unwrap_or((authority, ""));
    Ok(Host {
        name: dns_name(name)?,
        port: port_of(rest)?,
    })
}

fn address_name(text: &str) -> Result<Cow<'_, str>, HostError> {
    let address: Ipv6Addr = text.parse().map_err(|_| HostError::BadAddress)?;
    Ok(Cow::Owned(format!("[{address}]")))
}

/// The port behind a name; nothing is no port, a colon alone is an error.
fn port_of(rest: &str) -> Result<Option<u16>, HostError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let digits = rest.strip_prefix(':').ok_or(HostError::BadAddress)?;
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError::BadPort);
    }
    digits.parse().map(Some).map_err(|_| HostError::BadPort)
}

fn dns_name(text: &str) -> Result<Cow<'_, str>, HostError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(HostError::TooLong);
    }
    for label in name.split('.') {
        check_label(label)?;
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

fn check_label(label: &str) -> Result<(), HostError> {
    if label.len() > MAX_LABEL {
        return Err(HostError::TooLong);
    }
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if label.is_empty() || !label.bytes().all(is_name_byte) {
        return Err(HostError::BadName);
    }
    Ok(())
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the host is empty",
            Self::TooLong => "the host is longer than a name may be",
            Self::BadName => "the host holds a byte that no name may hold",
            Self::BadAddress => "the host is no IPv6 address in brackets",
            Self::BadPort => "the port is no number from 0 to 65535",
        })
    }
}

impl std::error::Error for HostError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c23_a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        let hosts = [
            ("shop.example.com", "shop.example.com", None),
            ("Shop.EXAMPLE.com:8080", "shop.example.com", Some(8080)),
            ("shop.example.com.", "shop.example.com", None),
            ("shop.example.com.:443", "shop.example.com", Some(443)),
            ("localhost", "localhost", None),
            ("a_b-c", "a_b-c", None),
            ("10.0.0.1:80", "10.0.0.1", Some(80)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8:0:0::1]:8443", "[2001:db8::1]", Some(8443)),
        ];
        for (text, name, port) in hosts {
            let host = host_of(text).unwrap();
            assert_eq!((host.name.as_ref(), host.port), (name, port), "{text}");
        }
    }

    #[test]
    fn c23_anything_else_is_refused() {
        use HostError::{BadAddress, BadName, BadPort, Empty, TooLong};
        let long_label = "a".repeat(64);
        let long_name = "abc.".repeat(64);
        let errors = [
            ("", Empty),
            (".", Empty),
            (":80", Empty),
            ("a, b", BadName),
            ("a b", BadName),
            ("a/b", BadName),
            ("user@host", BadName),
            ("a..b", BadName),
            (".a", BadName),
            ("a%2eb", BadName),
            ("caf\u{e9}", BadName),
            ("a\0", BadName),
            ("host:", BadPort),
            ("host:99999", BadPort),
            ("host:+80", BadPort),
            ("host:8o", BadPort),
            ("host:80:80", BadPort),
            ("::1", Empty),
            ("[::1", BadAddress),
            ("[::1]80", BadAddress),
            ("[fe80::1%eth0]", BadAddress),
            ("[1.2.3.4]", BadAddress),
            (long_label.as_str(), TooLong),
            (long_name.as_str(), TooLong),
        ];
        for (text, error) in errors {
            assert_eq!(host_of(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_lower_case_name_is_borrowed() {
        let host = host_of("shop.example.com:80").unwrap();
        assert!(matches!(host.name, Cow::Borrowed("shop.example.com")));
    }
}
