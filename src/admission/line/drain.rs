//! How fast places come free while somebody waits for one, as measured.

use std::time::Duration;

use crate::admission::moment::Moment;

/// The mean time between two places that came free, over some fifty of them.
///
/// It counts only while somebody always waited: else nobody came for the place, and the gap says nothing. What was
/// in flight over how long it takes would be as good in a steady state, and wrong whenever the limit moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    /// Seconds; 0: nothing is known.
    gap: f64,
    last: Option<Moment>,
    measured_at: Moment,
}

/// How much a new gap counts.
const WEIGHT: f64 = 0.02;
/// A measure that is older says nothing any more.
const FRESH: Duration = Duration::from_secs(2);

// === impl Drain ===

impl Drain {
    pub(super) const NEW: Self = Self {
        gap: 0.0,
        last: None,
        measured_at: Moment::ZERO,
    };

    /// A place came free and somebody waits. `guess` is the rate to begin with.
    pub(super) fn freed(&mut self, now: Moment, guess: Option<f64>) {
        if !self.is_fresh(now) {
            self.gap = guess.filter(|rate| *rate > 0.0).map_or(0.0, f64::recip);
        }
        if let Some(last) = self.last {
            let gap = now.since(last).as_secs_f64();
            if self.gap > 0.0 {
                self.gap += WEIGHT * (gap - self.gap);
            } else {
                self.gap = gap;
            }
            self.measured_at = now;
        }
        self.last = Some(now);
    }

    /// Nobody waits any more.
    pub(super) const fn rests(&mut self) {
        self.last = None;
    }

    /// Places a second; `None` where nothing was measured lately.
    pub(super) fn rate(&self, now: Moment) -> Option<f64> {
        (self.is_fresh(now) && self.gap > 0.0).then(|| self.gap.recip())
    }

    fn is_fresh(&self, now: Moment) -> bool {
        self.measured_at > Moment::ZERO && now.since(self.measured_at) < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    #[test]
    fn gaps_count_only_while_somebody_waits() {
        let mut drain = Drain::NEW;
        for n in 0..400 {
            drain.freed(at(n * 10), None);
            if n % 40 == 39 {
                drain.rests(); // and nobody comes for a while
            }
        }
        let rate = drain.rate(at(4000)).unwrap();
        assert!((99.0..=101.0).contains(&rate), "{rate}");
    }

    #[test]
    fn it_begins_with_a_guess_and_forgets_what_is_old() {
        let mut drain = Drain::NEW;
        assert_eq!(drain.rate(at(0)), None);
        drain.freed(at(100), Some(50.0));
        drain.freed(at(120), Some(50.0));
        assert!((49.0..=51.0).contains(&drain.rate(at(121)).unwrap()));
        assert_eq!(drain.rate(at(3000)), None);
    }
}
