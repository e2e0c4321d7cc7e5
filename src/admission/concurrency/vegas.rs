//! A limit that watches for queueing.

use rand::{RngExt as _, rngs::SmallRng};

use super::{
    Because, Bounds, Law, Verdict, Window,
    bounded::{Bounded, SECOND},
};

/// A concurrency limit after TCP Vegas.
///
/// The work queued at the endpoint is estimated as `limit × (1 − least / mean)`, in requests. With `step` the decimal
/// logarithm of the limit, in whole numbers and at least 1: up to a `step` the limit grows by [`Self::LEAP`] steps,
/// below [`Self::ALPHA`] by one, above [`Self::BETA`] it shrinks by one, between them it rests.
///
/// * Samples: the mean of each window of a second with at least ten answers.
/// * Bounds: `min ..= max` requests. An idle limit (in flight below half) never grows.
/// * Drops shrink whatever the mean.
/// * The least mean is taken anew each 15 to 30 × limit windows (jittered), so that a slower endpoint is believed.
///
/// Source: Brakmo & Peterson, "TCP Vegas", IEEE JSAC 13(8), 1995; constants as in Netflix concurrency-limits.
/// Differs: nothing moves on fewer than ten answers, however long they take to come.
#[derive(Debug, Clone)]
pub struct Vegas {
    limit: Bounded,
    /// Seconds.
    least: Option<f64>,
    /// Windows since the least was taken anew, and after how many × limit it is again.
    windows: f64,
    jitter: f64,
}

// === impl Vegas ===

impl Vegas {
    /// Steps it grows by while hardly anything queues.
    pub const LEAP: f64 = 6.0;
    /// Steps queued below which it grows.
    pub const ALPHA: f64 = 3.0;
    /// Steps queued above which it shrinks.
    pub const BETA: f64 = 6.0;
    /// The least mean holds for at most so many × limit windows.
    pub const ANEW: f64 = 30.0;

    /// Starts at the initial limit.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            limit: Bounded::new(bounds, SECOND),
            least: None,
            windows: 0.0,
            jitter: 1.0,
        }
    }

    /// Where a window of this mean moves the limit.
    fn next(&self, window: &Window<'_>, mean: f64, least: f64) -> (f64, Because) {
        let limit = self.limit.get();
        let step = limit.log10().floor().max(1.0);
        let queued = (limit * (1.0 - least / mean)).ceil();
        if window.dropped > 0 {
            (limit - step, Because::Drops)
        } else if self.limit.is_idle(window) {
            (limit, Because::Steady)
        } else if queued <= step {
            (limit + Self::LEAP * step, Because::Room)
        } else if queued < Self::ALPHA * step {
            (limit + step, Because::Room)
        } else if queued > Self::BETA * step {
            (limit - step, Because::Queueing)
        } else {
            (limit, Because::Steady)
        }
    }
}

impl Law for Vegas {
    fn start(&self) -> Verdict {
        self.limit.verdict(Because::Starting)
    }

    fn on_window(&mut self, window: &Window<'_>, rng: &mut SmallRng) -> Verdict {
        let Some(mean) = window.mean().filter(|mean| !mean.is_zero()) else {
            return self.limit.verdict(Because::Steady);
        };
        let mean = mean.as_secs_f64();
        self.windows += 1.0;
        let anew = self.windows >= self.jitter * Self::ANEW * self.limit.get();
        if anew {
            self.windows = 0.0;
            self.jitter = rng.random_range(0.5..1.0);
        }
        let Some(least) = self.least.filter(|least| !anew && mean >= *least) else {
            self.least = Some(mean);
            return self.limit.verdict(Because::Steady);
        };
        let (limit, because) = self.next(window, mean, least);
        self.limit.move_to(limit, because)
    }

    fn rebound(&mut self, bounds: Bounds) -> Verdict {
        self.limit.rebound(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::concurrency::sample::{Sample, bounds, dice};

    #[test]
    fn each_window_moves_the_limit_as_it_should() {
        let cases = [
            (Sample::answered(100, 20).among(20), 26.0),
            (Sample::answered(100, 22).among(20), 21.0),
            (Sample::answered(100, 26).among(20), 20.0),
            (Sample::answered(100, 40).among(20), 19.0),
            (Sample::answered(100, 40).among(5), 20.0),
            (Sample::answered(100, 20).among(20).and_dropped(1), 19.0),
        ];
        for (sample, expected) in cases {
            let mut law = Vegas::new(bounds(1.0, 20.0, 100.0));
            let first = Sample::answered(100, 20);
            first.window(|window| law.on_window(window, &mut dice()));
            let verdict = sample.window(|window| law.on_window(window, &mut dice()));
            assert!(
                (verdict.limit - expected).abs() < 1e-9,
                "{sample:?}: {verdict:?}"
            );
        }
    }

    #[test]
    fn the_least_mean_is_taken_anew_after_a_while() {
        let mut law = Vegas::new(bounds(20.0, 20.0, 20.0));
        Sample::answered(100, 1).window(|window| law.on_window(window, &mut dice()));
        for _ in 0..600 {
            Sample::answered(100, 50).window(|window| law.on_window(window, &mut dice()));
        }
        assert!((law.least.unwrap() - 0.05).abs() < 1e-9);
    }
}
