//! A limit that is one number within bounds: what the laws that move it step by step share.

use std::time::Duration;

use super::{Because, Bounds, Verdict, Window, WindowEnd};

/// A limit that never leaves its bounds, and the window that its next move waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounded {
    limit: f64,
    bounds: Bounds,
    window: WindowEnd,
}

/// A second with at least ten ends.
pub(super) const SECOND: WindowEnd = WindowEnd {
    ends: 10,
    at_least: Duration::from_secs(1),
    few: 10,
    at_most: Duration::from_secs(1),
};

// === impl Bounded ===

impl Bounded {
    /// The initial limit; each move waits for such a window.
    pub(super) const fn new(bounds: Bounds, window: WindowEnd) -> Self {
        Self {
            limit: bounds.initial,
            bounds,
            window,
        }
    }

    /// Requests at once.
    pub(super) const fn get(&self) -> f64 {
        self.limit
    }

    /// Whether less than half of it was in flight at the sending of all that were answered.
    pub(super) fn is_idle(&self, window: &Window<'_>) -> bool {
        window.peak() * 2.0 < self.limit
    }

    /// Moves it, as far as the bounds let it.
    pub(super) const fn move_to(&mut self, limit: f64, because: Because) -> Verdict {
        self.limit = limit.clamp(self.bounds.min, self.bounds.max);
        self.verdict(because)
    }

    /// Other bounds: it stays where it is, clamped.
    pub(super) const fn rebound(&mut self, bounds: Bounds) -> Verdict {
        self.bounds = bounds;
        self.move_to(self.limit, Because::Bounds)
    }

    /// What holds, where nothing moves it.
    pub(super) const fn verdict(&self, because: Because) -> Verdict {
        Verdict {
            limit: self.limit,
            window: self.window,
            probe: None,
            because,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::concurrency::sample::{Sample, bounds};

    #[test]
    fn no_move_leaves_the_bounds() {
        let mut limit = Bounded::new(bounds(4.0, 5.0, 6.0), SECOND);
        for (to, expected) in [(5.5, 5.5), (100.0, 6.0), (0.0, 4.0)] {
            let verdict = limit.move_to(to, Because::Room);
            assert!((verdict.limit - expected).abs() < 1e-9, "{to}: {verdict:?}");
        }
        let verdict = limit.rebound(bounds(10.0, 10.0, 20.0));
        assert!((verdict.limit - 10.0).abs() < 1e-9, "{verdict:?}");
        assert_eq!(verdict.because, Because::Bounds);
    }

    #[test]
    fn it_is_idle_while_less_than_half_of_it_was_in_flight() {
        let limit = Bounded::new(bounds(1.0, 20.0, 100.0), SECOND);
        for (among, idle) in [(5, true), (12, false)] {
            let sample = Sample::answered(10, 20).among(among);
            assert_eq!(
                sample.window(|window| limit.is_idle(window)),
                idle,
                "{among}"
            );
        }
    }
}
