//! What the API and the dashboard show: plain values, taken at one moment. No secret is among them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use crate::{
    names::Priority,
    telemetry::{ReloadResult, rfc3339},
};

use super::Readiness;

/// The whole in a few words: `/api/v1/status`.
#[derive(Debug, Clone, Serialize)]
pub struct StatusView {
    /// The version of this program.
    pub version: &'static str,
    /// The id of this process.
    pub pid: u32,
    /// When this process began.
    #[serde(serialize_with = "moment")]
    pub started_at: SystemTime,
    /// How long ago that was.
    #[serde(rename = "uptime_seconds", serialize_with = "seconds")]
    pub uptime: Duration,
    /// Whether new work should be sent here.
    pub readiness: Readiness,
    /// What is listened on.
    pub listeners: Vec<ListenerView>,
    /// What this process gives up for its own health.
    pub pressure: PressureView,
}

/// How short this process is of what it lives on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PressureView {
    /// The level found, 0 to 4.
    pub level: u8,
    /// The level in force: 0 where it is in shadow or switched off.
    pub enforced: u8,
    /// What is given up, in words.
    pub words: &'static str,
    /// What was read last, by signal: shares from 0 to 1, and `runtime_lag` in seconds. Unknown ones are missing.
    pub signals: BTreeMap<&'static str, f64>,
}

/// A listener.
#[derive(Debug, Clone, Serialize)]
pub struct ListenerView {
    /// Its name.
    pub name: String,
    /// Where it is bound.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// The config in force: `/api/v1/config`.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigView {
    /// The file.
    pub path: String,
    /// The first 12 hex digits of its SHA-256.
    pub hash: String,
    /// Counts the configs that were applied, from 1.
    pub revision: u64,
    /// When it came into force.
    #[serde(serialize_with = "moment")]
    pub applied_at: SystemTime,
    /// How the last reload ended; `None` before the first.
    pub last_reload: Option<ReloadView>,
    /// Files that it names and that are wrong, while what they held before stays in force.
    pub wrong_files: Vec<WrongFileView>,
}

/// A file that the config names and that is wrong: what it held before stays in force.
#[derive(Debug, Clone, Serialize)]
pub struct WrongFileView {
    /// The file; of a certificate and its key the certificate.
    pub file: String,
    /// Since when it was seen to be wrong.
    #[serde(serialize_with = "moment")]
    pub since: SystemTime,
    /// What is wrong.
    pub why: String,
}

/// How a reload ended.
#[derive(Debug, Clone, Serialize)]
pub struct ReloadView {
    /// When.
    #[serde(serialize_with = "moment")]
    pub at: SystemTime,
    /// How.
    pub result: ReloadResult,
    /// What was wrong with the file, as `check` prints it.
    pub error: Option<String>,
    /// The line of the first error.
    pub line: Option<u32>,
}

/// An upstream: an item of `/api/v1/upstreams`.
#[derive(Debug, Clone, Serialize)]
pub struct UpstreamView {
    /// Its name.
    pub name: String,
    /// Most requests at once over the whole upstream; `None` where there is no such limit.
    pub limit: Option<u32>,
    /// Requests that hold a permit.
    pub in_flight: u32,
    /// Requests that wait for one.
    pub waiting: u32,
    /// Most that may wait.
    pub max_waiting: u32,
    /// Its groups of endpoints, the main one first.
    pub groups: Vec<GroupView>,
    /// Whether so few endpoints can serve that all are used.
    pub panic: bool,
    /// Names that its endpoints come from.
    pub names: Vec<NameView>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointView>,
}

/// A group of an upstream's endpoints.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// How many of them can serve.
    pub healthy: usize,
    /// The same as a share, 0 to 1.
    pub healthy_share: f64,
    /// What it gets of the upstream's traffic now, 0 to 1.
    pub traffic_share: f64,
    /// Whether so few can serve that all of them do.
    pub panic: bool,
}

/// A name that endpoints come from.
#[derive(Debug, Clone, Serialize)]
pub struct NameView {
    /// The name.
    pub name: String,
    /// Whether it is asked for services (SRV), not for addresses.
    pub services: bool,
    /// How many addresses it has.
    pub addresses: usize,
    /// How many of them are kept although the last answer lacks them.
    pub doubted: usize,
    /// Whether the last good answer is served although its refresh fails.
    pub stale: bool,
    /// For how long that has been so.
    pub stale_seconds: Option<u64>,
    /// How long until it has no addresses any more, if lookups go on failing.
    pub stale_left_seconds: Option<u64>,
    /// For how long the addresses have been what they are.
    pub unchanged_seconds: Option<u64>,
    /// How long until it is asked for again.
    pub next_lookup_seconds: Option<u64>,
    /// What is in force, since when, and when it is asked for again: one sentence.
    pub in_force: String,
    /// What is to be known about its last answer.
    pub why: String,
}

