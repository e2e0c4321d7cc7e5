//! The service is reached, and does not do its work.

use super::super::{
    ending::{Ending, failed_at},
    root::Root,
    scene::{Scene, Spread},
    suspect::Finding,
};
use crate::{
    admin::cases::{Happening, OutBy},
    fault::{Cause, Kind},
};

/// How long before its first errors a restart is seen.
const RESTART_MS: u64 = 30_000;
/// A client that leaves after so many times the usual gave up.
const PATIENT: f64 = 5.0;
/// And after so many milliseconds at least.
const PATIENT_MS: f64 = 400.0;

/// The service's own errors.
pub(super) fn own_errors(scene: &Scene<'_>) -> Option<Finding> {
    if scene.ending != Ending::Own {
        return None;
    }
    if let Spread::One(at) = scene.spread() {
        return Some(Finding::new(Root::OneEndpoint, 88).about(&at).because(
            "The errors come from this endpoint alone; the others answer the same requests well.",
        ));
    }
    if let Some(path) = scene.one_path() {
        let why = format!("Of what was asked, {path} alone fails.");
        return Some(Finding::new(Root::OnePath, 86).about(path).because(why));
    }
    let finding = Finding::new(Root::AllEndpoints, 0);
    Some(if scene.is_step() {
        finding.weighing(80).because(
            "From one moment on every answer was an error, where all had been good: a new version, or something that \
             all endpoints share.",
        )
    } else if scene.is_pattern() {
        finding.weighing(75)
    } else {
        Finding::new(Root::OwnError, 60)
    })
}

/// The service was started anew, and fails since.
pub(super) fn restarted(scene: &Scene<'_>) -> Option<Finding> {
    if !matches!(scene.ending, Ending::Own) && !is_slow(scene) {
        return None;
    }
    let onset = scene.onset_ms();
    let just_before = |at_ms: u64| at_ms <= onset && at_ms.saturating_add(RESTART_MS) >= onset;
    let gone = |ending: Ending| {
        let names = [
            "connection_refused",
            "connection_terminated",
            "http_response_incomplete",
        ];
        let facts = ending.facts();
        facts.is_some_and(|facts| names.contains(&facts.name) && facts.cause != Cause::Client)
    };
    let hit = scene.hit();
    let broke = scene.around.cases.iter().find(|other| {
        let mut endings = Ending::all_of(other).filter(|ending| gone(*ending));
        let here = |ending| failed_at(other, ending).is_some_and(|at| hit.contains(&at));
        other.upstream == scene.case.upstream && just_before(other.at_ms) && endings.any(here)
    });
    let out = scene.around.happenings.iter().find(|one| {
        matches!(&one.what, Happening::EndpointOut { endpoint, by: OutBy::Checks, .. } if hit.contains(endpoint))
            && just_before(one.at_ms)
    });
    let began = broke
        .map(|other| other.at_ms)
        .or(out.map(|one| one.at_ms))?;
    let before = scene.good_before(began).next().is_some();
    (before && scene.is_pattern()).then(|| {
        Finding::new(Root::Deployment, 86).because(format!(
            "{} ms before the first of these, connections to the same place failed or broke, as where a process is \
             stopped and another one started; before that it answered well.",
            onset.saturating_sub(began)
        ))
    })
}

/// Answers do not come in time.
pub(super) fn slow(scene: &Scene<'_>) -> Option<Finding> {
    if !is_slow(scene) {
        return None;
    }
    Some(match scene.spread() {
        Spread::One(at) => Finding::new(Root::SlowEndpoint, 87)
            .about(&at)
            .because("This endpoint alone is slow; the others answer in time."),
        Spread::All | Spread::Several if scene.has_grown() => Finding::new(Root::SlowService, 60),
        Spread::All | Spread::Several => {
            let finding = Finding::new(Root::SlowService, 80)
                .because("Traffic had not grown when this began: the same work takes longer.");
            if scene.is_step() {
                finding.because(
                    "From one moment on nothing was answered in time, where all had been: a new version, or something that \
                     all endpoints share.",
                )
            } else {
                finding
            }
        }
        Spread::Unknown => Finding::new(Root::Slow, 60),
    })
}

/// Clients left because nothing came.
pub(super) fn given_up_on(scene: &Scene<'_>) -> Option<Finding> {
    if !scene.ending.is(&[Kind::ClientAborted]) || scene.case.bytes_out > 0 {
        return None;
    }
    let (before, _) = scene.first_bytes();
    let waited = scene.case.timings_ms.total;
    let usual = before?;
    let patient = waited > usual * PATIENT && waited > PATIENT_MS;
    let many = scene.is_pattern() && scene.good_since().next().is_none();
    patient.then(|| {
        let weight = if many { 82 } else { 62 };
        let root = match scene.spread() {
            Spread::One(_) => Root::SlowEndpoint,
            _ => Root::SlowService,
        };
        Finding::new(root, weight).because(format!(
            "The client left after {waited:.0} ms without an answer, where {usual:.0} ms are usual: it gave up."
        ))
    })
}

fn is_slow(scene: &Scene<'_>) -> bool {
    scene.ending.is(&[
        Kind::FirstByteTimeout,
        Kind::RequestTimeout,
        Kind::ResponseStalled,
    ])
}
