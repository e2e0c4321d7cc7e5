//! What the file means: every name resolved, every unit typed, every bound checked.

mod change;
mod check;
mod dns;
mod errors;
mod fallback;
mod incidents;
mod overload;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;

pub use change::{GuardPlan, HistoryPlan, ReloadPlan, UpgradePlan};
pub use check::{
    AskPlan, BodyPlan, CheckMethod, CheckPlan, DegradedPlan, GrpcCheckPlan, HealthPlan,
    HttpCheckPlan, StatusSet,
};
pub use dns::{DnsPlan, DnsTransport, NameServer, NameServers};
pub use errors::{CauseWord, ErrorsPlan, LanguageTag, TextPlan};
pub use fallback::FallbackPlan;
pub use incidents::{IncidentsPlan, WebhookPlan};
pub use overload::{
    ConcurrencyMode, ConcurrencyPlan, HedgeAfter, HedgePlan, LawWord, LimitBounds, OutcomePlan,
    PressurePlan, QueuePlan, Stretch, TenantKey,
};

use crate::names::{ListenerName, Priority, RouteName, UpstreamName};

/// A whole config file, in which nothing can be wrong any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The admin listener.
    pub admin: AdminPlan,
    /// Logs.
    pub log: LogPlan,
    /// How the process ends.
    pub drain: DrainPlan,
    /// How a newer binary takes over.
    pub upgrade: UpgradePlan,
    /// What faults show.
    pub errors: ErrorsPlan,
    /// How names are resolved.
    pub dns: DnsPlan,
    /// What is shed when the process itself runs short.
    pub pressure: PressurePlan,
    /// How a new config is watched.
    pub reload: ReloadPlan,
    /// What outlives the process.
    pub history: HistoryPlan,
    /// From when on faults are an incident, and who is told.
    pub incidents: IncidentsPlan,
    /// At least one; names are unique.
    pub listeners: Vec<ListenerPlan>,
    /// By name.
    pub upstreams: BTreeMap<UpstreamName, Arc<UpstreamPlan>>,
    /// In the file's order, which means nothing; names are unique.
    pub routes: Vec<Arc<RoutePlan>>,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPlan {
    /// Where the admin listener binds.
    pub bind: SocketAddr,
    /// The file that holds the token; there where `bind` is not loopback.
    pub token_file: Option<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlan {
    /// Where access lines go.
    pub access: AccessTarget,
    /// How lines look.
    pub format: LogFormat,
    /// From which level the gateway's own log speaks: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: tracing::Level,
}

/// Where access lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTarget {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// A file, appended to.
    File(PathBuf),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For eyes.
    Text,
}

/// `[drain]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainPlan {
    /// How long listeners still accept after the signal, not ready any more.
    pub delay: Duration,
    /// How long running requests and tunnels may go on after that.
    pub timeout: Duration,
}

/// `[[listeners]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerPlan {
    /// Its name; `default` where there is only one.
    pub name: ListenerName,
    /// Where it binds.
    pub bind: SocketAddr,
    /// Whose forwarding headers and PROXY headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections from `trusted_proxies` must begin with a PROXY header; others are then closed.
    pub proxy_protocol: bool,
    /// TLS, where it is spoken.
    pub tls: Option<ListenerTlsPlan>,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// Longest time without progress of a body.
    pub body_timeout: Duration,
    /// How long a connection may rest between requests.
    pub idle_timeout: Duration,
    /// How long a tunnel may rest.
    pub tunnel_idle_timeout: Duration,
    /// Largest request head, in bytes.
    pub max_header_bytes: NonZeroUsize,
    /// Most connections at a time; `None`: 80 % of the descriptor limit, halved.
    pub max_connections: Option<NonZeroUsize>,
}

/// `tls = { certificates = [...] }` of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTlsPlan {
    /// At least one. The first serves clients that name no host.
    pub certificates: Vec<CertificatePlan>,
    /// Whose certificates clients show, where they are asked for any.
    pub clients: Option<ClientsPlan>,
}

