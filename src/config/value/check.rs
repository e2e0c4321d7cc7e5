//! What active checks ask for and expect.

use std::num::NonZeroU16;

use http::HeaderValue;
use toml::de::DeValue;

use super::{FromText, Given, Typed, Wrong, host};

/// Statuses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StatusRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

/// What stands in `Host`: a name or an address, with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostField(pub(crate) HeaderValue);

/// What a body must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyText(pub(crate) Box<str>);

/// The name of a gRPC service; empty: the server as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrpcService(pub(crate) Box<str>);

/// The longest text that is looked for in a body, in bytes.
const MAX_TEXT: usize = 1024;
/// The longest name of a service, in bytes.
const MAX_SERVICE: usize = 256;

impl Typed for StatusRange {
    fn read(given: &Given<'_>) -> Option<Self> {
        match given.value {
            DeValue::Integer(number) => match status(number.as_str()) {
                Some(status) => Some(Self {
                    first: status,
                    last: status,
                }),
                None => given.out_of_bounds("100", "599"),
            },
            DeValue::String(text) => match range(text) {
                Ok(range) => Some(range),
                Err(wrong) => given.malformed(wrong),
            },
            _ => given.wrong_kind(None),
        }
    }
}

/// `200-299`, or a status in quotes.
fn range(text: &str) -> Result<StatusRange, Wrong> {
    if let Some(class) = text.strip_suffix("xx")
        && let Some(first) = status(&format!("{class}00"))
    {
        return Err(Wrong::form().help(format!("write \"{first}-{class}99\"")));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (status(first.trim()), status(last.trim())) {
        (Some(first), Some(last)) if first <= last => Ok(StatusRange { first, last }),
        (Some(first), Some(last)) => Err(Wrong::because("the range ends before it begins")
            .help(format!("write \"{last}-{first}\""))),
        _ => Err(Wrong::because("statuses are 100 to 599")),
    }
}

fn status(text: &str) -> Option<u16> {
    let number = text.parse::<u16>().ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (100..=599).contains(&number)).then_some(number)
}

impl Typed for NonZeroU16 {
    fn read(given: &Given<'_>) -> Option<Self> {
        u16::try_from(u32::read(given)?).ok().and_then(Self::new)
    }
}

impl FromText for HostField {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Some((_, rest)) = text.split_once("://") {
            return Err(Wrong::because("without a scheme").help(format!("write \"{rest}\"")));
        }
        let bracket = text.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match text.get(bracket..).and_then(|rest| rest.rfind(':')) {
            Some(colon) => {
                let (name, port) = text.split_at(bracket + colon);
                (name, port.strip_prefix(':'))
            }
            None => (text, None),
        };
        let is_port = |port: &str| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            digits && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        if !port.is_none_or(is_port) {
            return Err(Wrong::because("the port must be 1 to 65535"));
        }
        let in_brackets = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        match in_brackets {
            Some(ip) if ip.parse::<std::net::Ipv6Addr>().is_ok() => {}
            Some(_) => return Err(Wrong::form()),
            None => drop(host::name(name)?),
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| Wrong::form())
    }
}

impl FromText for BodyText {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            Err(Wrong::because("every body holds an empty text"))
        } else if text.len() > MAX_TEXT {
            Err(Wrong::because("at most 1,024 bytes"))
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl FromText for GrpcService {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.len() > MAX_SERVICE {
            Err(Wrong::because("at most 256 bytes"))
        } else if text.contains(|char: char| char.is_control() || char.is_whitespace()) {
            Err(Wrong::because("a service has no spaces in its name"))
        } else if let Some(rest) = text.strip_prefix('/') {
            let name = rest.split('/').next().unwrap_or_default();
            Err(Wrong::because("a service is not a path").help(format!("write \"{name}\"")))
        } else {
            Ok(Self(text.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_statuses_has_two_ends_in_order() {
        let of = |text| range(text).ok().map(|range| (range.first, range.last));
        assert_eq!(of("200-299"), Some((200, 299)));
        assert_eq!(of("204"), Some((204, 204)));
        assert_eq!(of("100 - 599"), Some((100, 599)));
        for text in [
            "", "-", "2", "2xx", "299-200", "200-", "-299", "200-600", "99", "+200", "200-+299",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        let help = range("2xx").unwrap_err().help;
        assert_eq!(help.as_deref(), Some("write \"200-299\""));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for text in [
            "shop.internal",
            "shop.internal:8080",
            "10.0.0.1",
            "10.0.0.1:80",
            "[2001:db8::1]",
            "[2001:db8::1]:80",
        ] {
            assert!(HostField::from_text(text).is_ok(), "{text}");
        }
        for text in [
            "", ":80", "a b", "http://a", "a:0", "a:x", "a:65536", "::1", "[::1", "[x]:80", "a/b",
            "u@a",
        ] {
            assert!(HostField::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_is_a_name_and_not_a_path() {
        assert!(GrpcService::from_text("").is_ok());
        assert!(GrpcService::from_text("shop.v1.Orders").is_ok());
        let wrong = GrpcService::from_text("/shop.v1.Orders/Get").unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("write \"shop.v1.Orders\""));
        assert!(GrpcService::from_text("a b").is_err());
        assert!(GrpcService::from_text(&"a".repeat(257)).is_err());
    }
}
