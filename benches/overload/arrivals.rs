//! When requests come: a Poisson process whose rate goes in steps.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The arrivals of one run, each as time since its begin. The same seed gives the same arrivals, whatever is
/// in front of the backend.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// From a second on, so many a second; ascending.
    rate: Vec<(f64, f64)>,
    end: f64,
    now: f64,
    rng: StdRng,
}

impl Arrivals {
    /// Arrivals until `end`, in seconds.
    pub(crate) fn new(rate: Vec<(f64, f64)>, end: f64, seed: u64) -> Self {
        Self {
            rate,
            end,
            now: 0.0,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// The rate now, and when it next changes.
    fn stretch(&self) -> (f64, f64) {
        let past = self.rate.partition_point(|&(from, _)| from <= self.now);
        let rate = past.checked_sub(1).and_then(|at| self.rate.get(at));
        let next = self.rate.get(past);
        (
            rate.map_or(0.0, |&(_, rate)| rate),
            next.map_or(self.end, |&(from, _)| from.min(self.end)),
        )
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        while self.now < self.end {
            let (rate, until) = self.stretch();
            let unit: f64 = 1.0 - self.rng.random::<f64>();
            let at = self.now - unit.ln() / rate; // never, where the rate is 0
            if at < until {
                self.now = at;
                return Some(Duration::from_secs_f64(at));
            }
            self.now = until; // without memory: from a step on, drawn anew
        }
        None
    }
}