/// `client_ca` and `client_auth` of a listener's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientsPlan {
    /// The authorities whose certificates count.
    pub ca: PathBuf,
    /// Whether a client must show one.
    pub auth: ClientAuth,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Who shows none is refused in the handshake.
    Required,
    /// Who shows none is let in; who shows a wrong one is not.
    Optional,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePlan {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[upstreams.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamPlan {
    /// Its name.
    pub name: UpstreamName,
    /// Where its endpoints come from; at least one in each group, in the order of the groups.
    pub endpoints: Vec<EndpointPlan>,
    /// The names of its groups, the main one first: 1 to [`MOST_GROUPS`].
    pub groups: Vec<Box<str>>,
    /// A group takes its share of endpoints that can serve times this, and at most all.
    pub overprovisioning: f64,
    /// Name servers that its names are asked of; none: those of `[dns]`.
    pub name_servers: NameServers,
    /// What is spoken to them.
    pub protocol: UpstreamProtocol,
    /// How one of them is chosen.
    pub balance: BalancePolicy,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take.
    pub first_byte_timeout: Duration,
    /// How long a connection may rest in the pool.
    pub idle_timeout: Duration,
    /// The Host that endpoints see.
    pub host: HostPolicy,
    /// Below this share of endpoints that can serve, all of them are used. 0: never.
    pub panic_threshold: f64,
    /// TLS to the endpoints, where it is spoken.
    pub tls: Option<UpstreamTlsPlan>,
    /// Active checks, where there are any.
    pub health: Option<HealthPlan>,
    /// Passive ejection; `None` where it is off.
    pub ejection: Option<EjectionPlan>,
    /// How much the upstream gets at once.
    pub concurrency: ConcurrencyPlan,
    /// How long an endpoint that comes back takes to its full share; zero: at once.
    pub slow_start: Duration,
    /// How old a connection may become before it is not used any more.
    pub max_connection_age: Duration,
}

/// Where endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPlan {
    /// The address or the name.
    pub source: EndpointSource,
    /// Its share against the others', 1 to 1,000.
    pub weight: NonZeroU32,
    /// Its group: an index into [`UpstreamPlan::groups`].
    pub group: usize,
}

/// How many groups an upstream has at most: those of `groups`, and the one of `endpoints`.
pub const MOST_GROUPS: usize = 9;

/// An address, or a name that has some.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointSource {
    /// `address = "10.0.0.11:8080"`
    Address(SocketAddr),
    /// `dns = "shop.internal:8080"`: every A and AAAA address is an endpoint.
    Dns {
        /// The name, lower-cased, without the port; with a dot at its end it is absolute.
        name: Box<str>,
        /// The port of every endpoint.
        port: u16,
    },
    /// `srv = "_http._tcp.shop.internal"`: every address of every target is an endpoint.
    Srv {
        /// The name of the service, lower-cased; with a dot at its end it is absolute.
        name: Box<str>,
    },
}

/// `protocol`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, on plain text with prior knowledge.
    H2,
    /// What ALPN says; HTTP/1.1 on plain text.
    Auto,
}

/// `balance`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BalancePolicy {
    /// In turn.
    RoundRobin,
    /// The less busy of two taken at random.
    LeastRequest,
    /// Of two taken at random the one that would answer sooner, by its latest latencies and what it works on.
    PeakEwma,
    /// At random.
    Random,
}

/// `host`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPolicy {
    /// The client's.
    Preserve,
    /// The endpoint's name (or address) and port.
    Upstream,
}

/// `tls = { ... }` of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTlsPlan {
    /// The name that is asked for and checked; `None`: the endpoint's DNS name or address.
    pub server_name: Option<Box<str>>,
    /// Roots; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The certificate that we show.
    pub client: Option<CertificatePlan>,
}

/// `[upstreams.NAME.ejection]`
#[derive(Debug, Clone, PartialEq)]
pub struct EjectionPlan {
    /// Failures in a row that eject.
    pub consecutive_failures: NonZeroU32,
    /// Failures in a row to reach the endpoint that eject.
    pub consecutive_local_failures: NonZeroU32,
    /// How long the windows are over which endpoints are compared.
    pub interval: Duration,
    /// Comparison by the share of requests that failed; `None` where it is off.
    pub success_rate: Option<SuccessRatePlan>,
    /// Comparison by how long answers took; `None` where it is off.
    pub latency: Option<LatencyPlan>,
    /// How long the first ejection lasts; the n-th lasts n times as long.
    pub base_time: Duration,
    /// The longest ejection.
    pub max_time: Duration,
}

/// `success_rate = { ... }` of an ejection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRatePlan {
    /// Requests that the endpoint and the others together must each have had in a window.
    pub minimum_requests: NonZeroU32,
    /// By how much its share of failures must be above that of the others, above 0 and at most 1.
    pub margin: f64,
}

/// `latency = { ... }` of an ejection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyPlan {
    /// Successes that an endpoint must have had in a window to be compared.
    pub minimum_requests: NonZeroU32,
    /// How many times the others' usual latency, above 1.
    pub factor: f64,
    /// And by how much above it at the least.
    pub margin: Duration,
}

