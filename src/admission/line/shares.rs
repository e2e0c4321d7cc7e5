//! The parts of an upstream's places that belong to some of its routes, lent out when they are not wanted.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Routes with a share of their own, at one upstream, and the rest of them.
pub(in crate::admission) const MAX_GROUPS: usize = 32;

/// How many places each group has. Group 0 is all routes without a share.
#[derive(Debug)]
pub(in crate::admission) struct Shares {
    /// Permits out. Relaxed: they order waiters and guard nothing.
    in_flight: [AtomicU32; MAX_GROUPS],
    /// Thousandths of the places; 0: none of its own. Relaxed: as above.
    parts: [AtomicU32; MAX_GROUPS],
    /// Groups with a part. Zero makes all of this cost one load.
    in_use: AtomicU32,
}

const WHOLE: u32 = 1000;
/// What the routes without a share weigh at least, in thousandths.
const LEAST: u32 = 50;

// === impl Shares ===

impl Shares {
    pub(in crate::admission) const fn new() -> Self {
        Self {
            in_flight: [const { AtomicU32::new(0) }; MAX_GROUPS],
            parts: [const { AtomicU32::new(0) }; MAX_GROUPS],
            in_use: AtomicU32::new(0),
        }
    }

    /// Sets the parts of the groups from 1 on.
    pub(in crate::admission) fn set(&self, parts: &[u32]) {
        for (group, stored) in self.parts.iter().enumerate().skip(1) {
            stored.store(parts.get(group).copied().unwrap_or(0), Relaxed);
        }
        let in_use = parts.iter().skip(1).filter(|part| **part > 0).count();
        self.in_use
            .store(u32::try_from(in_use).unwrap_or(u32::MAX), Relaxed);
    }

    pub(in crate::admission) fn enter(&self, group: u8) {
        if let Some(count) = self.in_flight.get(usize::from(group)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(in crate::admission) fn leave(&self, group: u8) {
        if let Some(count) = self.in_flight.get(usize::from(group)) {
            count.fetch_sub(1, Relaxed);
        }
    }

    /// Whether any group has a part.
    pub(super) fn matter(&self) -> bool {
        self.in_use.load(Relaxed) > 0
    }

    /// How full a group's own part of `places` is; `None` where it is full or has none.
    pub(super) fn claims(&self, group: usize, places: u32) -> Option<f64> {
        let part = self.part(group);
        let own = f64::from(part) * f64::from(places) / f64::from(WHOLE);
        let taken = f64::from(self.taken(group));
        (part > 0 && taken < own.max(1.0)).then(|| taken / own.max(1.0))
    }

    /// How much a group has for its weight: who has least goes next.
    pub(super) fn load(&self, group: usize) -> f64 {
        let weight = if group == 0 {
            self.rest()
        } else {
            self.part(group).max(LEAST)
        };
        f64::from(self.taken(group)) / f64::from(weight)
    }

    fn rest(&self) -> u32 {
        let given: u32 = self.parts.iter().map(|part| part.load(Relaxed)).sum();
        WHOLE.saturating_sub(given).max(LEAST)
    }

    fn part(&self, group: usize) -> u32 {
        self.parts.get(group).map_or(0, |part| part.load(Relaxed))
    }

    fn taken(&self, group: usize) -> u32 {
        self.in_flight
            .get(group)
            .map_or(0, |count| count.load(Relaxed))
    }
}
