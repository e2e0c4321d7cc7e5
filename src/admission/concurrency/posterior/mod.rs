//! Tidegate's own law: what do the answers so far say about how many requests an endpoint can work on at once?

mod baselines;
mod drops;
mod grid;
mod likelihood;
mod memory;
mod tuning;

use std::time::Duration;

use rand::rngs::SmallRng;
pub use tuning::{Caution, Deep, Looks, Teaching, Tuning};

use self::{
    baselines::{Baselines, Believed},
    drops::Drops,
    grid::{Blur, CAPACITIES, Grid, SLOWNESS_STEP, beyond, ln_capacity, quantile},
    likelihood::Evidence,
};
use super::{Because, Belief, Beliefs, Bounds, Law, Probe, Verdict, Window, WindowEnd};

/// A small Bayes filter over capacity, slowness and discipline.
///
/// * Samples: for each route and in-flight count at sending, the seconds on test in a window, finished or not, and
///   the answers. Open requests belong to it: the early finishers alone make every step up look harmless.
/// * The limit is a quantile of capacity, rather too high than too low: too low costs five times as much.
/// * Bounds: `min ..= max` requests. It grows only while it is met, by at most [`Tuning::grow`] a window; an unused
///   limit never grows, and shrinks only to what capacity almost certainly does not reach.
/// * Drops put a cap below it while that helps; they are no answers.
/// * No allocation per window once each route was seen.
///
/// Half the workers and twice the work look the same at one in-flight count, so it looks above and below while its
/// limit is met ([`Looks`]); the queue in front pays for that.
#[derive(Debug, Clone)]
pub struct Posterior {
    tuning: Tuning,
    bounds: Bounds,
    grid: Grid,
    evidence: Evidence,
    baselines: Baselines,
    drops: Drops,
    /// The limit before the cap of drops.
    limit: f64,
    /// exp of the mean of ln capacity.
    capacity: f64,
    /// exp of the mean of ln slowness.
    slowness: f64,
    /// There may be room, or far less than was thought: look again soon.
    search: bool,
    /// The limit of the next look down, as a share of the limit.
    down: f64,
    /// From one answer to the next, when last the limit was in use.
    answer: Duration,
    ends: u64,
}

/// Longer windows tell no more about how much may have changed.
const LONGEST: Duration = Duration::from_secs(2);
/// The least time of a window.
const AT_LEAST: Duration = Duration::from_millis(20);
/// A window of so few ends closes after [`AT_MOST`].
const FEW: u32 = 8;
const AT_MOST: Duration = Duration::from_millis(500);
/// Where answers are rare, a look takes no longer than this, and the next comes after no more than that.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Slowness beyond this, in ln, becomes the new normal.
const FOLD: f32 = 1.3;
/// A move of less, as a share, is none.
const HARDLY: f64 = 0.01;

// === impl Posterior ===

impl Posterior {
    /// Knows nothing but its bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self::with(Tuning::default(), bounds)
    }

    /// With other numbers, to see what each part buys.
    #[must_use]
    pub fn with(tuning: Tuning, bounds: Bounds) -> Self {
        let grid = Grid::normal(
            bounds.initial,
            (tuning.capacity_spread, tuning.slowness_spread),
            tuning.shared_at_first,
            (tuning.capacity_jump.1, tuning.slowness_jump.1),
        );
        Self {
            grid,
            bounds,
            evidence: Evidence::new(),
            baselines: Baselines::default(),
            drops: Drops::default(),
            limit: bounds.initial,
            capacity: bounds.initial,
            slowness: 1.0,
            search: false,
            down: 1.0,
            answer: Duration::ZERO,
            ends: 0,
            tuning,
        }
    }

    /// What may have changed in the window.
    fn blur(&self, length: Duration, ends: u32, used: bool) -> Blur {
        let tuning = &self.tuning;
        let passed = length.min(LONGEST).min(tuning.pace.saturating_mul(ends));
        let seconds = passed.as_secs_f32();
        let used = if used { seconds } else { 0.0 };
        Blur {
            capacity_jump: (tuning.capacity_jump.0 * used).min(0.5),
            capacity_drift: tuning.capacity_drift.powi(2) * used,
            slowness_jump: tuning.slowness_jump.0 * seconds,
            slowness_drift: tuning.slowness_drift.powi(2) * seconds,
            flip: if tuning.shared_at_first > 0.0 {
                tuning.discipline_flip * seconds
            } else {
                0.0
            },
        }
    }

    /// The limit that the posterior asks for, as far as the window allows to go there.
    fn place(&self, capacities: &[f32; CAPACITIES], window: &Window<'_>, used: bool) -> f64 {
        let tuning = &self.tuning;
        if !used {
            return self.limit.min(quantile(capacities, tuning.idle_quantile));
        }
        let near = window.done_at(tuning.near * self.limit);
        let met = f64::from(near) >= tuning.grow_from * f64::from(window.done);
        let most = if met { tuning.grow } else { 1.0 };
        quantile(capacities, tuning.quantile).min(self.limit * most)
    }

    /// How soon and how deep to look next.
    fn look(&mut self, capacities: &[f32; CAPACITIES], used: bool, looks: &Looks) {
        let room = beyond(capacities, self.limit * f64::from(looks.room));
        let low = quantile(capacities, 0.1) / self.limit;
        let deep = looks.deep.filter(|deep| {
            let (from, to) = deep.within;
            used && (from..to).contains(&self.ends) && low < deep.below
        });
        self.search = deep.is_some() || used && room > looks.likely;
        self.down = match deep {
            Some(deep) => (self.down * deep.step).max(deep.least),
            None => looks.down,
        };
    }

    /// Much slower service is the usual from now on, so that the grid keeps room on both sides.
    fn fold(&mut self) {
        let ln_slowness = grid::log(self.slowness);
        if !self.tuning.fold || ln_slowness.abs() <= FOLD {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most half the grid")]
        let steps = (ln_slowness / SLOWNESS_STEP).round() as i16;
        let factor = f64::from(f32::from(steps) * SLOWNESS_STEP).exp();
        self.slowness /= factor;
        self.baselines.stretch(factor);
        self.grid.shift_slowness(-isize::from(steps));
    }

    fn verdict(&self, because: Because) -> Verdict {
        let warm = self.ends > self.tuning.warm_for;
        Verdict {
            limit: self.capped(),
            window: WindowEnd {
                ends: if warm {
                    self.tuning.ends
                } else {
                    self.tuning.warm_ends
                },
                at_least: AT_LEAST,
                few: FEW,
                at_most: AT_MOST,
            },
            probe: self.probe(),
            because,
        }
    }

    fn probe(&self) -> Option<Probe> {
        let capped = self.drops.cap().is_some();
        let known = !self.baselines.is_empty() && !capped;
        let looks = self.tuning.looks.filter(|_| known)?;
        let deep = looks.deep.filter(|_| self.down < looks.down);
        let up_sends = sends(looks.up_sends, self.limit);
        let down_sends = sends(deep.map_or(looks.down_sends, |deep| deep.sends), self.limit);
        let takes = self
            .answer
            .saturating_mul(up_sends.saturating_add(down_sends));
        let rest = takes.saturating_mul(looks.rest).min(LONGEST_REST);
        Some(Probe {
            up: looks.up,
            up_sends,
            down: self.down,
            down_sends,
            every: match (self.search, looks.at_first) {
                (true, (again, ends)) if self.ends < ends => again,
                (true, _) => looks.again,
                (false, _) => looks.every.max(rest),
            },
            patience: looks
                .patience
                .max(takes.saturating_mul(2).min(LONGEST_LOOK)),
        })
    }

    fn capped(&self) -> f64 {
        let cap = self.drops.cap().unwrap_or(f64::INFINITY);
        self.limit.min(cap).clamp(self.bounds.min, self.bounds.max)
    }

    fn because(&self, before: f64, used: bool) -> Because {
        let now = self.capped();
        if (now - before).abs() <= HARDLY * before {
            Because::Steady
        } else if now < self.limit {
            Because::Drops
        } else if now > before {
            Because::Room
        } else if used {
            Because::Queueing
        } else {
            Because::Idle
        }
    }
}

