//! Host names, exact and wildcard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{FromText, Wrong};
use crate::config::HostMatch;

/// One of a route's `hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host(pub(crate) HostMatch);

impl FromText for Host {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text == "*" {
            return Err(Wrong::because("a `*` stands for labels before a name")
                .help("for every host leave `hosts` out"));
        }
        if let Some(rest) = text.strip_prefix("*.") {
            return Ok(Self(HostMatch::Wildcard(name(rest)?.into())));
        }
        if text.contains('*') {
            return Err(Wrong::because(
                "a `*` may only be the first label, as in \"*.example.com\"",
            ));
        }
        let bracketed = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(Ok(ip)) = bracketed.map(str::parse::<Ipv6Addr>) {
            return Ok(Self(HostMatch::Exact(format!("[{ip}]").into())));
        }
        if let Ok(IpAddr::V6(ip)) = text.parse::<IpAddr>() {
            return Err(Wrong::because("an IPv6 address stands in brackets")
                .help(format!("write \"[{ip}]\"")));
        }
        Ok(Self(HostMatch::Exact(name(text)?.into())))
    }
}

/// A name of labels of letters, digits, `-` and `_`, in lower case and without a dot at its end.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    if name.is_empty() {
        return Err(Wrong::because("the name is empty"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(Wrong::because("without a scheme").help(format!("write \"{rest}\"")));
    }
    if !text.is_ascii() {
        return Err(Wrong::because(
            "a name with other letters is given in its ASCII form, \"xn--...\"",
        ));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Wrong::because("a host has no port here").help(format!("write \"{host}\"")));
    }
    if name.len() > 253 {
        return Err(Wrong::because("a name has at most 253 characters"));
    }
    for label in name.split('.') {
        check_label(label)?;
    }
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if numeric && name.parse::<Ipv4Addr>().is_err() {
        return Err(Wrong::because("neither a name nor an IPv4 address"));
    }
    Ok(name.to_owned())
}

/// The same, but a dot at its end is kept: in DNS it says that the name is absolute.
pub(super) fn dns_name(text: &str) -> Result<String, Wrong> {
    let mut name = name(text)?;
    if text.ends_with('.') {
        name.push('.');
    }
    Ok(name)
}

fn check_label(label: &str) -> Result<(), Wrong> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if label.is_empty() {
        Err(Wrong::because("a label is empty"))
    } else if label.len() > 63 {
        Err(Wrong::because("a label has at most 63 characters"))
    } else if label.starts_with('-') || label.ends_with('-') {
        Err(Wrong::because("a label neither begins nor ends with `-`"))
    } else if label.bytes().all(known) {
        Ok(())
    } else {
        Err(Wrong::because(
            "a name has letters, digits, `-`, `_` and dots",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<HostMatch> {
        Host::from_text(text).ok().map(|host| host.0)
    }

    #[test]
    fn hosts_are_kept_in_one_form() {
        assert_eq!(
            host("Shop.Example.COM."),
            Some(HostMatch::Exact("shop.example.com".into()))
        );
        assert_eq!(
            host("*.Example.com"),
            Some(HostMatch::Wildcard("example.com".into()))
        );
        assert_eq!(
            host("127.0.0.1"),
            Some(HostMatch::Exact("127.0.0.1".into()))
        );
        assert_eq!(
            host("[2001:DB8::1]"),
            Some(HostMatch::Exact("[2001:db8::1]".into()))
        );
        assert_eq!(
            host("a_b.internal"),
            Some(HostMatch::Exact("a_b.internal".into()))
        );
    }

    #[test]
    fn what_no_request_can_name_is_refused() {
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a.*.b",
            "w*.b",
            "a..b",
            "a b",
            "a/b",
            "a:80",
            "http://a",
            "-a",
            "a-",
            "::1",
            "1.2.3",
            "1.2.3.256",
            "münchen.de",
            "a\u{0}b",
        ] {
            assert_eq!(host(text), None, "{text:?}");
        }
        assert_eq!(host(&"a".repeat(64)), None);
        assert_eq!(host(&["abcdefgh"; 30].join(".")), None);
    }
}
