//! What a limit is asked for, second by second, so that another rate and burst can be proposed.
//!
//! Counting makes no request wait: a limit with one bucket for all costs one more atomic, one with a bucket for each
//! key tries one lock of many and gives up where it is held. What is given up is counted ([`Asked::missed`]): the
//! more, the more keys come in the same second. Requests that an earlier limit of the same route refused never ask,
//! and are not counted either.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

use super::key::Key;
use crate::{
    admission::{Demand, KeyedDemand, Rate},
    config::RateKey,
};

/// The demand of one limit, whether it was let in or not.
#[derive(Debug)]
pub(super) enum Asked {
    /// One bucket for all: 14.4 KB.
    Together(Together),
    /// One bucket for each key: at most 35 KB and [`SHARDS`] times 3.8 KB, whatever the number of keys.
    ByKey(ByKey),
}

/// Requests of the running second, and those of the hour before.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// The second in the upper half, the requests in it in the lower. Relaxed: it guards no other memory, and who
    /// turns the second takes what the one before it had.
    running: AtomicU64,
    /// Locked once a second, and by those who look.
    past: Mutex<Demand>,
}

/// Requests by key and second.
#[derive(Debug)]
pub(super) struct ByKey {
    shards: Box<[Mutex<Tally>]>,
    /// Keyed anew in each process: nobody can aim at the place of another's key.
    hash: RandomState,
    busiest: Mutex<KeyedDemand>,
    /// Requests that were not counted. Relaxed: for people.
    missed: AtomicU64,
}

/// A part of the keys. Nothing is allocated before the first request.
#[derive(Debug, Default)]
struct Tally {
    /// The running seconds of keys, each at the place that its hash says; two that share one put each other out.
    running: Vec<Count>,
    /// What was put out.
    past: Vec<Count>,
}

/// Requests of a key in a second.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    key: u64,
    second: u64,
    requests: u32,
}

/// How many locks the keys are spread over.
const SHARDS: usize = 16;
/// Keys whose running second is kept, for each of them.
const PLACES: usize = 32;
/// Seconds of keys that are taken in together.
const TOGETHER: usize = 128;
/// Bits of a count; the second has those above.
const COUNT_BITS: u32 = 32;
const COUNT: u64 = u32::MAX as u64;

// === impl Asked ===

impl Asked {
    pub(super) fn new(key: &RateKey) -> Self {
        match key {
            RateKey::None => Self::Together(Together::default()),
            RateKey::ClientIp | RateKey::Header(_) => Self::ByKey(ByKey::new()),
        }
    }

    /// A request of `key` came in `second`.
    pub(super) fn count(&self, key: &Key, second: u64) {
        match self {
            Self::Together(all) => all.count(second),
            Self::ByKey(keys) => keys.count(key, second),
        }
    }

    /// Takes in what the running seconds have so far. `second` is now.
    pub(super) fn gather(&self, second: u64) {
        match self {
            Self::Together(all) => all.gather(second),
            Self::ByKey(keys) => keys.gather(second),
        }
    }

    /// What the demand gathered would have fitted into. Takes milliseconds: not for requests.
    pub(super) fn propose(&self, share: f64) -> Option<Rate> {
        match self {
            Self::Together(all) => {
                let past = all.past.lock().clone();
                past.propose(share)
            }
            Self::ByKey(keys) => {
                let busiest = keys.busiest.lock().clone();
                busiest.propose(share)
            }
        }
    }

    /// Requests that were not counted.
    pub(super) fn missed(&self) -> u64 {
        match self {
            Self::Together(_) => 0,
            Self::ByKey(keys) => keys.missed.load(Relaxed),
        }
    }
}

// === impl Together ===

impl Together {
    /// One that comes late counts in the running second.
    fn count(&self, second: u64) {
        let mut seen = self.running.load(Relaxed);
        loop {
            if seen >> COUNT_BITS >= second.min(COUNT) {
                self.running.fetch_add(1, Relaxed);
                return;
            }
            let turned = (second.min(COUNT) << COUNT_BITS) | 1;
            match self
                .running
                .compare_exchange_weak(seen, turned, Relaxed, Relaxed)
            {
                Ok(over) => return self.take_in(over),
                Err(now) => seen = now,
            }
        }
    }

    fn gather(&self, second: u64) {
        self.take_in(self.running.fetch_and(!COUNT, Relaxed));
        self.past.lock().record(second, 0);
    }

    fn take_in(&self, over: u64) {
        let requests = u32::try_from(over & COUNT).unwrap_or(u32::MAX);
        if requests > 0 {
            self.past.lock().record(over >> COUNT_BITS, requests);
        }
    }
}

// === impl ByKey ===

