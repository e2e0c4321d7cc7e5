//! Who waits and who runs, counted by those who do.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tidegate::admission::Gate;
use tokio::time::Instant;

/// By gate.
#[derive(Debug, Default)]
pub(super) struct Tally {
    gates: HashMap<usize, Count>,
    /// When a config came last, and how many waited then.
    changed: Option<(Instant, HashMap<usize, u32>)>,
}

#[derive(Debug, Default)]
struct Count {
    waiting: u32,
    held: u32,
    /// When somebody came last.
    came: Option<Instant>,
}

/// Counted until it drops.
#[derive(Debug)]
pub(super) struct Counted {
    tally: Arc<Mutex<Tally>>,
    gate: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Waits,
    Holds,
}

// === impl Tally ===

impl Tally {
    pub(super) fn arrives(&mut self, gate: &Arc<Gate>, now: Instant) {
        self.gates.entry(key(gate)).or_default().came = Some(now);
    }

    pub(super) fn waits(tally: &Arc<Mutex<Self>>, gate: &Arc<Gate>) -> Counted {
        Counted::new(tally, gate, Kind::Waits)
    }

    pub(super) fn holds(tally: &Arc<Mutex<Self>>, gate: &Arc<Gate>) -> Counted {
        Counted::new(tally, gate, Kind::Holds)
    }

    /// A config is about to come, while so many wait.
    pub(super) fn changes<'a>(
        &mut self,
        waiting: impl Iterator<Item = (&'a Arc<Gate>, u32)>,
        now: Instant,
    ) {
        let waiting = waiting.map(|(gate, waiting)| (key(gate), waiting));
        self.changed = Some((now, waiting.collect()));
    }

    /// Whether one who waited for so long may be told now that the queue is full, which has room for `most`.
    pub(super) fn may_be_full(
        &self,
        gate: &Arc<Gate>,
        waited: Duration,
        most: u32,
        now: Instant,
    ) -> bool {
        let count = self.gates.get(&key(gate));
        let came = count.is_some_and(|count| count.came == Some(now));
        let changed = self.changed.as_ref().filter(|(at, _)| *at == now);
        let waited_then = changed.and_then(|(_, waiting)| waiting.get(&key(gate)));
        let shrunk = waited_then.is_some_and(|waited| *waited > most);
        let view = gate.view();
        if waited.is_zero() {
            view.in_flight > 0 || view.waiting > 0
        } else {
            came || shrunk // a better one came in its place, or there is less room
        }
    }

    /// What a gate should count: in flight and waiting.
    pub(super) fn of(&self, gate: &Arc<Gate>) -> (u32, u32) {
        let count = self.gates.get(&key(gate));
        count.map_or((0, 0), |count| (count.held, count.waiting))
    }

    /// Whether nobody waits or runs anywhere.
    pub(super) fn is_idle(&self) -> bool {
        self.gates
            .values()
            .all(|count| count.held == 0 && count.waiting == 0)
    }

    /// Forgets gates at which nobody is.
    pub(super) fn forget(&mut self) {
        self.gates
            .retain(|_, count| count.held > 0 || count.waiting > 0);
    }
}

// === impl Counted ===

impl Counted {
    fn new(tally: &Arc<Mutex<Tally>>, gate: &Arc<Gate>, kind: Kind) -> Self {
        let counted = Self {
            tally: Arc::clone(tally),
            gate: key(gate),
            kind,
        };
        *counted.tally.lock().count(counted.gate, kind) += 1;
        counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.tally.lock().count(self.gate, self.kind) -= 1;
    }
}

impl Tally {
    fn count(&mut self, gate: usize, kind: Kind) -> &mut u32 {
        let count = self.gates.entry(gate).or_default();
        match kind {
            Kind::Waits => &mut count.waiting,
            Kind::Holds => &mut count.held,
        }
    }
}

/// Who holds a gate counts at it, so no two have the same address while it is counted.
fn key(gate: &Arc<Gate>) -> usize {
    Arc::as_ptr(gate).addr()
}
