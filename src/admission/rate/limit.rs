//! One rate limit: its buckets, and what becomes of them when its plan changes.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    asked::Asked,
    key::{Key, RateSubject},
    shape::Shape,
    store::{Charged, Seat, Store},
};
use crate::{
    admission::Rate,
    config::{RateKey, RateLimitPlan},
    fault::BucketFacts,
};

/// A live rate limit of one route, in the shape of one plan.
///
/// * Burst: a full bucket gives exactly `burst` tokens at once; `count` come back in each `per`.
/// * Keys: at most `max_keys` buckets; at the bound full ones are thrown out, and where none is, newcomers
///   share one overflow bucket of the same shape ([`RateView::overflowed`] counts them). A bucket that is not
///   full is never thrown out.
/// * Reload: keep the same `Arc` for the same plan, and [`reshape`](Self::reshape) for another. Requests that
///   still hold the old one are judged by the new one from then on, so nothing is counted twice or not at all.
#[derive(Debug)]
pub struct RateLimit {
    form: Arc<Form>,
    lineage: Arc<Lineage>,
}

/// How a rate limit stands, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct RateView {
    /// Its name, unique in its route.
    pub name: Box<str>,
    /// How many tokens come back in `per`.
    pub count: NonZeroU32,
    /// See `count`.
    pub per: Duration,
    /// How many tokens a bucket holds.
    pub burst: NonZeroU32,
    /// Buckets that are kept; 1 where one serves all.
    pub keys: usize,
    /// Most buckets kept at a time.
    pub max_keys: usize,
    /// Requests that were judged by the shared overflow bucket, since the limit began.
    pub overflowed: u64,
    /// How full the emptiest bucket is, 0 to 1.
    pub fill: f32,
    /// It counts and does not refuse.
    pub shadow: bool,
}

/// A limit in one shape. Immutable but for its buckets.
#[derive(Debug)]
struct Form {
    plan: RateLimitPlan,
    facts: Arc<BucketFacts>,
    shape: Shape,
    store: Store,
    /// Of all shapes with the same kind of key.
    asked: Arc<Asked>,
}

/// What all shapes of a limit have in common.
#[derive(Debug)]
struct Lineage {
    /// The zero of all its clocks.
    epoch: Instant,
    /// The shape in force. The lock is taken by reloads, and by requests that hold an older shape.
    latest: Mutex<Arc<Form>>,
}

// === impl RateLimit ===

impl RateLimit {
    /// A limit whose buckets are full.
    #[must_use]
    pub fn new(plan: &RateLimitPlan, now: Instant) -> Arc<Self> {
        let form = Arc::new(Form::begin(plan));
        let lineage = Lineage {
            epoch: now,
            latest: Mutex::new(Arc::clone(&form)),
        };
        Arc::new(Self {
            form,
            lineage: Arc::new(lineage),
        })
    }

    /// The same limit under another plan.
    ///
    /// Fills are carried over in proportion: 25 % of 100 becomes 25 % of 400. A key with less than a token left
    /// keeps that part of a token, so that who is over the limit stays over it. Another kind of key means new
    /// buckets. A smaller `max_keys` throws none out that is not full; the excess goes as it fills.
    ///
    /// In force at once, also for requests that still hold the old limit: nothing may fail after this call.
    #[must_use]
    pub fn reshape(&self, plan: &RateLimitPlan, now: Instant) -> Arc<Self> {
        let mut latest = self.lineage.latest.lock();
        let form = Arc::new(latest.reshape(plan, self.lineage.epoch, now));
        *latest = Arc::clone(&form);
        drop(latest);
        Arc::new(Self {
            form,
            lineage: Arc::clone(&self.lineage),
        })
    }

    /// The plan it was made by.
    #[must_use]
    pub fn plan(&self) -> &RateLimitPlan {
        &self.form.plan
    }

