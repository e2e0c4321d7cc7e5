//! What is held of a name, as a pure machine: (state, what a lookup gave, now) -> state.
//!
//! Invariants: an error never empties a set before its time; hosts that an answer lacks are kept first where they
//! are most of the set; the set is sorted, without repetition, and at most [`MAX_ADDRESSES`] long.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::{
    Answer, AnswerState, Host, Why,
    heard::{Heard, Unknown},
    host::Key,
};
use crate::config::DnsPlan;

/// The most addresses of one name. Of a longer answer those are kept whose hashes are least: always the same.
pub const MAX_ADDRESSES: usize = 1000;

/// The first pause after a failure, or `min_ttl` where that is shorter; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures, or the last answer's TTL where that is shorter: who is used to changes each
/// second must not wait half a minute for the first one after an outage.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What the longest pause is at least, however short the TTL.
const LEAST_LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The shortest pause of all, whatever the plan and the clock say.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// How much shorter than asked for a pause may be. Never longer: the TTL is a promise.
const JITTER: f64 = 0.1;

/// What is held of one name.
#[derive(Debug)]
pub(super) struct Held {
    hosts: BTreeMap<Key, Kept>,
    /// The same, as readers see them. Another one only where they see a difference.
    shown: Arc<[Host]>,
    /// Since when these are shown.
    since: Option<Instant>,
    state: AnswerState,
    /// Until when the hosts serve, while they are stale.
    serves_until: Option<Instant>,
    /// Lookups in a row that failed, or were answered in part.
    failures: u32,
    /// The TTL of the last answer, within the plan's bounds.
    ttl: Option<Duration>,
    /// The last answer, while hosts are kept that it lacks.
    doubt: Option<BTreeSet<Key>>,
    gone: Option<Gone>,
    /// The last answer to all that was asked.
    complete_at: Option<Instant>,
}

/// A host that is held.
#[derive(Debug)]
struct Kept {
    host: Host,
    /// Since when answers lack it.
    lacking_since: Option<Instant>,
}

/// Lookups in a row that said that there is no such name, or nothing of it.
#[derive(Debug, Clone, Copy)]
struct Gone {
    since: Instant,
    times: u32,
}

/// What a lookup led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// How long until the next lookup.
    pub(super) wait: Duration,
    /// Hosts that the answer lacks, but which are kept because it is doubted.
    pub(super) doubted: usize,
    /// Whether the doubt began with this answer.
    pub(super) doubt_begins: bool,
    /// Addresses beyond [`MAX_ADDRESSES`] that were left out.
    pub(super) left_out: usize,
}

// === impl Held ===

impl Held {
    /// Goes on from what an earlier task for the same name knew.
    pub(super) fn resume(answer: &Answer, now: Instant) -> Self {
        let kept = |host: &Host| {
            let kept = Kept {
                host: host.clone(),
                lacking_since: None,
            };
            (host.key(), kept)
        };
        Self {
            hosts: answer.hosts.iter().map(kept).collect(),
            shown: answer.hosts.clone(),
            since: answer.since,
            state: answer.state,
            serves_until: answer.serves_until,
            failures: 0,
            ttl: None,
            doubt: None,
            gone: None,
            complete_at: (!answer.hosts.is_empty()).then_some(now),
        }
    }

    /// What readers see, given when the next lookup is.
    pub(super) fn answer(&self, next_lookup: Option<Instant>) -> Answer {
        let lacking = self
            .hosts
            .values()
            .filter(|kept| kept.lacking_since.is_some());
        Answer {
            hosts: self.shown.clone(),
            state: self.state,
            since: self.since,
            doubted: lacking.count(),
            next_lookup,
            serves_until: self.serves_until,
        }
    }

