//! What a policy remembers between two picks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::Candidates;
use crate::config::MOST_GROUPS;

/// Where a rotation stands, and the heaviest weight seen. Kept with the candidates for as long as they live.
///
/// Neither has to fit the candidates of the moment: their number and weights may change between two picks.
#[derive(Debug, Default)]
pub struct Turn {
    /// The next turn. Relaxed: each is taken once, and guards nothing.
    next: AtomicU64,
    /// The bits of the heaviest weight that could serve, at the last look. Relaxed: every share is taken against
    /// it, so that one too large costs more tries, and one too small is raised when the heavier one is met.
    heaviest: AtomicU32,
}

/// One [`Turn`] for each group of an upstream: what is drawn of one says nothing of another.
#[derive(Debug, Default)]
pub struct Turns([Turn; MOST_GROUPS]);

// === impl Turn ===

impl Turn {
    /// At the beginning.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            heaviest: AtomicU32::new(0),
        }
    }

    pub(super) fn take(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// The heaviest weight known; 0 before the first look.
    pub(super) fn heaviest(&self) -> f32 {
        f32::from_bits(self.heaviest.load(Relaxed))
    }

    /// Looks at all candidates; the heaviest weight of those that can serve, 0 where none can.
    pub(super) fn look(&self, candidates: &impl Candidates) -> f32 {
        let heaviest = (0..candidates.len())
            .map(|index| candidates.view(index))
            .filter(|view| view.can_serve)
            .map(|view| view.share())
            .fold(0.0, f32::max);
        if heaviest.to_bits() != self.heaviest.load(Relaxed) {
            self.heaviest.store(heaviest.to_bits(), Relaxed);
        }
        heaviest
    }

    /// Met one that is heavier than all known.
    pub(super) fn raise(&self, weight: f32) {
        // Bits of positive floats are ordered as the floats are.
        self.heaviest.fetch_max(weight.to_bits(), Relaxed);
    }
}

// === impl Turns ===

impl Turns {
    /// That of the group at `group`.
    #[must_use]
    pub fn of(&self, group: usize) -> &Turn {
        let [main, ..] = &self.0;
        self.0.get(group).unwrap_or(main)
    }
}
