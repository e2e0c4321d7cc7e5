//! One candidate out of several, by policy. Pure but for the rotation's place, which [`Turn`] keeps.
//!
//! * [`pick`] never chooses one that cannot serve, and finds one whenever there is one.
//! * No allocation. O(1) while most can serve and weights are alike; at worst two looks at every candidate.
//! * Whether an unhealthy endpoint may serve after all ([`in_panic`]) and how much of its weight one in slow start
//!   gets is the caller's to say, in [`EndpointView`].

mod draw;
mod least_request;
mod round_robin;
mod turn;

use rand::Rng;

use crate::config::BalancePolicy;

pub use turn::Turn;

/// What one can be chosen from.
pub trait Candidates {
    /// How many there are.
    fn len(&self) -> usize;

    /// How the one at `index` stands; `index` is below [`len`](Self::len).
    fn view(&self, index: usize) -> EndpointView;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a candidate stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndpointView {
    /// Whether it may be chosen.
    pub can_serve: bool,
    /// Its share against the others', already scaled by slow start. Not above zero: the smallest share there is.
    pub weight: f32,
    /// Requests it is working on.
    pub in_flight: u32,
}

/// The index of the next endpoint; `None` where none can serve.
///
/// `turn` belongs to these candidates and is used by every policy.
pub fn pick(
    policy: BalancePolicy,
    turn: &Turn,
    candidates: &impl Candidates,
    rng: &mut impl Rng,
) -> Option<usize> {
    if candidates.is_empty() {
        return None;
    }
    match policy {
        BalancePolicy::RoundRobin => round_robin::pick(turn, candidates),
        BalancePolicy::LeastRequest => least_request::pick(turn, candidates, rng),
        BalancePolicy::Random => draw::weighted(turn, candidates, None, rng),
    }
}

/// Whether so few can serve that all should: fewer than `threshold` (0 to 1) of `total`.
///
/// What is left would be overrun by the load of all; a check that is wrong about many is likelier than many
/// failures. 0: never. Source: Envoy's panic threshold.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "a share of a number of endpoints"
)]
pub fn in_panic(healthy: usize, total: usize, threshold: f64) -> bool {
    total > 0 && (healthy as f64) < threshold * (total as f64)
}

impl EndpointView {
    /// The weight, above zero whatever was said.
    fn share(&self) -> f32 {
        if self.weight > 0.0 {
            self.weight.min(f32::MAX)
        } else {
            f32::MIN_POSITIVE
        }
    }
}

#[cfg(test)]
mod tests;
