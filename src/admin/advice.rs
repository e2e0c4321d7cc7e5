//! Which limits the traffic of the last hour would have fitted into, as the API shows it.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    admission::{REFUSED_SHARE, RateLimit, limit_of, limit_to_toml, rate_to_text},
    config::ConcurrencyMode,
    snapshot::{Snapshot, UpstreamLive},
};

/// Proposals for every limit: `/api/v1/recommendations`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recommendations {
    /// Rate limits, by route and name.
    pub limits: Vec<RateAdvice>,
    /// Upstreams that have a concurrency limit.
    pub upstreams: Vec<LimitAdvice>,
}

/// What is proposed for a rate limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateAdvice {
    /// The route it guards.
    pub route: String,
    /// Its name.
    pub name: String,
    /// Its rate as it is, as the config writes it.
    pub rate: String,
    /// Its burst as it is.
    pub burst: u32,
    /// Requests since the limit began that could not be counted without making them wait.
    pub uncounted: u64,
    /// The proposal; `None` where nothing was asked for.
    pub proposed: Option<ProposedRate>,
}

/// A rate and burst that the traffic seen would have fitted into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposedRate {
    /// As the config writes it.
    pub rate: String,
    /// The size of the bucket.
    pub burst: u32,
    /// The share of the requests seen that it would have refused at most, 0 to 1.
    pub refused: f64,
    /// How many requests were seen.
    pub seen: u64,
    /// The lines to paste.
    pub toml: String,
}

/// What is proposed for the concurrency of an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitAdvice {
    /// The upstream.
    pub upstream: String,
    /// Where its limit comes from: `fixed` or `learned`.
    pub mode: String,
    /// Its fixed limit as it is; `None` where it is learned.
    pub limit: Option<u32>,
    /// Minutes of the last hour in which something was found.
    pub minutes: usize,
    /// The proposal; `None` where nothing was found yet.
    pub proposed: Option<ProposedLimit>,
}

/// A fixed limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposedLimit {
    /// Requests at once over all endpoints: the highest that was found in the last hour.
    pub limit: u32,
    /// The lines to paste.
    pub toml: String,
}

/// Proposals for every limit of `snapshot`. Takes milliseconds for each rate limit.
pub(super) fn of(snapshot: &Snapshot, now: Instant) -> Recommendations {
    let limits = snapshot.routes.iter().flat_map(|route| {
        let limits = route.limits.iter();
        limits.map(|live| rate(route.plan.name.as_str(), live, now))
    });
    Recommendations {
        limits: limits.collect(),
        upstreams: snapshot
            .upstreams
            .iter()
            .filter_map(|live| limit(live))
            .collect(),
    }
}

fn rate(route: &str, live: &RateLimit, now: Instant) -> RateAdvice {
    let plan = live.plan();
    let proposed = live.propose(REFUSED_SHARE, now);
    RateAdvice {
        route: route.to_owned(),
        name: plan.name.to_string(),
        rate: rate_to_text(plan.count, plan.per),
        burst: plan.burst.get(),
        uncounted: live.uncounted(),
        proposed: proposed.map(|rate| ProposedRate {
            rate: rate_to_text(rate.count, rate.per),
            burst: rate.burst.get(),
            refused: rate.refused,
            seen: rate.seen,
            toml: rate.to_toml(),
        }),
    }
}

fn limit(live: &UpstreamLive) -> Option<LimitAdvice> {
    let (mode, limit) = match live.plan.concurrency.mode {
        ConcurrencyMode::Off => return None,
        ConcurrencyMode::Fixed(limit) => ("fixed", Some(limit.get())),
        ConcurrencyMode::Learned { .. } => ("learned", None),
    };
    let found = live.found.limits();
    let (upstream, minutes) = (live.plan.name.to_string(), found.len());
    let proposed = limit_of(found).map(|limit| ProposedLimit {
        limit: limit.get(),
        toml: limit_to_toml(&upstream, limit),
    });
    Some(LimitAdvice {
        mode: mode.to_owned(),
        limit,
        minutes,
        proposed,
        upstream,
    })
}
