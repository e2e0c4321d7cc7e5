//! One candidate out of several, by policy. Pure but for the rotation's place, which [`Turn`] keeps.
//!
//! * [`pick`] never chooses one that cannot serve, and finds one whenever there is one.
//! * One at its limit (hot) is passed over while another that can serve is not (cold), whatever the policy; where
//!   all are hot it is chosen as if none were, for the caller to wait or to refuse. Source: Wydrowski et al.,
//!   "Load is not what you should balance: Introducing Prequal", NSDI 2024.
//! * No allocation. O(1) while most can serve, weights are alike and few are hot; at worst three looks at every
//!   candidate.
//! * Whether an unhealthy endpoint may serve after all ([`in_panic`]) and how much of its weight one in slow start
//!   gets is the caller's to say, in [`EndpointView`].

mod draw;
mod ewma;
mod least_request;
mod peak_ewma;
mod round_robin;
mod turn;

use std::time::Duration;

use rand::Rng;

use crate::config::BalancePolicy;

pub use ewma::{Ewma, PeakEwma};
pub use turn::{Turn, Turns};

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

/// How a candidate stands. By default it cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EndpointView {
    /// Whether it may be chosen.
    pub can_serve: bool,
    /// Its share against the others', already scaled by slow start. Not above zero: the smallest share there is.
    pub weight: f32,
    /// Requests it is working on.
    pub in_flight: u32,
    /// How many it may work on at once; `None`: any number. At its limit it is hot.
    pub limit: Option<u32>,
    /// The mean of its times to an answer, failures counted as slow; `None` where nothing was seen of it yet.
    pub latency: Option<Duration>,
    /// The same, but believing peaks at once.
    pub peak: Option<Duration>,
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
    let picked = match policy {
        BalancePolicy::RoundRobin => round_robin::pick(turn, candidates),
        BalancePolicy::LeastRequest => least_request::pick(turn, candidates, rng),
        BalancePolicy::PeakEwma => peak_ewma::pick(turn, candidates, rng),
        BalancePolicy::Random => draw::weighted(turn, candidates, None, rng),
    }?;
    if candidates.view(picked).is_hot() {
        return Some(cold_after(picked, candidates).unwrap_or(picked));
    }
    Some(picked)
}

/// The first that can serve and is not hot, from the one after `picked` on, round to it.
fn cold_after(picked: usize, candidates: &impl Candidates) -> Option<usize> {
    let len = candidates.len();
    let after = picked.saturating_add(1)..len;
    after.chain(0..picked.min(len)).find(|index| {
        let view = candidates.view(*index);
        view.can_serve && !view.is_hot()
    })
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
    /// Whether it works on as many requests as it may.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        self.limit.is_some_and(|limit| self.in_flight >= limit)
    }

    /// What each of two can do, against the other: their limits where both have one above zero, else their weights.
    fn capacities(&self, other: &Self) -> (f64, f64) {
        match (self.limit, other.limit) {
            (Some(mine), Some(others)) if mine > 0 && others > 0 => (mine.into(), others.into()),
            _ => (self.share().into(), other.share().into()),
        }
    }

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
