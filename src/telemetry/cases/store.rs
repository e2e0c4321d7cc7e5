//! The cases of one gateway, bounded and fair.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::{Case, MOST_BYTES, MOST_CASES};

/// Good cases that are kept of each route: many of the last seconds, fewer of the time before.
const MOST_GOOD: usize = 32;
/// Between two cases of one kind of one route, once the store is full.
const BETWEEN: Duration = Duration::from_millis(100);
/// Between two good ones of one route.
const BETWEEN_GOOD: Duration = Duration::from_millis(250);
/// Older ones go first when room is needed. Until then they stay.
const OLD_MS: u64 = 3_600_000;

/// The cases of one gateway.
#[derive(Debug)]
pub struct Cases {
    /// Paces count from here.
    epoch: Instant,
    store: Mutex<Store>,
    /// Relaxed: seen late, a case more is kept or not.
    full: AtomicBool,
    /// Changes so far. Relaxed: seen late, a case is written down a little later.
    version: AtomicU64,
}

/// When the next case of one kind may be kept, in microseconds from the epoch; 0: at once. For who holds one of them for
/// each kind and route.
#[derive(Debug, Default)]
pub struct Pace(AtomicU64);

/// Which cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this route.
    pub route: Option<Box<str>>,
    /// Of this upstream.
    pub upstream: Option<Box<str>>,
    /// Whose fault has this name or reason.
    pub kind: Option<Box<str>>,
    /// Not earlier, in milliseconds since 1970.
    pub since_ms: u64,
    /// Not later, in milliseconds since 1970; `None`: up to now.
    pub until_ms: Option<u64>,
    /// Good ones too.
    pub good: bool,
}

/// What is counted together: a route, and the words of a fault, or how else it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Group {
    route: Box<str>,
    ending: String,
}

#[derive(Debug, Default)]
struct Store {
    groups: HashMap<Group, VecDeque<Arc<Case>>>,
    cases: usize,
    bytes: usize,
}

// === impl Cases ===

impl Cases {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            store: Mutex::default(),
            full: AtomicBool::new(false),
            version: AtomicU64::new(0),
        }
    }

    /// Whether a bad case is kept now, where `pace` is that of its kind and route. Until the store is full, each is.
    #[must_use]
    pub fn wants(&self, pace: &Pace, now: Instant) -> bool {
        !self.full.load(Relaxed) || pace.passes(self.since(now), BETWEEN)
    }

    /// Whether a good case is kept now.
    #[must_use]
    pub fn wants_good(&self, pace: &Pace, now: Instant) -> bool {
        pace.passes(self.since(now), BETWEEN_GOOD)
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    /// Keeps it; what there is most of makes room.
    pub fn keep(&self, case: Case, rng: &mut impl Rng) {
        let mut store = self.store.lock();
        store.add(Arc::new(case));
        while store.cases > MOST_CASES || store.bytes > MOST_BYTES {
            self.full.store(true, Relaxed);
            store.make_room(rng);
        }
        drop(store);
        self.version.fetch_add(1, Relaxed);
    }

    /// Keeps those of a process before, the oldest first.
    pub fn restore(&self, mut cases: Vec<Case>) {
        cases.sort_by_key(|case| case.at_ms);
        for case in cases {
            self.keep(case, &mut rand::rng());
        }
    }

    /// All of them, the newest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Case>> {
        let everything = Filter {
            good: true,
            ..Filter::default()
        };
        self.select(&everything, usize::MAX)
    }

    /// Another number than before says that something changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// The one with this request id.
    #[must_use]
    pub fn find(&self, request_id: &str) -> Option<Arc<Case>> {
        let store = self.store.lock();
        let mut all = store.groups.values().flatten();
        all.find(|case| &*case.request_id == request_id).cloned()
    }

    /// Those that `filter` lets through, the newest first, at most `most`.
    #[must_use]
    pub fn select(&self, filter: &Filter, most: usize) -> Vec<Arc<Case>> {
        let mut found: Vec<_> = {
            let store = self.store.lock();
            let all = store.groups.values().flatten();
            all.filter(|case| filter.takes(case)).cloned().collect()
        };
        found.sort_by_key(|case| std::cmp::Reverse(case.at_ms));
        found.truncate(most);
        found
    }
}

