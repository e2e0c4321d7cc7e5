//! No endpoint can serve, or none has a place: what failed before is what matters.

use std::collections::HashMap;

use super::super::{Around, ending::Ending, root::Root, scene::Scene, suspect::Finding};
use crate::{
    admin::cases::{Happening, OutBy},
    fault::{Cause, Kind},
    telemetry::Case,
};

/// So many that failed take places from others.
const MANY: usize = 3;

/// The failures that took the endpoints out, judged by themselves.
pub(super) fn taken_out(scene: &Scene<'_>) -> Option<Finding> {
    if !scene.ending.is(&[Kind::NoEndpoint]) {
        return None;
    }
    let behind = behind(scene.case, scene.around);
    if let Some((case, count)) = behind
        && let Some(within) = Scene::of(case, scene.around)
        && let Some(found) = super::weigh(&within).into_iter().next()
    {
        let weight = found.weight.saturating_sub(2);
        return Some(found.weighing(weight).because(format!(
            "The endpoints went out because requests failed there: {count} were seen before, judged here."
        )));
    }
    let checks = scene.happened().find_map(|one| match &one.what {
        Happening::EndpointOut {
            endpoint,
            by: OutBy::Checks,
            why,
            upstream,
        } if *upstream == scene.case.upstream => Some((endpoint, why)),
        _ => None,
    });
    Some(match checks {
        Some((endpoint, why)) => Finding::new(Root::ChecksFail, 80)
            .about(endpoint)
            .because(format!("{endpoint}: {why}")),
        None => Finding::new(Root::ChecksFail, 55),
    })
}

/// No place is free because requests that fail keep theirs, or because the limit follows what still succeeds: judged by
/// those.
pub(super) fn crowded_out(scene: &Scene<'_>) -> Option<Finding> {
    if !super::overload::is_shed(scene) || scene.has_grown() {
        return None;
    }
    let (case, count) = behind(scene.case, scene.around).filter(|(_, count)| *count >= MANY)?;
    let within = Scene::of(case, scene.around)?;
    let found = super::weigh(&within).into_iter().next()?;
    let weight = found.weight.saturating_sub(8);
    Some(found.weighing(weight).because(format!(
        "Traffic had not grown when places ran out, and {count} requests that had one failed before, judged here."
    )))
}

/// The last one of what failed most at endpoints of its upstream before, and how many those were.
fn behind<'a>(case: &Case, around: &'a Around) -> Option<(&'a Case, usize)> {
    let mut kinds: HashMap<Ending, (&Case, usize)> = HashMap::new();
    for other in &around.cases {
        let Some(ending) = Ending::of(other).filter(|ending| blames(*ending)) else {
            continue;
        };
        if other.upstream != case.upstream || other.at_ms > case.at_ms {
            continue;
        }
        let (last, count) = kinds.entry(ending).or_insert((other, 0));
        *count += 1;
        if other.at_ms >= last.at_ms {
            *last = other;
        }
    }
    let kinds = kinds.into_values();
    kinds.max_by_key(|(last, count)| (*count, last.at_ms))
}

/// Whether it is an endpoint's doing, or that of the way there.
fn blames(ending: Ending) -> bool {
    match ending {
        Ending::Own => true,
        Ending::Fault(Kind::NoEndpoint) | Ending::Unknown => false,
        Ending::Fault(kind) => !matches!(
            kind.facts().cause,
            Cause::Client | Cause::Overload | Cause::Config | Cause::Internal
        ),
    }
}
