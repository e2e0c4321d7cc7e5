//! The health of one endpoint as a pure machine: no clock, no lock, no log.
//!
//! Invariants: checks never touch an ejection, traffic never touches what checks said, and an ejection that
//! would break the rules of [`Peers`] does not happen. An ejection has three parts: out for a time, then on trial
//! until a request succeeds, then over.

use std::time::Duration;

use tokio::time::Instant;

use super::{Change, CheckFailure, Ended, Grounds, Outcome, Passed, Peers, streak::Streak};
use crate::config::{EjectionPlan, HealthPlan};

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

/// The health of one endpoint, to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthView {
    /// What checks say.
    pub checked: Checked,
    /// Whether it says, while up, that it can do less.
    pub degraded: bool,
    /// Checks in a row that failed, up to the last one.
    pub checks_failed: u32,
    /// Checks in a row that passed although it is down.
    pub checks_passed: u32,
    /// How long it stays ejected; `None` where it is not.
    pub ejected_for: Option<Duration>,
    /// Whether its ejection is over by time, and no request has succeeded since.
    pub on_trial: bool,
    /// Why it is ejected, or was before it came on trial.
    pub grounds: Option<Grounds>,
    /// Which ejection the last one was: it lasted this many times `base_time`. 0: never ejected.
    pub ejections: u32,
    /// Failures since the last success. While ejected it rests at 0.
    pub failures_in_a_row: u32,
    /// Why the last check failed; `None` after one that passed.
    pub last_check_error: Option<Box<str>>,
    /// How long ago it went out, came on trial, came back or joined; `None` where it never did.
    pub since: Option<Duration>,
    /// Whether it joined the others at that time, and was not out before.
    pub joined: bool,
}

/// The state behind [`Health`](super::Health).
#[derive(Debug, Default)]
pub(super) struct Machine {
    checked: Checked,
    /// When checks last changed their mind.
    checked_since: Option<Instant>,
    /// Checks in a row that contradict `checked`.
    checks_against: u32,
    checks_failed: u32,
    last_check_error: Option<Box<str>>,
    /// What the last check that passed said.
    degraded: bool,
    /// What of that was told.
    degraded_told: bool,
    /// When it last came up after it was down, or joined others that served.
    up_since: Option<Instant>,
    joined: bool,
    streak: Streak,
    ejection: Option<Ejection>,
    /// Which one the last ejection was, after decay.
    ejections: u32,
}

/// What a request's end leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nothing, or a change.
    Settled(Option<Change>),
    /// It should be ejected for this, if the peers allow it: [`Machine::eject`].
    AskPeers(Grounds),
}

