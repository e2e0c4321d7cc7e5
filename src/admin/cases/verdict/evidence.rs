//! What was seen of a case and around it, in sentences, whatever is at its root.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use super::Around;
use crate::{
    admin::cases::Happening,
    telemetry::{Case, Met},
};

/// Fewer of a kind say nothing of a pattern.
const A_PATTERN: usize = 3;
/// How many other kinds of failure are told.
const MOST_KINDS: usize = 3;
/// How many happenings are told.
const MOST_HAPPENED: usize = 4;
/// How far around a case others are told of, in milliseconds.
const NEAR_MS: u64 = 60_000;

/// All of it.
pub(super) fn of(case: &Case, around: &Around) -> Vec<String> {
    let mut evidence = tries(case);
    evidence.extend(pattern(case, around));
    evidence.extend(others(case, around));
    evidence.extend(usual(case, around));
    evidence.extend(changes(case, around));
    evidence.extend(happened(case, around));
    evidence
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

/// Those of the minute before and after.
fn near<'a>(case: &Case, around: &'a Around) -> impl Iterator<Item = &'a Case> {
    let at_ms = case.at_ms;
    let cases = around.cases.iter().map(AsRef::as_ref);
    cases.filter(move |other: &&Case| other.at_ms.abs_diff(at_ms) <= NEAR_MS)
}

/// How others that failed the same way are spread over endpoints.
fn pattern(case: &Case, around: &Around) -> Option<String> {
    let ending = ending(case)?;
    let same: Vec<_> = near(case, around)
        .filter(|other| self::ending(other).as_ref() == Some(&ending))
        .collect();
    if same.len() < A_PATTERN {
        return None;
    }
    let hit: BTreeSet<_> = same.iter().filter_map(|other| other.endpoint).collect();
    let well: BTreeSet<_> = near(case, around)
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
    for other in near(case, around) {
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
    let good = near(case, around).filter(|other| !other.is_bad() && other.route == case.route);
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

/// What happened to the config last, before it came.
fn changes(case: &Case, around: &Around) -> Option<String> {
    let before = |at_ms: u64| case.at_ms.checked_sub(at_ms);
    let lately = around.happenings.iter().rev();
    let mut lately = lately.filter_map(|one| Some((before(one.at_ms)?, &one.what)));
    lately.find_map(|(ms, what)| {
        let ago = format!("{} s before it came", ms / 1000);
        match what {
            Happening::ConfigRefused { why } => Some(format!(
                "A config was refused {ago}: {why}. The one before stayed in force."
            )),
            Happening::ConfigApplied { hash, .. } if *hash == case.config => Some(format!(
                "The config in force ({hash}) was applied {ago}: `tidegate config diff` shows what it changed."
            )),
            Happening::ConfigApplied { hash, .. } => Some(format!(
                "The config changed {ago} ({hash}), and the request still had the one before."
            )),
            Happening::ConfigTakenBack { hash, why } => {
                Some(format!("A config ({hash}) was taken back {ago}: {why}."))
            }
            _ => None,
        }
    })
}

/// What else happened in the minute before and after, the nearest first.
fn happened(case: &Case, around: &Around) -> Vec<String> {
    let away = |at_ms: u64| at_ms.abs_diff(case.at_ms);
    let mut near: Vec<_> = around.happenings.iter().collect();
    near.retain(|one| away(one.at_ms) <= NEAR_MS);
    near.sort_by_key(|one| away(one.at_ms));
    let told = near.into_iter().filter_map(|one| {
        let when = match one.at_ms.checked_sub(case.at_ms) {
            Some(after) => format!("{after} ms after it came"),
            None => format!("{} ms before it came", away(one.at_ms)),
        };
        Some(format!("{}, {when}.", words(&one.what)?))
    });
    told.take(MOST_HAPPENED).collect()
}

/// What happened, in words; `None` for what is told elsewhere.
fn words(what: &Happening) -> Option<String> {
    Some(match what {
        Happening::ConfigApplied { .. }
        | Happening::ConfigRefused { .. }
        | Happening::ConfigTakenBack { .. } => return None,
        Happening::AddressesChanged {
            name,
            added,
            removed,
            unnamed,
        } => format!(
            "{name} got {} other addresses and lost {}",
            added.len() + unnamed,
            removed.len()
        ),
        Happening::LookupsFail { name, empty, .. } => {
            let keeps = if *empty {
                "has no addresses"
            } else {
                "keeps its last ones"
            };
            format!("{name} could not be looked up and {keeps}")
        }
        Happening::NameRecovered { name } => format!("{name} could be looked up again"),
        Happening::FilesChanged { wrong: 0 } => "Files that the config names changed".to_owned(),
        Happening::FilesChanged { wrong } => {
            format!("Files that the config names changed, and {wrong} of them were wrong")
        }
        Happening::EndpointOut { endpoint, why, .. } => format!("{endpoint} went out ({why})"),
        Happening::EndpointBack { endpoint, .. } => format!("{endpoint} came back"),
        Happening::Panic { begins: true, .. } => {
            "So few endpoints could serve that all were used".to_owned()
        }
        Happening::Panic { begins: false, .. } => "Enough endpoints could serve again".to_owned(),
        Happening::Spill { begins: true, .. } => "Traffic went to another group".to_owned(),
        Happening::Spill { begins: false, .. } => {
            "All traffic was back at the first group".to_owned()
        }
        Happening::Pressure { level } => {
            format!("The gateway's own pressure went to level {level} of 4")
        }
        Happening::LimitMoved { from, to, .. } => {
            format!("The limit of an endpoint moved from {from:.0} to {to:.0}")
        }
        Happening::StoodStill { late_ms } => {
            format!("The gateway's process stood still for {late_ms} ms")
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
