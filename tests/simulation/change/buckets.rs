//! What every bucket may have given: an own count of tokens, as exact as two floats can bound it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
    sync::Arc,
};

use tidegate::{
    admission::RateLimit,
    config::{RateKey, RateLimitPlan},
    names::{LimitId, RouteName},
    snapshot::Snapshot,
};
use tokio::time::Instant;

/// What two ways of counting may differ by, in tokens.
const SLACK: f64 = 1e-3;

/// Every bucket of every limit in force.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    limits: BTreeMap<LimitId, Limit>,
    /// The revision whose limits these are.
    revision: u64,
    /// Counts limits that began.
    begun: u64,
}

/// Tokens that were taken for one request.
#[derive(Debug)]
pub(super) struct Taken(Vec<(LimitId, u64, Option<IpAddr>)>);

#[derive(Debug)]
struct Limit {
    plan: RateLimitPlan,
    /// Which of the limits that had this name.
    number: u64,
    buckets: BTreeMap<Option<IpAddr>, Level>,
}

/// The tokens of a bucket that was full when it was first seen.
#[derive(Debug, Clone, Copy)]
struct Level {
    most: f64,
    least: f64,
    at: Instant,
}

// === impl Buckets ===

impl Buckets {
    /// Takes over the limits of a snapshot, at the moment at which it came into force.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, now: Instant) {
        if self.revision == snapshot.config.revision {
            return;
        }
        self.revision = snapshot.config.revision;
        let mut next = BTreeMap::new();
        for route in &snapshot.routes {
            for limit in &route.limits {
                let id = id_of(&route.plan.name, limit);
                let kept = self
                    .limits
                    .remove(&id)
                    .filter(|kept| kept.plan.key == limit.plan().key);
                let limit = if let Some(mut kept) = kept {
                    kept.reshape(limit.plan(), now);
                    kept
                } else {
                    self.begun += 1;
                    Limit {
                        plan: limit.plan().clone(),
                        number: self.begun,
                        buckets: BTreeMap::new(),
                    }
                };
                next.insert(id, limit);
            }
        }
        self.limits = next;
    }

    /// A request was let pass by all of `limits`.
    pub(super) fn passed(
        &mut self,
        route: &RouteName,
        limits: &[Arc<RateLimit>],
        client: IpAddr,
        now: Instant,
    ) -> Result<Taken, String> {
        let mut taken = Vec::new();
        for limit in limits {
            let id = id_of(route, limit);
            let (number, key, level) = self.level(&id, client, now).ok_or("an unknown limit")?;
            if level.most < 1.0 - SLACK {
                return Err(format!(
                    "{id:?} gave a token to {key:?} where there can be only {}",
                    level.most
                ));
            }
            level.most -= 1.0;
            level.least = (level.least - 1.0).max(0.0);
            taken.push((id, number, key));
        }
        Ok(Taken(taken))
    }

    /// A request was refused by the limit of this name.
    pub(super) fn refused(
        &mut self,
        route: &RouteName,
        name: &str,
        client: IpAddr,
        now: Instant,
    ) -> Result<(), String> {
        let id = LimitId {
            route: route.clone(),
            limit: Arc::from(name),
        };
        let (number, key, level) = self.level(&id, client, now).ok_or("an unknown limit")?;
        if level.least > 1.0 + SLACK {
            let level = *level;
            let plan = self.limits.get(&id).map(|limit| &limit.plan);
            return Err(format!(
                "{id:?} ({number}) refused {key:?}, which has {level:?}: {plan:?}"
            ));
        }
        Ok(())
    }

    /// What was taken is given back.
    pub(super) fn give_back(&mut self, taken: Taken, now: Instant) {
        for (id, number, key) in taken.0 {
            let limit = self.limits.get_mut(&id);
            if let Some(limit) = limit.filter(|limit| limit.number == number) {
                let burst = f64::from(limit.plan.burst.get());
                let plan = limit.plan.clone();
                let level = limit.level(key, &plan, now);
                level.most = (level.most + 1.0).min(burst);
                level.least = (level.least + 1.0).min(burst);
            }
        }
    }

    fn level(
        &mut self,
        id: &LimitId,
        client: IpAddr,
        now: Instant,
    ) -> Option<(u64, Option<IpAddr>, &mut Level)> {
        let limit = self.limits.get_mut(id)?;
        let key = (limit.plan.key != RateKey::None).then_some(client);
        let (number, plan) = (limit.number, limit.plan.clone());
        Some((number, key, limit.level(key, &plan, now)))
    }
}

// === impl Limit ===

impl Limit {
    /// The level of a bucket now.
    fn level(&mut self, key: Option<IpAddr>, plan: &RateLimitPlan, now: Instant) -> &mut Level {
        let burst = f64::from(plan.burst.get());
        let full = Level {
            most: burst,
            least: burst,
            at: now,
        };
        let level = match self.buckets.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(full),
        };
        let grown =
            (now - level.at).as_secs_f64() * f64::from(plan.count.get()) / plan.per.as_secs_f64();
        level.most = (level.most + grown).min(burst);
        level.least = (level.least + grown).min(burst);
        level.at = now;
        level
    }

    /// Fills stay in proportion; less than a token stays what it is.
    fn reshape(&mut self, plan: &RateLimitPlan, now: Instant) {
        let old = std::mem::replace(&mut self.plan, plan.clone());
        if old == *plan {
            return;
        }
        let (burst, before) = (f64::from(plan.burst.get()), f64::from(old.burst.get()));
        let keys: Vec<_> = self.buckets.keys().copied().collect();
        for key in keys {
            let level = self.level(key, &old, now);
            let scaled = [level.least, level.most].map(|tokens| tokens * burst / before);
            let same = [level.least, level.most];
            // Which side of a token it is on may be too close to call, and the lower side may keep more.
            let images = match (level.least >= 1.0 + SLACK, level.most < 1.0 - SLACK) {
                (true, _) => [scaled, scaled],
                (_, true) => [same, same],
                _ => [scaled, same],
            };
            let images = || images.iter().flatten().copied();
            level.most = images().fold(f64::MIN, f64::max).min(burst);
            level.least = images().fold(f64::MAX, f64::min).min(burst);
        }
    }
}

fn id_of(route: &RouteName, limit: &RateLimit) -> LimitId {
    LimitId {
        route: route.clone(),
        limit: Arc::from(&*limit.plan().name),
    }
}