/// An endpoint and why it is in or out.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointView {
    /// Its address.
    pub address: SocketAddr,
    /// The name of its group.
    pub group: String,
    /// Its share against the others'.
    pub weight: u32,
    /// Of its group those with a higher number serve only while none of the lower ones can.
    pub priority: u16,
    /// Whether it gets requests.
    pub state: EndpointState,
    /// Why it is in or out, since when, and what will bring it back: one sentence.
    pub sentence: String,
    /// Whether active checks leave it in.
    pub healthy: bool,
    /// Whether it passes its checks and says that it is degraded.
    pub degraded: bool,
    /// Whether it is ejected for what its traffic showed.
    pub ejected: bool,
    /// Most requests at once, where limits are per endpoint.
    pub limit: Option<u32>,
    /// Requests that it works on.
    pub in_flight: u32,
    /// How long it lets a connection rest, by its `Keep-Alive` field or by what it closed, in milliseconds; `None` where
    /// that is not known.
    pub keep_alive_ms: Option<u64>,
    /// What its concurrency limit was learned from; `None` where it is not learned.
    pub learned: Option<LearnedView>,
    /// When the certificate ends that it showed last, in seconds since 1970.
    pub certificate_ends: Option<i64>,
}

/// What the law of an endpoint believes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnedView {
    /// Permits out at it.
    pub permits: u32,
    /// Looks above and below the limit.
    pub probes: u32,
    /// The 5 %, 25 %, 50 %, 75 % and 95 % quantiles of how many requests at once it can work on.
    pub capacity: Option<[f64; 5]>,
    /// How slow it is against its baselines; 1: as usual.
    pub slowness: Option<f64>,
    /// How likely it is that it stretches all requests alike, and does not queue them: 0 to 1.
    pub shared: Option<f64>,
    /// By route: how long a request takes where nothing waits, in seconds.
    pub baselines: BTreeMap<String, f64>,
}

/// Whether an endpoint gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// It does.
    In,
    /// It does, fewer than its share: it came back a moment ago.
    Warming,
    /// It was ejected; one request at a time goes there until one succeeds.
    Trial,
    /// Active checks fail.
    Down,
    /// Its traffic failed.
    Ejected,
    /// It left the config or its name; what runs there is finished.
    Draining,
}

/// A rate limit: an item of `/api/v1/limits`.
#[derive(Debug, Clone, Serialize)]
pub struct LimitView {
    /// The route it guards.
    pub route: String,
    /// Its name.
    pub name: String,
    /// How many tokens come back in `per`.
    pub count: u32,
    /// A second, a minute or an hour.
    #[serde(rename = "per_seconds", serialize_with = "seconds")]
    pub per: Duration,
    /// How many tokens a bucket holds.
    pub burst: u32,
    /// What has a bucket of its own, as the config writes it.
    pub key: String,
    /// How full the emptiest bucket is, 0 to 1.
    pub fill: f32,
    /// How many buckets there are.
    pub keys: usize,
    /// Most buckets kept.
    pub max_keys: usize,
    /// Whether it only counts.
    pub shadow: bool,
}

/// A route: an item of `/api/v1/routes`.
#[derive(Debug, Clone, Serialize)]
pub struct RouteView {
    /// Its name.
    pub name: String,
    /// What it takes, in the words of the config.
    pub matches: String,
    /// What it does, in the words of the config.
    pub action: String,
    /// What it does when nothing else can serve, in the words of the config; `None` where it tells the fault.
    pub fallback: Option<String>,
    /// The upstreams it may use.
    pub upstreams: Vec<String>,
    /// What its requests are worth.
    pub priority: Priority,
    /// The names of its rate limits.
    pub limits: Vec<String>,
}

// === impl EndpointState ===

impl EndpointState {
    /// Whether it gets requests.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::In | Self::Warming | Self::Trial)
    }
}

// === impl ConfigView ===

impl ConfigView {
    /// The line of the error that keeps the file on disk from being in force; `None` where it is.
    #[must_use]
    pub fn rejected(&self) -> Option<&ReloadView> {
        self.last_reload
            .as_ref()
            .filter(|reload| reload.result == ReloadResult::Rejected)
    }
}

fn moment<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*time))
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}
