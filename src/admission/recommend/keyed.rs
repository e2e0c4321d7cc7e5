//! What the busiest keys of a limit asked for.

use super::{BURST_SECONDS, Rate};

/// The 64 busiest keys of a limit that has a bucket for each key: how large a burst each would have needed
/// at each of a row of rates. About 35 KB, whatever the number of keys; nothing before the first record.
///
/// * A key that is not among them takes the place of the least busy one and its rank with it, so that a busy one
///   that comes late climbs. Source: Metwally et al., "Efficient computation of frequent and top-k elements in data
///   streams" (space saving), ICDT 2005.
/// * Remembered are the last 30 to 60 minutes: two halves, the older of which goes when a new one begins.
/// * Keys that are not among the busiest are taken to fit wherever those do.
#[derive(Debug, Clone, Default)]
pub struct KeyedDemand {
    keys: Vec<Key>,
    half: Option<u64>,
}

/// Keys that are watched.
const KEYS: usize = 64;

/// Seconds of a half.
const HALF: u64 = 1_800;
/// Rates at which a key is measured: from one a minute to 30,000 a second, each 1.41 times the one before.
const RATES: usize = 41;
const SLOWEST: f32 = 1.0 / 60.0;

/// What one key asked for.
#[derive(Debug, Clone)]
struct Key {
    key: u64,
    /// Its place among the busiest, with what it took over.
    rank: u64,
    second: u64,
    /// At each rate: what is asked for and not yet paid for by the tokens since.
    owed: [f32; RATES],
    /// This half of an hour, and the one before.
    halves: [Half; 2],
}

/// What a key asked for in half an hour.
#[derive(Debug, Clone, Copy)]
struct Half {
    requests: u64,
    /// At each rate: the most that was owed.
    most: [f32; RATES],
}

// === impl KeyedDemand ===

impl KeyedDemand {
    /// With nothing recorded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many more requests of `key` came in `second`; an earlier second counts as the latest. `key` is a hash.
    pub fn record(&mut self, key: u64, second: u64, requests: u32) {
        self.forward(second);
        if let Some(known) = self.place_of(key, second) {
            known.asked(second, requests);
        }
    }

    /// Forgets what is too old at `second`.
    pub fn forward(&mut self, second: u64) {
        let half = second.checked_div(HALF).unwrap_or(0);
        let turned = half.saturating_sub(*self.half.get_or_insert(half));
        if turned > 0 {
            self.half = Some(half);
            for key in &mut self.keys {
                key.turn(turned);
            }
            self.keys.retain(|key| key.requests() > 0);
        }
    }

    fn place_of(&mut self, key: u64, second: u64) -> Option<&mut Key> {
        let known = self.keys.iter().position(|known| known.key == key);
        let place = match known {
            Some(place) => place,
            None if self.keys.len() < KEYS => {
                self.keys.push(Key::new(key, 0, second));
                self.keys.len().saturating_sub(1)
            }
            None => {
                let ranks = self.keys.iter().map(|known| known.rank).enumerate();
                let (place, rank) = ranks.min_by_key(|(_, rank)| *rank)?;
                *self.keys.get_mut(place)? = Key::new(key, rank, second);
                place
            }
        };
        self.keys.get_mut(place)
    }

    /// Requests of the keys that are watched.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.keys.iter().map(Key::requests).sum()
    }

    /// The slowest bucket for each key that would have refused at most `share` (0 to 1) of the requests of the
    /// keys watched, with a burst of about five seconds of its rate at most; `None` where nothing was asked for.
    ///
    /// Of a key that does not fit, all requests are counted as refused, so it errs towards room.
    #[must_use]
    pub fn propose(&self, share: f64) -> Option<Rate> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let allowed = share.clamp(0.0, 1.0) * total as f64;
        let mut chosen = None;
        for (place, per_second) in rates().enumerate() {
            let (burst, refused) = self.burst(place, allowed);
            chosen = Some((per_second, burst, refused));
            if f64::from(burst) <= (f64::from(per_second) * BURST_SECONDS).max(1.0) {
                break;
            }
        }
        let (per_second, burst, refused) = chosen?;
        let rate = Rate::at_least(per_second.into());
        Some(rate.with(burst.into(), refused / total as f64, total))
    }

    /// The burst at the rate in this place with which those that don't fit asked for at most `allowed`, and how
    /// much they asked for.
    fn burst(&self, place: usize, allowed: f64) -> (f32, f64) {
        let needs = self
            .keys
            .iter()
            .map(|key| (key.most(place), key.requests()));
        let mut needs: Vec<_> = needs.collect();
        needs.sort_by(|left, right| right.0.total_cmp(&left.0));
        let mut refused = 0.0;
        for (burst, requests) in needs {
            let with = refused + requests as f64;
            if with > allowed {
                return (burst, refused);
            }
            refused = with;
        }
        (1.0, refused)
    }
}

fn rates() -> impl Iterator<Item = f32> {
    std::iter::successors(Some(SLOWEST), |rate| Some(rate * std::f32::consts::SQRT_2)).take(RATES)
}

// === impl Key ===

impl Key {
    const fn new(key: u64, rank: u64, second: u64) -> Self {
        Self {
            key,
            rank,
            second,
            owed: [0.0; RATES],
            halves: [Half::EMPTY; 2],
        }
    }

    fn asked(&mut self, second: u64, requests: u32) {
        let passed = second.saturating_sub(self.second);
        self.second = self.second.max(second);
        self.rank = self.rank.saturating_add(requests.into());
        let [half, _] = &mut self.halves;
        half.requests = half.requests.saturating_add(requests.into());
        let places = self.owed.iter_mut().zip(&mut half.most);
        for ((owed, most), rate) in places.zip(rates()) {
            *owed = (*owed - rate * passed as f32).max(0.0) + requests as f32;
            *most = most.max(*owed);
        }
    }

    /// Halves of an hour have passed.
    fn turn(&mut self, halves: u64) {
        let [current, _] = self.halves;
        self.halves = [Half::EMPTY, if halves == 1 { current } else { Half::EMPTY }];
        self.rank = self.requests();
    }

    fn requests(&self) -> u64 {
        self.halves.iter().map(|half| half.requests).sum()
    }

    /// The burst that it needed at the rate in this place.
    fn most(&self, place: usize) -> f32 {
        let most = self.halves.iter().filter_map(|half| half.most.get(place));
        most.copied().fold(0.0, f32::max)
    }
}

// === impl Half ===

impl Half {
    const EMPTY: Self = Self {
        requests: 0,
        most: [0.0; RATES],
    };
}
