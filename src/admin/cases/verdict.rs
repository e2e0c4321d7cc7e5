//! What is to be made of one request: whose doing its end was, what speaks for that, and the next step. Pure: it sees
//! the request and what was going on around it, and asks each of a list of hypotheses how much speaks for it. What kind
//! of fault it was is only where they begin.

mod ending;
mod evidence;
mod hypotheses;
mod root;
mod scene;
mod suspect;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub use suspect::{Confidence, Suspect};

use super::Happened;
use crate::{
    fault::Kind,
    telemetry::{Case, Ill},
};
use ending::Ending;
use scene::Scene;
use suspect::Finding;

/// From so many on, another way of failing at the same time is another trouble.
const A_TROUBLE: usize = 2;

/// What is to be made of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happened, in one sentence.
    pub sentence: String,
    /// What is at the root of it; `None` where nothing failed.
    #[serde(default, flatten)]
    pub root: Option<Suspect>,
    /// What else may be.
    #[serde(default)]
    pub also_possible: Option<Suspect>,
    /// What else went wrong at that time, by itself.
    #[serde(default)]
    pub beside: Option<Suspect>,
    /// What speaks for it, and what was going on around it.
    pub evidence: Vec<String>,
    /// Where to look now, in this order.
    pub next: Vec<String>,
}

/// What was going on around a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Around {
    /// Cases of the same upstream, itself among them; where it has none, those of all.
    pub cases: Vec<Arc<Case>>,
    /// What else happened, the earliest first.
    pub happenings: Vec<Happened>,
    /// The endpoints of its upstream.
    pub endpoints: Vec<SocketAddr>,
}

// === impl Verdict ===

impl Verdict {
    /// The verdict on `case`.
    #[must_use]
    pub fn of(case: &Case, around: &Around) -> Self {
        let found =
            Scene::of(case, around).map_or_else(Vec::new, |scene| hypotheses::weigh(&scene));
        let best = found.first();
        let other = found.iter().skip(1).find(|one| {
            let known = one.confidence() != Confidence::Unknown;
            known && best.is_some_and(|best| best.root != one.root)
        });
        let beside = best.and_then(|best| beside(case, around, best));
        let mut evidence = best.map_or_else(Vec::new, |best| best.evidence.clone());
        evidence.extend(evidence::of(case, around));
        Self {
            sentence: sentence(case, best),
            root: best.map(Finding::suspect).or_else(|| unknown(case)),
            also_possible: other.map(Finding::suspect),
            beside: beside.as_ref().map(Finding::suspect),
            evidence,
            next: next(case, best),
        }
    }
}

/// Where nothing stands out: what the fault itself says.
fn unknown(case: &Case) -> Option<Suspect> {
    let ill = case.fault.as_ref()?;
    Some(Suspect {
        cause: ill.cause.clone(),
        finer: ill.word().into(),
        subject: None,
        confidence: Confidence::Unknown,
    })
}

/// What most of the others that failed otherwise at the time point to, or earlier tries of its own, where it is another
/// root.
fn beside(case: &Case, around: &Around, best: &Finding) -> Option<Finding> {
    let own = Ending::of(case);
    let mut kinds: HashMap<Ending, (&Case, usize)> = HashMap::new();
    for other in &around.cases {
        let endings: HashSet<_> = Ending::all_of(other).collect();
        for ending in endings {
            let (nearest, count) = kinds.entry(ending).or_insert((other, 0));
            *count += 1;
            let far = |one: &Case| one.at_ms.abs_diff(case.at_ms);
            if far(other) < far(nearest) {
                *nearest = other;
            }
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.retain(|(ending, (_, count))| Some(*ending) != own && *count >= A_TROUBLE);
    kinds.sort_by_key(|(_, (nearest, count))| std::cmp::Reverse((*count, nearest.at_ms)));
    let judged = kinds.into_iter().filter_map(|(ending, (nearest, _))| {
        let scene = Scene::of_ending(nearest, ending, around);
        hypotheses::weigh(&scene).into_iter().next()
    });
    let mut others = judged.filter(|found| found.root != best.root);
    others.find(|found| found.confidence() != Confidence::Unknown)
}

/// What the root asks for; where that is nothing of its own, what the kind of fault does.
fn next(case: &Case, best: Option<&Finding>) -> Vec<String> {
    let own = best.map_or(&[][..], |best| best.root.next());
    let kind = case.fault.as_ref().and_then(Ill::known).map(Kind::guide);
    let steps = if own.is_empty() {
        kind.map_or(&[][..], |guide| guide.look)
    } else {
        own
    };
    let asked = format!("doctor {}", case.upstream);
    let step = |step: &&str| step.replace("doctor UPSTREAM", &asked);
    steps.iter().map(step).collect()
}

fn sentence(case: &Case, best: Option<&Finding>) -> String {
    let at = |endpoint: Option<SocketAddr>| match endpoint {
        Some(endpoint) => format!(" at {endpoint}"),
        None => String::new(),
    };
    let total = case.timings_ms.total;
    match &case.fault {
        Some(ill) => format!(
            "{} Cause: {}; kind {}, seen at stage {}{}, {total:.0} ms after the request came.",
            ill.title,
            best.map_or(&*ill.cause, |best| best.root.cause().as_str()),
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

#[cfg(test)]
mod tests;
