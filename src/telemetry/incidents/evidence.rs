//! What speaks for what is said of an incident: its numbers, and the requests that were kept. Pure.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use super::{Happening, Incident, Scope};
use crate::telemetry::{Case, Filter};

/// Most kinds that are told.
const MOST_KINDS: usize = 6;
/// Before its begin and after its end, as the moments of requests and of looks differ.
const ABOUT_MS: u64 = 5_000;

/// The requests that may tell of it.
pub(super) fn filter(incident: &Incident) -> Filter {
    let route = incident.routes.first().cloned();
    Filter {
        route: route.filter(|_| matches!(incident.scope, Scope::Route | Scope::Limits)),
        upstream: incident.upstream.clone(),
        since_ms: incident.began_ms.saturating_sub(ABOUT_MS),
        until_ms: Some(incident.last_fault_ms.saturating_add(ABOUT_MS)),
        good: true,
        ..Filter::default()
    }
}

/// What speaks for it, where `cases` are those that were kept, the newest first.
pub(super) fn of(incident: &Incident, cases: &[Arc<Case>]) -> Vec<String> {
    let mut evidence = vec![numbers(incident)];
    evidence.extend(kinds(incident));
    evidence.extend(endpoints(cases).filter(|_| incident.upstream.is_some()));
    evidence.extend(incident.after.as_ref().map(|after| before(incident, after)));
    let example = example(incident, cases);
    evidence.extend(example.map(|id| format!("The first that is kept: tidegate explain {id}")));
    evidence
}

fn numbers(incident: &Incident) -> String {
    let Incident {
        faulted,
        requests,
        share,
        peak_share,
        ..
    } = incident;
    let whose = match incident.scope {
        Scope::Clients | Scope::Process => "the gateway".to_owned(),
        _ => format!("route {}", incident.routes.join(", ")),
    };
    format!(
        "It hit {faulted} of {requests} requests of {whose}: {:.1} %, at worst {:.1} %.",
        share * 100.0,
        peak_share * 100.0
    )
}

fn kinds(incident: &Incident) -> Option<String> {
    let told = incident.kinds.iter().take(MOST_KINDS);
    let told: Vec<_> = told
        .map(|hit| format!("{} of {}", hit.requests, hit.kind))
        .collect();
    (told.len() > 1).then(|| format!("They ended in several ways: {}.", told.join(", ")))
}

/// Where those that failed went, and those that did not.
fn endpoints(cases: &[Arc<Case>]) -> Option<String> {
    let at = |bad: bool| -> BTreeSet<SocketAddr> {
        let those = cases.iter().filter(|case| case.is_bad() == bad);
        those.filter_map(|case| case.endpoint).collect()
    };
    let (hit, well) = (at(true), at(false));
    let well: Vec<_> = well.difference(&hit).collect();
    let (one, count) = (hit.first()?, hit.len());
    Some(match (count, well.len()) {
        (1, 0) => format!("All that were kept failed at {one}."),
        (1, others) => format!(
            "All that were kept failed at {one}, while {others} other endpoints answered well: it is this one alone."
        ),
        (_, 0) => format!("They failed at {count} endpoints: look at what they share."),
        (_, others) => {
            format!("They failed at {count} endpoints, while {others} others answered well.")
        }
    })
}

fn before(incident: &Incident, after: &Happening) -> String {
    let seconds = incident.began_ms.saturating_sub(after.at_ms) / 1000;
    format!("{seconds} s before it began: {}", after.sentence)
}

/// The id of the first that is kept, to be looked at.
pub(super) fn example<'a>(incident: &Incident, cases: &'a [Arc<Case>]) -> Option<&'a str> {
    let kind = &incident.kinds.first()?.kind;
    let mut bad = cases.iter().rev().filter(|case| case.is_bad());
    let first = bad.find(|case| {
        case.fault
            .as_ref()
            .map_or(*kind == *super::Ending::OWN, |ill| ill.word() == **kind)
    })?;
    Some(&first.request_id)
}
