//! Where a gate's limit comes from, and when it speaks.

use std::fmt;

use rand::{SeedableRng, rngs::SmallRng};
use tokio::time::Instant;

use super::{
    concurrency::{Ended, Limit, Sent, build},
    gate::UNLIMITED,
};
use crate::config::ConcurrencyMode;

/// A [`Limit`], its clock and its dice; or none.
pub(super) struct Source {
    mode: ConcurrencyMode,
    law: Option<Law>,
}

struct Law {
    limit: Box<dyn Limit>,
    now: u32,
    window_ends: Instant,
    rng: SmallRng,
}

// === impl Source ===

impl Source {
    pub(super) fn of(mode: ConcurrencyMode, now: Instant) -> Self {
        Self::over(mode, build(mode), now)
    }

    pub(super) fn over(mode: ConcurrencyMode, limit: Option<Box<dyn Limit>>, now: Instant) -> Self {
        let law = limit.map(|limit| Law::new(limit, now));
        Self { mode, law }
    }

    /// Another mode is another source; the same one keeps what it has learned.
    pub(super) fn become_of(&mut self, mode: ConcurrencyMode, now: Instant) {
        if self.mode != mode {
            *self = Self::of(mode, now);
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.law.as_ref().map_or(UNLIMITED, |law| law.now)
    }

    pub(super) fn learns(&self) -> bool {
        self.law.as_ref().is_some_and(|law| law.limit.learns())
    }

    pub(super) fn sent(&mut self, sent: &Sent) {
        if let Some(law) = &mut self.law {
            law.limit.on_send(sent);
        }
    }

    /// Hears of an end; the limit from now on, where a window ended with it.
    pub(super) fn ended(&mut self, ended: &Ended) -> Option<u32> {
        let law = self.law.as_mut()?;
        law.limit.on_end(ended);
        (ended.at >= law.window_ends).then(|| law.turn(ended.at))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.mode).finish()
    }
}

// === impl Law ===

impl Law {
    fn new(limit: Box<dyn Limit>, now: Instant) -> Self {
        let mut law = Self {
            limit,
            now: 1,
            window_ends: now,
            rng: SmallRng::from_rng(&mut rand::rng()),
        };
        law.turn(now);
        law
    }

    fn turn(&mut self, now: Instant) -> u32 {
        let (limit, window_ends) = self.limit.on_window(now, &mut self.rng);
        self.now = limit.get();
        self.window_ends = window_ends;
        self.now
    }
}
