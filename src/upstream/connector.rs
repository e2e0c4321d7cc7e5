//! How an upstream's endpoints are connected to: protocol, TLS, time-outs, ages.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::uri::Scheme;
use rand::RngExt;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    classify, socket,
    wire::{Socket, Wire},
};
use crate::{
    config::{self, UpstreamPlan, UpstreamProtocol},
    fault::{Fault, Kind, Stage},
    pool::{LaneRef, Seat},
    telemetry::UpstreamHandles,
};

/// How much the age at which a connection retires varies, so that not all of them go at once.
const AGE_JITTER: f64 = 0.1;

/// How one upstream is connected to, in one version of the config. It owns no connection.
#[derive(Debug)]
pub struct Connector {
    pub(super) protocol: UpstreamProtocol,
    tls: Option<Tls>,
    pub(super) connect_timeout: Duration,
    pub(super) first_byte_timeout: Duration,
    pub(super) idle_timeout: Duration,
    max_connection_age: Duration,
    /// Stands for all that makes connections interchangeable; the first of [`Lane`](crate::pool::Lane).
    transport: u64,
    pub(super) handles: Arc<UpstreamHandles>,
}

/// Whether what named files hold changed with a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedFiles {
    /// They hold the same bytes.
    Same,
    /// A certificate, key or authority may be another one.
    Changed,
}

/// What has to be spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// What the upstream's protocol says.
    Any,
    /// HTTP/1.1, since the request wants to upgrade.
    Http1,
}

#[derive(Debug)]
struct Tls {
    config: Arc<ClientConfig>,
    /// The same, but offering HTTP/1.1 alone; for upgrades where ALPN might choose HTTP/2.
    http1_only: Option<Arc<ClientConfig>>,
    /// As configured; else each seat has one.
    name: Option<ServerName<'static>>,
}

// === impl Connector ===

impl Connector {
    /// A connector whose connections nobody else's requests may use. `tls` is there where the plan has TLS, with
    /// ALPN set by its protocol.
    #[must_use]
    pub fn new(
        plan: &UpstreamPlan,
        tls: Option<Arc<ClientConfig>>,
        handles: Arc<UpstreamHandles>,
    ) -> Self {
        Self::with_transport(next_transport(), plan, tls, handles)
    }

    /// The connector of the next version of the config. It goes on using the connections of `self`, unless the
    /// protocol or anything of TLS changed.
    #[must_use]
    pub fn succeed(
        &self,
        before: &UpstreamPlan,
        plan: &UpstreamPlan,
        tls: Option<Arc<ClientConfig>>,
        files: NamedFiles,
        handles: Arc<UpstreamHandles>,
    ) -> Self {
        let same_tls = before.tls == plan.tls && (plan.tls.is_none() || files == NamedFiles::Same);
        let transport = if same_tls && before.protocol == plan.protocol {
            self.transport
        } else {
            next_transport()
        };
        Self::with_transport(transport, plan, tls, handles)
    }

