//! From readings to a level: up at once, down by steps.

use std::time::Duration;

use tokio::time::Instant;

use super::{Level, Readings, Signal};

/// The level and how long it was not needed any more. Pure: the time is handed in.
///
/// * Up at once, as far as the worst signal asks: each signal is already a mean or a median of its last second
///   or more, but memory and descriptors, which leave no time.
/// * Down one level at a time, after [`HOLD`] in which every known signal stayed below the level's step by its
///   margin; each further step takes as long again. One reading above begins the wait anew.
/// * Where nothing is known any more, it goes down as if all were well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine {
    level: Level,
    /// Since when nothing holds the level.
    eased_since: Option<Instant>,
}

/// The level changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What it was.
    pub from: Level,
    /// What it is.
    pub to: Level,
    /// The worst signal at this moment, and what was read; `None` where nothing is known.
    pub because: Option<(Signal, f64)>,
}

/// How long a level is kept when nothing asks for it.
pub const HOLD: Duration = Duration::from_secs(3);

// === impl Machine ===

impl Machine {
    /// The level in force.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Takes what was read at `now`; returns the step that it led to.
    pub fn observe(&mut self, readings: &Readings, now: Instant) -> Option<Step> {
        let worst = readings.worst();
        let asked = worst.map_or(Level::Calm, |(level, ..)| level);
        let to = if asked > self.level {
            self.eased_since = None;
            asked
        } else {
            self.eased(readings.held(), now)
        };
        let from = self.level;
        self.level = to;
        (from != to).then_some(Step {
            from,
            to,
            because: worst.map(|(_, signal, value)| (signal, value)),
        })
    }

    /// The level after a reading that asks for no higher one.
    fn eased(&mut self, held: Level, now: Instant) -> Level {
        if held >= self.level {
            self.eased_since = None;
            return self.level;
        }
        let since = *self.eased_since.get_or_insert(now);
        if now.saturating_duration_since(since) < HOLD {
            return self.level;
        }
        self.eased_since = Some(now);
        self.level.calmer()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn memory(share: f64) -> Readings {
        Readings {
            memory: Some(share),
            ..Readings::default()
        }
    }

    /// Runs readings of memory, each at its second, and gives the level after each.
    fn run(readings: &[(f64, f64)]) -> Vec<u8> {
        let start = Instant::now();
        let mut machine = Machine::default();
        let mut after = |(second, share): &(f64, f64)| {
            machine.observe(&memory(*share), start + Duration::from_secs_f64(*second));
            machine.level().number()
        };
        readings.iter().map(&mut after).collect()
    }

    #[test]
    fn it_rises_at_once_and_as_far_as_it_must() {
        assert_eq!(run(&[(0.0, 0.5), (0.25, 0.98), (0.5, 0.99)]), [0, 4, 4]);
        assert_eq!(
            run(&[(0.0, 0.80), (0.25, 0.88), (0.5, 0.94), (0.75, 0.97)]),
            [1, 2, 3, 4]
        );
    }

    #[test]
    fn it_falls_one_level_at_a_time_and_waits_before_each() {
        let calm: Vec<_> = (0..16).map(|second| (f64::from(second), 0.1)).collect();
        let mut readings = vec![(0.0, 0.98)];
        readings.extend(calm);
        assert_eq!(
            run(&readings),
            [4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0]
        );
    }

    #[test]
    fn just_below_the_step_is_not_below_it() {
        assert_eq!(
            run(&[(0.0, 0.88), (1.0, 0.87), (10.0, 0.87), (20.0, 0.87)]),
            [2, 2, 2, 2]
        );
        assert_eq!(run(&[(0.0, 0.88), (1.0, 0.86), (4.0, 0.86)]), [2, 2, 1]);
    }

    #[test]
    fn one_reading_above_begins_the_wait_anew() {
        assert_eq!(
            run(&[
                (0.0, 0.88),
                (1.0, 0.1),
                (3.5, 0.88),
                (4.0, 0.1),
                (6.9, 0.1),
                (7.0, 0.1)
            ]),
            [2, 2, 2, 2, 2, 1]
        );
    }

    #[test]
    fn a_step_names_both_levels_and_the_signal_that_led_to_it() {
        let now = Instant::now();
        let mut machine = Machine::default();
        let readings = Readings {
            descriptors: Some(0.91),
            ..memory(0.2)
        };
        let up = Step {
            from: Level::Calm,
            to: Level::ShedLow,
            because: Some((Signal::Descriptors, 0.91)),
        };
        assert_eq!(machine.observe(&readings, now), Some(up));
        assert_eq!(machine.observe(&readings, now), None);
    }

    #[test]
    fn when_nothing_is_known_any_more_it_calms_down() {
        let now = Instant::now();
        let mut machine = Machine::default();
        machine.observe(&memory(0.81), now);
        machine.observe(&Readings::default(), now);
        let down = machine.observe(&Readings::default(), now + HOLD);
        let to_calm = Step {
            from: Level::Spare,
            to: Level::Calm,
            because: None,
        };
        assert_eq!(down, Some(to_calm));
    }

    proptest! {
        #[test]
        fn the_level_is_never_below_what_is_asked_and_never_falls_by_two(
            shares in proptest::collection::vec((0.7..1.0_f64, 0..5_000_u64), 1..200),
        ) {
            let mut now = Instant::now();
            let mut machine = Machine::default();
            let mut fell: Option<Instant> = None;
            for (share, millis) in shares {
                now += Duration::from_millis(millis);
                let before = machine.level();
                machine.observe(&memory(share), now);
                let after = machine.level();
                prop_assert!(after >= Signal::Memory.level(share));
                if after < before {
                    prop_assert_eq!(after, before.calmer());
                    prop_assert!(fell.is_none_or(|at| now - at >= HOLD));
                    fell = Some(now);
                }
            }
        }
    }
}
