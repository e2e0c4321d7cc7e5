//! The loop of active checks of one endpoint.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use rand::RngExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Change, CheckFailure, Consensus, Health, Passed, Sentence, StandstillNotice, announce,
    standstill::{Judged, LATE, judge, timed},
};
use crate::{
    config::HealthPlan,
    names::{Chance, EndpointId},
    telemetry::{CheckResult, UpstreamEvent, UpstreamHandles},
};

/// First checks are spread over this, or over `interval` where that is shorter.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(1);
/// How much an interval varies, up and down.
pub(super) const JITTER: f64 = 0.1;

/// What can check an endpoint once. The `upstream` room has the one that speaks TCP, HTTP or gRPC.
pub trait Probe: Send + Sync {
    /// One check. It may be dropped at any point, and needs no time-out of its own.
    fn check(&self) -> impl Future<Output = Result<Passed, CheckFailure>> + Send;
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
    /// What the checks of all endpoints of the upstream come to.
    pub consensus: &'a Consensus,
    /// Who tells that this process stood still.
    pub notice: &'a StandstillNotice,
}

/// Checks an endpoint until `stop`, and tells `health` and the log.
///
/// The first check comes within a second (or `interval`, where that is shorter), at a random moment, so that
/// the checks of many endpoints don't fall on one tick. From the start of one check to the start of the next
/// it is `interval`, or `fast_interval` while it is unsure what the endpoint is, give or take a tenth. There is
/// never more than one at a time: one that outlasts the interval delays the next. A check still running at `stop`
/// is dropped.
///
/// A check that comes due much too late, since this process stood still, is put off once by as little as the first
/// one was, for the same reason: all others woke with it. One that then ends badly may prove nothing.
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
    let spread = || within.mul_f64(Chance.random::<f64>());
    let mut next = Instant::now() + spread();
    let mut put_off = false;
    loop {
        // Stop wins over everything: nobody reads the health of an endpoint that goes.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(next) => {}
        }
        let now = Instant::now();
        let late = now.saturating_duration_since(next);
        put_off = late > LATE && !put_off;
        if put_off {
            watched.handles.checked(CheckResult::Postponed);
            watched.notice.tell(late, now, watched.handles.events());
            next = now + spread();
            continue;
        }
        let proof = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            proof = check_once(probe, health, watched, late) => proof,
        };
        let unsure = health.is_unsure();
        next = match proof {
            // Not before now: a check that outlasts the interval is no lateness.
            Proof::Given if unsure => {
                (now + jittered(watched.plan.fast_interval)).max(Instant::now())
            }
            Proof::Given => (now + jittered(watched.plan.interval)).max(Instant::now()),
            // Others ended at this moment, too.
            Proof::Missing => Instant::now() + scattered(watched.plan.fast_interval),
        };
    }
}

/// Whether a check that ended says anything of its endpoint.
enum Proof {
    Given,
    Missing,
}

async fn check_once<P: Probe>(
    probe: &P,
    health: &Health,
    watched: Watched<'_>,
    late: Duration,
) -> Proof {
    let plan = watched.plan;
    let (result, lost) = timed(probe.check(), plan.timeout).await;
    let (lost, now) = (lost + late, Instant::now());
    let result = match judge(result, lost, plan.timeout) {
        Judged::Proven(result) => result,
        Judged::Inconclusive(failure) => {
            tracing::debug!(endpoint = %watched.endpoint, why = %failure, lost_ms = lost.as_millis(), "a check proves nothing");
            watched.handles.checked(CheckResult::Inconclusive);
            if !failure.is_our_own() {
                watched.notice.tell(lost, now, watched.handles.events());
            }
            return Proof::Missing;
        }
    };
    watched.handles.checked(match result {
        Ok(_) => CheckResult::Passed,
        Err(_) => CheckResult::Failed,
    });
    let why = result.as_ref().err().map(ToString::to_string);
    if let Some(change) = health.checked(result, plan, now) {
        let stands = Sentence {
            health: &health.view(now),
            share: 1.0,
            slow_start: Duration::ZERO,
            checks: Some(plan),
            at: SystemTime::now(),
        };
        announce(change, watched.endpoint, &stands, watched.handles);
        doubt(change, watched, why.as_deref(), now);
    }
    Proof::Given
}

/// Where the last endpoint of an upstream fell right after the others, the check itself is to be doubted.
fn doubt(change: Change, watched: Watched<'_>, why: Option<&str>, now: Instant) {
    match change {
        Change::Up => watched.consensus.rose(watched.endpoint),
        Change::Down => {
            if let Some(all) = watched.consensus.fell(watched.endpoint, watched.plan, now) {
                watched
                    .handles
                    .events()
                    .tell(UpstreamEvent::ChecksSuspicious {
                        upstream: watched.endpoint.upstream.clone(),
                        endpoints: all.endpoints,
                        within_ms: u64::try_from(all.within.as_millis()).unwrap_or(u64::MAX),
                        why: why.unwrap_or_default().into(),
                    });
            }
        }
        _ => {}
    }
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * Chance.random::<f64>())
}

/// From half of `interval` to half more than it.
fn scattered(interval: Duration) -> Duration {
    interval.mul_f64(0.5 + Chance.random::<f64>())
}

#[cfg(test)]
mod tests;
