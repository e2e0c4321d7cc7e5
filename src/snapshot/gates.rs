//! What belongs to an upstream's name: its gate, its retry budget, its cursor, and how it is spoken to.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{Found, Roster, Spill, vigil::Vigil};
use crate::{
    admission::{Gate, Remembered, RetryBudget},
    balance::Turns,
    config::{Files, UpstreamPlan},
    names::UpstreamName,
    telemetry::UpstreamHandles,
    upstream::{Connector, NamedFiles},
};

/// By upstream.
#[derive(Debug, Default)]
pub(super) struct Gates {
    of: HashMap<UpstreamName, Entry>,
    before: Before,
    tasks: TaskTracker,
}

/// What limits had come to before a restart, for upstreams that are not named yet.
#[derive(Debug, Default)]
struct Before {
    of: HashMap<UpstreamName, Vec<Remembered>>,
    /// How long ago that was, and when this was known.
    ago: Option<(Duration, Instant)>,
}

#[derive(Debug)]
struct Entry {
    gate: Arc<Gate>,
    /// Ends the loop in which the gate's limits are learned.
    _learns: DropGuard,
    budget: Arc<RetryBudget>,
    turns: Arc<Turns>,
    spill: Arc<Spill>,
    connector: Arc<Connector>,
    found: Arc<Found>,
    vigil: Vigil,
    handles: Arc<UpstreamHandles>,
    /// The endpoints in force, once there is a snapshot with them.
    roster: Option<Arc<Roster>>,
    plan: Arc<UpstreamPlan>,
    files: Option<[u8; 32]>,
}

/// What the next snapshot gets.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) gate: Arc<Gate>,
    pub(super) budget: Arc<RetryBudget>,
    pub(super) turns: Arc<Turns>,
    pub(super) spill: Arc<Spill>,
    pub(super) connector: Arc<Connector>,
    pub(super) found: Arc<Found>,
}

// === impl Gates ===

impl Gates {
    /// Limits of upstreams that are not named yet begin where they were `ago`.
    pub(super) fn recall(&mut self, remembered: Vec<Remembered>, ago: Duration, now: Instant) {
        self.before.ago = Some((ago, now));
        for one in remembered {
            let name = UpstreamName::from(one.upstream.as_str());
            self.before.of.entry(name).or_default().push(one);
        }
    }

    /// The state of the upstream that `plan` names: kept and reshaped, or new.
    pub(super) fn of(
        &mut self,
        plan: &Arc<UpstreamPlan>,
        files: &Files,
        handles: &Arc<UpstreamHandles>,
        now: Instant,
    ) -> Kept {
        let tls = files.upstreams.get(&plan.name).cloned();
        let print = files.print_of(&plan.name);
        let (tasks, before) = (&self.tasks, &mut self.before);
        let entry = self.of.entry(plan.name.clone()).or_insert_with(|| {
            let gate = Arc::new(Gate::new(&plan.concurrency, handles.events().clone()));
            before.hand_to(&gate, &plan.name, now);
            let stop = CancellationToken::new();
            tasks.spawn(Arc::clone(&gate).learn(stop.clone()));
            Entry {
                gate,
                _learns: stop.drop_guard(),
                budget: RetryBudget::new(),
                turns: Arc::default(),
                spill: Arc::default(),
                connector: Arc::new(Connector::new(plan, tls.clone(), Arc::clone(handles))),
                found: Arc::new(Found::new(plan.concurrency.mode, now)),
                vigil: Vigil::new(now),
                handles: Arc::clone(handles),
                roster: None,
                plan: Arc::clone(plan),
                files: print,
            }
        });
        let named = if entry.files == print {
            NamedFiles::Same
        } else {
            NamedFiles::Changed
        };
        if entry.plan != *plan || (plan.tls.is_some() && named == NamedFiles::Changed) {
            let next = entry
                .connector
                .succeed(&entry.plan, plan, tls, named, Arc::clone(handles));
            entry.connector = Arc::new(next);
        }
        if entry.plan.concurrency != plan.concurrency {
            entry.gate.reshape(&plan.concurrency);
        }
        entry.plan = Arc::clone(plan);
        entry.files = print;
        Kept {
            gate: Arc::clone(&entry.gate),
            budget: Arc::clone(&entry.budget),
            turns: Arc::clone(&entry.turns),
            spill: Arc::clone(&entry.spill),
            connector: Arc::clone(&entry.connector),
            found: Arc::clone(&entry.found),
        }
    }

    /// From now on the upstream of this name has the endpoints of `roster`.
    pub(super) fn follow(&mut self, name: &UpstreamName, roster: &Arc<Roster>) {
        if let Some(entry) = self.of.get_mut(name) {
            entry.roster = Some(Arc::clone(roster));
        }
    }

    /// Who the endpoints of this upstream were so far; `None` for one that is new.
    pub(super) fn roster(&self, name: &UpstreamName) -> Option<&Arc<Roster>> {
        self.of.get(name)?.roster.as_ref()
    }

    /// Compares endpoints with each other, and looks for upstreams in panic.
    pub(super) fn look(&mut self, now: Instant) {
        for entry in self.of.values_mut() {
            if let Some(roster) = &entry.roster {
                let seats = roster.seats();
                entry.vigil.look(&entry.plan, seats, &entry.handles, now);
            }
        }
    }

    /// Looks for places that came free unseen, and at what limits have come to.
    pub(super) fn sweep(&self, now: Instant) {
        for entry in self.of.values() {
            entry.gate.pump();
            if let Some(roster) = &entry.roster {
                entry.found.look(&entry.plan, roster, now);
            }
        }
    }

    /// Lets go of upstreams that are not named any more.
    pub(super) fn retain(&mut self, named: impl Fn(&UpstreamName) -> bool) {
        self.of.retain(|name, _| named(name));
    }
}

// === impl Before ===

impl Before {
    /// What is remembered of the upstream's endpoints goes to its gate.
    fn hand_to(&mut self, gate: &Gate, name: &UpstreamName, now: Instant) {
        if let (Some(remembered), Some((ago, at))) = (self.of.remove(name), self.ago) {
            let since = now.saturating_duration_since(at);
            gate.recall(&remembered, ago.saturating_add(since));
        }
    }
}
