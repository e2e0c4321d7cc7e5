//! What belongs to an upstream's name: its gate, its retry budget, its cursor, and how it is spoken to.

use std::{collections::HashMap, sync::Arc};

use crate::{
    admission::{Gate, RetryBudget},
    balance::Turn,
    config::{Files, UpstreamPlan},
    names::UpstreamName,
    telemetry::UpstreamHandles,
    upstream::{Connector, NamedFiles},
};

/// By upstream.
#[derive(Debug, Default)]
pub(super) struct Gates {
    of: HashMap<UpstreamName, Entry>,
}

#[derive(Debug)]
struct Entry {
    gate: Arc<Gate>,
    budget: Arc<RetryBudget>,
    turn: Arc<Turn>,
    connector: Arc<Connector>,
    plan: Arc<UpstreamPlan>,
    files: [u8; 32],
}

/// What the next snapshot gets.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) gate: Arc<Gate>,
    pub(super) budget: Arc<RetryBudget>,
    pub(super) turn: Arc<Turn>,
    pub(super) connector: Arc<Connector>,
}

// === impl Gates ===

impl Gates {
    /// The state of the upstream that `plan` names: kept and reshaped, or new.
    pub(super) fn of(
        &mut self,
        plan: &Arc<UpstreamPlan>,
        files: &Files,
        handles: &Arc<UpstreamHandles>,
    ) -> Kept {
        let tls = files.upstreams.get(&plan.name).cloned();
        let entry = self.of.entry(plan.name.clone()).or_insert_with(|| Entry {
            gate: Arc::new(Gate::new(&plan.concurrency)),
            budget: RetryBudget::new(),
            turn: Arc::default(),
            connector: Arc::new(Connector::new(plan, tls.clone(), Arc::clone(handles))),
            plan: Arc::clone(plan),
            files: files.fingerprint,
        });
        let named = if entry.files == files.fingerprint {
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
        entry.files = files.fingerprint;
        Kept {
            gate: Arc::clone(&entry.gate),
            budget: Arc::clone(&entry.budget),
            turn: Arc::clone(&entry.turn),
            connector: Arc::clone(&entry.connector),
        }
    }

    /// Lets go of upstreams that are not named any more.
    pub(super) fn retain(&mut self, named: impl Fn(&UpstreamName) -> bool) {
        self.of.retain(|name, _| named(name));
    }
}