    /// A lookup ended. `is_out` says of a host that it cannot serve: such a one is not kept for a doubt.
    pub(super) fn heard(
        &mut self,
        result: Result<Heard, Why>,
        is_out: impl Fn(&Host) -> bool,
        plan: &DnsPlan,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Step {
        match result {
            Ok(heard) => self.good(heard, is_out, plan, now, rng),
            Err(why) => self.bad(why, plan, now, rng),
        }
    }

    fn good(
        &mut self,
        heard: Heard,
        is_out: impl Fn(&Host) -> bool,
        plan: &DnsPlan,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Step {
        let ttl = heard.ttl.max(plan.min_ttl).min(plan.max_ttl);
        self.ttl = Some(ttl);
        let mut wait = jittered(ttl, rng);
        if heard.unknown == Unknown::Nothing {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            wait = wait.min(jittered(self.pause(plan), rng));
        }
        let doubted_before = self.doubt.is_some();
        let (answer, left_out) = capped(self.completed(heard, plan, now));
        let doubted = self.take(answer, is_out, plan, now);
        if let Some(first) = self.first_to_leave(plan, now) {
            wait = wait.min(first);
        }
        self.gone = None;
        self.state = AnswerState::Fresh;
        self.serves_until = None;
        Step {
            wait: wait.max(SHORTEST_PAUSE),
            doubted,
            doubt_begins: doubted > 0 && !doubted_before,
            left_out,
        }
    }

    fn bad(&mut self, why: Why, plan: &DnsPlan, now: Instant, rng: &mut impl Rng) -> Step {
        self.failures = self.failures.saturating_add(1);
        self.gone = why.is_of_the_name().then(|| {
            let Gone { since, times } = self.gone.unwrap_or(Gone {
                since: now,
                times: 0,
            });
            let times = times.saturating_add(1);
            Gone { since, times }
        });
        let mut wait = jittered(self.pause(plan), rng);
        self.state = match self.state {
            AnswerState::Pending | AnswerState::Failed(_) => AnswerState::Failed(why),
            AnswerState::Expired(_) => AnswerState::Expired(why),
            AnswerState::Fresh => self.stale(now, why, plan, now),
            AnswerState::Stale { since, .. } => self.stale(since, why, plan, now),
        };
        if let AnswerState::Stale { since, .. } = self.state {
            let left = self.serves_for(since, plan, now);
            self.serves_until = now.checked_add(left);
            wait = wait.min(left);
            // Half of the time is told of when it is over, not at whichever lookup comes next.
            let until_half = left.saturating_sub(plan.max_stale / 2);
            if !until_half.is_zero() {
                wait = wait.min(until_half);
            }
        } else {
            self.serves_until = None;
            self.doubt = None;
            self.hosts.clear();
            self.show(now);
        }
        Step {
            wait: wait.max(SHORTEST_PAUSE),
            doubted: 0,
            doubt_begins: false,
            left_out: 0,
        }
    }

    fn stale(&self, since: Instant, why: Why, plan: &DnsPlan, now: Instant) -> AnswerState {
        if self.serves_for(since, plan, now).is_zero() {
            AnswerState::Expired(why)
        } else {
            AnswerState::Stale { since, why }
        }
    }

    /// How long the last good answer still serves: `max_stale` since errors began, or, where the servers said often
    /// enough that the name is gone, `hold` since they began to.
    fn serves_for(&self, since: Instant, plan: &DnsPlan, now: Instant) -> Duration {
        let stale = left_of(plan.max_stale, since, now);
        match self.gone {
            Some(gone) if gone.times >= plan.gone_after.get() => {
                stale.min(left_of(plan.hold, gone.since, now))
            }
            _ => stale,
        }
    }

    /// The answer's hosts, and those held of the part that it could not tell of.
    fn completed(&mut self, heard: Heard, plan: &DnsPlan, now: Instant) -> BTreeMap<Key, Host> {
        let hosts = heard.hosts.into_iter();
        let mut answer: BTreeMap<Key, Host> = hosts.map(|host| (host.key(), host)).collect();
        if heard.unknown == Unknown::Nothing {
            self.complete_at = Some(now);
            return answer;
        }
        let complete_at = *self.complete_at.get_or_insert(now);
        if !left_of(plan.max_stale, complete_at, now).is_zero() {
            for (key, kept) in &self.hosts {
                if heard.unknown.covers(&kept.host) {
                    answer.entry(*key).or_insert_with(|| kept.host.clone());
                }
            }
        }
        answer
    }

    /// Takes over `answer`. Returns how many hosts are kept that it lacks.
    ///
    /// An answer that lacks more than half of the hosts is doubted: each of those stays until the same answer is
    /// seen twice in a row, it cannot serve anyway, or it was lacking for `hold`. So a set that flips between two
    /// halves becomes their union, and stays it as long as it flips.
    fn take(
        &mut self,
        answer: BTreeMap<Key, Host>,
        is_out: impl Fn(&Host) -> bool,
        plan: &DnsPlan,
        now: Instant,
    ) -> usize {
        let lacking = self.hosts.keys().filter(|key| !answer.contains_key(*key));
        let drops_most = lacking.count().saturating_mul(2) > self.hosts.len();
        let seen_again = |doubted: &BTreeSet<Key>| doubted.iter().eq(answer.keys());
        let doubts = match &self.doubt {
            Some(doubted) => !seen_again(doubted),
            None => drops_most,
        };
        let mut next: BTreeMap<Key, Kept> = BTreeMap::new();
        if doubts {
            for (key, mut kept) in std::mem::take(&mut self.hosts) {
                let since = *kept.lacking_since.get_or_insert(now);
                if !left_of(plan.hold, since, now).is_zero() && !is_out(&kept.host) {
                    next.insert(key, kept);
                }
            }
        }
        let seen: BTreeSet<Key> = answer.keys().copied().collect();
        next.extend(answer.into_iter().map(|(key, host)| {
            let lacking_since = None;
            (
                key,
                Kept {
                    host,
                    lacking_since,
                },
            )
        }));
        self.hosts = bounded(next, &seen);
        let doubted = self.hosts.len().saturating_sub(seen.len());
        self.doubt = (doubted > 0).then_some(seen);
        self.show(now);
        doubted
    }

    /// Shows what is held; keeps the `Arc` where readers see no difference.
    fn show(&mut self, now: Instant) {
        let hosts = || self.hosts.values().map(|kept| &kept.host);
        if !self.shown.iter().eq(hosts()) {
            self.shown = hosts().cloned().collect();
            self.since = Some(now);
        }
    }

    /// How long until the first host leaves that answers lack.
    fn first_to_leave(&self, plan: &DnsPlan, now: Instant) -> Option<Duration> {
        let lacking = self.hosts.values().filter_map(|kept| kept.lacking_since);
        lacking.map(|since| left_of(plan.hold, since, now)).min()
    }

    fn pause(&self, plan: &DnsPlan) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let ttl = self.ttl.unwrap_or(LONGEST_PAUSE);
        FIRST_PAUSE
            .min(plan.min_ttl)
            .max(SHORTEST_PAUSE)
            .saturating_mul(factor)
            .min(ttl.clamp(LEAST_LONGEST_PAUSE, LONGEST_PAUSE))
    }
}

/// What is left of `whole`, which began at `since`.
fn left_of(whole: Duration, since: Instant, now: Instant) -> Duration {
    whole.saturating_sub(now.saturating_duration_since(since))
}

fn jittered(wait: Duration, rng: &mut impl Rng) -> Duration {
    wait.mul_f64(1.0 - JITTER * rng.random::<f64>())
}

/// At most [`MAX_ADDRESSES`] of `hosts`, the same ones for the same answer, and how many were left out.
fn capped(hosts: BTreeMap<Key, Host>) -> (BTreeMap<Key, Host>, usize) {
    let left_out = hosts.len().saturating_sub(MAX_ADDRESSES);
    if left_out == 0 {
        return (hosts, 0);
    }
    let mut by_hash: Vec<_> = hosts
        .into_iter()
        .map(|(key, host)| (hash_of(&key), key, host))
        .collect();
    by_hash.sort_unstable_by_key(|(hash, key, _)| (*hash, *key));
    by_hash.truncate(MAX_ADDRESSES);
    let kept = by_hash.into_iter().map(|(_, key, host)| (key, host));
    (kept.collect(), left_out)
}

/// At most [`MAX_ADDRESSES`] of what is held: those of the last answer, `seen`, before those that it lacks.
fn bounded(mut held: BTreeMap<Key, Kept>, seen: &BTreeSet<Key>) -> BTreeMap<Key, Kept> {
    let mut room = MAX_ADDRESSES.saturating_sub(seen.len());
    held.retain(|key, _| {
        seen.contains(key) || {
            let fits = room > 0;
            room = room.saturating_sub(1);
            fits
        }
    });
    held
}

fn hash_of(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
