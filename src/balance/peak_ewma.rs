//! The one of two taken at random at which a request is likely to be answered sooner.

use std::time::Duration;

use rand::Rng;

use super::{Candidates, EndpointView, Turn, draw, least_request};

/// Two are drawn in proportion to weight; the request goes to the first, unless it costs less at the second.
///
/// The cost is the peak-sensitive mean of an endpoint's times to an answer, for each request that it works on and
/// for this one. Where one of the two was never seen to answer, the less busy one is taken. Source: Finagle's and
/// linkerd's peak EWMA balancers.
pub(super) fn pick(turn: &Turn, candidates: &impl Candidates, rng: &mut impl Rng) -> Option<usize> {
    draw::better_of_two(turn, candidates, rng, |first, second| {
        cheaper(first, second, first.peak, second.peak)
    })
}

/// Whether this request costs less at the second: `time x (in flight / capacity + 1)`, the capacities of the two
/// taken against their mean. So idle ones differ by their time alone and their draws keep the shares that the
/// weights say; busy ones get requests in flight in proportion to their weights.
pub(super) fn cheaper(
    first: &EndpointView,
    second: &EndpointView,
    first_takes: Option<Duration>,
    second_takes: Option<Duration>,
) -> bool {
    let (Some(first_takes), Some(second_takes)) = (first_takes, second_takes) else {
        return least_request::gains(first, second);
    };
    let (can_first, can_second) = first.capacities(second);
    let mean = f64::midpoint(can_first, can_second);
    let cost = |takes: Duration, view: &EndpointView, can: f64| {
        takes.as_secs_f64() * (f64::from(view.in_flight) * mean / can + 1.0)
    };
    cost(second_takes, second, can_second) < cost(first_takes, first, can_first)
}
