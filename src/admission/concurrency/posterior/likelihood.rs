//! How well each hypothesis explains a window.
//!
//! A request of a route with baseline b, sent while n were in flight, takes s·(b + mean·(m − 1)) on average where
//! one queue stands before c workers, and s·b·m where they share a processor, with m = max(1, n/c) and the traffic's
//! mean baseline. With exponential times, those still open censored, a cell of E seconds on test and d answers has the
//! log-likelihood −d·ln μ − E/μ. ln μ is a sum of a part in c and one in s, so all cells of a window add up to two
//! numbers for each capacity and discipline; only then are the five thousand hypotheses visited, once.

use super::{
    baselines::Baselines,
    grid::{CAPACITIES, Grid, ln_capacities, ln_slownesses},
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
        Self {
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
        self.answers += answers;
        let [queue, shared] = &mut *self.stretched;
        for ((queue, shared), ln_capacity) in queue.iter_mut().zip(shared).zip(ln_capacities()) {
            let ln_stretch = (ln_in_flight - ln_capacity).max(0.0);
            if ln_stretch > 0.0 {
                let alike = ln_stretch.exp();
                let waiting = 1.0 + (alike - 1.0) * common;
                queue.ln_stretch += answers * waiting.ln();
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
        let best = self.visit(grid, temper, f32::NEG_INFINITY, |best, _, explains| {
            best.max(explains)
        });
        self.visit(grid, temper, best, |best, cell, explains| {
            *cell *= (explains - best).max(WORST).exp();
            best
        });
        grid.normalize();
    }

    fn visit(
        &self,
        grid: &mut Grid,
        temper: f32,
        start: f32,
        mut each: impl FnMut(f32, &mut f32, f32) -> f32,
    ) -> f32 {
        let mut slow = [(0.0, 0.0); super::grid::SLOWNESSES];
        for (slow, ln_slowness) in slow.iter_mut().zip(ln_slownesses()) {
            *slow = (temper * self.answers * ln_slowness, (-ln_slowness).exp());
        }
        let mut carried = start;
        for (plane, sums) in grid.planes.iter_mut().zip(&*self.stretched) {
            for (row, sums) in plane.iter_mut().zip(sums) {
                let (ln_stretch, on_test) = (temper * sums.ln_stretch, temper * sums.on_test);
                for (cell, (answers, faster)) in row.iter_mut().zip(&slow) {
                    carried = each(carried, cell, -ln_stretch - answers - on_test * faster);
                }
            }
        }
        carried
    }
}
