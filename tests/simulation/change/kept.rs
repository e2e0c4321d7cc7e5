//! What a change must leave as it was, and what must not outlive it.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tidegate::{
    admission::{FailedKeys, Gate, RateLimit},
    health::HealthView,
    names::EndpointId,
    pool::Endpoint,
    snapshot::{Snapshot, UpstreamLive},
};
use tokio::time::Instant;

/// The state before a change.
#[derive(Debug)]
pub(super) struct Before {
    snapshot: Arc<Snapshot>,
    endpoints: HashMap<EndpointId, Known>,
    waiting: Vec<u32>,
}

/// What is known of an endpoint.
#[derive(Debug, PartialEq)]
struct Known {
    health: HealthView,
    in_flight: u32,
    latency: Option<(Duration, Duration)>,
}

/// All that was ever alive.
#[derive(Debug, Default)]
pub(super) struct Alive {
    endpoints: Vec<Weak<Endpoint>>,
    gates: Vec<Weak<Gate>>,
    limits: Vec<Weak<RateLimit>>,
    keys: Vec<Weak<FailedKeys>>,
    snapshots: Vec<Weak<Snapshot>>,
}

// === impl Before ===

impl Before {
    pub(super) fn of(snapshot: Arc<Snapshot>, now: Instant) -> Self {
        let seats = snapshot.upstreams.iter();
        let seats = seats.flat_map(|live| live.seats.as_slice());
        let known = seats.map(|seat| (seat.endpoint.id.clone(), Known::of(&seat.endpoint, now)));
        Self {
            endpoints: known.collect(),
            waiting: snapshot.upstreams.iter().map(waiting).collect(),
            snapshot,
        }
    }

    /// How many waited at each gate.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Arc<Gate>, u32)> {
        let gates = self.snapshot.upstreams.iter().map(|live| &live.gate);
        gates.zip(self.waiting.iter().copied())
    }

    /// Whatever both name is the same, and knows what it knew.
    pub(super) fn is_kept_by(&self, next: &Snapshot, now: Instant) -> Result<(), String> {
        for live in &next.upstreams {
            if let Some(before) = self.snapshot.upstream_named(&live.plan.name) {
                self.same(before, live, now)?;
            }
        }
        for route in &next.routes {
            let mut routes = self.snapshot.routes.iter();
            let before = routes.find(|other| other.plan.name == route.plan.name);
            if before.is_some_and(|old| !Arc::ptr_eq(&old.failed_keys, &route.failed_keys)) {
                return Err(format!("{:?} forgot which keys failed", route.plan.name));
            }
        }
        Ok(())
    }

    fn same(&self, before: &UpstreamLive, live: &UpstreamLive, now: Instant) -> Result<(), String> {
        let name = &live.plan.name;
        if !(Arc::ptr_eq(&before.gate, &live.gate)
            && Arc::ptr_eq(&before.budget, &live.budget)
            && Arc::ptr_eq(&before.turns, &live.turns)
            && Arc::ptr_eq(&before.found, &live.found))
        {
            return Err(format!("{name:?} began anew"));
        }
        if before.plan == live.plan && !Arc::ptr_eq(&before.connector, &live.connector) {
            return Err(format!("{name:?} has another connector"));
        }
        for (at, seat) in live.seats.as_slice().iter().enumerate() {
            let (id, seats) = (&seat.endpoint.id, before.seats.as_slice());
            let Some(old) = seats.iter().position(|old| old.endpoint.id == *id) else {
                continue;
            };
            let lanes = (before.roster.lane(old), live.roster.lane(at));
            let same_lane = matches!(lanes, (Some(old), Some(new)) if Arc::ptr_eq(old, new));
            if !Arc::ptr_eq(&seats[old].endpoint, &seat.endpoint) || !same_lane {
                return Err(format!("{id} began anew"));
            }
            let mut known = Known::of(&seat.endpoint, now);
            let Some(knew) = self.endpoints.get(id) else {
                continue;
            };
            if live.plan.health.is_none() {
                known.health = HealthView {
                    ejected_for: known.health.ejected_for,
                    on_trial: known.health.on_trial,
                    grounds: known.health.grounds,
                    ejections: known.health.ejections,
                    ..knew.health.clone()
                };
            }
            // In the same instant it may have got who waited.
            known.in_flight = known.in_flight.min(knew.in_flight);
            if known != *knew {
                return Err(format!("{id} is {known:?} and was {knew:?}"));
            }
        }
        Ok(())
    }
}

// === impl Known ===

impl Known {
    fn of(endpoint: &Endpoint, now: Instant) -> Self {
        Self {
            health: endpoint.health.view(now),
            in_flight: endpoint.in_flight(),
            latency: endpoint.latency.at(now),
        }
    }
}

// === impl Alive ===

impl Alive {
    /// Notes all that a snapshot holds.
    pub(super) fn note(&mut self, snapshot: &Arc<Snapshot>) {
        note(&mut self.snapshots, [snapshot]);
        note(
            &mut self.gates,
            snapshot.upstreams.iter().map(|live| &live.gate),
        );
        let seats = snapshot.upstreams.iter();
        let seats = seats.flat_map(|live| live.seats.as_slice());
        note(&mut self.endpoints, seats.map(|seat| &seat.endpoint));
        note(
            &mut self.limits,
            snapshot.routes.iter().flat_map(|route| &route.limits),
        );
        note(
            &mut self.keys,
            snapshot.routes.iter().map(|route| &route.failed_keys),
        );
    }

    /// Every gate that is still there.
    pub(super) fn gates(&self) -> impl Iterator<Item = Arc<Gate>> {
        self.gates.iter().filter_map(Weak::upgrade)
    }

    /// Snapshots that are still there.
    pub(super) fn snapshots(&mut self) -> usize {
        self.snapshots.retain(|one| one.strong_count() > 0);
        self.snapshots.len()
    }

    /// What is left once nothing is named: nothing, but the last snapshot and its own route's keys.
    pub(super) fn is_gone(&mut self) -> Result<(), String> {
        let left = [
            ("endpoints", live(&self.endpoints), 0),
            ("gates", live(&self.gates), 0),
            ("limits", live(&self.limits), 0),
            ("key marks", live(&self.keys), 1),
            ("snapshots", self.snapshots(), 1),
        ];
        if left.iter().all(|(_, left, most)| left <= most) {
            return Ok(());
        }
        Err(format!("what nothing names lives on: {left:?}"))
    }
}

fn note<'a, T: 'a>(known: &mut Vec<Weak<T>>, of: impl IntoIterator<Item = &'a Arc<T>>) {
    for one in of {
        if known.iter().all(|other| other.as_ptr() != Arc::as_ptr(one)) {
            known.push(Arc::downgrade(one)); // a Weak keeps the address from being used again
        }
    }
}

fn live<T>(of: &[Weak<T>]) -> usize {
    of.iter().filter(|one| one.strong_count() > 0).count()
}

fn waiting(live: &Arc<UpstreamLive>) -> u32 {
    live.gate.view().waiting
}