    fn with_transport(
        transport: u64,
        plan: &UpstreamPlan,
        tls: Option<Arc<ClientConfig>>,
        handles: Arc<UpstreamHandles>,
    ) -> Self {
        let configured = plan.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let tls = tls.map(|config| Tls {
            http1_only: (plan.protocol == UpstreamProtocol::Auto).then(|| http1_only(&config)),
            config,
            name: configured.and_then(|name| ServerName::try_from(name.to_owned()).ok()),
        });
        Self {
            protocol: plan.protocol,
            tls,
            connect_timeout: plan.connect_timeout,
            first_byte_timeout: plan.first_byte_timeout,
            idle_timeout: plan.idle_timeout,
            max_connection_age: plan.max_connection_age,
            transport,
            handles,
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// How TLS to `seat` is spoken, and whom it is to prove; `None` where the text is plain.
    pub(super) fn tls_to(&self, seat: &Seat) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
        let tls = self.tls.as_ref()?;
        Some((Arc::clone(&tls.config), tls.name_for(seat).clone()))
    }

    /// What a connection to `seat` must have been made for.
    pub(super) fn lane<'a>(&'a self, seat: &'a Seat) -> LaneRef<'a> {
        LaneRef {
            transport: self.transport,
            name: self.tls.as_ref().map(|tls| tls.name_for(seat)),
        }
    }

    /// Whether HTTP/2 is to be spoken on a new connection.
    pub(super) fn speaks_http2(&self, wire: &Wire) -> Result<bool, Fault> {
        match self.protocol {
            UpstreamProtocol::Http1 => Ok(false),
            UpstreamProtocol::Auto => Ok(wire.agreed_on_h2()),
            UpstreamProtocol::H2 if self.is_secure() && !wire.agreed_on_h2() => {
                let fault = Fault::new(Kind::TlsMismatch);
                Err(fault.detail("the endpoint did not agree on HTTP/2"))
            }
            UpstreamProtocol::H2 => Ok(true),
        }
    }

    /// The scheme of requests.
    pub(super) fn scheme(&self) -> Scheme {
        if self.is_secure() {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }

    /// When a connection made at `now` is too old.
    pub(super) fn retires(&self, now: Instant) -> Instant {
        let jitter = 1.0 - AGE_JITTER + 2.0 * AGE_JITTER * rand::rng().random::<f64>();
        now + self.max_connection_age.mul_f64(jitter)
    }

    /// Connects, and shakes hands where TLS is spoken. Each of the two has `connect_timeout`, and together they
    /// end at `deadline`.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    pub(super) async fn open(
        &self,
        seat: &Seat,
        speech: Speech,
        deadline: Option<Instant>,
    ) -> Result<Wire, Fault> {
        self.open_at(seat.endpoint.id.address, seat, speech, deadline)
            .await
    }

    /// The same to another address of the endpoint, by the same name.
    pub(super) async fn open_at(
        &self,
        address: SocketAddr,
        seat: &Seat,
        speech: Speech,
        deadline: Option<Instant>,
    ) -> Result<Wire, Fault> {
        let limit = Limit::new(Instant::now(), self.connect_timeout, deadline);
        let stream = timeout_at(limit.at, socket::connect(address))
            .await
            .map_err(|_| limit.fault(Kind::ConnectTimeout, Stage::Connect))?
            .map_err(|error| classify::connect(&error, address))?;
        let Some(tls) = &self.tls else {
            return Ok(Wire::new(Socket::Plain(stream), None));
        };
        let began = Instant::now();
        let limit = Limit::new(began, self.connect_timeout, deadline);
        let handshake =
            TlsConnector::from(tls.config_for(speech)).connect(tls.name_for(seat).clone(), stream);
        let stream = timeout_at(limit.at, handshake)
            .await
            .map_err(|_| limit.fault(Kind::TlsTimeout, Stage::UpstreamTls))?
            .map_err(|error| classify::handshake(&error))?;
        let took = began.elapsed();
        if address == seat.endpoint.id.address {
            note_certificate(&stream, seat);
        }
        Ok(Wire::new(Socket::Tls(Box::new(stream)), Some(took)))
    }
}

/// Remembers until when the certificate is valid that the endpoint showed.
fn note_certificate(stream: &TlsStream<TcpStream>, seat: &Seat) {
    let shown = stream.get_ref().1.peer_certificates();
    let leaf = shown.and_then(<[_]>::first);
    seat.endpoint
        .showed_certificate(leaf.and_then(|leaf| config::not_after(leaf)));
}

// === impl Tls ===

impl Tls {
    fn name_for<'a>(&'a self, seat: &'a Seat) -> &'a ServerName<'static> {
        self.name.as_ref().unwrap_or(&seat.server_name)
    }

    fn config_for(&self, speech: Speech) -> Arc<ClientConfig> {
        match (speech, &self.http1_only) {
            (Speech::Http1, Some(http1_only)) => Arc::clone(http1_only),
            _ => Arc::clone(&self.config),
        }
    }
}

/// The end of a wait, and whose it is: the step's own, or the whole request's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) at: Instant,
    by_deadline: bool,
}

// === impl Limit ===

impl Limit {
    pub(super) fn new(now: Instant, step: Duration, deadline: Option<Instant>) -> Self {
        let own = now + step;
        match deadline {
            Some(deadline) if deadline < own => Self {
                at: deadline,
                by_deadline: true,
            },
            _ => Self {
                at: own,
                by_deadline: false,
            },
        }
    }

    /// The limit was reached: `step` where it is the step's own.
    pub(super) fn fault(&self, step: Kind, stage: Stage) -> Fault {
        let kind = if self.by_deadline {
            Kind::RequestTimeout
        } else {
            step
        };
        Fault::new(kind).at(stage)
    }

    /// Whether it is the whole request's.
    pub(super) fn is_deadline(&self) -> bool {
        self.by_deadline
    }
}

fn http1_only(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Numbers are never used twice in a process. `Relaxed`: only their being different counts.
fn next_transport() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}
