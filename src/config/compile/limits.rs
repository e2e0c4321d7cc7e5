//! `[[routes.rate_limits]]`

use std::collections::BTreeMap;

use crate::config::{
    RateLimitPlan,
    fields::route as keys,
    problem::{Code, Problem, Span},
    row::Row,
};

/// The rate limits of a route.
pub(super) fn all(route: &Row<'_>) -> Vec<RateLimitPlan> {
    let mut taken: BTreeMap<Box<str>, Span> = BTreeMap::new();
    let mut plans = Vec::new();
    for row in route.tables(&keys::RATE_LIMITS) {
        let at = row.key_at("name").unwrap_or(row.at);
        let Some(plan) = one(&row) else {
            continue;
        };
        if let Some(first) = taken.insert(plan.name.clone(), at) {
            row.problems().add(
                Problem::error(
                    Code::Name,
                    at,
                    format!("two rate limits of this route are named `{}`", plan.name),
                    "the name is taken",
                )
                .and(first, "taken here")
                .help("give each a `name` of its own; without one it is the key"),
            );
        }
        plans.push(plan);
    }
    plans
}

/// `None` where it has no rate, which was noted. Its other keys are looked at all the same.
fn one(row: &Row<'_>) -> Option<RateLimitPlan> {
    let rate = row.get(&keys::RATE);
    let name = row.get(&keys::LIMIT_NAME);
    let burst = row.get(&keys::BURST);
    let key = row.value(&keys::LIMIT_KEY);
    let shadow = row.value(&keys::SHADOW);
    let max_keys = row.value(&keys::MAX_KEYS);
    let rate = rate?.it;
    Some(RateLimitPlan {
        name: name.map_or_else(|| key.text(), |name| name.it.0).into(),
        count: rate.count,
        per: rate.per,
        burst: burst.map_or(rate.count, |burst| burst.it),
        key: key.0,
        shadow,
        max_keys,
    })
}
