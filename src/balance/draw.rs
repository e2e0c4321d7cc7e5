//! One candidate at random, in proportion to weight, and the better of two.

use rand::{Rng, RngExt};

use super::{Candidates, EndpointView, Turn};

/// Draws that may be rejected before every candidate is looked at.
const TRIES: usize = 8;

/// One that can serve and is not `besides`, in proportion to weight; `None` where there is none.
///
/// A candidate is drawn evenly and kept with the chance that its weight has against the heaviest. Where the
/// draws are used up, the candidates' weights are summed instead; both give the same shares.
pub(super) fn weighted(
    turn: &Turn,
    candidates: &impl Candidates,
    besides: Option<usize>,
    rng: &mut impl Rng,
) -> Option<usize> {
    let len = candidates.len();
    let mut heaviest = turn.heaviest();
    // About once in so many picks as there are candidates.
    if heaviest <= 0.0 || rng.random_range(0..len) == 0 {
        heaviest = turn.look(candidates);
    }
    for _ in 0..TRIES {
        let index = rng.random_range(0..len);
        let view = candidates.view(index);
        if !view.can_serve || besides == Some(index) {
            continue;
        }
        let share = view.share();
        if share > heaviest {
            turn.raise(share);
            heaviest = share;
        }
        if share >= heaviest || rng.random::<f32>() * heaviest < share {
            return Some(index);
        }
    }
    summed(candidates, besides, rng)
}

/// The same in two walks over all: the sum of the weights, then the one that a point in it falls to.
fn summed(
    candidates: &impl Candidates,
    besides: Option<usize>,
    rng: &mut impl Rng,
) -> Option<usize> {
    let weights = || {
        (0..candidates.len())
            .filter(|index| besides != Some(*index))
            .map(|index| (index, candidates.view(index)))
            .filter(|(_, view)| view.can_serve)
            .map(|(index, view)| (index, f64::from(view.share())))
    };
    let sum: f64 = weights().map(|(_, weight)| weight).sum();
    let mut point = rng.random::<f64>() * sum;
    let mut last = None;
    for (index, weight) in weights() {
        if point < weight {
            return Some(index);
        }
        point -= weight;
        last = Some(index); // rounding, or weights that changed between the walks
    }
    last
}

/// The one of two drawn that `gains` prefers, told how the first and the second stand; a cold one before a hot one.
pub(super) fn better_of_two(
    turn: &Turn,
    candidates: &impl Candidates,
    rng: &mut impl Rng,
    gains: impl FnOnce(&EndpointView, &EndpointView) -> bool,
) -> Option<usize> {
    let first = weighted(turn, candidates, None, rng)?;
    if candidates.len() == 1 {
        return Some(first);
    }
    let Some(second) = weighted(turn, candidates, Some(first), rng) else {
        return Some(first);
    };
    let (left, right) = (candidates.view(first), candidates.view(second));
    let takes_second = match (left.is_hot(), right.is_hot()) {
        (true, false) => true,
        (false, true) => false,
        _ => gains(&left, &right),
    };
    Some(if takes_second { second } else { first })
}
