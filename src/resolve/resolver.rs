//! What a name is looked up in: the hosts file, then name servers, in each search domain.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use hickory_resolver::proto::rr::Name;
use parking_lot::{Mutex, RwLock};
use rustls::ClientConfig;
use tokio::sync::watch;

use super::{
    Found, Why,
    asking::{self, Ask, Setup},
    hosts,
    reading::{self, Target},
    server::SERVER_TIMEOUT,
    system::{self, System},
};
use crate::config::NameServer;

/// Search domains beyond these are not tried.
const MAX_SEARCH: usize = 6;
/// The TTL of what the hosts file or RFC 6761 says. Reading the file again is cheap.
const LOCAL_TTL: Duration = Duration::from_secs(5);
/// What no server is asked for, be it by mistake.
const NEVER_ASKED: [&str; 2] = [".invalid", ".onion"];
const HOSTS_FILE: &str = "/etc/hosts";

/// Asks the name servers of the config, or those of resolv.conf. Share it by `Arc`; it caches nothing.
///
/// In this order: `/etc/hosts`; `localhost` and what is below it, as RFC 6761 has them; the name itself, then the name in each search
/// domain of resolv.conf (a name without a dot the other way round; a name with a trailing dot only itself).
/// The next name is tried only when the servers say that the one before has no addresses. Servers given in
/// the config have no search domains. Services (SRV) are not in the hosts file.
///
/// Servers are asked one after the other, the one that answered last time first; the next when one fails, or
/// has not answered within a second. The first that answers is believed: answers are never mixed (D18).
/// A and AAAA are asked together, and once one is there the other is waited for at most half a second.
pub struct Resolver {
    /// Who is asked now. Replaced as a whole when resolv.conf changes.
    setup: RwLock<Arc<Setup>>,
    /// Where the servers come from.
    source: Source,
    hosts_file: PathBuf,
    /// What the files of the system held at the last look.
    seen: Mutex<Seen>,
    /// Tells those who follow names to ask anew.
    changed: watch::Sender<()>,
    /// Who answers in the place of all of these.
    stand_in: Option<Arc<dyn StandIn>>,
}

/// Who answers in the place of files and name servers, where neither the network nor the clock is real: a simulation.
pub trait StandIn: std::fmt::Debug + Send + Sync {
    /// The addresses of `name`, which is in lower case; unfiltered.
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found, Why>>;
}

/// Where servers come from.
enum Source {
    /// The config, which another resolver follows when it changes.
    Config,
    /// A resolv.conf.
    System(PathBuf),
}

/// The bytes of the files of the system.
#[derive(PartialEq, Eq)]
struct Seen {
    resolv_conf: Vec<u8>,
    hosts: Vec<u8>,
}

// === impl Resolver ===

impl Resolver {
    /// Over `servers`; where there are none, over those of `resolv_conf`, read now. Without that file or without a
    /// server in it the server is 127.0.0.1:53, as resolv.conf(5) says. `tls` checks servers that are asked over
    /// TLS. Asks nobody yet.
    #[must_use]
    pub fn new(
        servers: &[NameServer],
        resolv_conf: &Path,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Self {
        let source = match servers {
            [] => Source::System(resolv_conf.to_owned()),
            [..] => Source::Config,
        };
        let seen = Seen::now(&source, Path::new(HOSTS_FILE));
        let setup = match source {
            Source::Config => Setup::new(servers, Vec::new(), SERVER_TIMEOUT, tls),
            Source::System(_) => {
                let system = System::parse(&seen.resolv_conf).unwrap_or_else(|| {
                    tracing::warn!(path = %resolv_conf.display(), "no name server is named: asking 127.0.0.1:53");
                    System::default()
                });
                Setup::of_system(system)
            }
        };
        Self {
            setup: RwLock::new(Arc::new(setup)),
            source,
            hosts_file: HOSTS_FILE.into(),
            seen: Mutex::new(seen),
            changed: watch::Sender::new(()),
            stand_in: None,
        }
    }

    /// Asks `stand_in` alone, and reads no file. There every name has addresses only, no services.
    #[must_use]
    pub fn of(stand_in: Arc<dyn StandIn>) -> Self {
        let nobody = Setup::new(&[], Vec::new(), SERVER_TIMEOUT, None);
        let seen = Seen {
            resolv_conf: Vec::new(),
            hosts: Vec::new(),
        };
        Self {
            setup: RwLock::new(Arc::new(nobody)),
            source: Source::Config,
            hosts_file: PathBuf::new(),
            seen: Mutex::new(seen),
            changed: watch::Sender::new(()),
            stand_in: Some(stand_in),
        }
    }

    /// The same, with another hosts file.
    #[must_use]
    pub fn with_hosts_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.hosts_file = path.into();
        self.seen = Mutex::new(Seen::now(&self.source, &self.hosts_file));
        self
    }

