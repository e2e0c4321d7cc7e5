//! Name servers, and names of services.

use std::net::{IpAddr, SocketAddr};

use super::{CheckPath, FromText, Wrong, address::canonical, host};
use crate::config::plan::{DnsTransport, NameServer};

/// One of `servers`: an address, or a URL of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedServer(pub(crate) NameServer);

/// The name of a service, whose SRV records say where it is. A dot at its end is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceName(pub(crate) Box<str>);

/// The path of DNS over HTTPS where none is given (RFC 8484 has it in its examples).
const DNS_QUERY: &str = "/dns-query";

impl FromText for AskedServer {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self(NameServer::plain(address(text, 53)?)));
        };
        let (rest, fragment) = match rest.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (rest, None),
        };
        let (rest, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (server, encrypted) = match scheme {
            "udp" | "tcp" => (plain(scheme, rest)?, false),
            "tls" => (tls(rest, fragment)?, true),
            "https" => (https(rest, path, fragment)?, true),
            _ => {
                return Err(Wrong::because(
                    "expected udp, tcp, tls or https before `://`",
                ));
            }
        };
        if fragment.is_some() && !encrypted {
            return Err(Wrong::because("only tls and https check a name"));
        }
        if !path.is_empty() && scheme != "https" {
            return Err(Wrong::because("only https has a path"));
        }
        Ok(Self(server))
    }
}

impl FromText for ServiceName {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Some((name, port)) = text.rsplit_once(':')
            && port.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(
                Wrong::because("the records say the port").help(format!("write \"{name}\""))
            );
        }
        let name = host::dns_name(text)?;
        if !name.trim_end_matches('.').contains('.') {
            return Err(Wrong::form());
        }
        Ok(Self(name.into()))
    }
}

fn plain(scheme: &str, rest: &str) -> Result<NameServer, Wrong> {
    Ok(NameServer {
        address: address(rest, 53)?,
        transport: if scheme == "tcp" {
            DnsTransport::Tcp
        } else {
            DnsTransport::Udp
        },
    })
}

fn tls(rest: &str, name: Option<&str>) -> Result<NameServer, Wrong> {
    let address = address(rest, 853)?;
    let name = checked_name(address, name)?;
    Ok(NameServer {
        address,
        transport: DnsTransport::Tls { name },
    })
}

fn https(rest: &str, path: &str, name: Option<&str>) -> Result<NameServer, Wrong> {
    let address = address(rest, 443)?;
    let name = checked_name(address, name)?;
    let path = match path {
        "" | "/" => DNS_QUERY,
        path => path,
    };
    let CheckPath(path) = CheckPath::from_text(path)?;
    Ok(NameServer {
        address,
        transport: DnsTransport::Https { name, path },
    })
}

/// What the certificate of the server at `address` must hold.
fn checked_name(address: SocketAddr, name: Option<&str>) -> Result<Box<str>, Wrong> {
    match name {
        Some(name) => Ok(host::name(name)?.into()),
        None => Ok(address.ip().to_string().into()),
    }
}

/// An address, whose port may be left out.
fn address(text: &str, port: u16) -> Result<SocketAddr, Wrong> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = text.parse::<SocketAddr>().or_else(|_| {
        bare.unwrap_or(text)
            .parse::<IpAddr>()
            .map(|ip| SocketAddr::new(ip, port))
    });
    match address {
        Ok(address) if address.port() != 0 => Ok(canonical(address)),
        Ok(_) => Err(Wrong::because("the port must be 1 to 65535")),
        Err(_) if text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.contains('[') => {
            Err(Wrong::because("a name server is given by its address").help(
                "the name that its certificate holds goes to the end: \"tls://192.0.2.1#dns.example\"",
            ))
        }
        Err(_) => Err(Wrong::form()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, DnsTransport), Wrong> {
        AskedServer::from_text(text)
            .map(|AskedServer(server)| (server.address.to_string(), server.transport))
    }

    #[test]
    fn an_address_alone_is_asked_over_udp() {
        for (text, address) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("10.0.0.2:5353", "10.0.0.2:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("udp://10.0.0.2", "10.0.0.2:53"),
            ("udp://[2001:db8::1]", "[2001:db8::1]:53"),
            ("::ffff:10.0.0.2", "10.0.0.2:53"),
        ] {
            assert_eq!(
                read(text),
                Ok((address.to_owned(), DnsTransport::Udp)),
                "{text}"
            );
        }
    }

    #[test]
    fn the_scheme_says_what_is_spoken_and_the_fragment_whose_certificate_it_is() {
        let tls = |name: &str| DnsTransport::Tls { name: name.into() };
        let https = |name: &str, path: &str| DnsTransport::Https {
            name: name.into(),
            path: path.into(),
        };
        for (text, address, transport) in [
            ("tcp://10.0.0.2:5353", "10.0.0.2:5353", DnsTransport::Tcp),
            ("tls://1.1.1.1", "1.1.1.1:853", tls("1.1.1.1")),
            (
                "tls://1.1.1.1#Cloudflare-DNS.com",
                "1.1.1.1:853",
                tls("cloudflare-dns.com"),
            ),
            (
                "tls://[2001:db8::1]:8853",
                "[2001:db8::1]:8853",
                tls("2001:db8::1"),
            ),
            (
                "https://1.1.1.1",
                "1.1.1.1:443",
                https("1.1.1.1", "/dns-query"),
            ),
            (
                "https://10.0.0.2:8443/ask#dns.internal",
                "10.0.0.2:8443",
                https("dns.internal", "/ask"),
            ),
        ] {
            assert_eq!(read(text), Ok((address.to_owned(), transport)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "",
            "dns.example",
            "10.0.0.2:0",
            "tls://dns.example",
            "udp://10.0.0.2#dns.example",
            "tls://10.0.0.2/dns-query",
            "quic://10.0.0.2",
            "tls://10.0.0.2#a..b",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_has_a_name_and_no_port() {
        let name = |text| ServiceName::from_text(text).map(|ServiceName(name)| String::from(name));
        assert_eq!(
            name("_HTTP._tcp.shop.internal").as_deref(),
            Ok("_http._tcp.shop.internal")
        );
        assert_eq!(name("_http._tcp.shop.").as_deref(), Ok("_http._tcp.shop."));
        assert_eq!(
            name("shop.service.consul").as_deref(),
            Ok("shop.service.consul")
        );
        let port = name("_http._tcp.shop:80")
            .err()
            .and_then(|wrong| wrong.help);
        assert_eq!(port.as_deref(), Some("write \"_http._tcp.shop\""));
        assert!(name("shop").is_err());
    }
}
