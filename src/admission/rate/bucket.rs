//! One token bucket: a single atomic that governor decides over.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use governor::{
    RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{StateStore, direct::NotKeyed},
};

use super::shape::Shape;

/// What stands in a bucket that has moved elsewhere. No live bucket comes near it.
const CLOSED: u64 = u64::MAX;

/// The tick at which the bucket will be full again (GCRA's theoretical arrival time); in the past: it is full.
///
/// Relaxed is enough: the number guards no other memory, and its exactness comes from the read-modify-write.
#[derive(Debug)]
pub(super) struct Bucket(AtomicU64);

/// How taking a token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// A token was taken.
    Taken,
    /// None is left; one will be after so long.
    Empty(Duration),
    /// The bucket has moved: ask where its limit lives now.
    Closed,
}

// === impl Bucket ===

impl Bucket {
    pub(super) const fn full() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A bucket that owes so many ticks at `now`.
    pub(super) const fn owing(debt: u64, now: u64) -> Self {
        Self(AtomicU64::new(now.saturating_add(debt)))
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self, shape: &Shape, now: u64) -> Take {
        let account = Account {
            full_at: &self.0,
            now,
        };
        let limiter = Limiter::new(shape.quota(), account, Here);
        match limiter.check() {
            Ok(()) => Take::Taken,
            Err(_) if self.0.load(Relaxed) == CLOSED => Take::Closed,
            Err(until) => {
                let wait: Nanos = until.wait_time_from(Here.now()).into();
                Take::Empty(shape.duration(wait.as_u64()).max(Duration::from_nanos(1)))
            }
        }
    }

    /// Gives a taken token back. False: the bucket has moved.
    pub(super) fn give_back(&self, shape: &Shape) -> bool {
        self.0
            .fetch_update(Relaxed, Relaxed, |full_at| {
                (full_at != CLOSED).then(|| full_at.saturating_sub(shape.cost()))
            })
            .is_ok()
    }

    /// How many ticks it lacks to be full.
    pub(super) fn debt(&self, now: u64) -> u64 {
        match self.0.load(Relaxed) {
            CLOSED => 0,
            full_at => full_at.saturating_sub(now),
        }
    }

    /// The tick at which it will be full.
    pub(super) fn full_at(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Closes it for good; returns how many ticks it lacked to be full.
    pub(super) fn close(&self, now: u64) -> u64 {
        self.0.swap(CLOSED, Relaxed).saturating_sub(now)
    }
}

/// A limiter that lives for one check. Its time begins at that check, so the store speaks of what is owed *now*.
type Limiter<'a> = RateLimiter<NotKeyed, Account<'a>, Here, NoOpMiddleware<Nanos>>;

/// governor's clock: the moment of the check, which was handed in, is its zero.
struct Here;

impl Clock for Here {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}

/// governor's view of a bucket at `now`.
struct Account<'a> {
    full_at: &'a AtomicU64,
    now: u64,
}

impl StateStore for Account<'_> {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut seen = self.full_at.load(Relaxed);
        loop {
            // A closed bucket owes more than any can hold, so governor always refuses it.
            let debt = seen.saturating_sub(self.now);
            let (admitted, owed) = decide(Some(Nanos::new(debt)))?;
            let next = self.now.saturating_add(owed.as_u64());
            match self
                .full_at
                .compare_exchange_weak(seen, next, Relaxed, Relaxed)
            {
                Ok(_) => return Ok(admitted),
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};

    use super::*;
    use crate::config::{RateKey, RateLimitPlan};

    fn shape(count: u32, burst: u32) -> Shape {
        Shape::of(&RateLimitPlan {
            name: "test".into(),
            count: NonZeroU32::new(count).unwrap(),
            per: Duration::from_secs(1),
            burst: NonZeroU32::new(burst).unwrap(),
            key: RateKey::None,
            shadow: false,
            max_keys: NonZeroUsize::MIN,
        })
    }

    #[test]
    fn a_full_bucket_gives_exactly_its_burst() {
        let (shape, bucket) = (shape(3, 7), Bucket::full());
        let taken = (0..20)
            .filter(|_| bucket.take(&shape, 5) == Take::Taken)
            .count();
        assert_eq!(taken, 7);
    }

    #[test]
    fn after_the_wait_it_names_a_token_is_there_and_not_before() {
        let (shape, bucket) = (shape(4, 1), Bucket::full());
        assert_eq!(bucket.take(&shape, 0), Take::Taken);
        let Take::Empty(wait) = bucket.take(&shape, 0) else {
            panic!("a second token");
        };
        assert_eq!(wait, Duration::from_millis(250));
        assert_ne!(bucket.take(&shape, shape.cost() - 1), Take::Taken);
        assert_eq!(bucket.take(&shape, shape.cost()), Take::Taken);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let (shape, bucket) = (shape(1, 2), Bucket::full());
        assert_eq!(bucket.take(&shape, 9), Take::Taken);
        assert_eq!(bucket.take(&shape, 9), Take::Taken);
        assert!(bucket.give_back(&shape));
        assert_eq!(bucket.take(&shape, 9), Take::Taken);
        assert!(matches!(bucket.take(&shape, 9), Take::Empty(_)));
    }

    #[test]
    fn a_refund_that_comes_late_does_not_overfill() {
        let (shape, bucket) = (shape(1, 2), Bucket::full());
        assert_eq!(bucket.take(&shape, 0), Take::Taken);
        let later = shape.cost() * 10;
        assert!(bucket.give_back(&shape));
        let taken = (0..9)
            .filter(|_| bucket.take(&shape, later) == Take::Taken)
            .count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn a_closed_bucket_neither_gives_nor_takes() {
        let (shape, bucket) = (shape(1, 2), Bucket::full());
        assert_eq!(bucket.take(&shape, 0), Take::Taken);
        assert_eq!(bucket.close(0), shape.cost());
        assert_eq!(bucket.take(&shape, 0), Take::Closed);
        assert!(!bucket.give_back(&shape));
    }
}