    /// Reads resolv.conf (where it says who is asked) and the hosts file again, and where either changed has every
    /// name asked for anew. A resolv.conf that is gone, or names nobody, leaves the servers as they are. Blocks.
    pub fn look_again(&self) {
        let now = Seen::now(&self.source, &self.hosts_file);
        let mut seen = self.seen.lock();
        if *seen == now {
            return;
        }
        if seen.resolv_conf != now.resolv_conf {
            if let Some(system) = System::parse(&now.resolv_conf) {
                tracing::info!(servers = system.servers.len(), "resolv.conf changed");
                *self.setup.write() = Arc::new(Setup::of_system(system));
            } else {
                tracing::warn!(
                    "resolv.conf names no server any more: those that it named are asked on"
                );
            }
        }
        *seen = now;
        drop(seen);
        self.changed.send_replace(());
    }

    /// The files that [`Self::look_again`] reads.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        if self.stand_in.is_some() {
            return Vec::new();
        }
        let mut files = vec![self.hosts_file.clone()];
        if let Source::System(path) = &self.source {
            files.push(path.clone());
        }
        files
    }

    /// Told when names should be asked for anew.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The SRV records of `name`, and their least TTL.
    ///
    /// # Cancel safety
    /// As [`Self::lookup`].
    pub(super) async fn targets(&self, name: &str) -> Result<(Vec<Target>, Duration), Why> {
        if self.stand_in.is_some() {
            return Err(Why::Empty);
        }
        self.search(name, asking::targets).await
    }

    /// The addresses of `name`, unfiltered.
    ///
    /// # Errors
    /// How the lookup failed. It takes at most a few seconds for each server and search domain.
    ///
    /// # Cancel safety
    /// Dropping the future drops its questions; nothing else is lost.
    pub async fn lookup(&self, name: &str) -> Result<Found, Why> {
        if let Some(stand_in) = &self.stand_in {
            return stand_in.addresses(name).await;
        }
        match local(&self.hosts_file, name).await {
            Some(found) => Ok(found),
            None => self.search(name, asking::addresses).await,
        }
    }

    async fn search<T>(&self, name: &str, ask: Ask<T>) -> Result<T, Why> {
        let setup = Arc::clone(&self.setup.read());
        let mut ended = Why::NotFound;
        for candidate in candidates(name, &setup.search) {
            match setup.ask(&candidate, ask).await {
                Err(why) if why.is_of_the_name() => ended = reading::worse(ended, why),
                result => return result,
            }
        }
        Err(ended)
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("setup", &*self.setup.read())
            .finish_non_exhaustive()
    }
}

// === impl Seen ===

impl Seen {
    /// What the files hold now. Blocks.
    fn now(source: &Source, hosts_file: &Path) -> Self {
        Self {
            resolv_conf: match source {
                Source::Config => Vec::new(),
                Source::System(path) => system::read(path),
            },
            hosts: system::read(hosts_file),
        }
    }
}

/// What needs no server: the hosts file, and `localhost` where that does not name it.
async fn local(hosts_file: &Path, name: &str) -> Option<Found> {
    let mut addresses = hosts::addresses(hosts_file, name).await;
    let bare = name.trim_end_matches('.');
    if addresses.is_empty() && (bare == "localhost" || bare.ends_with(".localhost")) {
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

/// Which names are asked for, in this order; all absolute. None where `name` cannot be one, or is one of those that
/// never exist in the DNS and are not to be asked for (RFC 6761, 6.4; RFC 7686, 2).
fn candidates(name: &str, search: &[Name]) -> Vec<Name> {
    let bare = name.trim_end_matches('.');
    if NEVER_ASKED.iter().any(|suffix| bare.ends_with(suffix)) {
        return Vec::new();
    }
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

#[cfg(test)]
mod tests;