impl Default for Cases {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Pace ===

impl Pace {
    /// Whether one passes at `now`, `between` after the last.
    fn passes(&self, now: Duration, between: Duration) -> bool {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (now, next) = (micros(now), self.0.load(Relaxed));
        now >= next
            && self
                .0
                .compare_exchange(next, now.saturating_add(micros(between)), Relaxed, Relaxed)
                .is_ok()
    }
}

// === impl Filter ===

impl Filter {
    fn takes(&self, case: &Case) -> bool {
        let is = |wanted: &Option<Box<str>>, own: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == own)
        };
        let kind = self.kind.as_deref().is_none_or(|word| {
            case.fault.as_ref().is_some_and(|ill| {
                ill.kind == word || ill.reason.as_deref() == Some(word) || ill.word() == word
            })
        });
        kind && (self.good || case.is_bad())
            && case.at_ms >= self.since_ms
            && self.until_ms.is_none_or(|until| case.at_ms <= until)
            && is(&self.route, &case.route)
            && is(&self.upstream, &case.upstream)
    }
}

// === impl Store ===

impl Store {
    fn add(&mut self, case: Arc<Case>) {
        let ending = match &case.fault {
            Some(ill) => ill.word(),
            None => if case.is_bad() { "own" } else { "good" }.to_owned(),
        };
        let group = Group {
            route: case.route.clone(),
            ending,
        };
        self.cases += 1;
        self.bytes += case.bytes();
        let good = !case.is_bad();
        let members = self.groups.entry(group).or_default();
        members.push_back(case);
        if good && members.len() > MOST_GOOD {
            let gone = members.remove(thinned(members));
            self.forget(gone);
        }
    }

    /// Lets one go: the oldest of the group that has an old one, else any of the largest group.
    fn make_room(&mut self, rng: &mut impl Rng) {
        let newest = self.groups.values().filter_map(VecDeque::back);
        let now_ms = newest.map(|case| case.at_ms).max().unwrap_or_default();
        let oldest = self.groups.iter().filter_map(|(group, members)| {
            let at_ms = members.front()?.at_ms;
            Some((at_ms, group))
        });
        let oldest = oldest.min_by_key(|(at_ms, _)| *at_ms);
        let old = oldest.filter(|(at_ms, _)| at_ms.saturating_add(OLD_MS) < now_ms);
        let any_of_the_largest = || {
            let largest = self.groups.iter().max_by_key(|(_, members)| members.len());
            let (group, members) = largest?;
            Some((group.clone(), rng.random_range(0..members.len().max(1))))
        };
        let group = old
            .map(|(_, group)| (group.clone(), 0))
            .or_else(any_of_the_largest);
        let Some((group, index)) = group else {
            (self.cases, self.bytes) = (0, 0);
            return;
        };
        let Some(members) = self.groups.get_mut(&group) else {
            return;
        };
        let gone = members.remove(index);
        if members.is_empty() {
            self.groups.remove(&group);
        }
        self.forget(gone);
    }

    fn forget(&mut self, gone: Option<Arc<Case>>) {
        if let Some(case) = gone {
            self.cases = self.cases.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(case.bytes());
        }
    }
}

