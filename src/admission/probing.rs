//! The limit of one endpoint as it is applied: steady, or looking above and below for a moment.
//!
//! A look up, then one down, each some requests long, tells capacity that is there from capacity that is gone;
//! at the limit itself both look alike. All fields are atomics, written by whoever ends a window and, at the
//! turns of a look, by whoever sends. `Relaxed` throughout: each decides by itself and guards no other memory; a
//! stale reading makes a look one request longer or shorter.

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{
    concurrency::{Probe, Verdict},
    gate::UNLIMITED,
    moment::{Moment, micros},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Probing {
    /// What holds now.
    limit: AtomicU32,
    steady: AtomicU32,
    up: AtomicU32,
    down: AtomicU32,
    phase: AtomicU8,
    /// Requests still to be sent in this phase.
    left: AtomicI32,
    up_sends: AtomicU32,
    down_sends: AtomicU32,
    every_us: AtomicU64,
    patience_us: AtomicU64,
    /// When the next look may begin; the end of time where the law wants none.
    next_us: AtomicU64,
    /// When the running one is given up.
    until_us: AtomicU64,
    /// When the last one ended, or the law first wanted one.
    finished_us: AtomicU64,
    /// How many looks there were.
    looks: AtomicU32,
    /// Where whole seconds of the wall clock, moved by the endpoint's own fraction, fall.
    slot_us: u64,
}

const STEADY: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;
const SECOND_US: u64 = 1_000_000;
const NEVER: u64 = u64::MAX;

// === impl Probing ===

impl Probing {
    /// No limit. `slot_us` is where in a second of its clock looks begin.
    pub(super) fn new(slot_us: u64) -> Self {
        Self {
            limit: AtomicU32::new(UNLIMITED),
            steady: AtomicU32::new(UNLIMITED),
            up: AtomicU32::new(UNLIMITED),
            down: AtomicU32::new(UNLIMITED),
            phase: AtomicU8::new(STEADY),
            left: AtomicI32::new(0),
            up_sends: AtomicU32::new(0),
            down_sends: AtomicU32::new(0),
            every_us: AtomicU64::new(SECOND_US),
            patience_us: AtomicU64::new(0),
            next_us: AtomicU64::new(NEVER),
            until_us: AtomicU64::new(NEVER),
            finished_us: AtomicU64::new(0),
            looks: AtomicU32::new(0),
            slot_us: slot_us % SECOND_US,
        }
    }

    /// What holds now.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// What holds between looks.
    pub(super) fn steady(&self) -> u32 {
        self.steady.load(Relaxed)
    }

    /// How many looks there were.
    pub(super) fn looks(&self) -> u32 {
        self.looks.load(Relaxed)
    }

    /// No limit from now on.
    pub(super) fn lift(&self) {
        self.phase.store(STEADY, Relaxed);
        self.next_us.store(NEVER, Relaxed);
        self.steady.store(UNLIMITED, Relaxed);
        self.limit.store(UNLIMITED, Relaxed);
    }

    /// Applies what a law said at `now`.
    pub(super) fn apply(&self, verdict: &Verdict, now: Moment) {
        let steady = rounded(verdict.limit);
        self.steady.store(steady, Relaxed);
        match &verdict.probe {
            None => {
                self.next_us.store(NEVER, Relaxed);
                self.phase.store(STEADY, Relaxed);
            }
            Some(probe) => self.set(probe, verdict.limit, steady, now),
        }
        self.show();
    }

    /// A request was sent, the `in_flight`-th at the same time; `limited`: it met the limit.
    pub(super) fn sent(&self, in_flight: u32, limited: bool, now: Moment) {
        match self.phase.load(Relaxed) {
            UP if in_flight > self.steady.load(Relaxed) => self.count(DOWN, now),
            DOWN if in_flight <= self.down.load(Relaxed) => self.count(STEADY, now),
            STEADY if limited && now.as_micros() >= self.next_us.load(Relaxed) => self.begin(now),
            _ => {}
        }
    }

    fn set(&self, probe: &Probe, limit: f64, steady: u32, now: Moment) {
        self.up.store(
            rounded(limit * probe.up).max(steady.saturating_add(1)),
            Relaxed,
        );
        self.down.store(floored(limit * probe.down), Relaxed);
        self.up_sends.store(probe.up_sends, Relaxed);
        self.down_sends.store(probe.down_sends, Relaxed);
        self.patience_us.store(micros(probe.patience), Relaxed);
        self.every_us.store(micros(probe.every), Relaxed);
        let armed = self.next_us.load(Relaxed) != NEVER;
        let running = self.phase.load(Relaxed) != STEADY;
        if !armed || (running && now.as_micros() >= self.until_us.load(Relaxed)) {
            self.finish(now);
        } else {
            self.next_us.store(self.next(), Relaxed);
        }
    }

    /// One of the phase's requests; with the last it turns.
    fn count(&self, next: u8, now: Moment) {
        if self.left.fetch_sub(1, Relaxed) > 1 {
            return;
        }
        if next == STEADY {
            self.finish(now);
        } else {
            self.left
                .store(signed(self.down_sends.load(Relaxed)), Relaxed);
            self.phase.store(DOWN, Relaxed);
        }
        self.show();
    }

    fn begin(&self, now: Moment) {
        let won = self
            .phase
            .compare_exchange(STEADY, UP, Relaxed, Relaxed)
            .is_ok();
        if won {
            self.left
                .store(signed(self.up_sends.load(Relaxed)), Relaxed);
            let until = now
                .as_micros()
                .saturating_add(self.patience_us.load(Relaxed));
            self.until_us.store(until, Relaxed);
            self.looks.fetch_add(1, Relaxed);
            self.show();
        }
    }

    fn finish(&self, now: Moment) {
        self.phase.store(STEADY, Relaxed);
        self.finished_us.store(now.as_micros(), Relaxed);
        self.next_us.store(self.next(), Relaxed);
    }

    /// When the next look may begin. Whole seconds mean the next slot, so that gateways that watch one endpoint
    /// look together.
    fn next(&self) -> u64 {
        let (last, every) = (self.finished_us.load(Relaxed), self.every_us.load(Relaxed));
        if every < SECOND_US {
            return last.saturating_add(every);
        }
        // Not at once: what the last look showed has to be answered first.
        let rested = last
            .saturating_add(every.saturating_sub(SECOND_US))
            .saturating_add(SECOND_US / 4);
        let into = rested.wrapping_sub(self.slot_us) % SECOND_US;
        rested.saturating_add((SECOND_US - into) % SECOND_US)
    }

    fn show(&self) {
        let limit = match self.phase.load(Relaxed) {
            UP => &self.up,
            DOWN => &self.down,
            _ => &self.steady,
        };
        self.limit.store(limit.load(Relaxed), Relaxed);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped; a limit that is no number becomes 1"
)]
fn rounded(limit: f64) -> u32 {
    limit.round().clamp(1.0, f64::from(UNLIMITED - 1)) as u32
}

fn floored(limit: f64) -> u32 {
    rounded(limit.floor())
}

fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::concurrency::{Because, WindowEnd};

    fn verdict(limit: f64) -> Verdict {
        Verdict {
            limit,
            window: WindowEnd {
                ends: 32,
                at_least: Duration::from_millis(20),
                few: 8,
                at_most: Duration::from_millis(500),
            },
            probe: Some(Probe {
                up: 1.6,
                up_sends: 3,
                down: 0.8,
                down_sends: 2,
                every: Duration::from_secs(1),
                patience: Duration::from_secs(2),
            }),
            because: Because::Steady,
        }
    }

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    fn looking_up() -> Probing {
        let probing = Probing::new(0);
        probing.apply(&verdict(10.0), at(100));
        assert_eq!(probing.limit(), 10);
        probing.sent(10, true, at(999));
        assert_eq!(probing.limit(), 10, "before its second");
        probing.sent(9, false, at(1000));
        assert_eq!(probing.limit(), 10, "while the limit is not met");
        probing.sent(10, true, at(1000));
        assert_eq!((probing.limit(), probing.looks()), (16, 1));
        probing
    }

    #[test]
    fn a_look_goes_up_then_down_then_ends_by_what_is_sent() {
        let probing = looking_up();
        for in_flight in [10, 11, 12, 13] {
            probing.sent(in_flight, true, at(1010));
        }
        assert_eq!(probing.limit(), 8);
        for in_flight in [9, 8, 7] {
            probing.sent(in_flight, true, at(1020));
        }
        assert_eq!(probing.limit(), 10);
        probing.sent(10, true, at(1900));
        assert_eq!(probing.limit(), 10, "the next begins with its second");
        probing.sent(10, true, at(2000));
        assert_eq!(probing.limit(), 16);
    }

    #[test]
    fn a_look_ends_by_time_where_nothing_is_sent() {
        let probing = looking_up();
        probing.apply(&verdict(10.0), at(2900));
        assert_eq!(probing.limit(), 16);
        probing.apply(&verdict(10.0), at(3100));
        assert_eq!(probing.limit(), 10);
    }

    #[test]
    fn a_limit_that_moves_moves_the_look_with_it() {
        let probing = looking_up();
        probing.apply(&verdict(20.0), at(1010));
        assert_eq!((probing.limit(), probing.steady.load(Relaxed)), (32, 20));
    }

    #[test]
    fn a_law_in_a_hurry_looks_again_sooner() {
        let probing = Probing::new(0);
        probing.apply(&verdict(10.0), at(100));
        let mut hurried = verdict(10.0);
        hurried.probe = hurried.probe.map(|probe| Probe {
            every: Duration::from_millis(100),
            ..probe
        });
        probing.apply(&hurried, at(200));
        probing.sent(10, true, at(310));
        assert_eq!(probing.limit(), 16);
    }

    #[test]
    fn without_a_law_there_is_no_limit() {
        let probing = looking_up();
        probing.lift();
        assert_eq!(probing.limit(), UNLIMITED);
    }
}
