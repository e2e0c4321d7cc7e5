//! Windows for the tests of laws.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::SmallRng};

use super::{Bounds, Cell, Window};
use crate::admission::moment::Moment;

/// A window of a second in which all were alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    done: u32,
    took_ms: u64,
    dropped: u32,
    among: u32,
    limited: bool,
}

impl Sample {
    /// So many answers of so many milliseconds each, at once with ten others, the limit met.
    pub(super) const fn answered(done: u32, took_ms: u64) -> Self {
        Self {
            done,
            took_ms,
            dropped: 0,
            among: 10,
            limited: true,
        }
    }

    /// Nothing but drops.
    pub(super) const fn dropped(dropped: u32) -> Self {
        Self::answered(0, 0).and_dropped(dropped)
    }

    pub(super) const fn and_dropped(self, dropped: u32) -> Self {
        Self { dropped, ..self }
    }

    /// So many were in flight at their sending.
    pub(super) const fn among(self, among: u32) -> Self {
        Self { among, ..self }
    }

    /// Shows it as a window.
    pub(super) fn window<T>(&self, look: impl FnOnce(&Window<'_>) -> T) -> T {
        let took = Duration::from_millis(self.took_ms) * self.done;
        let cell = Cell {
            route: 0,
            bin: bin(self.among),
            on_test: took.as_secs_f64(),
            done: self.done,
        };
        let sends = self.done + self.dropped;
        look(&Window {
            began: Moment::ZERO,
            ended: Moment::after_start(Duration::from_secs(1)),
            cells: &[cell],
            sends,
            limited: if self.limited { sends } else { 0 },
            done: self.done,
            dropped: self.dropped,
            took,
        })
    }
}

/// `round(10 ln n)`
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 222"
)]
pub(super) fn bin(in_flight: u32) -> u8 {
    (10.0 * f64::from(in_flight.max(1)).ln()).round() as u8
}

pub(super) fn bounds(min: f64, initial: f64, max: f64) -> Bounds {
    Bounds { min, max, initial }
}

pub(super) fn dice() -> SmallRng {
    SmallRng::seed_from_u64(1)
}
