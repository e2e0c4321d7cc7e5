//! Many buckets, by key, and never more than `max_keys` of them.
//!
//! A full bucket is the same as none, so full ones go first: a few whenever a key is new, and one from anywhere
//! where the bound is met. A bucket that is owed to is never thrown away, so no flood of keys frees a key that is
//! over its limit. Where none is full, the newcomers share one overflow bucket of the same shape.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use parking_lot::Mutex;

use super::{
    bucket::Bucket,
    key::Key,
    shape::Shape,
    store::{Charged, Seat},
};

/// How many locks the buckets are spread over.
const SHARDS: usize = 64;
/// Takes a hash to a shard.
const SHARD_MASK: u64 = SHARDS as u64 - 1;
/// How many full buckets a new key sweeps out of its shard.
const SWEPT: usize = 2;

#[derive(Debug)]
pub(super) struct Keyed {
    shards: Box<[Mutex<Shard>]>,
    /// Spreads keys over shards so that no client can aim at one.
    hash: RandomState,
    max_keys: usize,
    /// Buckets in all shards. Relaxed: a count that guards nothing; reserved before a bucket is put in.
    keys: AtomicUsize,
    /// Before this tick no bucket can be full. Relaxed: a hint; a late one costs a token's time, no correctness.
    none_full_before: AtomicU64,
    overflow: Bucket,
    /// Requests that were judged by the overflow bucket. Relaxed: counted for people.
    overflowed: AtomicU64,
}

/// A part of the keys. Each bucket has exactly one entry in `ripening`.
#[derive(Debug, Default)]
struct Shard {
    closed: bool,
    buckets: HashMap<Key, Bucket>,
    /// When each bucket will be full at the earliest; the true tick may be later, never much earlier.
    ripening: BinaryHeap<Reverse<(u64, Key)>>,
}

/// What a closing store leaves to the next.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) debts: Vec<(Key, u64)>,
    pub(super) overflow: u64,
    pub(super) overflowed: u64,
}

// === impl Keyed ===

