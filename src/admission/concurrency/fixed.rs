//! The limit that an operator sets.

use std::{num::NonZeroU32, time::Duration};

use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::{Ended, Limit, Sent};

/// As many requests in flight as the file says. Learns nothing, so it is wrong as soon as the upstream changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    limit: NonZeroU32,
}

/// Its windows mean nothing; they only have to end.
const WINDOW: Duration = Duration::from_secs(3600);

// === impl Fixed ===

impl Fixed {
    /// A limit of so many.
    #[must_use]
    pub const fn new(limit: NonZeroU32) -> Self {
        Self { limit }
    }
}

impl Limit for Fixed {
    fn learns(&self) -> bool {
        false
    }

    fn on_send(&mut self, _sent: &Sent) {}

    fn on_end(&mut self, _ended: &Ended) {}

    fn on_window(&mut self, now: Instant, _rng: &mut SmallRng) -> (NonZeroU32, Instant) {
        (self.limit, now.checked_add(WINDOW).unwrap_or(now))
    }
}