/// Which of `good`, the oldest first, is missed least: that with the closest neighbours for its age. So the last seconds
/// stay dense, and something stays of an hour.
fn thinned(good: &VecDeque<Arc<Case>>) -> usize {
    let at = |index: usize| good.get(index).map_or(0, |case: &Arc<Case>| case.at_ms);
    let last = good.len().saturating_sub(1);
    let now_ms = at(last);
    if at(0).saturating_add(OLD_MS) < now_ms {
        return 0;
    }
    let crowded = |index: usize| {
        let between = at(index + 1).saturating_sub(at(index - 1)) as f64;
        between / now_ms.saturating_sub(at(index)).saturating_add(1) as f64
    };
    let inner = 1..last;
    inner
        .min_by(|one, other| crowded(*one).total_cmp(&crowded(*other)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        fault::{Fault, Kind},
        telemetry::access::a_line,
    };

    fn case(id: usize, route: &str, kind: Option<Kind>, at_ms: u64) -> Case {
        let fault = kind.map(Fault::new);
        let name = format!("id-{id}");
        let mut line = a_line();
        (line.request_id, line.route, line.fault) = (&name, route, fault.as_ref());
        line.status = fault
            .as_ref()
            .map_or(200, |fault| fault.facts().status.as_u16());
        let mut case = Case::of(&line, Vec::new(), "abc");
        case.at_ms = at_ms;
        case
    }

    #[test]
    fn a_flood_of_one_kind_leaves_the_others_and_a_sample_of_itself() {
        let cases = Cases::default();
        let mut rng = StdRng::seed_from_u64(1);
        for id in 0..20 {
            cases.keep(case(id, "rare", Some(Kind::ConnectRefused), 0), &mut rng);
        }
        for id in 100..100 + 3 * MOST_CASES {
            let at_ms = id as u64;
            cases.keep(case(id, "flood", Some(Kind::QueueFull), at_ms), &mut rng);
        }
        let of = |route: &str| {
            let filter = Filter {
                route: Some(route.into()),
                ..Filter::default()
            };
            cases.select(&filter, usize::MAX)
        };
        assert_eq!(of("rare").len(), 20);
        let flood = of("flood");
        assert!(
            flood.len() <= MOST_CASES && flood.len() > MOST_CASES / 4,
            "{}",
            flood.len()
        );
        let early = flood
            .iter()
            .filter(|case| case.at_ms < 100 + MOST_CASES as u64);
        assert!(early.count() > 100, "only the latest are left");
        let store = cases.store.lock();
        let bytes: usize = store
            .groups
            .values()
            .flatten()
            .map(|case| case.bytes())
            .sum();
        assert_eq!(store.bytes, bytes);
        assert!(bytes <= MOST_BYTES);
        assert_eq!(
            store.cases,
            store.groups.values().map(VecDeque::len).sum::<usize>()
        );
    }

    #[test]
    fn what_is_older_than_an_hour_goes_first() {
        let mut store = Store::default();
        let mut rng = StdRng::seed_from_u64(1);
        store.add(Arc::new(case(1, "old", Some(Kind::ConnectRefused), 1)));
        for id in 2..10 {
            let at_ms = OLD_MS + 10;
            store.add(Arc::new(case(id, "new", Some(Kind::QueueFull), at_ms)));
        }
        store.make_room(&mut rng);
        assert!(store.groups.keys().all(|group| &*group.route == "new"));
        store.make_room(&mut rng);
        assert_eq!(store.cases, 7);
    }

    #[test]
    fn what_failed_is_kept_for_longer_than_an_hour_where_there_is_room() {
        let cases = Cases::default();
        let mut rng = StdRng::seed_from_u64(1);
        cases.keep(case(0, "first", Some(Kind::ConnectRefused), 1), &mut rng);
        for id in 1..2000 {
            let at_ms = id as u64 * 10_000; // five and a half hours
            cases.keep(case(id, "later", Some(Kind::QueueFull), at_ms), &mut rng);
        }
        assert!(cases.find("id-0").is_some());
        assert_eq!(cases.all().len(), 2000);
    }

    #[test]
    fn in_a_full_store_no_hour_old_flood_pushes_out_what_is_younger() {
        let cases = Cases::default();
        let mut rng = StdRng::seed_from_u64(1);
        for id in 0..MOST_CASES {
            cases.keep(case(id, "old", Some(Kind::QueueFull), 1), &mut rng);
        }
        for id in 0..1000 {
            let (id, at_ms) = (MOST_CASES + id, OLD_MS + 2 + id as u64);
            cases.keep(case(id, "new", Some(Kind::QueueFull), at_ms), &mut rng);
        }
        let new = Filter {
            route: Some("new".into()),
            ..Filter::default()
        };
        assert_eq!(cases.select(&new, usize::MAX).len(), 1000);
    }

    #[test]
    fn cases_of_a_process_before_are_kept_with_their_groups_and_bounds() {
        let (before, after) = (Cases::default(), Cases::default());
        let mut rng = StdRng::seed_from_u64(1);
        for id in 0..50 {
            let kind = (id % 2 == 0).then_some(Kind::ConnectRefused);
            before.keep(case(id, "shop", kind, id as u64), &mut rng);
        }
        let kept: Vec<Case> = before.all().iter().map(|case| Case::clone(case)).collect();
        after.restore(kept);
        assert_eq!(after.all(), before.all());
        assert_ne!(after.version(), 0);
    }

    #[test]
    fn everything_is_wanted_until_the_store_is_full_and_then_at_a_pace() {
        let cases = Cases::default();
        let pace = Pace::default();
        let at = |millis| cases.epoch + Duration::from_millis(millis);
        assert!((0..100).all(|_| cases.wants(&pace, at(5))));
        cases.full.store(true, Relaxed);
        let kept = (0..1000).filter(|now| cases.wants(&pace, at(*now))).count();
        assert_eq!(kept, 10);
    }

    #[test]
    fn a_few_good_ones_are_kept_and_shown_only_to_who_asks_for_them() {
        let cases = Cases::default();
        let mut rng = StdRng::seed_from_u64(1);
        for id in 0..100 {
            cases.keep(case(id, "shop", None, id as u64), &mut rng);
        }
        assert!(cases.select(&Filter::default(), 10).is_empty());
        let good = Filter {
            good: true,
            ..Filter::default()
        };
        let found = cases.select(&good, usize::MAX);
        assert_eq!(found.len(), MOST_GOOD);
        assert_eq!(&*found[0].request_id, "id-99");
        assert!(cases.find("id-99").is_some());
        assert!(cases.find("id-1").is_none());
    }

    #[test]
    fn good_ones_are_dense_in_the_last_seconds_and_reach_back_an_hour() {
        let cases = Cases::default();
        let mut rng = StdRng::seed_from_u64(1);
        let second = 1000;
        for id in 0..2 * 3600 {
            cases.keep(case(id, "shop", None, id as u64 * second), &mut rng);
        }
        let good = Filter {
            good: true,
            ..Filter::default()
        };
        let now = 2 * 3600 * second;
        let ages = cases.select(&good, usize::MAX).into_iter();
        let ages: Vec<_> = ages.map(|case| (now - case.at_ms) / second).collect();
        let within = |most: u64| ages.iter().filter(|age| **age <= most).count();
        assert!(within(10) >= 5, "{ages:?}");
        assert!(within(120) >= 12, "{ages:?}");
        assert!(within(1800) > within(600), "{ages:?}");
        assert!((1800..=3601).contains(ages.last().unwrap()), "{ages:?}");
    }

    #[test]
    fn a_filter_takes_a_kind_by_any_of_its_words() {
        let cases = Cases::default();
        let mut rng = StdRng::seed_from_u64(1);
        cases.keep(case(1, "shop", Some(Kind::QueueFull), 1), &mut rng);
        cases.keep(case(2, "shop", Some(Kind::ConnectRefused), 2), &mut rng);
        let found = |word: &str| {
            let filter = Filter {
                kind: Some(word.into()),
                ..Filter::default()
            };
            cases.select(&filter, 10).len()
        };
        assert_eq!(found("queue_full"), 1);
        assert_eq!(found("connection_limit_reached"), 1);
        assert_eq!(found("connection_limit_reached/queue_full"), 1);
        assert_eq!(found("dns_error"), 0);
    }
}
