//! Whether a request was meant for this listener, or sent here by a page of another site.
//!
//! A page can point its own host name at 127.0.0.1 and then read what answers there (DNS rebinding); the Host that
//! the browser sends still is the page's. A page can also send requests across sites; the Origin is then the page's.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header, uri::Authority};

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Its Host is not this machine.
    Host,
    /// A page of another site sent it.
    Origin,
}

/// Who may be meant by the Host of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Bound to loopback: `localhost` and loopback addresses only.
    Loopback,
    /// Bound elsewhere: any, since the token guards it.
    Any,
}

impl Hosts {
    pub(super) fn for_bind(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Any
        }
    }

    pub(super) fn check(self, uri: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
        let host = uri.authority().cloned().or_else(|| {
            let host = headers.get(header::HOST)?.to_str().ok()?;
            host.parse::<Authority>().ok()
        });
        if self == Self::Loopback && !host.as_ref().is_some_and(is_this_machine) {
            return Err(Foreign::Host);
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.parse::<Uri>().ok());
        let from = origin.as_ref().and_then(Uri::authority);
        match (from, &host) {
            (Some(from), Some(host)) if from.as_str().eq_ignore_ascii_case(host.as_str()) => Ok(()),
            _ => Err(Foreign::Origin),
        }
    }
}

fn is_this_machine(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: Hosts, host: Option<&str>, origin: Option<&str>) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        hosts.check(&Uri::from_static("/metrics"), &headers)
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_hosts() {
        for host in [
            "localhost",
            "LOCALHOST:9900",
            "127.0.0.1",
            "127.0.0.1:9900",
            "[::1]:9900",
            "[::1]",
        ] {
            assert_eq!(check(Hosts::Loopback, Some(host), None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:9900",
            "127.0.0.1.nip.io",
            "",
            "[::2]",
        ] {
            assert_eq!(
                check(Hosts::Loopback, Some(host), None),
                Err(Foreign::Host),
                "{host}"
            );
        }
        assert_eq!(check(Hosts::Loopback, None, None), Err(Foreign::Host));
    }

    #[test]
    fn elsewhere_any_host_is_taken() {
        assert_eq!(check(Hosts::Any, Some("gate.internal:9900"), None), Ok(()));
        assert_eq!(check(Hosts::Any, None, None), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_is_refused_everywhere() {
        let host = Some("localhost:9900");
        assert_eq!(
            check(Hosts::Loopback, host, Some("http://localhost:9900")),
            Ok(())
        );
        for origin in [
            "http://localhost:3000",
            "https://evil.example",
            "null",
            "http://",
        ] {
            assert_eq!(
                check(Hosts::Loopback, host, Some(origin)),
                Err(Foreign::Origin),
                "{origin}"
            );
            assert_eq!(
                check(Hosts::Any, host, Some(origin)),
                Err(Foreign::Origin),
                "{origin}"
            );
        }
    }

    #[test]
    fn the_authority_of_an_http2_request_is_its_host() {
        let foreign = Uri::from_static("http://evil.example/metrics");
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        assert_eq!(
            Hosts::Loopback.check(&foreign, &headers),
            Err(Foreign::Host)
        );
    }

    #[test]
    fn a_bind_to_loopback_is_known_in_every_form() {
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(
                Hosts::for_bind(address.parse().unwrap()),
                Hosts::Loopback,
                "{address}"
            );
        }
        for address in ["0.0.0.0", "::", "10.0.0.1"] {
            assert_eq!(
                Hosts::for_bind(address.parse().unwrap()),
                Hosts::Any,
                "{address}"
            );
        }
    }
}
