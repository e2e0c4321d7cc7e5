//! What a posterior writes down to go on from after a restart, and how much of it is believed then.

use std::time::Duration;

use super::{
    Blur, Drops, Grid, Posterior, SLOWNESS_STEP, Tuning,
    baselines::Baselines,
    grid::{CAPACITY_STEP, SLOWNESSES, ln_capacities, ln_capacity, ln_slownesses},
};
use crate::admission::concurrency::{Belief, Bounds};

/// How much less sure a law is of itself at another endpoint, or after a restart.
pub(super) const ELSEWHERE: Blur = Blur {
    capacity_jump: 0.3,
    capacity_drift: 0.04,
    slowness_jump: 0.2,
    slowness_drift: 0.04,
    flip: 0.1,
};
/// After so long a belief is about as wide as that of a start.
const FADES: f64 = 3600.0;

// === impl Posterior ===

impl Posterior {
    /// Goes on from what one like it believed `ago`, at its `limit`. The belief is a sibling's, wider the longer ago it
    /// was held; the bounds clamp the limit.
    #[must_use]
    pub fn recall(bounds: Bounds, limit: f64, belief: &Belief, ago: Duration) -> Self {
        let tuning = Tuning::default();
        let mut law = Self::with(tuning.clone(), bounds);
        let faded = (ago.as_secs_f64() / FADES).sqrt();
        let widened = |spread: f64, start: f32, step: f32| {
            let spread = spread.hypot(f64::from(start) * faded);
            narrow(spread).max(step).min(start)
        };
        let (ln_capacity, capacity_spread) = belief.ln_capacity;
        let (ln_slowness, slowness_spread) = belief.ln_slowness;
        law.capacity = ln_capacity.exp();
        law.slowness = ln_slowness.exp();
        law.grid = Grid::normal(
            law.capacity,
            (
                widened(capacity_spread, tuning.capacity_spread, CAPACITY_STEP),
                widened(slowness_spread, tuning.slowness_spread, SLOWNESS_STEP),
            ),
            narrow(belief.shared),
            (tuning.capacity_jump.1, tuning.slowness_jump.1),
        );
        law.grid.shift_slowness(slowness_steps(narrow(ln_slowness)));
        law.grid.blur(&ELSEWHERE);
        law.baselines = Baselines::recall(&belief.baselines, &tuning.teaching);
        law.drops = Drops::default();
        law.limit = limit.clamp(bounds.min, bounds.max);
        law
    }

    /// What it believes, where it has learned anything.
    pub(super) fn to_belief(&self) -> Option<Belief> {
        if self.baselines.is_empty() {
            return None;
        }
        let capacities = self.grid.capacities();
        let mean = ln_capacity(&capacities);
        let slownesses = slownesses(&self.grid);
        let ln_slowness = self.grid.ln_slowness();
        let belief = Belief {
            ln_capacity: (f64::from(mean), spread(&capacities, ln_capacities(), mean)),
            ln_slowness: (
                f64::from(ln_slowness),
                spread(&slownesses, ln_slownesses(), ln_slowness),
            ),
            shared: f64::from(self.grid.shared()),
            baselines: self.baselines.iter().collect(),
        };
        Some(belief)
    }
}

/// How likely each slowness is.
fn slownesses(grid: &Grid) -> [f32; SLOWNESSES] {
    let mut sums = [0.0; SLOWNESSES];
    for row in grid.planes.iter().flat_map(|plane| plane.iter()) {
        for (sum, cell) in sums.iter_mut().zip(row) {
            *sum += cell;
        }
    }
    sums
}

/// The deviation of `values` around `mean`, weighed.
fn spread(weights: &[f32], values: impl Iterator<Item = f32>, mean: f32) -> f64 {
    let all: f32 = weights.iter().sum();
    let squares: f32 = weights
        .iter()
        .zip(values)
        .map(|(weight, value)| weight * (value - mean).powi(2))
        .sum();
    f64::from(squares / all.max(f32::MIN_POSITIVE)).sqrt()
}

/// How many steps of the grid this is; what is beyond the grid is its edge.
#[expect(clippy::cast_possible_truncation, reason = "at most the grid's width")]
fn slowness_steps(ln_slowness: f32) -> isize {
    const EDGE: f32 = 15.0;
    (ln_slowness / SLOWNESS_STEP).round().clamp(-EDGE, EDGE) as isize
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the grid is coarser than an f32"
)]
fn narrow(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests;
