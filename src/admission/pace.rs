//! How long requests take lately: of each route, and of all.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{meter::MAX_ROUTES, moment::micros};

/// Moving means, in sixteenths of a microsecond. `Relaxed`, and an update may be lost to another one: a mean over
/// some fifty requests does not mind.
#[derive(Debug)]
pub(super) struct Lately {
    all: Mean,
    routes: [Mean; MAX_ROUTES],
    /// From an answer's head to its last byte.
    bodies: [Mean; MAX_ROUTES],
}

#[derive(Debug)]
struct Mean(AtomicU64);

/// How much a new value counts: a fiftieth.
const MEMORY: u64 = 50;
const FRACTION: u64 = 16;

// === impl Lately ===

impl Lately {
    pub(super) const fn new() -> Self {
        Self {
            all: Mean::unknown(),
            routes: [const { Mean::unknown() }; MAX_ROUTES],
            bodies: [const { Mean::unknown() }; MAX_ROUTES],
        }
    }

    /// A request of `route` was answered after `took`.
    pub(super) fn answered(&self, route: u16, took: Duration) {
        let took_us = micros(took);
        self.all.add(took_us);
        if let Some(mean) = self.routes.get(usize::from(route)) {
            mean.add(took_us);
        }
    }

    /// The body of an answer of `route` ended well, `took` after its head.
    pub(super) fn streamed(&self, route: u16, took: Duration) {
        if let Some(mean) = self.bodies.get(usize::from(route)) {
            mean.add(micros(took));
        }
    }

    /// How long an answer of `route` takes to its last byte; `None` before the first head.
    pub(super) fn whole(&self, route: u16) -> Option<Duration> {
        let body = self.bodies.get(usize::from(route)).and_then(Mean::get);
        let whole = self.of(route)?.saturating_add(body.unwrap_or_default());
        Some(whole)
    }

    /// How long a request takes; `None` before the first.
    pub(super) fn all(&self) -> Option<Duration> {
        self.all.get()
    }

    /// How long one of `route` takes.
    pub(super) fn of(&self, route: u16) -> Option<Duration> {
        self.routes.get(usize::from(route)).and_then(Mean::get)
    }
}

// === impl Mean ===

impl Mean {
    const fn unknown() -> Self {
        Self(AtomicU64::new(0))
    }

    fn add(&self, micros: u64) {
        let value = micros.saturating_mul(FRACTION).max(1);
        let old = self.0.load(Relaxed);
        let new = if old == 0 {
            value
        } else if value > old {
            old.saturating_add(value.wrapping_sub(old) / MEMORY)
        } else {
            old.saturating_sub(old.wrapping_sub(value) / MEMORY)
        };
        self.0.store(new.max(1), Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        let mean = self.0.load(Relaxed);
        (mean > 0).then(|| Duration::from_micros(mean / FRACTION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_follows_what_requests_take() {
        let lately = Lately::new();
        assert_eq!(lately.all(), None);
        for _ in 0..400 {
            lately.answered(1, Duration::from_millis(5));
            lately.answered(2, Duration::from_millis(35));
        }
        let millis = |mean: Option<Duration>| mean.map(|mean| mean.as_millis());
        assert_eq!(millis(lately.of(1)), Some(5));
        assert_eq!(millis(lately.of(2)), Some(35));
        assert!((18..=22).contains(&millis(lately.all()).unwrap_or(0)));
        assert_eq!(lately.of(3), None);
        assert_eq!(millis(lately.whole(1)), Some(5));
        lately.streamed(1, Duration::from_millis(20));
        assert_eq!(millis(lately.whole(1)), Some(25));
        assert_eq!(millis(lately.of(1)), Some(5));
        lately.streamed(3, Duration::from_millis(20));
        assert_eq!(lately.whole(3), None);
    }
}
