//! `resolv.conf`: the servers and search domains of the machine.

use std::{
    fs::File,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use hickory_resolver::{proto::rr::Name, system_conf::parse_resolv_conf};

use super::server::SERVER_TIMEOUT;
use crate::config::NameServer;

/// Servers of resolv.conf beyond these are not asked (resolv.conf(5): `MAXNS`).
const MAX_SERVERS: usize = 3;
/// More than this of a file is not read.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;
const DNS_PORT: u16 = 53;

/// What resolv.conf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct System {
    /// At least one.
    pub(super) servers: Vec<NameServer>,
    pub(super) search: Vec<Name>,
    /// How long a server may take.
    pub(super) timeout: Duration,
}

// === impl System ===

impl System {
    /// What `bytes` say; `None` where they name no server, or make no sense.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (config, options) = parse_resolv_conf(bytes)
            .inspect_err(|error| tracing::debug!(%error, "resolv.conf is of no use"))
            .ok()?;
        let (domain, search, servers) = config.into_parts();
        let search = if search.is_empty() {
            domain.into_iter().collect()
        } else {
            search
        };
        Some(Self {
            servers: servers
                .iter()
                .take(MAX_SERVERS)
                .map(|server| NameServer::plain(SocketAddr::new(server.ip, DNS_PORT)))
                .collect(),
            search,
            timeout: options.timeout,
        })
    }
}

impl Default for System {
    /// What resolv.conf(5) says of a file that is missing, or names no server.
    fn default() -> Self {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS_PORT);
        Self {
            servers: vec![NameServer::plain(local)],
            search: Vec::new(),
            timeout: SERVER_TIMEOUT,
        }
    }
}

/// The bytes of a small file of the system; none where it cannot be read. Blocks.
pub(super) fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path)
        && let Err(error) = file.take(MAX_BYTES).read_to_end(&mut bytes)
    {
        tracing::debug!(%error, path = %path.display(), "file cannot be read");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(Vec<String>, Vec<String>)> {
        System::parse(text.as_bytes()).map(|system| {
            let servers = system.servers.iter();
            (
                servers.map(|server| server.address.to_string()).collect(),
                system.search.iter().map(ToString::to_string).collect(),
            )
        })
    }

    #[test]
    fn servers_and_search_domains_are_read_and_bounded() {
        let text = "search a.lan b.lan\nnameserver 10.0.0.1\nnameserver fd00::1\n\
                    nameserver 10.0.0.3\nnameserver 10.0.0.4\noptions ndots:5 timeout:2\n";
        let (servers, search) = parsed(text).unwrap();
        assert_eq!(servers, ["10.0.0.1:53", "[fd00::1]:53", "10.0.0.3:53"]);
        assert_eq!(search, ["a.lan", "b.lan"]);
        let system = System::parse(text.as_bytes()).unwrap();
        assert_eq!(system.timeout, Duration::from_secs(2));
    }

    #[test]
    fn a_file_that_names_no_server_says_nothing() {
        assert_eq!(parsed(""), None);
        assert_eq!(parsed("search lan\n"), None);
        assert_eq!(parsed("\u{0}\u{1}nonsense"), None);
        assert_eq!(System::default().servers.len(), 1);
    }

    #[test]
    fn a_file_that_is_not_there_is_empty() {
        assert!(read(Path::new("/no/such/file")).is_empty());
    }
}
