//! One name server: hickory over UDP, TCP, TLS or HTTPS, its cache off.

use std::{sync::Arc, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
        ServerOrderingStrategy,
    },
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RecordType},
    },
};

use super::{Why, reading};
use crate::config::{DnsTransport, NameServer};

/// How long one server may take for one question (resolv.conf(5) has the same default).
pub(super) const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// A name server. It keeps its connections, and caches nothing.
pub(super) struct Server {
    asked: TokioResolver,
    /// Where what does not fit into a datagram is asked again; `None` where nothing is asked by datagrams.
    whole: Option<TokioResolver>,
}

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

    /// One question. An answer that was cut is asked for again over TCP, and never taken as it is.
    ///
    /// # Cancel safety
    /// Dropping the future drops the question.
    pub(super) async fn ask(&self, name: &Name, of: RecordType) -> Result<Lookup, Why> {
        let heard = match (self.asked.lookup(name.clone(), of).await, &self.whole) {
            (Err(NetError::Truncated), Some(whole)) => {
                let again = whole.lookup(name.clone(), of).await;
                again.map_err(still_cut)
            }
            (heard, _) => heard,
        };
        let error = match heard {
            Ok(lookup) => return Ok(lookup),
            Err(error) => error,
        };
        tracing::debug!(%name, %of, %error, "lookup failed");
        if self.leads_on(name, &error).await {
            return Err(Why::AliasLoop);
        }
        Err(reading::why(&error))
    }

    /// Whether aliases lead further than they are followed. The resolver tells it as a name without records: the
    /// last one that it asked for, which is an alias itself.
    async fn leads_on(&self, name: &Name, error: &NetError) -> bool {
        let last = match error {
            NetError::Dns(DnsError::NoRecordsFound(none))
                if none.response_code == ResponseCode::NoError && none.query.name() != name =>
            {
                none.query.name().clone()
            }
            _ => return false,
        };
        self.asked.lookup(last, RecordType::CNAME).await.is_ok()
    }
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
) -> Option<TokioResolver> {
    connection.port = server.address.port();
    let asked = NameServerConfig::new(server.address.ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![asked]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options(timeout));
    if let Some(tls) = tls {
        builder = builder.with_tls_config(tls.clone());
    }
    builder
        .build()
        .inspect_err(
            |error| tracing::warn!(%error, server = %server.address, "name server left out"),
        )
        .ok()
}

/// No cache, no hosts file and no search list of hickory's own: those are done here.
fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = timeout.min(SERVER_TIMEOUT);
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.preserve_intermediates = true;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options
}
