//! How much of a class is shed, and so when one that was should come back.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::admission::moment::Moment;

/// What came and what was shed lately, of one class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ShedShare {
    came: f64,
    shed: f64,
    at: Moment,
    shed_at: Option<Moment>,
}

/// After so long, what happened counts half.
const HALF_LIFE: Duration = Duration::from_secs(2);
/// The shortest and the longest time that a refused request is asked to stay away, without its jitter.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(20);
/// Nothing is told beyond.
const MOST: Duration = Duration::from_secs(30);

// === impl ShedShare ===

impl ShedShare {
    pub(super) const FRESH: Self = Self {
        came: 0.0,
        shed: 0.0,
        at: Moment::ZERO,
        shed_at: None,
    };

    pub(super) fn let_in(&mut self, now: Moment) {
        self.fade(now);
        self.came += 1.0;
    }

    pub(super) fn shed(&mut self, now: Moment) {
        self.fade(now);
        self.came += 1.0;
        self.shed += 1.0;
        self.shed_at = Some(now);
    }

    /// One that waited was shed after all.
    pub(super) fn gave_up(&mut self, now: Moment) {
        self.fade(now);
        self.shed = (self.shed + 1.0).min(self.came);
        self.shed_at = Some(now);
    }

    /// Whether the last one was shed not longer ago.
    pub(super) fn lately(&self, now: Moment, within: Duration) -> bool {
        self.shed_at.is_some_and(|at| now.since(at) <= within)
    }

    /// The share that was shed, 0 to 1.
    pub(super) fn share(&self) -> f64 {
        if self.came > 0.0 {
            (self.shed / self.came).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// When one that was shed should come back: one that tries each second is let in, on average, at the
    /// `1 / (1 − share)`-th try. From 1 to 30 seconds; up to half is added by chance, so that those who are shed
    /// together do not return together.
    pub(super) fn retry_after(&self, rng: &mut impl Rng) -> Duration {
        let tries = 1.0 / (1.0 - self.share()).max(f64::EPSILON);
        let wait = Duration::try_from_secs_f64(tries).unwrap_or(LONGEST);
        let jitter = 1.0 + 0.5 * rng.random::<f64>();
        wait.clamp(SHORTEST, LONGEST).mul_f64(jitter).min(MOST)
    }

    fn fade(&mut self, now: Moment) {
        let since = now.since(self.at);
        self.at = now;
        let left = 0.5_f64.powf(since.as_secs_f64() / HALF_LIFE.as_secs_f64());
        self.came *= left;
        self.shed *= left;
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    /// One of `of` was let in, for some seconds.
    fn lately(of: u64) -> ShedShare {
        let mut share = ShedShare::default();
        for n in 0..4000 {
            if n % of == 0 {
                share.let_in(at(n));
            } else {
                share.shed(at(n));
            }
        }
        share
    }

    fn waits(share: ShedShare) -> (f64, f64) {
        let mut rng = SmallRng::seed_from_u64(3);
        let all: Vec<f64> = (0..500)
            .map(|_| share.retry_after(&mut rng).as_secs_f64())
            .collect();
        let least = all.iter().copied().fold(f64::MAX, f64::min);
        (least, all.iter().copied().fold(0.0, f64::max))
    }

    #[test]
    fn the_wait_grows_with_the_overload_and_has_jitter() {
        let (least, most) = waits(lately(3));
        assert!(
            (2.9..3.1).contains(&least) && (4.4..4.6).contains(&most),
            "{least} {most}"
        );
        let (least, most) = waits(lately(10));
        assert!(
            (9.5..10.5).contains(&least) && (14.5..15.5).contains(&most),
            "{least} {most}"
        );
    }

    #[test]
    fn the_wait_is_at_least_one_second_and_at_most_thirty() {
        assert!(waits(ShedShare::default()).0 >= 1.0);
        let (least, most) = waits(lately(u64::MAX));
        assert!(least >= 19.0 && most <= 30.0, "{least} {most}");
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let mut share = lately(10);
        for n in 0..400 {
            share.let_in(at(60_000 + n));
        }
        assert!(share.share() < 0.01);
    }
}
