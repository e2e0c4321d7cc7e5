//! The health of one endpoint as a pure machine: no clock, no lock, no log.
//!
//! Invariants: checks never touch an ejection, traffic never touches what checks said, and an ejection that
//! would break the rules of [`Peers`] does not happen.

use std::time::Duration;

use tokio::time::Instant;

use super::{Change, CheckFailure, Outcome, Passed};
use crate::{
    config::{EjectionPlan, HealthPlan},
    names::EjectionCause,
};

/// What active checks say of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Checked {
    /// None has ended yet, or there are none: it may serve.
    #[default]
    Unchecked,
    /// It may serve.
    Up,
    /// It may not serve.
    Down,
}

/// The others of the same upstream, at the moment when an endpoint might be ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peers {
    /// How many endpoints the upstream has, this one included.
    pub total: usize,
    /// How many are ejected now, for whatever cause.
    pub ejected: usize,
    /// How many besides this one may serve: neither down by checks nor ejected.
    pub others_that_can_serve: usize,
}

/// The health of one endpoint, to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthView {
    /// What checks say.
    pub checked: Checked,
    /// Whether it says, while up, that it can do less.
    pub degraded: bool,
    /// How long it stays ejected; `None` where it is not.
    pub ejected_for: Option<Duration>,
    /// Why it is ejected, where it is.
    pub ejected_because: Option<EjectionCause>,
    /// Which ejection the last one was: it lasted this many times `base_time`. 0: never ejected.
    pub ejections: u32,
    /// Failures since the last success. While ejected it rests at 0.
    pub failures_in_a_row: u32,
    /// Why the last check failed; `None` after one that passed.
    pub last_check_error: Option<Box<str>>,
}

/// The state behind [`Health`](super::Health).
#[derive(Debug, Default)]
pub(super) struct Machine {
    checked: Checked,
    /// Checks in a row that contradict `checked`.
    checks_against: u32,
    last_check_error: Option<Box<str>>,
    /// What the last check that passed said.
    degraded: bool,
    /// What of that was told.
    degraded_told: bool,
    /// When it last came up after it was down.
    up_since: Option<Instant>,
    failures_in_a_row: u32,
    ejection: Option<Ejection>,
    /// Which one the last ejection was, after decay.
    ejections: u32,
}

/// What a request's end leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing, or a change.
    Settled(Option<Change>),
    /// So many failures that it should be ejected, if the peers allow it: [`Machine::eject`].
    AskPeers,
}

/// The last ejection, running or over.
#[derive(Debug)]
struct Ejection {
    until: Instant,
    because: EjectionCause,
    /// Nobody was told of its end yet.
    return_unseen: bool,
}

// === impl Peers ===

impl Peers {
    /// Whether one more may be ejected: at most max(1, a third) of all are, and one that can serve remains.
    ///
    /// The cap counts ejections only; "one remains" counts checks too. Envoy's `max_ejection_percent` alone
    /// lets the last endpoint go (envoy#26877).
    #[must_use]
    pub fn allow_ejection(&self) -> bool {
        let most = (self.total / 3).max(1);
        self.ejected < most && self.others_that_can_serve > 0
    }
}

// === impl Machine ===

impl Machine {
    /// A check ended.
    pub(super) fn checked(
        &mut self,
        result: Result<Passed, CheckFailure>,
        plan: &HealthPlan,
        now: Instant,
    ) -> Option<Change> {
        let passed = result.is_ok();
        if let Ok(passed) = result {
            self.degraded = passed == Passed::Degraded;
        }
        self.last_check_error = result.err().map(|failure| failure.to_string().into());
        let change = match (self.checked, passed) {
            (Checked::Unchecked, true) => self.first_pass(),
            (Checked::Unchecked, false) => Some(self.go_down()),
            (Checked::Up, true) | (Checked::Down, false) => {
                self.checks_against = 0;
                None
            }
            (Checked::Up, false) => self
                .another_against(plan.unhealthy_after.get())
                .then(|| self.go_down()),
            (Checked::Down, true) => self
                .another_against(plan.healthy_after.get())
                .then(|| self.go_up(now)),
        };
        change
            .or_else(|| self.see_degraded())
            .or_else(|| self.see_return(now))
    }

    /// A request ended at this endpoint.
    pub(super) fn ended(
        &mut self,
        outcome: Outcome,
        plan: Option<&EjectionPlan>,
        now: Instant,
    ) -> Verdict {
        let Some(plan) = plan else {
            return Verdict::Settled(self.forget_ejection(now));
        };
        if self.ejected_until(now).is_some() {
            return Verdict::Settled(None); // it was on its way when the endpoint went out
        }
        match outcome {
            Outcome::Ignored => {}
            Outcome::Success => self.failures_in_a_row = 0,
            Outcome::Failure => {
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                // Refused once, it is asked again only after as many failures more: peers cost a look at each.
                if self.failures_in_a_row % plan.consecutive_failures == 0 {
                    return Verdict::AskPeers;
                }
            }
        }
        Verdict::Settled(self.see_return(now))
    }

