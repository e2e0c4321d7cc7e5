//! Which requests were refused or failed lately, by their idempotency keys: so a client's repeat is known as one.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The idempotency keys of the requests of one route that were refused or failed within [`Self::REMEMBERED`].
///
/// * A key is kept as a keyed hash of itself and its tenant, so that nobody can make a stranger's first try pass for
///   a repeat, nor find a key that stands for another.
/// * Memory: 32 KiB for a route, from its first failure with a key on; before that, nothing. A place in it can hold
///   four keys; where all are taken the oldest is forgotten, and its repeat passes for a first try.
/// * No lock: a repeat reads four words, a failure writes one. Relaxed: they guard no other memory, and of two
///   failures that meet in one word one is forgotten.
#[derive(Debug)]
pub struct FailedKeys {
    epoch: Instant,
    places: OnceLock<Box<[Place]>>,
}

/// A key of one tenant, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyMark(u64);

/// Words of 40 bits of a hash above 24 bits of time; 0 is none.
type Place = [AtomicU64; 4];

const PLACES: usize = 1024;
/// Below the bits of the hash: quarters of a second since the epoch, which come round every 48 days.
const TIME_BITS: u32 = 24;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const TICKS_A_SECOND: u64 = 4;

// === impl FailedKeys ===

impl FailedKeys {
    /// For so long a failure is remembered. Clients that come back do so within seconds, and no `Retry-After` for
    /// want of capacity is longer than half of this.
    pub const REMEMBERED: Duration = Duration::from_secs(60);

    /// None yet.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            places: OnceLock::new(),
        }
    }

    /// A request with this key was refused or failed.
    pub fn add(&self, mark: KeyMark, now: Instant) {
        let places = self.places.get_or_init(|| {
            let places = (0..PLACES).map(|_| Place::default());
            places.collect()
        });
        let tick = self.tick(now);
        let worth_least = |word: &&AtomicU64| match word.load(Relaxed) {
            0 => u64::MAX - 1,
            known if mark.is(known) => u64::MAX,
            other => age(other, tick),
        };
        let place = places.get(mark.place());
        if let Some(word) = place.and_then(|words| words.iter().max_by_key(worth_least)) {
            word.store(mark.at(tick), Relaxed);
        }
    }

    /// Whether a request with this key was refused or failed lately.
    #[must_use]
    pub fn has(&self, mark: KeyMark, now: Instant) -> bool {
        let place = self.places.get().and_then(|all| all.get(mark.place()));
        let tick = self.tick(now);
        place.is_some_and(|words| {
            let mut words = words.iter().map(|word| word.load(Relaxed));
            words.any(|word| mark.is(word) && age(word, tick) <= REMEMBERED_TICKS)
        })
    }

    fn tick(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        let within = u64::from(since.subsec_millis()) * TICKS_A_SECOND / 1000;
        let whole = since.as_secs().saturating_mul(TICKS_A_SECOND);
        whole.saturating_add(within) & TIME_MASK
    }
}

// === impl KeyMark ===

impl KeyMark {
    /// Of `key`, as a request of `tenant` (a hash of it) has it.
    #[must_use]
    pub fn of(key: &[u8], tenant: u64) -> Self {
        /// Keyed anew in each process.
        static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(HASH.hash_one((tenant, key)))
    }

    /// The low bits, which [`at`](Self::at) does not keep.
    fn place(self) -> usize {
        usize::try_from(self.0 % PLACES as u64).unwrap_or(0)
    }

    /// The word of a failure at `tick`. One bit of the hash is given up, so that no word is 0.
    const fn at(self, tick: u64) -> u64 {
        ((self.0 | (1 << TIME_BITS)) & !TIME_MASK) | tick
    }

    /// Whether `word` is of this key.
    const fn is(self, word: u64) -> bool {
        word & !TIME_MASK == self.at(0)
    }
}

const REMEMBERED_TICKS: u64 = FailedKeys::REMEMBERED.as_secs() * TICKS_A_SECOND;

/// How long ago a word was written, in ticks.
const fn age(word: u64, tick: u64) -> u64 {
    tick.wrapping_sub(word) & TIME_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> KeyMark {
        KeyMark::of(&number.to_be_bytes(), 1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_failed_is_known_for_a_minute_and_no_longer() {
        let start = Instant::now();
        let keys = FailedKeys::new(start);
        assert!(!keys.has(key(1), start));
        let failed = start + Duration::from_secs(100);
        keys.add(key(1), failed);
        for (seconds, known) in [(0, true), (30, true), (60, true), (61, false), (600, false)] {
            let now = failed + Duration::from_secs(seconds);
            assert_eq!(keys.has(key(1), now), known, "{seconds} s");
        }
        keys.add(key(1), failed + Duration::from_secs(50));
        assert!(keys.has(key(1), failed + Duration::from_secs(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn another_key_or_the_same_of_another_tenant_is_a_first_try() {
        let start = Instant::now();
        let keys = FailedKeys::new(start);
        keys.add(KeyMark::of(b"pay", 1), start);
        assert!(keys.has(KeyMark::of(b"pay", 1), start));
        assert!(!keys.has(KeyMark::of(b"pay", 2), start));
        assert!(!keys.has(KeyMark::of(b"pay2", 1), start));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_cap_the_oldest_are_forgotten_and_nothing_grows() {
        let start = Instant::now();
        let keys = FailedKeys::new(start);
        assert!(keys.places.get().is_none(), "nothing before the first");
        let most = u32::try_from(PLACES * Place::default().len()).unwrap();
        let all = 4 * most;
        let millis = |number: u32| start + Duration::from_millis(u64::from(number));
        for number in 0..all {
            keys.add(key(number), millis(number));
        }
        let end = millis(all);
        let known = |numbers: std::ops::Range<u32>| {
            let kept = numbers.filter(|number| keys.has(key(*number), end));
            u32::try_from(kept.count()).unwrap()
        };
        assert!(known(0..all) <= most);
        let (newest, oldest) = (known(all - 1024..all), known(0..1024));
        assert!(newest > 900 && oldest < 100, "{newest} {oldest}");
        assert_eq!(keys.places.get().map(|places| places.len()), Some(PLACES));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_key_again_takes_no_second_word() {
        let start = Instant::now();
        let keys = FailedKeys::new(start);
        for _ in 0..10 {
            keys.add(key(7), start);
        }
        let words = keys.places.get().into_iter().flatten().flatten();
        assert_eq!(words.filter(|word| word.load(Relaxed) > 0).count(), 1);
    }
}
