//! Which endpoint stands out among those of its upstream, by what a window showed. Pure.
//!
//! A standard deviation over endpoints (Envoy's success rate ejection, five hosts at least) says nothing about two
//! or three of them. Here each is held against all others taken together, so it works from two on; and what fails or
//! slows down everywhere stands out nowhere.

use std::time::Duration;

use super::{Grounds, Seen};
use crate::config::{EjectionPlan, LatencyPlan, SuccessRatePlan};

/// Those that stand out, by their place in `seen`, the worst first. `None` stands for one that is not compared: it
/// does not serve as others do.
#[must_use]
pub fn outliers(seen: &[Option<Seen>], plan: &EjectionPlan) -> Vec<(usize, Grounds)> {
    let mut found: Vec<(usize, Grounds, f64)> = Vec::new();
    for (index, own) in seen.iter().enumerate() {
        let Some(own) = own else { continue };
        let others = || {
            let others = seen.iter().enumerate().filter(|(other, _)| *other != index);
            others.filter_map(|(_, seen)| seen.as_ref())
        };
        let by_failures = plan
            .success_rate
            .and_then(|plan| fails_more(own, others(), &plan));
        let worse = by_failures.or_else(|| {
            let plan = plan.latency?;
            slower(own, others(), &plan)
        });
        if let Some((grounds, by)) = worse {
            found.push((index, grounds, by));
        }
    }
    found.sort_by(|(.., one), (.., other)| other.total_cmp(one));
    found
        .into_iter()
        .map(|(index, grounds, _)| (index, grounds))
        .collect()
}

/// Whether its share of failures is `margin` above that of the others together, and by how much.
///
/// With `minimum_requests` of 100 on either side the difference of two equal shares has a standard error of at most
/// √(¼/100 + ¼/100) = 0.07 (two proportions), so the default margin of 0.3 is four of them.
fn fails_more<'a>(
    own: &Seen,
    others: impl Iterator<Item = &'a Seen>,
    plan: &SuccessRatePlan,
) -> Option<(Grounds, f64)> {
    let (mut requests, mut failures) = (0.0, 0.0);
    for other in others {
        requests += f64::from(other.requests());
        failures += f64::from(other.failures);
    }
    let enough = f64::from(plan.minimum_requests.get());
    let mine = f64::from(own.requests());
    if mine < enough || requests < enough {
        return None;
    }
    let share = f64::from(own.failures) / mine;
    let others = failures / requests;
    let by = share - others;
    // Failures come first, whatever the latencies: what is above the margin counts as many times as slow.
    (by >= plan.margin).then_some((Grounds::SuccessRate { share, others }, FIRST + by))
}

/// Failures are worse than any slowness.
const FIRST: f64 = 1e9;

/// Whether nine of ten of its answers are not within `factor` times what is usual among the others, and how many
/// times it is.
///
/// Usual is the median of the others' own figures; of two in the middle it is the slower, and at least half of the
/// others must have answered enough.
fn slower<'a>(
    own: &Seen,
    others: impl Iterator<Item = &'a Seen>,
    plan: &LatencyPlan,
) -> Option<(Grounds, f64)> {
    let enough = |seen: &Seen| seen.answers() >= plan.minimum_requests.get();
    if !enough(own) {
        return None;
    }
    let mut all = 0_usize;
    let mut known: Vec<Duration> = others
        .inspect(|_| all = all.saturating_add(1))
        .filter(|other| enough(other))
        .map(Seen::p90)
        .collect();
    if known.len().saturating_mul(2) < all {
        return None;
    }
    known.sort_unstable();
    let others = *known.get(known.len() / 2)?;
    let p90 = own.p90();
    let times = p90.as_secs_f64() / others.as_secs_f64().max(f64::MIN_POSITIVE);
    let slow = times > plan.factor && p90 > others.saturating_add(plan.margin);
    slow.then_some((Grounds::Latency { p90, others }, times))
}

#[cfg(test)]
mod tests;
