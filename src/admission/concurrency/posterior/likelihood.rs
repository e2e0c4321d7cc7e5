//! How well each hypothesis explains a window.
//!
//! A request of a route with baseline b, sent while n were in flight, takes s·(b + mean·(m − 1)) on average where
//! one queue stands before c workers, and s·b·m where they share a processor, with m = max(1, n/c) and the traffic's
//! mean baseline. With exponential times, those still open censored, a cell of E seconds on test and d answers has the
//! log-likelihood −d·ln μ − E/μ. ln μ is a sum of a part in c and one in s, so all cells of a window add up to two
//! numbers for each capacity and discipline; only then are the five thousand hypotheses visited, once.

use super::{
    baselines::Baselines,
    grid::{CAPACITIES, Grid, LARGEST, SLOWNESSES, ln_capacities, ln_slownesses},
};
use crate::admission::concurrency::Cell;

/// A hypothesis this much worse than the best, in ln, is as good as ruled out.
const WORST: f32 = -40.0;

/// What a window's cells sum up to.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// For each discipline and capacity: answers times ln of their stretch, and baselines on test over their stretch.
    stretched: Box<[[Stretched; CAPACITIES]; 2]>,
    /// Answers in all.
    answers: f32,
    /// The capacities.
    places: Box<[Place; CAPACITIES]>,
}

/// A capacity, and what part of it one request is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    ln_capacity: f32,
    share: f32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stretched {
    ln_stretch: f32,
    on_test: f32,
}

// === impl Evidence ===

impl Evidence {
    /// None.
    pub(super) fn new() -> Self {
        let mut places = Box::new([Place::default(); CAPACITIES]);
        for (place, ln_capacity) in places.iter_mut().zip(ln_capacities()) {
            let share = (-ln_capacity).exp();
            *place = Place { ln_capacity, share };
        }
        Self {
            places,
            stretched: Box::new([[Stretched::default(); CAPACITIES]; 2]),
            answers: 0.0,
        }
    }

    /// What these cells say, where the baselines of their routes are known.
    pub(super) fn gather(&mut self, cells: &[Cell], baselines: &Baselines) {
        for sums in self.stretched.iter_mut().flatten() {
            *sums = Stretched::default();
        }
        self.answers = 0.0;
        let mean = baselines.mean();
        for cell in cells {
            if let Some(baseline) = baselines.of(cell.route) {
                self.add(cell, baseline, mean);
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a window's sums fit an f32"
    )]
    fn add(&mut self, cell: &Cell, baseline: f64, mean: f64) {
        let answers = cell.done as f32;
        let on_test = (cell.on_test / baseline) as f32;
        let common = (mean / baseline) as f32;
        let ln_in_flight = f32::from(cell.bin) / 10.0;
        let in_flight = ln_in_flight.exp();
        let alone = (common - 1.0).abs() < f32::EPSILON; // the traffic is of one route
        self.answers += answers;
        let [queue, shared] = &mut *self.stretched;
        let rows = queue.iter_mut().zip(shared).zip(&*self.places);
        for ((queue, shared), place) in rows {
            let ln_stretch = ln_in_flight - place.ln_capacity;
            if ln_stretch > 0.0 {
                let alike = in_flight * place.share;
                let waiting = 1.0 + (alike - 1.0) * common;
                queue.ln_stretch += answers * if alone { ln_stretch } else { waiting.ln() };
                queue.on_test += on_test / waiting;
                shared.ln_stretch += answers * ln_stretch;
                shared.on_test += on_test / alike;
            } else {
                queue.on_test += on_test;
                shared.on_test += on_test;
            }
        }
    }

    /// Weighs each hypothesis of the grid by how well it explains this, tempered.
    pub(super) fn weigh(&self, grid: &mut Grid, temper: f32) {
        let answers = temper * self.answers;
        let mut slow = [(0.0, 0.0); SLOWNESSES];
        for (slow, ln_slowness) in slow.iter_mut().zip(ln_slownesses()) {
            *slow = (answers * ln_slowness, (-ln_slowness).exp());
        }
        let all = self.stretched.iter().flatten();
        let best = all.map(|sums| sums.best(temper, answers));
        let best = best.fold(f32::NEG_INFINITY, f32::max);
        for (plane, sums) in grid.planes.iter_mut().zip(&*self.stretched) {
            for (row, sums) in plane.iter_mut().zip(sums) {
                let (common, on_test) = (best + temper * sums.ln_stretch, temper * sums.on_test);
                for (cell, (answers, faster)) in row.iter_mut().zip(&slow) {
                    *cell *= exp(-common - answers - on_test * faster);
                }
            }
        }
        grid.normalize();
    }
}

// === impl Stretched ===

impl Stretched {
    /// How well the slowness that suits this capacity best explains the window.
    fn best(self, temper: f32, answers: f32) -> f32 {
        let on_test = temper * self.on_test;
        let suits = (on_test / answers.max(f32::MIN_POSITIVE)).max(f32::MIN_POSITIVE);
        let ln_slowness = suits.ln().clamp(-LARGEST, LARGEST);
        -temper * self.ln_stretch - answers * ln_slowness - on_test * (-ln_slowness).exp()
    }
}

/// e to a power of at most about 0, to four digits, and for all lanes of a processor at once: the power of two goes
/// into the exponent's bits, the rest is a polynomial.
fn exp(power: f32) -> f32 {
    const TO_WHOLE: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves no bits for a fraction
    const BIAS: u32 = 127;
    const SERIES: [f32; 6] = [
        0.001_333_6,
        0.009_618_1,
        0.055_504_1,
        0.240_226_5,
        std::f32::consts::LN_2,
        1.0,
    ];
    let twos = power.max(WORST) * std::f32::consts::LOG2_E;
    let whole = twos + TO_WHOLE;
    let rest = twos - (whole - TO_WHOLE);
    let fraction = SERIES.iter().fold(0.0, |sum, term| sum * rest + term);
    fraction * f32::from_bits(whole.to_bits().wrapping_add(BIAS) << 23)
}
