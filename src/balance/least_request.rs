//! The less busy of two taken at random.

use rand::Rng;

use super::{Candidates, EndpointView, Turn, draw};

/// Two are drawn in proportion to weight; the request goes to the first, unless it is better off at the second.
///
/// With equal weights that is plain power of two choices: the one with fewer requests in flight, the first of two
/// alike. Source: Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001.
pub(super) fn pick(turn: &Turn, candidates: &impl Candidates, rng: &mut impl Rng) -> Option<usize> {
    let first = draw::weighted(turn, candidates, None, rng)?;
    if candidates.len() == 1 {
        return Some(first);
    }
    let Some(second) = draw::weighted(turn, candidates, Some(first), rng) else {
        return Some(first);
    };
    let gains = gains(&candidates.view(first), &candidates.view(second));
    Some(if gains { second } else { first })
}

/// Whether the second, with this request added, is no busier for its weight than the first is without it.
///
/// Comparing both with the request added would give the heavier of two idle ones everything, comparing both
/// without it would keep the lightest as busy as the others.
fn gains(first: &EndpointView, second: &EndpointView) -> bool {
    let with = (f64::from(second.in_flight) + 1.0) * f64::from(first.share());
    let without = f64::from(first.in_flight) * f64::from(second.share());
    with <= without
}
