//! Asking name servers: hickory over UDP and TCP, its cache off.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
        ServerOrderingStrategy,
    },
    net::runtime::TokioRuntimeProvider,
    proto::rr::{Name, RecordType},
    system_conf::read_system_conf,
};
use tokio::time::sleep;

use super::{Found, Why, hosts, reading};
use crate::config::DnsPlan;

/// How long one server may take for one question (resolv.conf(5) has the same default).
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one server is waited for before the next is asked too.
const NEXT_SERVER_AFTER: Duration = Duration::from_secs(1);
/// How long the other family is waited for once one was answered.
const OTHER_FAMILY_AFTER: Duration = Duration::from_millis(500);
/// Servers of resolv.conf beyond these are not asked (resolv.conf(5): `MAXNS`).
const MAX_SYSTEM_SERVERS: usize = 3;
/// Search domains beyond these are not tried.
const MAX_SEARCH: usize = 6;
/// The TTL of what the hosts file or RFC 6761 says. Reading the file again is cheap.
const LOCAL_TTL: Duration = Duration::from_secs(5);
const HOSTS_FILE: &str = "/etc/hosts";

/// Asks the name servers of the config, or those of resolv.conf. Share it by `Arc`; it caches nothing.
///
/// In this order: `/etc/hosts`; `localhost` as RFC 6761 has it; the name itself, then the name in each search
/// domain of resolv.conf (a name without a dot the other way round; a name with a trailing dot only itself).
/// The next name is tried only when the servers say that the one before has no addresses. Servers given in
/// the config have no search domains.
///
/// Servers are asked one after the other, the one that answered last time first; the next when one fails, or
/// has not answered within a second. The first that answers is believed: answers are never mixed (D18).
/// A and AAAA are asked together, and once one is there the other is waited for at most half a second.
pub struct Resolver {
    servers: Vec<TokioResolver>,
    search: Vec<Name>,
    /// The server that answered last. Relaxed: a guess at who is fast, nothing else hangs on it.
    first: AtomicUsize,
    hosts_file: PathBuf,
}

// === impl Resolver ===

impl Resolver {
    /// Over `plan.servers`, or over those of resolv.conf, read now. Without that file or without a server in
    /// it the server is 127.0.0.1:53, as resolv.conf(5) says. Asks nobody yet.
    #[must_use]
    pub fn new(plan: &DnsPlan) -> Self {
        let (servers, search, options) = if plan.servers.is_empty() {
            system()
        } else {
            let servers = plan.servers.iter().copied().map(server_at).collect();
            (servers, Vec::new(), options(ResolverOpts::default()))
        };
        Self {
            servers: servers
                .into_iter()
                .filter_map(|server| connect(server, &options))
                .collect(),
            search,
            first: AtomicUsize::new(0),
            hosts_file: HOSTS_FILE.into(),
        }
    }

    /// The same, with another hosts file.
    #[must_use]
    pub fn with_hosts_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.hosts_file = path.into();
        self
    }

    /// The addresses of `name`, unfiltered.
    ///
    /// # Errors
    /// How the lookup failed. It takes at most a few seconds for each server and search domain.
    ///
    /// # Cancel safety
    /// Dropping the future drops its questions; nothing else is lost.
    pub async fn lookup(&self, name: &str) -> Result<Found, Why> {
        if let Some(found) = local(&self.hosts_file, name).await {
            return Ok(found);
        }
        let mut ended = Why::NotFound;
        for candidate in candidates(name, &self.search) {
            match self.ask_servers(&candidate).await {
                Err(why) if reading::is_said_of_the_name(why) => ended = reading::worse(ended, why),
                result => return result,
            }
        }
        Err(ended)
    }

    /// One server after the other, overlapping where one is slow.
    async fn ask_servers(&self, name: &Name) -> Result<Found, Why> {
        let first = self.first.load(Relaxed);
        let count = self.servers.len();
        let mut order =
            (0..count).map(|step| first.wrapping_add(step).checked_rem(count).unwrap_or(0));
        let mut asked = FuturesUnordered::new();
        let mut ended = None;
        loop {
            let next = order
                .next()
                .and_then(|index| Some((index, self.servers.get(index)?)));
            let is_last = next.is_none();
            if let Some((index, server)) = next {
                asked.push(async move { (index, ask(server, name).await) });
            }
            while !asked.is_empty() {
                // An answer wins over the timer that asks the next server.
                let (index, result) = tokio::select! {
                    biased;
                    Some(heard) = asked.next() => heard,
                    () = sleep(NEXT_SERVER_AFTER), if !is_last => break,
                };
                match result {
                    Err(why) if !reading::is_said_of_the_name(why) => {
                        ended = Some(ended.map_or(why, |ended| reading::worse(ended, why)));
                        if !is_last {
                            break;
                        }
                    }
                    result => {
                        self.first.store(index, Relaxed);
                        return result;
                    }
                }
            }
            if is_last {
                return Err(ended.unwrap_or(Why::ServerFailure));
            }
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("servers", &self.servers.len())
            .field("search", &self.search)
            .finish_non_exhaustive()
    }
}

