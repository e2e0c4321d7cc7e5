//! The machine of one endpoint as many tasks use it at once.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Change, CheckFailure, HealthView, Outcome, Passed, Peers,
    machine::{Machine, Verdict},
};
use crate::config::{EjectionPlan, HealthPlan};

/// The smallest share of an endpoint that has just come back.
const FIRST_SHARE: f32 = 0.1;

/// The live health of one endpoint. It belongs to the endpoint's identity and outlives reloads.
///
/// Reading costs a few relaxed loads. So does a success that changes nothing, which almost all are. Every
/// other event takes a lock for some tens of instructions. The atomics mirror the machine and are written
/// under its lock only. `Relaxed` suffices for each: they decide and guard no other memory, and a value seen
/// late costs one request to an endpoint that went out a moment ago.
#[derive(Debug)]
pub struct Health {
    /// Instants in atomics count from here, in microseconds.
    epoch: Instant,
    /// Checks keep it out.
    down: AtomicBool,
    /// It is up and says that it can do less.
    degraded: AtomicBool,
    /// The end of the last ejection; 0: there was none.
    ejected_until_us: AtomicU64,
    /// When it last came up after it was down; 0: never.
    up_since_us: AtomicU64,
    /// A success would change something.
    minds_success: AtomicBool,
    machine: Mutex<Machine>,
}

// === impl Health ===

impl Health {
    /// Of an endpoint of which nothing is known: it may serve, with its full share.
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            down: AtomicBool::new(false),
            degraded: AtomicBool::new(false),
            ejected_until_us: AtomicU64::new(0),
            up_since_us: AtomicU64::new(0),
            minds_success: AtomicBool::new(false),
            machine: Mutex::default(),
        }
    }

    /// Whether it may serve: neither down by checks nor ejected.
    #[must_use]
    pub fn can_serve(&self, now: Instant) -> bool {
        !self.down.load(Relaxed) && !self.is_ejected(now)
    }

    /// Whether an ejection runs.
    #[must_use]
    pub fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until_us.load(Relaxed) > self.to_us(now)
    }

    /// Whether it passes its checks and says that it can do less.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Relaxed)
    }

    /// Whether the next check may change what is known. Takes the lock.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        self.machine.lock().is_unsure()
    }

    /// The share of its weight that it gets, above 0 and at most 1.
    ///
    /// For `slow_start` after it came back (up again, or an ejection over) the share grows in a straight line
    /// from a tenth to 1. Before it ever was out it is 1. While it is out it is 1 too: then it gets requests
    /// only where all endpoints are used whatever their state, and those are to be spread evenly.
    #[must_use]
    pub fn share(&self, slow_start: Duration, now: Instant) -> f32 {
        let ejected_until = self.ejected_until_us.load(Relaxed);
        let back = ejected_until.max(self.up_since_us.load(Relaxed));
        let now_us = self.to_us(now);
        if back == 0 || slow_start.is_zero() || ejected_until > now_us || self.down.load(Relaxed) {
            return 1.0;
        }
        let since = Duration::from_micros(now_us.saturating_sub(back));
        let grown = since.as_secs_f32() / slow_start.as_secs_f32();
        (FIRST_SHARE + (1.0 - FIRST_SHARE) * grown).min(1.0)
    }

    /// What there is to see. Takes the lock.
    #[must_use]
    pub fn view(&self, now: Instant) -> HealthView {
        self.machine.lock().view(now)
    }

    /// A check ended. The first that fails marks down at once, later ones by the thresholds of `plan`.
    pub fn checked(
        &self,
        result: Result<Passed, CheckFailure>,
        plan: &HealthPlan,
        now: Instant,
    ) -> Option<Change> {
        self.change(|machine| machine.checked(result, plan, now))
    }

    /// A request ended here. `plan` is `None` where ejection is off; one that runs then ends.
    ///
    /// `peers` is asked only when there are failures enough for an ejection, and outside of the lock. Two
    /// endpoints of one upstream that reach their threshold at the same time would each count the other as
    /// serving: lock the upstream in `peers`, and keep the guard until this returns.
    pub fn ended(
        &self,
        outcome: Outcome,
        plan: Option<&EjectionPlan>,
        peers: impl FnOnce() -> Peers,
        now: Instant,
    ) -> Option<Change> {
        let minds = match outcome {
            Outcome::Failure => plan.is_some() || self.minds_success.load(Relaxed),
            Outcome::Success | Outcome::Ignored => self.minds_success.load(Relaxed),
        };
        if !minds {
            return None;
        }
        match self.change(|machine| machine.ended(outcome, plan, now)) {
            Verdict::Settled(change) => change,
            Verdict::AskPeers => {
                let peers = peers();
                plan.and_then(|plan| self.change(|machine| machine.eject(plan, &peers, now)))
            }
        }
    }

    /// Ejection was turned off by a reload: one that runs ends, and no earlier one counts any more.
    pub fn forget_ejection(&self, now: Instant) -> Option<Change> {
        self.change(|machine| machine.forget_ejection(now))
    }

    /// Active checks were turned off by a reload: the endpoint is unchecked again and may serve.
    pub fn forget_checks(&self, now: Instant) -> Option<Change> {
        self.change(|machine| machine.forget_checks(now))
    }

    /// Runs `event` on the machine, then mirrors what readers want to know.
    fn change<T>(&self, event: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.machine.lock();
        let result = event(&mut machine);
        self.down.store(machine.is_down(), Relaxed);
        self.degraded.store(machine.is_degraded(), Relaxed);
        self.minds_success.store(machine.minds_success(), Relaxed);
        self.up_since_us
            .store(self.optional_us(machine.up_since()), Relaxed);
        self.ejected_until_us
            .store(self.optional_us(machine.last_ejected_until()), Relaxed);
        result
    }

    /// 0 is "never", so an instant at or before the epoch counts as 1.
    fn optional_us(&self, at: Option<Instant>) -> u64 {
        at.map_or(0, |at| self.to_us(at).max(1))
    }

    fn to_us(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