impl Law for Posterior {
    fn start(&self) -> Verdict {
        self.verdict(Because::Starting)
    }

    fn on_window(&mut self, window: &Window<'_>, _rng: &mut SmallRng) -> Verdict {
        if window.cells.is_empty() && window.ends() == 0 {
            return self.verdict(Because::Steady); // nothing was seen, so nothing moves
        }
        let before = self.capped();
        let length = window.length();
        let used = window.sends > 0
            && f64::from(window.limited) >= self.tuning.used_from * f64::from(window.sends);
        self.ends = self.ends.saturating_add(u64::from(window.ends()));
        if used {
            self.answer = length / window.ends().max(1);
        }
        let believed = Believed {
            slowness: self.slowness,
            room: self.capacity.min(self.limit),
        };
        self.baselines
            .teach(window.cells, believed, &self.tuning.teaching);
        self.grid.blur(&self.blur(length, window.ends(), used));
        self.evidence.gather(window.cells, &self.baselines);
        self.evidence.weigh(&mut self.grid, self.tuning.temper);

        let capacities = self.grid.capacities();
        self.capacity = f64::from(ln_capacity(&capacities)).exp();
        self.slowness = f64::from(self.grid.ln_slowness()).exp();
        let place = self.place(&capacities, window, used);
        self.limit = place.clamp(self.bounds.min, self.bounds.max);
        if let Some(looks) = self.tuning.looks {
            self.look(&capacities, used, &looks);
        }
        self.fold();
        if let Some(caution) = &self.tuning.drops {
            let ends = (window.dropped, window.ends());
            self.drops
                .on_window(ends, self.limit, (window.ended, length), caution);
        }
        self.verdict(self.because(before, used))
    }

    fn rebound(&mut self, bounds: Bounds) -> Verdict {
        self.bounds = bounds;
        self.limit = self.limit.clamp(bounds.min, bounds.max);
        self.verdict(Because::Bounds)
    }

    fn beliefs(&self) -> Beliefs {
        let capacities = self.grid.capacities();
        Beliefs {
            capacity: Some([0.05, 0.25, 0.5, 0.75, 0.95].map(|of| quantile(&capacities, of))),
            slowness: Some(self.slowness),
            shared: Some(f64::from(self.grid.shared())),
            baselines: self.baselines.iter().collect(),
        }
    }

    fn belief(&self) -> Option<Belief> {
        self.to_belief()
    }

    fn sibling(&self) -> Option<Box<dyn Law>> {
        let mut sibling = self.clone();
        sibling.grid.blur(&memory::ELSEWHERE);
        sibling.drops = Drops::default();
        sibling.ends = 0;
        Some(Box::new(sibling))
    }
}

/// At least so many, and so many for each place.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a limit and a few times as many fit"
)]
fn sends((least, each): (f64, f64), limit: f64) -> u32 {
    (each * limit).max(least) as u32
}
