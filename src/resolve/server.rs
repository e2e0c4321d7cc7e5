//! One name server: hickory over UDP, TCP, TLS or HTTPS, without a cache. Aliases are followed here.

use std::{sync::Arc, time::Duration};

use hickory_resolver::{
    NameServerPool, PoolContext, TlsConfig,
    config::{
        ConnectionConfig, NameServerConfig, ResolveHosts, ResolverOpts, ServerOrderingStrategy,
    },
    net::{
        NetError,
        runtime::TokioRuntimeProvider,
        xfer::{DnsHandle, FirstAnswer},
    },
    proto::{
        op::{DnsRequestOptions, Query},
        rr::{Name, Record, RecordType},
    },
};

use super::{Why, reading};
use crate::config::{DnsTransport, NameServer};

/// How long one server may take for one question (resolv.conf(5) has the same default).
pub(super) const SERVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions to one server on the way along aliases, where it does not answer with all of them at once.
const MAX_STEPS: usize = 8;

/// A name server. It keeps its connections, and caches nothing.
pub(super) struct Server {
    asked: Connection,
    /// Where what does not fit into a datagram is asked again; `None` where nothing is asked by datagrams.
    whole: Option<Connection>,
}

type Connection = NameServerPool<TokioRuntimeProvider>;

// === impl Server ===

impl Server {
    /// Asks nobody yet. `None` where it cannot be asked at all, which is told.
    pub(super) fn new(
        server: &NameServer,
        tls: Option<&rustls::ClientConfig>,
        timeout: Duration,
    ) -> Option<Self> {
        let over = |connection| connect(server, connection, tls, timeout);
        let whole = match server.transport {
            DnsTransport::Udp => Some(over(ConnectionConfig::tcp())?),
            DnsTransport::Tcp | DnsTransport::Tls { .. } | DnsTransport::Https { .. } => None,
        };
        let connection = match &server.transport {
            DnsTransport::Udp => ConnectionConfig::udp(),
            DnsTransport::Tcp => ConnectionConfig::tcp(),
            DnsTransport::Tls { name } => ConnectionConfig::tls(Arc::from(&**name)),
            DnsTransport::Https { name, path } => {
                ConnectionConfig::https(Arc::from(&**name), Some(Arc::from(&**path)))
            }
        };
        Some(Self {
            asked: over(connection)?,
            whole,
        })
    }

    /// The records that lead from `name` to those of the kind `of`, and these: aliases first where there are any. A
    /// server that answers with an alias alone is asked for what it stands for, whatever the kind.
    ///
    /// # Cancel safety
    /// Dropping the future drops the question that runs.
    pub(super) async fn ask(&self, name: &Name, of: RecordType) -> Result<Vec<Record>, Why> {
        let mut records = Vec::new();
        let mut owner = name.clone();
        for _ in 0..MAX_STEPS {
            records.extend(self.question(&owner, of).await?);
            let (end, _) = reading::end_of(name, &records)?;
            let is_there = |record: &Record| record.record_type() == of && record.name == *end;
            if *end == owner || records.iter().any(is_there) {
                return Ok(records);
            }
            owner = end.clone();
        }
        Err(Why::AliasLoop)
    }

    /// One question. An answer that was cut is asked for again over TCP, and never taken as it is.
    async fn question(&self, name: &Name, of: RecordType) -> Result<Vec<Record>, Why> {
        let heard = match (question(&self.asked, name, of).await, &self.whole) {
            (Err(NetError::Truncated), Some(whole)) => {
                let again = question(whole, name, of).await;
                again.map_err(still_cut)
            }
            (heard, _) => heard,
        };
        heard.map_err(|error| {
            tracing::debug!(%name, %of, %error, "lookup failed");
            reading::why(&error)
        })
    }
}

/// The answer section of what is said.
async fn question(
    asked: &Connection,
    name: &Name,
    of: RecordType,
) -> Result<Vec<Record>, NetError> {
    let query = Query::query(name.clone(), of);
    let said = asked.lookup(query, DnsRequestOptions::default());
    let message = said.first_answer().await?.into_message();
    reading::check(message.metadata.response_code)?;
    Ok(message.answers)
}

/// The error of an answer that was cut, and could not be had whole.
fn still_cut(error: NetError) -> NetError {
    match error {
        NetError::Io(_) | NetError::Timeout | NetError::NoConnections => {
            tracing::debug!(%error, "a cut answer could not be asked for over TCP");
            NetError::Truncated
        }
        said => said,
    }
}

fn connect(
    server: &NameServer,
    mut connection: ConnectionConfig,
    tls: Option<&rustls::ClientConfig>,
    timeout: Duration,
) -> Option<Connection> {
    connection.port = server.address.port();
    let asked = NameServerConfig::new(server.address.ip(), true, vec![connection]);
    let tls = match tls {
        Some(config) => Ok(TlsConfig {
            config: config.clone(),
        }),
        None => TlsConfig::new(),
    };
    let tls = tls
        .inspect_err(
            |error| tracing::warn!(%error, server = %server.address, "name server left out"),
        )
        .ok()?;
    let setup = Arc::new(PoolContext::new(options(timeout), tls));
    let provider = TokioRuntimeProvider::default();
    Some(NameServerPool::from_config([asked], setup, provider))
}

/// One question at a time, asked once: the way on is decided here.
fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = timeout.min(SERVER_TIMEOUT);
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options
}
