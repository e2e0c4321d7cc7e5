//! What DNS says, and what of it may be in force.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use tidegate::{
    config::DnsPlan,
    resolve::{Found, StandIn, Why},
    snapshot::Snapshot,
};
use tokio::time::{Instant, sleep};

use super::faults::Faults;

/// What a name server says of a name.
#[derive(Debug, Clone)]
pub(super) enum Says {
    /// These addresses.
    Good(BTreeSet<IpAddr>),
    /// One half, then the other, and so on.
    Flaps(BTreeSet<IpAddr>, BTreeSet<IpAddr>),
    /// This error, after a time.
    Fails(Why, Duration),
}

/// All names, and what became of their answers.
#[derive(Debug)]
pub(super) struct Names {
    zones: Mutex<BTreeMap<String, Zone>>,
    snapshot: OnceLock<Arc<ArcSwap<Snapshot>>>,
    faults: Faults,
}

#[derive(Debug)]
struct Zone {
    says: Says,
    /// What was in force when it was asked for last.
    before: Option<BTreeSet<IpAddr>>,
    /// The last answer with addresses, and the one before it.
    good: [Option<BTreeSet<IpAddr>>; 2],
    /// When the last answer was given, whether it was an error, and what was configured then.
    last: Option<(Instant, bool, DnsPlan)>,
    /// When an address was last in an answer.
    seen: BTreeMap<IpAddr, Instant>,
    /// Since when all answers were errors.
    failing: Option<Instant>,
    /// Since when and how often the name was said to be gone, in a row.
    gone: Option<(Instant, u32)>,
}

// === impl Names ===

impl Names {
    pub(super) fn new(faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            zones: Mutex::default(),
            snapshot: OnceLock::new(),
            faults,
        })
    }

    /// From now on what is in force is read there.
    pub(super) fn watch(&self, snapshot: Arc<ArcSwap<Snapshot>>) {
        drop(self.snapshot.set(snapshot));
    }

    pub(super) fn says(&self, name: &str, says: Says) {
        let mut zones = self.zones.lock();
        match zones.get_mut(name) {
            Some(zone) => zone.says = says,
            None => drop(zones.insert(name.to_owned(), Zone::new(says))),
        }
    }

    /// What a snapshot has of a name; `None` where it does not name it.
    pub(super) fn in_force(snapshot: &Snapshot, name: &str) -> Option<BTreeSet<IpAddr>> {
        let mut names = snapshot.upstreams.iter().flat_map(|live| &live.names);
        let named = names.find(|named| *named.name == *name)?;
        Some(named.answer.addresses().into_iter().collect())
    }

    /// Names that a config left out begin anew when they come back.
    pub(super) fn follow(&self, snapshot: &Snapshot) {
        for (name, zone) in self.zones.lock().iter_mut() {
            if Self::in_force(snapshot, name).is_none() {
                *zone = Zone::new(zone.says.clone());
            }
        }
    }

    /// A name is asked for: what became of the answer before?
    fn look_back(&self, name: &str) {
        let Some(snapshot) = self.snapshot.get().map(|live| live.load_full()) else {
            return;
        };
        let mut zones = self.zones.lock();
        let Some(zone) = zones.get_mut(name) else {
            return;
        };
        let now = Self::in_force(&snapshot, name);
        if let (Some(before), Some(now), Some((at, ..))) = (&zone.before, &now, &zone.last) {
            let out = |address: &IpAddr| self.faults.was_out(&snapshot, *address, *at);
            let lost = zone.lost_wrongly(before, now, out);
            if let Some(lost) = lost {
                self.faults.tell(format!("{name}: {lost}: {zone:?}"));
            }
        }
        if now.is_none() {
            *zone = Zone::new(zone.says.clone()); // it begins anew
        }
        zone.before = now;
    }
}

impl StandIn for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found, Why>> {
        async move {
            self.look_back(name);
            let says = self.zones.lock().get(name).map(|zone| zone.says.clone());
            let answer = match says {
                None => Err(Why::NotFound),
                Some(Says::Good(addresses)) => Ok(addresses),
                Some(Says::Flaps(now, next)) => {
                    self.says(name, Says::Flaps(next, now.clone()));
                    Ok(now)
                }
                Some(Says::Fails(why, after)) => {
                    sleep(after).await;
                    Err(why)
                }
            };
            let plan = self.snapshot.get().map(|live| live.load().plan.dns.clone());
            if let (Some(zone), Some(plan)) = (self.zones.lock().get_mut(name), plan) {
                zone.answered(&answer, plan, Instant::now());
            }
            let found = |addresses: BTreeSet<IpAddr>| Found {
                addresses: addresses.into_iter().collect(),
                ttl: Duration::ZERO,
                missing: None,
            };
            answer.map(found)
        }
        .boxed()
    }
}

// === impl Zone ===

impl Zone {
    fn new(says: Says) -> Self {
        Self {
            says,
            before: None,
            good: [None, None],
            last: None,
            seen: BTreeMap::new(),
            failing: None,
            gone: None,
        }
    }

    fn answered(&mut self, answer: &Result<BTreeSet<IpAddr>, Why>, plan: DnsPlan, now: Instant) {
        self.last = Some((now, answer.is_err(), plan));
        match answer {
            Ok(addresses) => {
                self.seen.extend(addresses.iter().map(|one| (*one, now)));
                self.good = [Some(addresses.clone()), self.good[0].take()];
                (self.failing, self.gone) = (None, None);
            }
            Err(why) => {
                self.failing.get_or_insert(now);
                let gone = matches!(why, Why::NotFound | Why::Empty);
                let (since, times) = self.gone.unwrap_or((now, 0));
                self.gone = gone.then_some((since, times + 1));
            }
        }
    }

    /// What is wrong in that `before` became `now` with the last answer.
    fn lost_wrongly(
        &self,
        before: &BTreeSet<IpAddr>,
        now: &BTreeSet<IpAddr>,
        out: impl Fn(&IpAddr) -> bool,
    ) -> Option<String> {
        let (at, error, plan) = self.last.as_ref()?;
        let lost: Vec<_> = before.difference(now).collect();
        if lost.is_empty() {
            return None;
        }
        if *error {
            let failing = self.failing.map_or(Duration::ZERO, |since| *at - since);
            let is_gone = self.gone.is_some_and(|(since, times)| {
                times >= plan.gone_after.get() && *at - since >= plan.hold
            });
            return (failing < plan.max_stale && !is_gone)
                .then(|| format!("an error took {lost:?} away"));
        }
        let seen_again = self.good[0].is_some() && self.good[0] == self.good[1];
        let held = |address: &&IpAddr| {
            let seen = self.seen.get(*address);
            seen.is_none_or(|seen| *at - *seen >= plan.hold)
        };
        let drops_most = lost.len() * 2 > before.len();
        let kept_long = lost.iter().all(|address| held(address) || out(address));
        (drops_most && !seen_again && !kept_long)
            .then(|| format!("one answer took {lost:?} away, most of {before:?}"))
    }
}