/// What needs no server: the hosts file, and `localhost` where that does not name it.
async fn local(hosts_file: &Path, name: &str) -> Option<Found> {
    let mut addresses = hosts::addresses(hosts_file, name).await;
    if addresses.is_empty() && name.trim_end_matches('.') == "localhost" {
        addresses = vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
    }
    (!addresses.is_empty()).then_some(Found {
        addresses,
        ttl: LOCAL_TTL,
        missing: None,
    })
}

/// Asks one server for both families.
async fn ask(server: &TokioResolver, name: &Name) -> Result<Found, Why> {
    let v4 = pin!(ask_one(server, name, RecordType::A));
    let v6 = pin!(ask_one(server, name, RecordType::AAAA));
    let (v4, v6) = both(v4, v6).await;
    reading::join(v4, v6)
}

/// Both results, or only one where it is good and the other one late.
async fn both<T, E>(
    mut a: impl Future<Output = Result<T, E>> + Unpin,
    mut b: impl Future<Output = Result<T, E>> + Unpin,
) -> (Option<Result<T, E>>, Option<Result<T, E>>) {
    tokio::select! {
        biased; // both have ended or will; the order decides nothing
        first = &mut a => {
            let second = second(first.is_ok(), b).await;
            (Some(first), second)
        }
        first = &mut b => {
            let second = second(first.is_ok(), a).await;
            (second, Some(first))
        }
    }
}

async fn second<T>(hasty: bool, late: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = late => Some(result),
        () = sleep(OTHER_FAMILY_AFTER), if hasty => None,
    }
}

async fn ask_one(server: &TokioResolver, name: &Name, of: RecordType) -> Result<Found, Why> {
    match server.lookup(name.clone(), of).await {
        Ok(lookup) => reading::read(name, lookup.answers()),
        Err(error) => {
            tracing::debug!(%name, %of, %error, "lookup failed");
            Err(reading::why(&error))
        }
    }
}

/// Which names are asked for, in this order; all absolute. None where `name` cannot be one.
fn candidates(name: &str, search: &[Name]) -> Vec<Name> {
    let Ok(mut plain) = Name::from_str_relaxed(name) else {
        return Vec::new();
    };
    let is_absolute = plain.is_fqdn();
    let has_dot = plain.num_labels() > 1;
    let mut names: Vec<Name> = Vec::new();
    if !is_absolute {
        let searched = search.iter().take(MAX_SEARCH);
        names.extend(searched.filter_map(|domain| plain.clone().append_domain(domain).ok()));
    }
    plain.set_fqdn(true);
    names.insert(if has_dot { 0 } else { names.len() }, plain);
    for name in &mut names {
        name.set_fqdn(true);
    }
    names
}

fn system() -> (Vec<NameServerConfig>, Vec<Name>, ResolverOpts) {
    match read_system_conf() {
        Ok((config, defaults)) => {
            let (domain, search, mut servers) = config.into_parts();
            servers.truncate(MAX_SYSTEM_SERVERS);
            let search = if search.is_empty() {
                domain.into_iter().collect()
            } else {
                search
            };
            (servers, search, options(defaults))
        }
        Err(error) => {
            tracing::warn!(%error, "resolv.conf names no server: asking 127.0.0.1:53");
            let server = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let options = options(ResolverOpts::default());
            (vec![server], Vec::new(), options)
        }
    }
}

fn server_at(address: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    NameServerConfig::new(
        address.ip(),
        true,
        connections.into_iter().map(with_port).collect(),
    )
}

/// No cache, no hosts file and no search list of hickory's own: those are done here.
fn options(defaults: ResolverOpts) -> ResolverOpts {
    let mut options = defaults;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = options.timeout.min(SERVER_TIMEOUT);
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.preserve_intermediates = true;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options
}

fn connect(server: NameServerConfig, options: &ResolverOpts) -> Option<TokioResolver> {
    let config = ResolverConfig::from_name_servers(vec![server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options.clone())
        .build()
        .inspect_err(|error| tracing::warn!(%error, "name server left out"))
        .ok()
}

#[cfg(test)]
mod tests;
