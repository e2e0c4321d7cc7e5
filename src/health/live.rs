//! The machine of one endpoint as many tasks use it at once.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Change, CheckFailure, Ended, Grounds, HealthView, Outcome, Passed, Peers, Seen,
    machine::{Machine, Verdict},
    window::Window,
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
    /// It was ejected, and no request has succeeded since.
    unproven: AtomicBool,
    /// Since when it is back after it was out, or there beside older ones; 0: always.
    back_since_us: AtomicU64,
    /// Failures since the last success.
    failures: AtomicU32,
    /// Whether it was said how it came among the others.
    seated: AtomicBool,
    window: Window,
    machine: Mutex<Machine>,
}

/// Among whom an endpoint finds itself when a snapshot first names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nobody, or others that are as new.
    Equals,
    /// Others that have served for a while.
    Older,
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
            unproven: AtomicBool::new(false),
            back_since_us: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            seated: AtomicBool::new(false),
            window: Window::new(),
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

    /// Whether it was ejected, its time is over, and no request has succeeded since: while others can serve, one
    /// request at a time should go there.
    #[must_use]
    pub fn on_trial(&self, now: Instant) -> bool {
        self.unproven.load(Relaxed) && !self.is_ejected(now)
    }

    /// Whether it has failed at least half as often in a row as would eject it.
    #[must_use]
    pub fn is_failing(&self, plan: &EjectionPlan) -> bool {
        self.failures.load(Relaxed) >= (plan.consecutive_failures.get() / 2).max(1)
    }

    /// Whether it failed, and not yet so often in a row that its ejection was asked for: what ends there next decides.
    #[must_use]
    pub fn is_suspect(&self, plan: &EjectionPlan) -> bool {
        let failures = self.failures.load(Relaxed);
        failures > 0 && failures < plan.consecutive_failures.get()
    }

    /// How long it has been known.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    /// A snapshot names it, `beside` whom it finds there. Only the first time counts: beside older ones its share
    /// grows as that of one that comes back.
    pub fn seat(&self, beside: Beside, now: Instant) {
        if !self.seated.swap(true, Relaxed) && beside == Beside::Older {
            self.change(|machine| machine.join(now));
        }
    }

    /// The share of its weight that it gets, above 0 and at most 1.
    ///
    /// For `slow_start` after it came back (up again, or tried with success after an ejection) or joined older ones
    /// the share grows in a straight line from a tenth to 1. Before it ever was out it is 1. While it is out or on
    /// trial it is 1 too: then it gets requests only one by one, or where all endpoints are used whatever their
    /// state, and those are to be spread evenly.
    #[must_use]
    pub fn share(&self, slow_start: Duration, now: Instant) -> f32 {
        let back = self.back_since_us.load(Relaxed);
        let out = self.unproven.load(Relaxed) || self.down.load(Relaxed);
        if back == 0 || slow_start.is_zero() || out {
            return 1.0;
        }
        let since = Duration::from_micros(self.to_us(now).saturating_sub(back));
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
        ended: &Ended,
        plan: Option<&EjectionPlan>,
        peers: impl FnOnce() -> Peers,
        now: Instant,
    ) -> Option<Change> {
        if let Some(plan) = plan {
            self.count(ended, plan);
        }
        let pending = self.unproven.load(Relaxed) || self.failures.load(Relaxed) > 0;
        let minds = match ended.outcome {
            Outcome::LocalFailure | Outcome::RemoteFailure => plan.is_some() || pending,
            Outcome::Success | Outcome::Ignored => pending,
        };
        if !minds {
            return None;
        }
        match self.change(|machine| machine.ended(ended, plan, now)) {
            Verdict::Settled(change) => change,
            Verdict::AskPeers(grounds) => self.eject(grounds, plan?, peers, now),
        }
    }

    /// Takes the endpoint out for `grounds`, if `peers` allow it; as in [`Self::ended`].
    pub fn eject(
        &self,
        grounds: Grounds,
        plan: &EjectionPlan,
        peers: impl FnOnce() -> Peers,
        now: Instant,
    ) -> Option<Change> {
        let peers = peers();
        self.change(|machine| machine.eject(grounds, plan, &peers, now))
    }

    /// Ends the window over which endpoints are compared, and begins the next one.
    #[must_use]
    pub fn end_window(&self) -> Seen {
        self.window.take()
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
        self.failures.store(machine.failures(), Relaxed);
        self.back_since_us
            .store(self.optional_us(machine.back_since()), Relaxed);
        // The end first: for a moment it is out and nothing else, and never well.
        self.ejected_until_us
            .store(self.optional_us(machine.last_ejected_until()), Relaxed);
        self.unproven.store(machine.is_unproven(), Relaxed);
        result
    }

    fn count(&self, ended: &Ended, plan: &EjectionPlan) {
        if plan.success_rate.is_some() || plan.latency.is_some() {
            let took = ended.took.filter(|_| plan.latency.is_some());
            self.window.count(ended.outcome, took);
        }
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
