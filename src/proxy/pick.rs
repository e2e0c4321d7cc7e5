//! Which endpoint a request goes to, and why there is none.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    admission::Pick,
    balance::{self, Candidates, EndpointView},
    fault::{Fault, Kind},
    pool::SeatsAt,
    snapshot::UpstreamLive,
};

/// Picks among an upstream's seats for admission.
#[derive(Debug)]
pub(super) struct Picker<'a>(pub(super) &'a UpstreamLive);

impl Pick for Picker<'_> {
    type Endpoint = usize;

    fn pick(&self, free: &dyn Fn(&usize) -> bool) -> Option<usize> {
        pick(self.0, &[]).filter(free)
    }
}

/// Seats without those that were tried.
struct Untried<'a> {
    seats: SeatsAt<'a>,
    tried: &'a [usize],
}

impl Candidates for Untried<'_> {
    fn len(&self) -> usize {
        self.seats.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        let mut view = self.seats.view(index);
        view.can_serve &= !self.tried.contains(&index);
        view
    }
}

/// A seat that can serve and was not tried, by the upstream's policy.
pub(super) fn pick(upstream: &UpstreamLive, tried: &[usize]) -> Option<usize> {
    let candidates = Untried {
        seats: upstream.seats.at(Instant::now()),
        tried,
    };
    balance::pick(
        upstream.plan.balance,
        &upstream.turn,
        &candidates,
        &mut rand::rng(),
    )
}

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
