//! Why no endpoint can serve, and when one may.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    fault::{Fault, Kind},
    snapshot::UpstreamLive,
};

/// Why no seat can serve: a name that does not resolve, or endpoints that are all out, with why each is.
pub(super) fn why_none(upstream: &UpstreamLive) -> Fault {
    let now = Instant::now();
    if upstream.seats.as_slice().is_empty()
        && let Some(named) = upstream.unresolved()
        && let Some(kind) = named.answer.fault()
    {
        let why = format!("{}: {}", named.name, named.view(now).why);
        return Fault::new(kind).retry_after(AT_LEAST).detail(why);
    }
    let fault = Fault::new(Kind::NoEndpoint).retry_after(next_chance(upstream, now));
    match why_each(upstream, now) {
        why if why.is_empty() => fault,
        why => fault.detail(why),
    }
}

/// Why each endpoint is out, and of many the first ones.
fn why_each(upstream: &UpstreamLive, now: Instant) -> String {
    let seats = upstream.seats.as_slice();
    let mut told: Vec<_> = seats
        .iter()
        .take(MOST_TOLD)
        .map(|seat| {
            let endpoint = &seat.endpoint;
            let why = endpoint.sentence(&upstream.plan, now);
            format!("{}: {why}", endpoint.id.address)
        })
        .collect();
    let left = seats.len().saturating_sub(MOST_TOLD);
    if left > 0 {
        told.push(format!("and {left} more"));
    }
    told.join("; ")
}

/// Of so many endpoints it is told why they are out: a fault's detail is a line, not a page.
const MOST_TOLD: usize = 4;

/// The shortest wait that is worth telling a client.
const AT_LEAST: Duration = Duration::from_secs(1);

/// When an endpoint may be back: at the end of an ejection, or with the next check.
fn next_chance(upstream: &UpstreamLive, now: Instant) -> Duration {
    let views = upstream.seats.views(now);
    let ejections = views.iter().filter_map(|view| view.health.ejected_for);
    let check = upstream.plan.health.as_ref().map(|plan| plan.interval);
    ejections
        .chain(check)
        .min()
        .unwrap_or(AT_LEAST)
        .max(AT_LEAST)
}
