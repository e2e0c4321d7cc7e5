//! What is held of a name, as a pure machine: (state, what a lookup gave, now) -> state.
//!
//! Invariants: an error never empties a set before its time; an answer that shrinks the set is doubted
//! first; the set is sorted, without repetition, and at most [`MAX_ADDRESSES`] long.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::{Answer, AnswerState, Found, Why};
use crate::config::DnsPlan;

/// The most addresses of one name. Of a longer answer those are kept whose hashes are least: always the same.
pub const MAX_ADDRESSES: usize = 1000;

/// The first pause after a failure, or `min_ttl` where that is shorter; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause of all, whatever the plan and the clock say.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// How much shorter than asked for a pause may be. Never longer: the TTL is a promise.
const JITTER: f64 = 0.1;

/// What is held of one name.
#[derive(Debug)]
pub(super) struct Held {
    addresses: Arc<[IpAddr]>,
    state: AnswerState,
    /// Lookups in a row that failed, or gave only one family.
    failures: u32,
    doubt: Option<Doubt>,
    /// Since when every lookup said that there are no addresses.
    empty_since: Option<Instant>,
    /// The last answer with both families.
    complete_at: Option<Instant>,
}

/// What a lookup led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// How long until the next lookup.
    pub(super) wait: Duration,
    /// Addresses that the answer lacks, but which are kept because it is doubted.
    pub(super) doubted: usize,
    /// Addresses beyond [`MAX_ADDRESSES`] that were left out.
    pub(super) left_out: usize,
}

/// An answer that would shrink the set to less than half.
#[derive(Debug)]
struct Doubt {
    answer: BTreeSet<IpAddr>,
    since: Instant,
}

// === impl Held ===

impl Held {
    /// Goes on from what an earlier task for the same name knew.
    pub(super) fn resume(answer: &Answer, now: Instant) -> Self {
        Self {
            addresses: answer.addresses.clone(),
            state: answer.state,
            failures: 0,
            doubt: None,
            empty_since: None,
            complete_at: (!answer.addresses.is_empty()).then_some(now),
        }
    }

    /// What readers see, given when the next lookup is.
    pub(super) fn answer(&self, next_lookup: Option<Instant>) -> Answer {
        Answer {
            addresses: self.addresses.clone(),
            state: self.state,
            next_lookup,
        }
    }

