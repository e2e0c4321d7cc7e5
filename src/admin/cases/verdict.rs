//! What is to be made of one request: a sentence, what speaks for it, and the next step. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    reload::Outcome,
    telemetry::{Case, Ill, Met},
};

/// Fewer of a kind say nothing of a pattern.
const A_PATTERN: usize = 3;
/// How many other kinds of failure are told.
const MOST_KINDS: usize = 3;

/// What is to be made of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happened, in one sentence.
    pub sentence: String,
    /// What speaks for it, and what was going on around it.
    pub evidence: Vec<String>,
    /// Where to look now, in this order.
    pub next: Vec<String>,
}

/// What was going on around a request.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Cases of the same upstream, a minute before and after, itself among them.
    pub(super) cases: Vec<Arc<Case>>,
    /// Configs that were asked for lately, the latest first.
    pub(super) changes: Vec<Changed>,
}

/// A config that was asked for before the request came.
#[derive(Debug)]
pub(super) struct Changed {
    /// How long before.
    pub(super) before: Duration,
    pub(super) hash: Box<str>,
    pub(super) outcome: Outcome,
}

/// The verdict on `case`.
pub(super) fn of(case: &Case, around: &Around) -> Verdict {
    let mut evidence = tries(case);
    evidence.extend(pattern(case, around));
    evidence.extend(others(case, around));
    evidence.extend(usual(case, around));
    evidence.extend(changes(case, around));
    let guide = case
        .fault
        .as_ref()
        .and_then(Ill::known)
        .map(crate::fault::Kind::guide);
    let next = guide.map_or_else(Vec::new, |guide| {
        guide.look.iter().map(ToString::to_string).collect()
    });
    Verdict {
        sentence: sentence(case),
        evidence,
        next,
    }
}

fn sentence(case: &Case) -> String {
    let at = |endpoint: Option<SocketAddr>| match endpoint {
        Some(endpoint) => format!(" at {endpoint}"),
        None => String::new(),
    };
    let total = case.timings_ms.total;
    match &case.fault {
        Some(ill) => format!(
            "{} Cause: {}; kind {}, seen at stage {}{}, {total:.0} ms after the request came.",
            ill.title,
            ill.cause,
            ill.word(),
            ill.stage,
            at(case.endpoint)
        ),
        None if case.is_bad() => format!(
            "The service itself answered {}{}, after {total:.0} ms. The answer was passed on as it was.",
            case.status,
            at(case.endpoint)
        ),
        None => format!(
            "It was answered with {}{}, after {total:.0} ms.",
            case.status,
            at(case.endpoint)
        ),
    }
}

/// What each try met.
fn tries(case: &Case) -> Vec<String> {
    let told = case.tries.iter().zip(1..).map(|(tried, number)| {
        let at = tried
            .endpoint
            .map_or_else(|| "no endpoint".to_owned(), |endpoint| endpoint.to_string());
        let met = match &tried.met {
            Met::Status(status) => format!("it answered {status}"),
            Met::Fault(ill) => match &ill.detail {
                Some(detail) => format!("{} ({detail})", ill.word()),
                None => ill.word(),
            },
        };
        format!(
            "Failed try {number}, {:.0} ms after the request came: {at}, {met} after {:.0} ms.",
            tried.began_ms, tried.took_ms
        )
    });
    told.collect()
}

/// How others that failed the same way are spread over endpoints.
fn pattern(case: &Case, around: &Around) -> Option<String> {
    let ending = ending(case)?;
    let same: Vec<_> = around
        .cases
        .iter()
        .filter(|other| self::ending(other).as_ref() == Some(&ending))
        .collect();
    if same.len() < A_PATTERN {
        return None;
    }
    let hit: BTreeSet<_> = same.iter().filter_map(|other| other.endpoint).collect();
    let well: BTreeSet<_> = around
        .cases
        .iter()
        .filter(|other| !other.is_bad())
        .filter_map(|other| other.endpoint)
        .filter(|endpoint| !hit.contains(endpoint))
        .collect();
    let count = same.len();
    let where_ = match (hit.first(), hit.len(), well.len()) {
        (None, ..) => String::new(),
        (Some(one), 1, 0) => format!(", all at {one}"),
        (Some(one), 1, _) => {
            format!(
                ", all at {one}, while {} answered well: it is this one alone",
                listed(&well)
            )
        }
        (Some(_), several, 0) => {
            format!(", at {several} endpoints: look at what they share")
        }
        (Some(_), several, _) => {
            format!(
                ", at {several} endpoints, while {} answered well",
                listed(&well)
            )
        }
    };
    Some(format!(
        "In the minute before and after, {count} kept requests of this upstream ended so{where_}."
    ))
}

/// What else failed at this upstream.
fn others(case: &Case, around: &Around) -> Option<String> {
    let own = ending(case);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for other in &around.cases {
        let before = other.at_ms <= case.at_ms;
        if let Some(ending) = ending(other).filter(|ending| before && own.as_ref() != Some(ending))
        {
            *kinds.entry(ending).or_default() += 1;
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds.truncate(MOST_KINDS);
    let told: Vec<_> = kinds
        .iter()
        .map(|(ending, count)| format!("{count} of {ending}"))
        .collect();
    (!told.is_empty()).then(|| {
        format!(
            "In the minute before, other requests of this upstream failed otherwise: {}.",
            told.join(", ")
        )
    })
}

/// How fast good ones of the same route are.
fn usual(case: &Case, around: &Around) -> Option<String> {
    let good = around
        .cases
        .iter()
        .filter(|other| !other.is_bad() && other.route == case.route);
    let mut times: Vec<f64> = good
        .filter_map(|other| other.timings_ms.first_byte)
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2)?;
    ending(case)?;
    Some(format!(
        "Good requests of this route had their first byte after {median:.0} ms at that time."
    ))
}

/// What was changed lately.
fn changes(case: &Case, around: &Around) -> Option<String> {
    let latest = around.changes.first()?;
    let ago = format!("{} s before it came", latest.before.as_secs());
    let hash = &latest.hash;
    Some(match &latest.outcome {
        Outcome::Rejected(why) => {
            format!("A config was refused {ago}: {why}. The one before stayed in force.")
        }
        Outcome::Applied | Outcome::RolledBack(_) if *hash == case.config => format!(
            "The config in force ({hash}) was applied {ago}: `tidegate config diff` shows what it changed."
        ),
        Outcome::Applied | Outcome::RolledBack(_) => {
            format!("The config changed {ago} ({hash}), and the request still had the one before.")
        }
    })
}

/// How a case ended badly, in a word.
fn ending(case: &Case) -> Option<String> {
    match &case.fault {
        Some(ill) => Some(ill.word()),
        None => case
            .is_bad()
            .then(|| format!("the service's own {}", case.status)),
    }
}

fn listed(endpoints: &BTreeSet<SocketAddr>) -> String {
    match (endpoints.first(), endpoints.len()) {
        (Some(one), 1) => one.to_string(),
        (_, count) => format!("{count} others"),
    }
}

#[cfg(test)]
mod tests;
