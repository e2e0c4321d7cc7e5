//! No endpoint can serve: what took them out is what matters.

use std::collections::HashMap;

use super::super::{
    Around,
    root::Root,
    scene::{Ending, Scene},
    suspect::Finding,
};
use crate::{
    admin::cases::{Happening, OutBy},
    fault::{Cause, Kind},
    telemetry::Case,
};

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

/// The last one of what failed most at endpoints of its upstream before, and how many those were.
fn behind<'a>(case: &Case, around: &'a Around) -> Option<(&'a Case, usize)> {
    let mut kinds: HashMap<Ending, (&Case, usize)> = HashMap::new();
    for other in &around.cases {
        let Some(ending) = Ending::of(other) else {
            continue;
        };
        let blames = match ending {
            Ending::Own => true,
            Ending::Fault(kind) => {
                kind != Kind::NoEndpoint
                    && !matches!(
                        kind.facts().cause,
                        Cause::Client | Cause::Overload | Cause::Config
                    )
            }
            Ending::Unknown => false,
        };
        if !blames || other.upstream != case.upstream || other.at_ms > case.at_ms {
            continue;
        }
        let (last, count) = kinds.entry(ending).or_insert((other, 0));
        *count += 1;
        if other.at_ms >= last.at_ms {
            *last = other;
        }
    }
    kinds
        .into_values()
        .max_by_key(|(last, count)| (*count, last.at_ms))
}
