//! The buckets of one limit in one shape: one for all, or one a key.

use std::time::Duration;

use super::{
    bucket::{Bucket, Take},
    key::Key,
    keyed::Keyed,
    shape::Shape,
};
use crate::config::{RateKey, RateLimitPlan};

#[derive(Debug)]
pub(super) enum Store {
    /// One bucket for all: a single atomic.
    Shared(Bucket),
    /// One bucket a key.
    Keyed(Keyed),
}

/// Which bucket a token was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    Shared,
    Keyed(Key),
    Overflow,
}

/// How charging a limit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charged {
    /// A token was taken there.
    Paid(Seat),
    /// No token; one will be there after so long.
    Empty(Duration),
    /// The limit has taken another shape: ask there.
    Closed,
}

// === impl Store ===

impl Store {
    /// Full buckets.
    pub(super) fn new(plan: &RateLimitPlan) -> Self {
        match plan.key {
            RateKey::None => Self::Shared(Bucket::full()),
            RateKey::ClientIp | RateKey::Header(_) => Self::Keyed(Keyed::new(plan.max_keys.get())),
        }
    }

    /// Takes a token of `key`'s bucket.
    pub(super) fn take(&self, key: Key, shape: &Shape, now: u64) -> Charged {
        match self {
            Self::Shared(bucket) => Charged::of(bucket.take(shape, now), Seat::Shared),
            Self::Keyed(keyed) => keyed.take(key, shape, now),
        }
    }

    /// Gives a token back. False: the store is closed.
    pub(super) fn give_back(&self, seat: Seat, shape: &Shape) -> bool {
        match (self, seat) {
            (Self::Shared(bucket), Seat::Shared) => bucket.give_back(shape),
            (Self::Keyed(keyed), seat) => keyed.give_back(seat, shape),
            // Taken under another kind of key: that bucket is gone.
            (Self::Shared(_), _) => true,
        }
    }

    /// Closes this store for good and moves what is owed into one of `plan`, which must have the same key.
    ///
    /// The two clocks are this store's and the next one's reading of the same moment.
    pub(super) fn move_to(
        &self,
        plan: &RateLimitPlan,
        now: u64,
        then: u64,
        carry: impl Fn(u64) -> u64,
    ) -> Self {
        match self {
            Self::Shared(bucket) => Self::Shared(Bucket::owing(carry(bucket.close(now)), then)),
            Self::Keyed(keyed) => {
                let left = keyed.close(now);
                Self::Keyed(Keyed::inherit(plan.max_keys.get(), left, then, carry))
            }
        }
    }

    /// Closes this store for good; what is owed is forgotten.
    pub(super) fn close(&self) {
        match self {
            Self::Shared(bucket) => drop(bucket.close(0)),
            Self::Keyed(keyed) => drop(keyed.close(0)),
        }
    }

    /// Buckets that are kept.
    pub(super) fn keys(&self) -> usize {
        match self {
            Self::Shared(_) => 1,
            Self::Keyed(keyed) => keyed.keys(),
        }
    }

    /// Requests that were judged by the overflow bucket.
    pub(super) fn overflowed(&self) -> u64 {
        match self {
            Self::Shared(_) => 0,
            Self::Keyed(keyed) => keyed.overflowed(),
        }
    }

    /// What the emptiest bucket lacks to be full, in ticks.
    pub(super) fn largest_debt(&self, now: u64) -> u64 {
        match self {
            Self::Shared(bucket) => bucket.debt(now),
            Self::Keyed(keyed) => keyed.largest_debt(now),
        }
    }
}

// === impl Charged ===

impl Charged {
    pub(super) fn of(take: Take, seat: Seat) -> Self {
        match take {
            Take::Taken => Self::Paid(seat),
            Take::Empty(wait) => Self::Empty(wait),
            Take::Closed => Self::Closed,
        }
    }
}
