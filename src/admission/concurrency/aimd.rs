//! Additive increase, multiplicative decrease.

use std::time::Duration;

use rand::rngs::SmallRng;

use super::{Because, Bounds, Law, Verdict, Window, WindowEnd, bounded::Bounded};

/// A limit that grows with each good answer and shrinks with each bad one.
///
/// * Samples: tiny windows, one for each end where the lane can. Each answer adds 1 while at least half of the limit
///   is in flight; a drop, or an answer later than `slow`, takes [`Self::BACKOFF`] of it.
/// * Bounds: `min ..= max` requests. An idle limit (in flight below half) never grows.
///
/// It finds the place where the endpoint *fails*, not where it works best, and saws between both.
///
/// Source: Chiu & Jain, "Analysis of the increase and decrease algorithms", 1989; constants as in Netflix
/// concurrency-limits.
#[derive(Debug, Clone)]
pub struct Aimd {
    limit: Bounded,
    slow: Duration,
}

/// Each end by itself.
const WINDOW: WindowEnd = WindowEnd {
    ends: 1,
    at_least: Duration::ZERO,
    few: 1,
    at_most: Duration::ZERO,
};

// === impl Aimd ===

impl Aimd {
    /// What is left of the limit after a drop.
    pub const BACKOFF: f64 = 0.9;
    /// An answer later than this is a drop, where nobody says otherwise.
    pub const SLOW: Duration = Duration::from_secs(5);

    /// Starts at the initial limit; answers later than `slow` count as drops.
    #[must_use]
    pub const fn new(bounds: Bounds, slow: Duration) -> Self {
        Self {
            limit: Bounded::new(bounds, WINDOW),
            slow,
        }
    }
}

impl Law for Aimd {
    fn start(&self) -> Verdict {
        self.limit.verdict(Because::Starting)
    }

    fn on_window(&mut self, window: &Window<'_>, _rng: &mut SmallRng) -> Verdict {
        let late = window.mean().is_some_and(|mean| mean > self.slow);
        let limit = self.limit.get();
        let (next, because) = if window.dropped > 0 {
            ((limit * Self::BACKOFF).floor(), Because::Drops)
        } else if late {
            ((limit * Self::BACKOFF).floor(), Because::Queueing)
        } else if self.limit.is_idle(window) {
            (limit, Because::Steady)
        } else {
            (limit + f64::from(window.done), Because::Room)
        };
        self.limit.move_to(next, because)
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
    fn each_end_moves_the_limit_as_it_should() {
        let cases = [
            (Sample::answered(1, 20).among(12), 21.0),
            (Sample::answered(1, 20).among(5), 20.0),
            (Sample::answered(1, 300).among(12), 18.0),
            (Sample::dropped(1), 18.0),
            (Sample::answered(3, 20).among(12), 23.0),
        ];
        for (sample, expected) in cases {
            let mut law = Aimd::new(bounds(1.0, 20.0, 100.0), Duration::from_millis(200));
            let verdict = sample.window(|window| law.on_window(window, &mut dice()));
            assert!(
                (verdict.limit - expected).abs() < 1e-9,
                "{sample:?}: {verdict:?}"
            );
        }
    }

    #[test]
    fn the_bounds_hold() {
        let mut law = Aimd::new(bounds(4.0, 5.0, 6.0), Aimd::SLOW);
        for _ in 0..10 {
            Sample::answered(1, 1)
                .among(6)
                .window(|window| law.on_window(window, &mut dice()));
        }
        assert!((law.limit.get() - 6.0).abs() < 1e-9);
        for _ in 0..10 {
            Sample::dropped(1).window(|window| law.on_window(window, &mut dice()));
        }
        assert!((law.limit.get() - 4.0).abs() < 1e-9);
    }
}
