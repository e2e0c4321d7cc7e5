//! The loop of active checks of one endpoint.

use std::{fmt, future::Future, time::Duration};

use http::StatusCode;
use rand::{Rng, RngExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{Health, announce};
use crate::{
    config::HealthPlan,
    names::{Chance, EndpointId},
    telemetry::UpstreamHandles,
};

/// First checks are spread over this, or over `interval` where that is shorter.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(1);
/// How much an interval varies, up and down.
const JITTER: f64 = 0.1;

/// What can check an endpoint once. The `upstream` room has the one that speaks HTTP or TCP.
pub trait Probe: Send + Sync {
    /// One check. It may be dropped at any point, and needs no time-out of its own.
    fn check(&self) -> impl Future<Output = Result<(), CheckFailure>> + Send;
}

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFailure {
    /// It took longer than the plan's `timeout`.
    Timeout,
    /// No connection.
    Connect(Box<str>),
    /// No TLS on the connection.
    Tls(Box<str>),
    /// A status outside of 200 to 399.
    Status(StatusCode),
    /// No answer that can be read.
    Protocol(Box<str>),
}

/// What [`watch`] needs to know besides the probe and the health.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// Who is checked, for the log.
    pub endpoint: &'a EndpointId,
    /// How often, how long, and what the results mean.
    pub plan: &'a HealthPlan,
    /// Where checks are counted.
    pub handles: &'a UpstreamHandles,
}

/// Checks an endpoint until `stop`, and tells `health` and the log.
///
/// The first check comes within a second (or `interval`, where that is shorter), at a random moment, so that
/// the checks of many endpoints don't fall on one tick. From the start of one check to the start of the next
/// it is `interval`, give or take a tenth. There is never more than one at a time: one that outlasts the
/// interval delays the next. A check still running at `stop` is dropped.
///
/// # Cancel safety
/// Dropping the future loses the check that runs, nothing else.
pub async fn watch<P: Probe>(
    probe: &P,
    health: &Health,
    watched: Watched<'_>,
    stop: &CancellationToken,
) {
    let within = watched.plan.interval.min(FIRST_CHECK_WITHIN);
    let mut next = Instant::now() + within.mul_f64(Chance.random::<f64>());
    loop {
        // Stop wins over everything: nobody reads the health of an endpoint that goes.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(next) => {}
        }
        next = Instant::now() + jittered(watched.plan.interval, &mut Chance);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = check_once(probe, health, watched) => {}
        }
    }
}

async fn check_once<P: Probe>(probe: &P, health: &Health, watched: Watched<'_>) {
    let result = timeout(watched.plan.timeout, probe.check())
        .await
        .unwrap_or(Err(CheckFailure::Timeout));
    watched.handles.checked(result.is_ok());
    let why = result.as_ref().err().map(ToString::to_string);
    let change = health.checked(result, watched.plan, Instant::now());
    if let Some(change) = change {
        announce(change, watched.endpoint, why.as_deref(), watched.handles);
    }
}

fn jittered(interval: Duration, rng: &mut impl Rng) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * rng.random::<f64>())
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no TLS: {why}"),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Protocol(why) => write!(f, "no readable answer: {why}"),
        }
    }
}

impl std::error::Error for CheckFailure {}

#[cfg(test)]
mod tests;
