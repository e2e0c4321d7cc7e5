//! Addresses, networks and names with ports. IPv4-mapped IPv6 is taken as IPv4 throughout.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value as Json, json};

use super::{FromText, Shown, Wrong, host};

/// Where a listener binds; port 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) SocketAddr);

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerAddress(pub(crate) SocketAddr);

/// A name and a port. A dot at the name's end is kept: the name is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameAndPort {
    pub(crate) name: Box<str>,
    pub(crate) port: u16,
}

/// A network, or a single address as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) net: IpNet,
    /// Whether bits beyond the prefix were set, which count for nothing.
    pub(crate) had_host_bits: bool,
}

impl FromText for Listen {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self(canonical(address)));
        }
        let help = match (
            text.strip_prefix(':'),
            text.parse::<u16>(),
            text.parse::<IpAddr>(),
        ) {
            (Some(port), ..) if port.parse::<u16>().is_ok() => {
                format!("for every address: \"0.0.0.0:{port}\", or \"[::]:{port}\"")
            }
            (_, Ok(port), _) => format!("for every address: \"0.0.0.0:{port}\""),
            (.., Ok(ip)) => format!("add a port: \"{}\"", SocketAddr::new(ip, 8080)),
            _ => match text.strip_prefix("localhost:") {
                Some(port) => format!("write \"127.0.0.1:{port}\""),
                None => return Err(Wrong::form()),
            },
        };
        Err(Wrong::form().help(help))
    }
}

impl FromText for ServerAddress {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(Wrong::because("the port must be 1 to 65535"))
            } else if address.ip().is_unspecified() {
                Err(Wrong::because("no server has this address").help(format!(
                    "for this machine write \"127.0.0.1:{}\"",
                    address.port()
                )))
            } else {
                Ok(Self(canonical(address)))
            };
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Err(
                Wrong::form().help(format!("add a port: \"{}\"", SocketAddr::new(ip, 8080)))
            );
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(Wrong::because("without a scheme").help(format!("write \"{rest}\"")));
        }
        match NameAndPort::from_text(text) {
            Ok(_) => Err(Wrong::because("this is a name").help(format!(
                "a name is given with another key: dns = \"{text}\""
            ))),
            Err(_) => Err(Wrong::form()),
        }
    }
}

impl FromText for NameAndPort {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.parse::<SocketAddr>().is_ok() {
            return Err(
                Wrong::because("this is an address, not a name").help(format!(
                    "an address is given with another key: address = \"{text}\""
                )),
            );
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(Wrong::because("without a scheme").help(format!("write \"{rest}\"")));
        }
        let Some((name, port)) = text.rsplit_once(':') else {
            return Err(Wrong::because("the port is missing")
                .help(format!("write \"{text}:80\", or the port that it serves")));
        };
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port.parse::<u16>() {
            Ok(port) if digits && port > 0 => port,
            _ => return Err(Wrong::because("the port must be 1 to 65535")),
        };
        Ok(Self {
            name: host::dns_name(name)?.into(),
            port,
        })
    }
}

impl FromText for Network {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let net = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(net), _) => net,
            (_, Ok(ip)) => IpNet::from(ip),
            _ => return Err(Wrong::form()),
        };
        let trunc = net.trunc();
        Ok(Self {
            net: canonical_net(trunc),
            had_host_bits: trunc != net,
        })
    }
}

pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn canonical_net(net: IpNet) -> IpNet {
    let (IpAddr::V4(ip), Some(prefix)) =
        (net.addr().to_canonical(), net.prefix_len().checked_sub(96))
    else {
        return net;
    };
    match net {
        IpNet::V4(_) => net,
        IpNet::V6(_) => Ipv4Net::new(ip, prefix).map_or(net, IpNet::V4),
    }
}

impl Shown for Listen {
    fn shown(&self) -> Json {
        json!(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_become_ipv4() {
        let address = ServerAddress::from_text("[::ffff:10.0.0.1]:80").map(|a| a.0.to_string());
        assert_eq!(address.as_deref(), Ok("10.0.0.1:80"));
        let net = |text| Network::from_text(text).map(|network| network.net.to_string());
        assert_eq!(net("::ffff:10.0.0.0/104").as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(net("10.0.0.1").as_deref(), Ok("10.0.0.1/32"));
        assert_eq!(net("::/0").as_deref(), Ok("::/0"));
        assert_eq!(net("0.0.0.0/0").as_deref(), Ok("0.0.0.0/0"));
    }

    #[test]
    fn bits_beyond_the_prefix_are_seen() {
        let bits = |text| Network::from_text(text).map(|network| network.had_host_bits);
        assert_eq!(bits("10.0.0.1/8"), Ok(true));
        assert_eq!(bits("10.0.0.0/8"), Ok(false));
    }

    #[test]
    fn a_name_is_no_address_and_an_address_no_name() {
        let help = ServerAddress::from_text("shop:80")
            .err()
            .and_then(|wrong| wrong.help);
        assert_eq!(
            help.as_deref(),
            Some("a name is given with another key: dns = \"shop:80\"")
        );
        let help = NameAndPort::from_text("10.0.0.1:80")
            .err()
            .and_then(|wrong| wrong.help);
        assert_eq!(
            help.as_deref(),
            Some("an address is given with another key: address = \"10.0.0.1:80\"")
        );
    }

    #[test]
    fn a_name_needs_a_port_and_is_kept_in_lower_case() {
        let named = NameAndPort::from_text("Shop.Internal.:8080");
        assert_eq!(
            named,
            Ok(NameAndPort {
                name: "shop.internal.".into(),
                port: 8080
            })
        );
        for text in [
            "shop",
            "shop:",
            "shop:0",
            "shop:+1",
            "shop:65536",
            ":80",
            "a..b:80",
            "-a:80",
            "münchen:80",
        ] {
            assert!(NameAndPort::from_text(text).is_err(), "{text}");
        }
    }
}
