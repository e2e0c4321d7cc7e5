//! The less busy of two taken at random.

use std::time::Duration;

use rand::Rng;

use super::{Candidates, EndpointView, Turn, draw, peak_ewma};

/// Two are drawn in proportion to weight; the request goes to the first, unless it is better off at the second.
///
/// With equal weights and no limits that is plain power of two choices: the one with fewer requests in flight, the
/// first of two alike. Source: Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS
/// 12(10), 2001.
///
/// Only where one takes [`FAR`] times as long as the other, its requests weigh by their time as well: one that
/// fails fast has none in flight, and would draw the load of all.
pub(super) fn pick(turn: &Turn, candidates: &impl Candidates, rng: &mut impl Rng) -> Option<usize> {
    draw::better_of_two(turn, candidates, rng, |first, second| {
        if far_apart(first.latency, second.latency) {
            peak_ewma::cheaper(first, second, first.latency, second.latency)
        } else {
            gains(first, second)
        }
    })
}

/// Times this far apart are no accident of what was asked for.
const FAR: u32 = 4;
/// Times below this are taken for this: what a scheduler does to them says nothing of an endpoint.
const FAST: Duration = Duration::from_millis(10);

fn far_apart(first: Option<Duration>, second: Option<Duration>) -> bool {
    let (Some(first), Some(second)) = (first, second) else {
        return false;
    };
    let (fast, slow) = (first.min(second).max(FAST), first.max(second));
    slow >= fast.saturating_mul(FAR)
}

/// Whether the second, with this request added, is no busier for what it can do than the first is without it. What
/// it can do is its limit where both have one, else its weight.
///
/// Comparing both with the request added would give the heavier of two idle ones everything, comparing both
/// without it would keep the lightest as busy as the others.
pub(super) fn gains(first: &EndpointView, second: &EndpointView) -> bool {
    let (can_first, can_second) = first.capacities(second);
    let with = (f64::from(second.in_flight) + 1.0) * can_first;
    let without = f64::from(first.in_flight) * can_second;
    with <= without
}