/// `[[routes]]`
#[derive(Debug, Clone, PartialEq)]
pub struct RoutePlan {
    /// Its name; `default` where there is only one.
    pub name: RouteName,
    /// What it takes.
    pub matcher: MatchPlan,
    /// What it does.
    pub action: ActionPlan,
    /// What is answered when nothing else can serve.
    pub fallback: Option<FallbackPlan>,
    /// How the path changes on the way.
    pub rewrite: Option<RewritePlan>,
    /// What its requests are worth.
    pub priority: Priority,
    /// From the request's head to the last byte of the answer; `None`: no end.
    pub timeout: Option<Duration>,
    /// Largest request body in bytes; `None`: no limit.
    pub max_body_bytes: Option<u64>,
    /// What is tried again.
    pub retry: RetryPlan,
    /// What changes in the request's head.
    pub request_headers: HeaderEdits,
    /// What changes in the answer's head.
    pub response_headers: HeaderEdits,
    /// Token buckets; names are unique in the route.
    pub rate_limits: Vec<RateLimitPlan>,
    /// The part of its upstream's places that is its own when it wants it, in thousandths, 1 to 1,000; lent to
    /// others when not. `None`: what the others' shares leave, together with all routes that have none.
    pub share: Option<NonZeroU32>,
    /// Among whom places are shared fairly when not all can have one.
    pub tenant: TenantKey,
    /// A second try beside a slow first one.
    pub hedge: Option<HedgePlan>,
    /// What the end of a request says of its endpoint's load.
    pub outcomes: OutcomePlan,
}

/// What a route takes; every condition must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatchPlan {
    /// Any of them; empty: any host.
    pub hosts: Vec<HostMatch>,
    /// The path.
    pub path: PathMatch,
    /// Any of them; empty: any method.
    pub methods: Vec<Method>,
    /// All of them.
    pub headers: Vec<HeaderMatch>,
    /// All of them.
    pub query: Vec<QueryMatch>,
}

/// One of `hosts`; lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostMatch {
    /// `shop.example.com`
    Exact(Box<str>),
    /// `*.example.com`, kept as `example.com`: any number of labels before it, at least one.
    Wildcard(Box<str>),
}

/// `path` or `path_prefix`, normalised as requests are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathMatch {
    /// The whole path.
    Exact(Box<str>),
    /// Whole segments from the start, without a trailing slash; empty: every path.
    Prefix(Box<str>),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("".into())
    }
}

/// One of `headers`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderMatch {
    /// Which field.
    pub name: HeaderName,
    /// Its value; `None`: it must be there.
    pub value: Option<HeaderValue>,
}

/// One of `query`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryMatch {
    /// Which parameter, decoded.
    pub name: Box<str>,
    /// Its value, decoded; `None`: it must be there.
    pub value: Option<Box<str>>,
}

/// What a route does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionPlan {
    /// `upstream` or `split`: at least one, weights from 0, their sum above 0.
    Forward(Vec<SplitPlan>),
    /// `respond = { status, body }`
    Respond {
        /// The status.
        status: StatusCode,
        /// The body, as text.
        body: bytes::Bytes,
    },
    /// `redirect = { status, to }`
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
        /// An absolute URL, or a path that begins with one slash. `{path}` and `{query}` stand for the request's.
        to: Box<str>,
    },
}

/// A share of a route's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitPlan {
    /// Who gets it.
    pub upstream: UpstreamName,
    /// How much against the others, 0 to 1,000,000.
    pub weight: u32,
}

/// How the path changes on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewritePlan {
    /// `strip_prefix`: whole segments from the start are cut off.
    StripPrefix(Box<str>),
    /// `replace_prefix`: the route's `path_prefix` (or `path`) becomes this.
    ReplacePrefix(Box<str>),
}

/// `retry = { attempts, on, replay }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPlan {
    /// All tries, the first included, 1 to 10.
    pub attempts: NonZeroU32,
    /// After what.
    pub on: RetryOn,
    /// How much of a request body is kept for another try, in bytes.
    pub replay_bytes: usize,
}

/// The words of `retry.on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of words of the config, each on its own"
)]
pub struct RetryOn {
    /// The connection could not be made: nothing was sent, so any method.
    pub connect: bool,
    /// The connection ended before the answer's head; idempotent methods.
    pub reset: bool,
    /// No head in time; idempotent methods.
    pub timeout: bool,
    /// The answer is 502; idempotent methods.
    pub status_502: bool,
    /// The answer is 503; idempotent methods.
    pub status_503: bool,
    /// The answer is 504; idempotent methods.
    pub status_504: bool,
}

/// `{ set = {...}, remove = [...] }`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// Taken out first.
    pub remove: Vec<HeaderName>,
    /// Then set, each replacing what was there.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// `[[routes.rate_limits]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitPlan {
    /// Unique in the route; the key where the file gives none.
    pub name: Box<str>,
    /// How many tokens come back in `per`.
    pub count: NonZeroU32,
    /// A second, a minute or an hour.
    pub per: Duration,
    /// How many tokens the bucket holds.
    pub burst: NonZeroU32,
    /// What has a bucket of its own.
    pub key: RateKey,
    /// Count, don't refuse.
    pub shadow: bool,
    /// Most buckets kept at a time.
    pub max_keys: NonZeroUsize,
}

/// `key`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// One bucket for all.
    None,
    /// The client's address: IPv4 whole, IPv6 by /64.
    ClientIp,
    /// The value of a field; where it is missing, the client's address.
    Header(HeaderName),
}

impl ListenerPlan {
    /// Whether `peer` is one whose forwarding headers and PROXY header count.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}
