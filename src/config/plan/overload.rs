//! What overload control is told: limits, the queue, tenants, hedges, outcomes, pressure.

use std::{num::NonZeroU32, time::Duration};

use http::{HeaderName, StatusCode};

/// `[upstreams.NAME.concurrency]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyPlan {
    /// Where the limit comes from.
    pub mode: ConcurrencyMode,
    /// Who may wait.
    pub queue: QueuePlan,
    /// Count, don't refuse and don't make anybody wait.
    pub shadow: bool,
}

/// `mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencyMode {
    /// No limit.
    Off,
    /// As many as the file says, for the whole upstream.
    Fixed(NonZeroU32),
    /// Found for each endpoint.
    Learned {
        /// How.
        law: LawWord,
        /// Between what.
        bounds: LimitBounds,
        /// The most over all endpoints, whatever theirs sum up to.
        total: Option<NonZeroU32>,
    },
}

/// How a concurrency limit is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LawWord {
    /// A posterior over capacity: Tidegate's own.
    Adaptive,
    /// Additive increase, multiplicative decrease, after Netflix concurrency-limits.
    Aimd,
    /// After TCP Vegas, as in Netflix concurrency-limits.
    Vegas,
    /// Short against long latency, as in Netflix concurrency-limits.
    Gradient2,
}

/// `min`, `max` and `initial` of a learned limit, for each endpoint: `min <= initial <= max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitBounds {
    /// Never lower.
    pub min: NonZeroU32,
    /// Never higher.
    pub max: NonZeroU32,
    /// Where it begins.
    pub initial: NonZeroU32,
}

/// Whether the bound of a queue in number follows how fast it drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stretch {
    /// It is what the file says.
    #[default]
    Never,
    /// The file says nothing: as many may wait as get a place within `max_wait` at the present drain, where that is
    /// more than the default.
    WithDrain,
}

/// `queue = { ... }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePlan {
    /// How many may wait; 0: none.
    pub max_waiting: u32,
    /// Whether that number is only the least.
    pub stretch: Stretch,
    /// How long one may wait.
    pub max_wait: Duration,
}

/// `tenant`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TenantKey {
    /// All are one.
    None,
    /// The client's address: IPv4 whole, IPv6 by /64.
    ClientIp,
    /// The value of a field; where it is missing, the client's address.
    Header(HeaderName),
}

/// `hedge = { after }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgePlan {
    /// How long the first try is waited for.
    pub after: HedgeAfter,
}

/// `after`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// So long.
    Time(Duration),
    /// As long as this percentage of the route's requests take, 50 to 99.
    Percentile(u8),
}

/// `outcomes = { dropped, ignored, grpc_dropped }`: what statuses mean to a learned limit. What none of the lists
/// names succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomePlan {
    /// Statuses by which the endpoint says that it is overloaded; sorted.
    pub dropped: Box<[StatusCode]>,
    /// Statuses that say nothing of its load; sorted.
    pub ignored: Box<[StatusCode]>,
    /// gRPC codes by which it says that it is overloaded; sorted.
    pub grpc_dropped: Box<[u8]>,
}

/// `[pressure]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressurePlan {
    /// Whether the process looks after itself.
    pub enabled: bool,
    /// Count, don't refuse.
    pub shadow: bool,
}