impl ByKey {
    fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hash: RandomState::new(),
            busiest: Mutex::default(),
            missed: AtomicU64::new(0),
        }
    }

    fn count(&self, key: &Key, second: u64) {
        let key = self.hash.hash_one(key);
        let [shard, place, ..] = key.to_le_bytes().map(usize::from);
        let Some(shard) = self.shards.get(shard % SHARDS) else {
            return;
        };
        let Some(mut tally) = shard.try_lock() else {
            self.missed.fetch_add(1, Relaxed);
            return;
        };
        let full = tally.count(key, second, place % PLACES);
        drop(tally);
        let Some(past) = full else { return };
        if let Some(mut busiest) = self.busiest.try_lock() {
            take_in(&mut busiest, &past);
        } else {
            let lost = past.iter().map(|count| u64::from(count.requests)).sum();
            self.missed.fetch_add(lost, Relaxed);
        }
    }

    fn gather(&self, second: u64) {
        for shard in &self.shards {
            let counts = shard.lock().take_all();
            take_in(&mut self.busiest.lock(), &counts);
        }
        self.busiest.lock().forward(second);
    }
}

fn take_in(busiest: &mut KeyedDemand, counts: &[Count]) {
    for count in counts {
        busiest.record(count.key, count.second, count.requests);
    }
}

// === impl Tally ===

impl Tally {
    /// Counts one; what was put out, where that is enough to be taken in.
    fn count(&mut self, key: u64, second: u64, place: usize) -> Option<Vec<Count>> {
        if self.running.is_empty() {
            self.running.resize(PLACES, Count::default());
        }
        let running = self.running.get_mut(place)?;
        if running.key == key && running.second >= second && running.requests > 0 {
            running.requests = running.requests.saturating_add(1);
            return None;
        }
        let requests = 1;
        let begun = Count {
            key,
            second,
            requests,
        };
        let over = std::mem::replace(running, begun);
        if over.requests > 0 {
            self.past.push(over);
        }
        (self.past.len() >= TOGETHER).then(|| std::mem::take(&mut self.past))
    }

    fn take_all(&mut self) -> Vec<Count> {
        let mut counts = std::mem::take(&mut self.past);
        let running = self.running.iter_mut().map(std::mem::take);
        counts.extend(running.filter(|count| count.requests > 0));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(asked: &Asked, second: u64) -> Rate {
        asked.gather(second);
        asked.propose(0.0).expect("something was asked for")
    }

    #[test]
    fn of_all_together_each_second_is_counted_once() {
        let asked = Asked::new(&RateKey::None);
        for second in 10..70 {
            for _ in 0..20 {
                asked.count(&Key::Everyone, second);
            }
        }
        asked.count(&Key::Everyone, 60); // late
        let rate = proposed(&asked, 70);
        assert_eq!((rate.seen, rate.refused), (1_201, 0.0));
        assert!((18.0..=20.0).contains(&rate.per_second()), "{rate:?}");
        assert_eq!(proposed(&asked, 71).seen, 1_201, "gathered twice");
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten_although_nobody_came_since() {
        let asked = Asked::new(&RateKey::None);
        asked.count(&Key::Everyone, 1);
        asked.gather(3_599);
        assert!(asked.propose(0.0).is_some());
        asked.gather(3_602);
        assert_eq!(asked.propose(0.0), None);
        let asked = Asked::new(&RateKey::ClientIp);
        asked.count(&Key::V4(1), 1);
        asked.gather(1_800);
        assert!(asked.propose(0.0).is_some());
        asked.gather(3_600);
        assert_eq!(asked.propose(0.0), None);
    }

    #[test]
    fn the_busiest_key_decides_and_a_crowd_of_others_hides_it_from_nobody() {
        let asked = Asked::new(&RateKey::ClientIp);
        for second in 0..60 {
            for _ in 0..30 {
                asked.count(&Key::V4(7), second);
            }
            let crowd = u32::try_from(second).unwrap() * 40;
            (crowd..crowd + 40).for_each(|other| asked.count(&Key::V4(1_000 + other), second));
        }
        let rate = proposed(&asked, 60);
        assert_eq!(asked.missed(), 0);
        assert!((30.0..=60.0).contains(&rate.per_second()), "{rate:?}");
    }

    #[test]
    fn a_request_waits_for_no_lock_and_what_is_not_counted_is_told() {
        let asked = Asked::new(&RateKey::ClientIp);
        let Asked::ByKey(keys) = &asked else {
            panic!("it has a bucket for each key")
        };
        let mut held = Vec::new();
        for shard in &keys.shards {
            held.push(shard.lock());
        }
        asked.count(&Key::V4(1), 0);
        drop(held);
        assert_eq!(asked.missed(), 1);
        let busy = keys.busiest.lock();
        (0..100_000).for_each(|key| asked.count(&Key::V4(key), 0));
        drop(busy);
        let all = 100_000;
        assert!(asked.missed() > all / 2, "{}", asked.missed());
        let kept = keys.shards.iter().map(|shard| {
            let tally = shard.lock();
            assert!(tally.running.len() <= PLACES && tally.past.len() < TOGETHER);
            let counts = tally.running.iter().chain(&tally.past);
            counts.map(|count| u64::from(count.requests)).sum::<u64>()
        });
        assert_eq!(kept.sum::<u64>() + asked.missed(), all + 1);
    }
}