/// The last ejection: running, on trial, or over.
#[derive(Debug)]
struct Ejection {
    began: Instant,
    until: Instant,
    grounds: Grounds,
    /// When a request succeeded again.
    returned: Option<Instant>,
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
        self.checks_failed = if passed {
            0
        } else {
            self.checks_failed.saturating_add(1)
        };
        let change = match (self.checked, passed) {
            (Checked::Unchecked, true) => self.first_pass(now),
            (Checked::Unchecked, false) => Some(self.go_down(now)),
            (Checked::Up, true) | (Checked::Down, false) => {
                self.checks_against = 0;
                None
            }
            (Checked::Up, false) => self
                .another_against(plan.unhealthy_after.get())
                .then(|| self.go_down(now)),
            (Checked::Down, true) => self
                .another_against(plan.healthy_after.get())
                .then(|| self.go_up(now)),
        };
        change.or_else(|| self.see_degraded())
    }

    /// A request ended at this endpoint.
    pub(super) fn ended(
        &mut self,
        ended: &Ended,
        plan: Option<&EjectionPlan>,
        now: Instant,
    ) -> Verdict {
        let Some(plan) = plan else {
            return Verdict::Settled(self.forget_ejection(now));
        };
        if let Some(ejection) = self.ejection.as_mut().filter(|it| it.returned.is_none()) {
            return ejection.tried(ended, now);
        }
        match self.streak.add(ended, plan) {
            Some(grounds) => Verdict::AskPeers(grounds),
            None => Verdict::Settled(None),
        }
    }

    /// Takes the endpoint out for `base_time` times the number of its ejections, at most `max_time`, if
    /// `peers` allow it. The number falls by one for each `base_time` since it came back from the last one.
    pub(super) fn eject(
        &mut self,
        grounds: Grounds,
        plan: &EjectionPlan,
        peers: &Peers,
        now: Instant,
    ) -> Option<Change> {
        let still = match grounds {
            Grounds::Trial { .. } => self.on_trial(now),
            Grounds::Failures { .. } | Grounds::LocalFailures { .. } => self.streak.failures > 0,
            Grounds::SuccessRate { .. } | Grounds::Latency { .. } => !self.on_trial(now),
        };
        if !still || self.ejected_until(now).is_some() {
            return None; // somebody was faster
        }
        if !peers.allow_ejection() || (grounds.may_be_shared() && peers.fail_alike()) {
            return None;
        }
        self.ejections = self.remembered(plan, now).saturating_add(1);
        let for_ = plan
            .base_time
            .saturating_mul(self.ejections)
            .min(plan.max_time);
        self.streak = Streak::default();
        self.ejection = Some(Ejection {
            began: now,
            until: now + for_,
            grounds,
            returned: None,
        });
        let cause = grounds.cause();
        Some(Change::Ejected { cause, for_ })
    }

    /// Ejection was turned off: one that runs ends now, and so does a trial.
    pub(super) fn forget_ejection(&mut self, now: Instant) -> Option<Change> {
        self.streak = Streak::default();
        self.ejections = 0;
        let ejection = self.ejection.as_mut()?;
        if ejection.returned.is_some() {
            return None;
        }
        ejection.until = ejection.until.min(now);
        ejection.returned = Some(now);
        Some(Change::Returned)
    }

    /// It was put among others that have served for a while: it gets its share little by little, as one that comes
    /// back does.
    pub(super) fn join(&mut self, now: Instant) {
        self.up_since = Some(now);
        self.joined = true;
    }

    /// Checks were turned off: what they said is forgotten. One that was down comes back as one that came up.
    pub(super) fn forget_checks(&mut self, now: Instant) -> Option<Change> {
        let change = (self.checked == Checked::Down).then(|| self.go_up(now));
        self.checked = Checked::Unchecked;
        self.checks_against = 0;
        self.checks_failed = 0;
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

    /// Since when it is back, or there: its share grows from then on. `None` where it always was.
    pub(super) fn back_since(&self) -> Option<Instant> {
        let returned = self.ejection.as_ref().and_then(|it| it.returned);
        returned.max(self.up_since)
    }

    /// The end of the last ejection, be it over or to come.
    pub(super) fn last_ejected_until(&self) -> Option<Instant> {
        self.ejection.as_ref().map(|ejection| ejection.until)
    }

    /// Whether it was ejected and no request has succeeded since: it is out, or on trial.
    pub(super) fn is_unproven(&self) -> bool {
        let ejection = self.ejection.as_ref();
        ejection.is_some_and(|it| it.returned.is_none())
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.streak.failures
    }

    pub(super) fn view(&self, now: Instant) -> HealthView {
        let until = self.ejected_until(now);
        let unproven = self.ejection.as_ref().filter(|_| self.is_unproven());
        let down = self.checked == Checked::Down;
        let changed = match unproven {
            Some(ejection) if until.is_some() => Some(ejection.began),
            _ if down => self.checked_since,
            Some(ejection) => Some(ejection.until),
            None => self.back_since().or(self.checked_since),
        };
        HealthView {
            checked: self.checked,
            degraded: self.is_degraded(),
            checks_failed: self.checks_failed,
            checks_passed: if down { self.checks_against } else { 0 },
            ejected_for: until.map(|until| until.saturating_duration_since(now)),
            on_trial: self.on_trial(now),
            grounds: unproven.map(|ejection| ejection.grounds),
            ejections: self.ejections,
            failures_in_a_row: self.streak.failures,
            last_check_error: self.last_check_error.clone(),
            since: changed.map(|at| now.saturating_duration_since(at)),
            joined: self.joined && self.back_since() == self.up_since,
        }
    }

    fn first_pass(&mut self, now: Instant) -> Option<Change> {
        self.checked = Checked::Up;
        self.checked_since = Some(now);
        None // it could serve before
    }

    fn go_down(&mut self, now: Instant) -> Change {
        self.checked = Checked::Down;
        self.degraded_told = false;
        self.checked_since = Some(now);
        self.checks_against = 0;
        Change::Down
    }

    fn go_up(&mut self, now: Instant) -> Change {
        self.checked = Checked::Up;
        self.checked_since = Some(now);
        self.checks_against = 0;
        self.streak = Streak::default();
        self.up_since = Some(now);
        self.joined = false;
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

    fn on_trial(&self, now: Instant) -> bool {
        self.is_unproven() && self.ejected_until(now).is_none()
    }

    /// How many earlier ejections still count: all of them while none of its requests has succeeded.
    fn remembered(&self, plan: &EjectionPlan, now: Instant) -> u32 {
        let Some(ejection) = &self.ejection else {
            return 0;
        };
        let returned = ejection.returned.unwrap_or(now);
        let behaved = now.saturating_duration_since(returned);
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
}

// === impl Ejection ===

impl Ejection {
    /// A request ended while it runs, or on trial. Those that were on their way when the endpoint went out say nothing.
    fn tried(&mut self, ended: &Ended, now: Instant) -> Verdict {
        if now < self.until || ended.began < self.until {
            return Verdict::Settled(None);
        }
        match ended.outcome {
            Outcome::Ignored => Verdict::Settled(None),
            Outcome::Success => {
                self.returned = Some(now);
                Verdict::Settled(Some(Change::Returned))
            }
            Outcome::LocalFailure | Outcome::RemoteFailure => {
                let last = ended.failed;
                Verdict::AskPeers(Grounds::Trial { last })
            }
        }
    }
}

#[cfg(test)]
mod tests;
