//! How late the runtime's timers come.

use std::time::Duration;

/// The lag of the last [`KEPT`] ticks. One late tick is an accident, most of a second's late ticks are a runtime
/// whose workers don't come round.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lags {
    last: [Duration; KEPT],
    next: usize,
    seen: usize,
}

/// Ticks whose lag is kept: those of a second.
pub(super) const KEPT: usize = 4;

// === impl Lags ===

impl Lags {
    /// A tick came so late.
    pub(super) fn push(&mut self, late: Duration) {
        if let Some(place) = self.last.get_mut(self.next) {
            *place = late;
        }
        self.next = self.next.wrapping_add(1) % KEPT;
        self.seen = self.seen.saturating_add(1).min(KEPT);
    }

    /// The median, in seconds; `None` before a second is over.
    pub(super) fn median(&self) -> Option<f64> {
        let mut sorted = self.last;
        sorted.sort_unstable();
        let [_, low, high, _] = sorted;
        (self.seen == KEPT).then(|| f64::midpoint(low.as_secs_f64(), high.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(millis: &[u64]) -> Option<f64> {
        let mut lags = Lags::default();
        for late in millis {
            lags.push(Duration::from_millis(*late));
        }
        lags.median()
    }

    #[test]
    fn nothing_is_said_before_a_second_is_over() {
        assert_eq!(median(&[900, 900, 900]), None);
    }

    #[test]
    fn one_late_tick_is_not_a_slow_runtime_but_three_of_four_are() {
        assert_eq!(median(&[1, 900, 1, 1]), Some(0.001));
        assert_eq!(median(&[30, 30, 1, 30]), Some(0.030));
    }

    #[test]
    fn old_ticks_are_forgotten() {
        assert_eq!(median(&[900, 900, 900, 900, 2, 2, 2, 2]), Some(0.002));
    }
}
