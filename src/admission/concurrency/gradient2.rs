//! A limit that compares the latency of now with that of always.

use rand::rngs::SmallRng;

use super::{
    Because, Bounds, Law, Verdict, Window,
    bounded::{Bounded, SECOND},
};

/// A concurrency limit by the gradient between a long average of latency and the present one.
///
/// `limit × clamp(TOLERANCE × long / mean, 0.5, 1) + QUEUE`, smoothed.
///
/// * Samples: the mean of each window of a second with at least ten answers.
/// * Bounds: `min ..= max` requests. An idle limit (in flight below half) does not move.
/// * A long average more than twice the present mean decays by 5 % a window, so that recovery is believed.
/// * Drops are not looked at, as in the original.
///
/// Source: Netflix concurrency-limits, `Gradient2Limit`, with its constants.
/// Differs: nothing moves on fewer than ten answers.
#[derive(Debug, Clone)]
pub struct Gradient2 {
    limit: Bounded,
    /// Seconds.
    long: f64,
    windows: f64,
}

// === impl Gradient2 ===

impl Gradient2 {
    /// How much slower than ever is tolerated.
    pub const TOLERANCE: f64 = 1.5;
    /// Requests that may queue.
    pub const QUEUE: f64 = 4.0;
    /// How much of the new limit is taken over.
    pub const SMOOTHING: f64 = 0.2;
    /// Windows that the long average remembers.
    pub const MEMORY: f64 = 600.0;
    /// For so many windows the long average is a plain mean.
    pub const WARM_UP: f64 = 10.0;

    /// Starts at the initial limit.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            limit: Bounded::new(bounds, SECOND),
            long: 0.0,
            windows: 0.0,
        }
    }

    /// Takes a mean, in seconds, into the long average.
    fn remember(&mut self, mean: f64) {
        self.windows += 1.0;
        let weight = if self.windows <= Self::WARM_UP {
            1.0 / self.windows
        } else {
            2.0 / (Self::MEMORY + 1.0)
        };
        self.long += weight * (mean - self.long);
        if self.long > 2.0 * mean {
            self.long *= 0.95;
        }
    }
}

impl Law for Gradient2 {
    fn start(&self) -> Verdict {
        self.limit.verdict(Because::Starting)
    }

    fn on_window(&mut self, window: &Window<'_>, _rng: &mut SmallRng) -> Verdict {
        let Some(mean) = window.mean().filter(|mean| !mean.is_zero()) else {
            return self.limit.verdict(Because::Steady);
        };
        let mean = mean.as_secs_f64();
        self.remember(mean);
        if self.limit.is_idle(window) {
            return self.limit.verdict(Because::Steady);
        }
        let gradient = (Self::TOLERANCE * self.long / mean).clamp(0.5, 1.0);
        let limit = self.limit.get();
        let wanted = limit * gradient + Self::QUEUE;
        let smooth = limit + Self::SMOOTHING * (wanted - limit);
        let because = if smooth > limit {
            Because::Room
        } else {
            Because::Queueing
        };
        self.limit.move_to(smooth, because)
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
            (Sample::answered(100, 20).among(20), 20.8),
            (Sample::answered(100, 20).among(5), 20.0),
            (Sample::answered(100, 200).among(20), 20.0 * 0.965 + 0.8),
        ];
        for (sample, expected) in cases {
            let mut law = Gradient2::new(bounds(1.0, 20.0, 100.0));
            let first = Sample::answered(100, 20).among(1);
            first.window(|window| law.on_window(window, &mut dice()));
            let verdict = sample.window(|window| law.on_window(window, &mut dice()));
            assert!(
                (verdict.limit - expected).abs() < 1e-9,
                "{sample:?}: {verdict:?}"
            );
        }
    }

    #[test]
    fn the_long_average_decays_where_the_present_is_twice_as_fast() {
        let mut law = Gradient2::new(bounds(1.0, 20.0, 100.0));
        for took in [100, 100, 10] {
            let sample = Sample::answered(100, took);
            sample.window(|window| law.on_window(window, &mut dice()));
        }
        assert!((law.long - 0.07 * 0.95).abs() < 1e-9, "{}", law.long);
    }
}