    /// Takes the endpoint out for `base_time` times the number of its ejections, at most `max_time`, if
    /// `peers` allow it. The number falls by one for each `base_time` since the last ejection ended.
    pub(super) fn eject(
        &mut self,
        plan: &EjectionPlan,
        peers: &Peers,
        now: Instant,
    ) -> Option<Change> {
        if self.ejected_until(now).is_some() || self.failures_in_a_row == 0 {
            return None; // somebody was faster
        }
        if !peers.allow_ejection() {
            return self.see_return(now);
        }
        self.ejections = self.remembered(plan, now).saturating_add(1);
        let for_ = plan
            .base_time
            .saturating_mul(self.ejections)
            .min(plan.max_time);
        let cause = EjectionCause::ConsecutiveFailures;
        self.failures_in_a_row = 0;
        self.ejection = Some(Ejection {
            until: now + for_,
            because: cause,
            return_unseen: true,
        });
        Some(Change::Ejected { cause, for_ })
    }

    /// Ejection was turned off: one that runs ends now.
    pub(super) fn forget_ejection(&mut self, now: Instant) -> Option<Change> {
        self.failures_in_a_row = 0;
        self.ejections = 0;
        if let Some(ejection) = &mut self.ejection {
            ejection.until = ejection.until.min(now);
        }
        self.see_return(now)
    }

    /// Checks were turned off: what they said is forgotten. One that was down comes back as one that came up.
    pub(super) fn forget_checks(&mut self, now: Instant) -> Option<Change> {
        let change = (self.checked == Checked::Down).then(|| self.go_up(now));
        self.checked = Checked::Unchecked;
        self.checks_against = 0;
        self.last_check_error = None;
        (self.degraded, self.degraded_told) = (false, false);
        change
    }

    /// Whether it passes its checks and says that it can do less.
    pub(super) fn is_degraded(&self) -> bool {
        self.checked == Checked::Up && self.degraded
    }

    /// Whether the next check may change what is known: none has ended yet, or the last contradicts.
    pub(super) fn is_unsure(&self) -> bool {
        self.checked == Checked::Unchecked || self.checks_against > 0
    }

    /// Whether checks keep it out.
    pub(super) fn is_down(&self) -> bool {
        self.checked == Checked::Down
    }

    /// When it last came up after it was down.
    pub(super) fn up_since(&self) -> Option<Instant> {
        self.up_since
    }

    /// The end of the last ejection, be it over or to come.
    pub(super) fn last_ejected_until(&self) -> Option<Instant> {
        self.ejection.as_ref().map(|ejection| ejection.until)
    }

    /// Whether a success would change anything: only then the lock is worth taking.
    pub(super) fn minds_success(&self) -> bool {
        let return_unseen = self.ejection.as_ref().is_some_and(|e| e.return_unseen);
        self.failures_in_a_row > 0 || return_unseen
    }

    pub(super) fn view(&self, now: Instant) -> HealthView {
        let until = self.ejected_until(now);
        HealthView {
            checked: self.checked,
            degraded: self.is_degraded(),
            ejected_for: until.map(|until| until.saturating_duration_since(now)),
            ejected_because: self
                .ejection
                .as_ref()
                .filter(|_| until.is_some())
                .map(|ejection| ejection.because),
            ejections: self.ejections,
            failures_in_a_row: self.failures_in_a_row,
            last_check_error: self.last_check_error.clone(),
        }
    }

    fn first_pass(&mut self) -> Option<Change> {
        self.checked = Checked::Up;
        None // it could serve before
    }

    fn go_down(&mut self) -> Change {
        self.checked = Checked::Down;
        self.degraded_told = false;
        self.checks_against = 0;
        Change::Down
    }

    fn go_up(&mut self, now: Instant) -> Change {
        self.checked = Checked::Up;
        self.checks_against = 0;
        self.failures_in_a_row = 0;
        self.up_since = Some(now);
        Change::Up
    }

    /// One more check contradicts; whether that makes `enough` of them.
    fn another_against(&mut self, enough: u32) -> bool {
        self.checks_against = self.checks_against.saturating_add(1);
        self.checks_against >= enough
    }

    fn ejected_until(&self, now: Instant) -> Option<Instant> {
        self.last_ejected_until().filter(|&until| until > now)
    }

    /// How many earlier ejections still count.
    fn remembered(&self, plan: &EjectionPlan, now: Instant) -> u32 {
        let Some(until) = self.last_ejected_until() else {
            return 0;
        };
        let behaved = now.saturating_duration_since(until);
        let steps = behaved
            .as_millis()
            .checked_div(plan.base_time.as_millis())
            .unwrap_or(0);
        self.ejections
            .saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX))
    }

    /// What it says of itself changed, and nobody was told. Of one that comes up degraded it is told with the check
    /// after that.
    fn see_degraded(&mut self) -> Option<Change> {
        let is = self.is_degraded();
        let change = if is {
            Change::Degraded
        } else {
            Change::Recovered
        };
        (std::mem::replace(&mut self.degraded_told, is) != is).then_some(change)
    }

    fn see_return(&mut self, now: Instant) -> Option<Change> {
        let ejection = self.ejection.as_mut()?;
        let over = ejection.until <= now && ejection.return_unseen;
        if over {
            ejection.return_unseen = false;
        }
        over.then_some(Change::Returned)
    }
}

#[cfg(test)]
mod tests;