impl Keyed {
    pub(super) fn new(max_keys: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hash: RandomState::new(),
            max_keys,
            keys: AtomicUsize::new(0),
            none_full_before: AtomicU64::new(0),
            overflow: Bucket::full(),
            overflowed: AtomicU64::new(0),
        }
    }

    /// The same debts in another shape. Above `max_keys` they are kept all the same, until they are paid.
    pub(super) fn inherit(
        max_keys: usize,
        left: Left,
        now: u64,
        carry: impl Fn(u64) -> u64,
    ) -> Self {
        let mut keyed = Self::new(max_keys);
        keyed.overflow = Bucket::owing(carry(left.overflow), now);
        keyed.overflowed = AtomicU64::new(left.overflowed);
        for (key, debt) in left.debts {
            let bucket = Bucket::owing(carry(debt), now);
            if let Some(shard) = keyed.shard(&key) {
                shard.lock().put(key, bucket);
                keyed.keys.fetch_add(1, Relaxed);
            }
        }
        keyed
    }

    pub(super) fn take(&self, key: Key, shape: &Shape, now: u64) -> Charged {
        if let Some(charged) = self.take_keyed(key, shape, now) {
            return charged;
        }
        if self.make_room(shape, now)
            && let Some(charged) = self.take_keyed(key, shape, now)
        {
            return charged;
        }
        self.overflowed.fetch_add(1, Relaxed);
        Charged::of(self.overflow.take(shape, now), Seat::Overflow)
    }

    /// Gives a token back. False: the store is closed.
    pub(super) fn give_back(&self, seat: Seat, shape: &Shape) -> bool {
        match seat {
            Seat::Shared => true,
            Seat::Overflow => self.overflow.give_back(shape),
            Seat::Keyed(key) => self.shard(&key).is_none_or(|shard| {
                let shard = shard.lock();
                if let Some(bucket) = shard.buckets.get(&key) {
                    bucket.give_back(shape);
                }
                // A bucket that is gone was full: nothing is lost.
                !shard.closed
            }),
        }
    }

    /// Closes the store for good, and hands over what is owed.
    pub(super) fn close(&self, now: u64) -> Left {
        let mut debts = Vec::with_capacity(self.keys.load(Relaxed));
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.closed = true;
            shard.ripening.clear();
            let owing = shard
                .buckets
                .drain()
                .map(|(key, bucket)| (key, bucket.close(now)));
            debts.extend(owing.filter(|(_, debt)| *debt > 0));
        }
        Left {
            debts,
            overflow: self.overflow.close(now),
            overflowed: self.overflowed.load(Relaxed),
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.keys.load(Relaxed)
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// What the emptiest bucket lacks to be full. Looks at every bucket: for scrapes, not for requests.
    pub(super) fn largest_debt(&self, now: u64) -> u64 {
        let keyed = self.shards.iter().filter_map(|shard| {
            let shard = shard.lock();
            shard.buckets.values().map(|bucket| bucket.debt(now)).max()
        });
        keyed.max().unwrap_or(0).max(self.overflow.debt(now))
    }

    /// The bucket of `key`, made where there is room; `None` where there is not.
    fn take_keyed(&self, key: Key, shape: &Shape, now: u64) -> Option<Charged> {
        let mut shard = self.shard(&key)?.lock();
        if shard.closed {
            return Some(Charged::Closed);
        }
        if let Some(bucket) = shard.buckets.get(&key) {
            return Some(Charged::of(bucket.take(shape, now), Seat::Keyed(key)));
        }
        self.sweep(&mut shard, now, SWEPT);
        if !self.reserve() {
            return None;
        }
        let bucket = Bucket::full();
        let taken = bucket.take(shape, now);
        shard.put(key, bucket);
        Some(Charged::of(taken, Seat::Keyed(key)))
    }

    /// Throws one full bucket out, wherever it is. At most one lock is held at a time.
    fn make_room(&self, shape: &Shape, now: u64) -> bool {
        if self.keys.load(Relaxed) < self.max_keys {
            return true;
        }
        if now < self.none_full_before.load(Relaxed) {
            return false;
        }
        // A bucket that is put in meanwhile owes a token, so none of them is full before that is back.
        let mut earliest = now.saturating_add(shape.cost());
        for shard in &self.shards {
            let mut shard = shard.lock();
            if self.sweep(&mut shard, now, 1) > 0 {
                return true;
            }
            if let Some(Reverse((full_at, _))) = shard.ripening.peek() {
                earliest = earliest.min(*full_at);
            }
        }
        self.none_full_before.store(earliest, Relaxed);
        false
    }

    fn sweep(&self, shard: &mut Shard, now: u64, most: usize) -> usize {
        let swept = shard.sweep(now, most);
        if swept > 0 {
            self.keys.fetch_sub(swept, Relaxed);
        }
        swept
    }

    fn reserve(&self) -> bool {
        self.keys
            .fetch_update(Relaxed, Relaxed, |keys| {
                (keys < self.max_keys).then(|| keys.saturating_add(1))
            })
            .is_ok()
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<Shard>> {
        let index = self.hash.hash_one(key) & SHARD_MASK;
        self.shards.get(usize::try_from(index).ok()?)
    }
}

// === impl Shard ===

impl Shard {
    fn put(&mut self, key: Key, bucket: Bucket) {
        self.ripening.push(Reverse((bucket.full_at(), key)));
        self.buckets.insert(key, bucket);
    }

    /// Throws at most so many full buckets out. An entry that was charged since is put back at its new tick,
    /// which each charge pays for at most once: O(log n) amortised.
    fn sweep(&mut self, now: u64, most: usize) -> usize {
        let mut swept: usize = 0;
        while swept < most
            && let Some(Reverse((noted, key))) = self.ripening.peek().copied()
            && noted <= now
        {
            self.ripening.pop();
            match self.buckets.get(&key).map(Bucket::full_at) {
                Some(full_at) if full_at > now => self.ripening.push(Reverse((full_at, key))),
                Some(_) => {
                    self.buckets.remove(&key);
                    swept = swept.saturating_add(1);
                }
                None => {}
            }
        }
        swept
    }
}