    /// Whether each key has a bucket of its own.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.form.plan.key != RateKey::None
    }

    /// Whether it counts only, and never refuses.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.form.plan.shadow
    }

    /// What a client may know of it.
    #[must_use]
    pub fn facts(&self) -> &Arc<BucketFacts> {
        &self.form.facts
    }

    /// How it stands. Looks at every bucket: for scrapes, not for requests.
    #[must_use]
    pub fn view(&self, now: Instant) -> RateView {
        let form = self.lineage.latest.lock().clone();
        let debt = form
            .store
            .largest_debt(form.shape.ticks(self.lineage.epoch, now));
        RateView {
            name: form.plan.name.clone(),
            count: form.plan.count,
            per: form.plan.per,
            burst: form.plan.burst,
            keys: form.store.keys(),
            max_keys: form.plan.max_keys.get(),
            overflowed: form.store.overflowed(),
            fill: form.shape.fill(debt),
            shadow: form.plan.shadow,
        }
    }

    /// Takes in what was asked for since the last call, so that [`propose`](Self::propose) knows of it. To be called
    /// from time to time: for upkeep, not for requests.
    pub fn gather(&self, now: Instant) {
        let form = self.lineage.latest.lock().clone();
        form.asked.gather(self.lineage.second(now));
    }

    /// The slowest rate, with its burst, that would have refused at most `share` (0 to 1) of what was asked for in
    /// the last hour; `None` where nothing was. Takes milliseconds: not for requests.
    #[must_use]
    pub fn propose(&self, share: f64, now: Instant) -> Option<Rate> {
        self.gather(now);
        let form = self.lineage.latest.lock().clone();
        form.asked.propose(share)
    }

    /// Requests that [`propose`](Self::propose) knows nothing of, since counting them would have made them wait.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.lineage.latest.lock().asked.missed()
    }

    /// Takes a token: where it came from, or how long until there is one.
    pub(super) fn take(&self, subject: &RateSubject<'_>, now: Instant) -> Result<Seat, Duration> {
        let key = Key::of(&self.form.plan.key, subject);
        self.form.asked.count(&key, self.lineage.second(now));
        let mut charged = self.form.take(key, self.lineage.epoch, now);
        loop {
            match charged {
                Charged::Paid(seat) => return Ok(seat),
                Charged::Empty(wait) => return Err(wait),
                Charged::Closed => {
                    let form = self.lineage.latest.lock().clone();
                    let key = Key::of(&form.plan.key, subject);
                    charged = form.take(key, self.lineage.epoch, now);
                }
            }
        }
    }

    /// Gives a token back to where it was taken from.
    pub(super) fn give_back(&self, seat: Seat) {
        let mut open = self.form.store.give_back(seat, &self.form.shape);
        while !open {
            let form = self.lineage.latest.lock().clone();
            open = form.store.give_back(seat, &form.shape);
        }
    }
}

// === impl Lineage ===

impl Lineage {
    /// The second of `now` since the limit began.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_secs()
    }
}

// === impl Form ===

impl Form {
    /// With full buckets, and nothing asked for yet.
    fn begin(plan: &RateLimitPlan) -> Self {
        Self::new(plan, Store::new(plan), Arc::new(Asked::new(&plan.key)))
    }

    fn new(plan: &RateLimitPlan, store: Store, asked: Arc<Asked>) -> Self {
        Self {
            plan: plan.clone(),
            facts: Arc::new(facts(plan)),
            shape: Shape::of(plan),
            store,
            asked,
        }
    }

    /// Closes this form's buckets and moves what they owe.
    fn reshape(&self, plan: &RateLimitPlan, epoch: Instant, now: Instant) -> Self {
        if self.plan.key != plan.key {
            self.store.close();
            return Self::begin(plan);
        }
        let next = Shape::of(plan);
        let (here, there) = (self.shape.ticks(epoch, now), next.ticks(epoch, now));
        let carry = |debt| self.shape.carry(debt, &next);
        let store = self.store.move_to(plan, here, there, carry);
        Self::new(plan, store, Arc::clone(&self.asked))
    }

    fn take(&self, key: Key, epoch: Instant, now: Instant) -> Charged {
        self.store
            .take(key, &self.shape, self.shape.ticks(epoch, now))
    }
}

fn facts(plan: &RateLimitPlan) -> BucketFacts {
    let burst = u128::from(plan.burst.get());
    let count = u128::from(plan.count.get());
    let nanos = plan.per.as_nanos().saturating_mul(burst).div_ceil(count);
    let seconds = nanos.div_ceil(Duration::from_secs(1).as_nanos()).max(1);
    BucketFacts {
        name: plan.name.clone(),
        quota: plan.burst,
        window_seconds: u64::try_from(seconds).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
