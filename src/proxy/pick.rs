//! Why no endpoint can serve, and when one may.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    fault::{Fault, Kind},
    snapshot::UpstreamLive,
};

/// Why no seat can serve: a name that does not resolve, or endpoints that are all out.
pub(super) fn why_none(upstream: &UpstreamLive) -> Fault {
    let fault_of_names = match upstream.unresolved() {
        Some(answer) => answer.fault(),
        None => None,
    };
    match fault_of_names {
        Some(kind) if upstream.seats.as_slice().is_empty() => {
            Fault::new(kind).retry_after(AT_LEAST)
        }
        _ => Fault::new(Kind::NoEndpoint).retry_after(next_chance(upstream)),
    }
}

/// The shortest wait that is worth telling a client.
const AT_LEAST: Duration = Duration::from_secs(1);

/// When an endpoint may be back: at the end of an ejection, or with the next check.
fn next_chance(upstream: &UpstreamLive) -> Duration {
    let views = upstream.seats.views(Instant::now());
    let ejections = views.iter().filter_map(|view| view.health.ejected_for);
    let check = upstream.plan.health.as_ref().map(|plan| plan.interval);
    ejections
        .chain(check)
        .min()
        .unwrap_or(AT_LEAST)
        .max(AT_LEAST)
}