    /// A lookup ended.
    pub(super) fn heard(
        &mut self,
        result: Result<Found, Why>,
        plan: &DnsPlan,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Step {
        match result {
            Ok(found) => self.good(found, plan, now, rng),
            Err(why) => self.bad(why, plan, now, rng),
        }
    }

    fn good(&mut self, found: Found, plan: &DnsPlan, now: Instant, rng: &mut impl Rng) -> Step {
        let ttl = found.ttl.max(plan.min_ttl).min(plan.max_ttl);
        let mut wait = jittered(ttl, rng);
        if found.missing.is_some() {
            self.failures = self.failures.saturating_add(1);
            wait = wait.min(jittered(self.pause(plan), rng));
        } else {
            self.failures = 0;
        }
        let (answer, left_out) = capped(self.completed(found, plan, now));
        let doubted = self.take(answer, plan, now);
        if let Some(doubt) = &self.doubt {
            wait = wait.min(left_of(plan.hold, doubt.since, now));
        }
        self.empty_since = None;
        self.state = AnswerState::Fresh;
        Step {
            wait: wait.max(SHORTEST_PAUSE),
            doubted,
            left_out,
        }
    }

    fn bad(&mut self, why: Why, plan: &DnsPlan, now: Instant, rng: &mut impl Rng) -> Step {
        self.failures = self.failures.saturating_add(1);
        self.empty_since = match why {
            Why::Empty => Some(self.empty_since.unwrap_or(now)),
            _ => None,
        };
        let mut wait = jittered(self.pause(plan), rng);
        self.state = match self.state {
            AnswerState::Pending | AnswerState::Failed(_) => AnswerState::Failed(why),
            AnswerState::Expired(_) => AnswerState::Expired(why),
            AnswerState::Fresh => self.stale(now, why, plan, now),
            AnswerState::Stale { since, .. } => self.stale(since, why, plan, now),
        };
        if let AnswerState::Stale { since, .. } = self.state {
            wait = wait.min(self.serves_for(since, plan, now));
        } else {
            self.addresses = Arc::from([]);
            self.doubt = None;
        }
        Step {
            wait: wait.max(SHORTEST_PAUSE),
            doubted: 0,
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

    /// How long the last good answer still serves: `max_stale` since errors began, or `hold` since the
    /// servers began to say that the name has no addresses.
    fn serves_for(&self, since: Instant, plan: &DnsPlan, now: Instant) -> Duration {
        let stale = left_of(plan.max_stale, since, now);
        match self.empty_since {
            Some(empty) => stale.min(left_of(plan.hold, empty, now)),
            None => stale,
        }
    }

    /// The answer's addresses, and those held of a family that it could not tell of.
    fn completed(&mut self, found: Found, plan: &DnsPlan, now: Instant) -> BTreeSet<IpAddr> {
        let mut answer: BTreeSet<IpAddr> = found.addresses.into_iter().collect();
        let Some(family) = found.missing else {
            self.complete_at = Some(now);
            return answer;
        };
        let complete_at = *self.complete_at.get_or_insert(now);
        if !left_of(plan.max_stale, complete_at, now).is_zero() {
            answer.extend(self.addresses.iter().filter(|held| family.holds(held)));
        }
        answer
    }

    /// Takes over `answer`, or adds it to the set while it is doubted. Returns how many addresses it lacks.
    ///
    /// Doubted is an answer with less than half as many addresses as are held, until the next lookup says
    /// the same or `hold` has passed. One that is as long but different is a move, and followed at once.
    fn take(&mut self, answer: BTreeSet<IpAddr>, plan: &DnsPlan, now: Instant) -> usize {
        let shrinks = answer.len().saturating_mul(2) < self.addresses.len();
        let believed = match &self.doubt {
            Some(doubt) => doubt.answer == answer || left_of(plan.hold, doubt.since, now).is_zero(),
            None => plan.hold.is_zero(),
        };
        if !shrinks || believed {
            self.doubt = None;
            self.set(answer);
            return 0;
        }
        let lacking = self
            .addresses
            .iter()
            .filter(|a| !answer.contains(a))
            .count();
        let since = self.doubt.as_ref().map_or(now, |doubt| doubt.since);
        let (union, _) = capped(self.addresses.iter().chain(&answer).copied().collect());
        self.doubt = Some(Doubt { answer, since });
        self.set(union);
        lacking
    }

    /// Keeps the `Arc` where nothing changes.
    fn set(&mut self, addresses: BTreeSet<IpAddr>) {
        if !self.addresses.iter().eq(addresses.iter()) {
            self.addresses = addresses.into_iter().collect();
        }
    }

    fn pause(&self, plan: &DnsPlan) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        FIRST_PAUSE
            .min(plan.min_ttl)
            .max(SHORTEST_PAUSE)
            .saturating_mul(factor)
            .min(LONGEST_PAUSE)
    }
}

/// What is left of `whole`, which began at `since`.
fn left_of(whole: Duration, since: Instant, now: Instant) -> Duration {
    whole.saturating_sub(now.saturating_duration_since(since))
}

fn jittered(wait: Duration, rng: &mut impl Rng) -> Duration {
    wait.mul_f64(1.0 - JITTER * rng.random::<f64>())
}

/// At most [`MAX_ADDRESSES`] of `addresses`, the same ones for the same answer, and how many were left out.
fn capped(addresses: BTreeSet<IpAddr>) -> (BTreeSet<IpAddr>, usize) {
    let left_out = addresses.len().saturating_sub(MAX_ADDRESSES);
    if left_out == 0 {
        return (addresses, 0);
    }
    let mut by_hash: Vec<_> = addresses.into_iter().map(|a| (hash_of(&a), a)).collect();
    by_hash.sort_unstable();
    by_hash.truncate(MAX_ADDRESSES);
    (by_hash.into_iter().map(|(_, a)| a).collect(), left_out)
}

fn hash_of(address: &IpAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
