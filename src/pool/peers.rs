//! The endpoints of an upstream among each other: who may be ejected, who stands out, who goes where one at a time.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Endpoint, Seat, SeatView, Seats, SeatsAt};
use crate::{
    balance::Candidates,
    config::{EjectionPlan, UpstreamPlan},
    health::{self, Beside, Change, Ended, HealthView, Peers, Seen, Sentence},
    names::EndpointId,
};

// === impl Seats ===

impl Seats {
    /// A request ended at `endpoint`. Ejects it where its failures are enough and its peers in the newest config allow
    /// it; the caller announces the change. Costs a few loads unless there is something to decide.
    pub fn report(
        &self,
        endpoint: &Endpoint,
        ended: &Ended,
        plan: Option<&EjectionPlan>,
        now: Instant,
    ) -> Option<Change> {
        let mut guard = None;
        let peers = || {
            let newest = guard.insert(endpoint.ejections.lock()).upgrade();
            // One that the newest config does not have takes nothing away from those that it has.
            let newest = newest.filter(|seats| seats.has(endpoint));
            let newest = newest.as_deref().unwrap_or(self);
            newest.peers(&endpoint.id, plan, now)
        };
        endpoint.health.ended(ended, plan, peers, now)
    }

    /// Ends the windows of all endpoints, and ejects those that stand out in their group, as far as their peers allow
    /// it. To be called each `interval` of the plan; the caller announces the changes.
    pub fn compare(&self, plan: &EjectionPlan, now: Instant) -> Vec<(&Endpoint, Change)> {
        // By group: another site is further away, and that is no fault of its endpoints.
        let mut groups: BTreeMap<usize, Vec<Option<Seen>>> = BTreeMap::new();
        for (index, seat) in self.as_slice().iter().enumerate() {
            let health = &seat.endpoint.health;
            let seen = health.end_window();
            let compared = health.can_serve(now) && !health.on_trial(now);
            let windows = groups.entry(seat.group).or_default();
            windows.resize(index, None);
            windows.push(compared.then_some(seen));
        }
        let outliers = groups
            .values()
            .flat_map(|windows| health::outliers(windows, plan));
        let eject = |(index, grounds)| {
            let endpoint = &*self.get(index)?.endpoint;
            let guard = endpoint.ejections.lock();
            let peers = || self.peers(&endpoint.id, Some(plan), now);
            let change = endpoint.health.eject(grounds, plan, peers, now);
            drop(guard);
            Some((endpoint, change?))
        };
        outliers.filter_map(eject).collect()
    }

    /// Tells endpoints that are new whether they join others that have served for a while. `before` is how the upstream
    /// was so far.
    pub fn join(&self, before: Option<&Self>, slow_start: Duration, now: Instant) {
        let older = before.is_some_and(|before| {
            before.as_slice().iter().any(|seat| {
                let health = &seat.endpoint.health;
                health.can_serve(now) && health.age(now) > slow_start
            })
        });
        let beside = if older { Beside::Older } else { Beside::Equals };
        for seat in self.as_slice() {
            seat.endpoint.health.seat(beside, now);
        }
    }

    /// Those of its group: each has its own cap.
    fn peers(&self, own: &EndpointId, plan: Option<&EjectionPlan>, now: Instant) -> Peers {
        let is_own = |seat: &&Seat| seat.endpoint.id == *own;
        let group = self.as_slice().iter().find(is_own).map(|seat| seat.group);
        let mates = || {
            let all = self.as_slice().iter();
            all.filter(|seat| Some(seat.group) == group)
        };
        let mut peers = Peers {
            total: mates().count(),
            ejected: 0,
            others_that_can_serve: 0,
            others_that_fail: 0,
        };
        let others = mates().map(|seat| &*seat.endpoint);
        for other in others.filter(|other| other.id != *own) {
            let health = &other.health;
            if health.is_ejected(now) || health.on_trial(now) {
                peers.ejected = peers.ejected.saturating_add(1);
            } else if health.can_serve(now) {
                peers.others_that_can_serve = peers.others_that_can_serve.saturating_add(1);
                let fails = plan.is_some_and(|plan| health.is_failing(plan));
                peers.others_that_fail = peers.others_that_fail.saturating_add(fails.into());
            }
        }
        peers
    }
}

// === impl SeatsAt ===

impl SeatsAt<'_> {
    /// Whether the endpoint at `index` gets one request at a time: it is on trial, and another can serve.
    pub(super) fn is_tried(&self, index: usize) -> bool {
        let on_trial = |index| {
            let seat = self.seats.get(index);
            seat.is_some_and(|seat| seat.endpoint.health.on_trial(self.now))
        };
        let proven = |other: usize| self.view(other).can_serve && !on_trial(other);
        on_trial(index) && !self.level.panic && (0..self.len()).any(proven)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Why it is in or out, since when, and what will bring it back.
    #[must_use]
    pub fn sentence(&self, plan: &UpstreamPlan, now: Instant) -> String {
        let share = self.health.share(plan.slow_start, now);
        sentence(&self.health.view(now), share, plan, SystemTime::now())
    }
}

// === impl SeatView ===

impl SeatView {
    /// The same, of what was seen `at` this time of day.
    #[must_use]
    pub fn sentence(&self, plan: &UpstreamPlan, at: SystemTime) -> String {
        sentence(&self.health, self.share, plan, at)
    }
}

fn sentence(health: &HealthView, share: f32, plan: &UpstreamPlan, at: SystemTime) -> String {
    let sentence = Sentence {
        health,
        share,
        slow_start: plan.slow_start,
        checks: plan.health.as_ref(),
        at,
    };
    sentence.to_string()
}
