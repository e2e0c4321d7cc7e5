//! More is asked for than can be done.

use std::collections::BTreeSet;

use super::super::{
    ending::Ending,
    root::Root,
    scene::{Scene, Spread},
    suspect::Finding,
};
use crate::{
    admin::cases::Happening,
    fault::{Cause, Kind},
};

/// How much longer is slower.
const SLOWER: f64 = 2.0;
/// How long after a standstill what times out may be meant by it.
const AFTER_STANDSTILL_MS: u64 = 2_000;

/// The limit of the upstream is reached.
pub(super) fn capacity(scene: &Scene<'_>) -> Option<Finding> {
    let slow = scene
        .ending
        .is(&[Kind::FirstByteTimeout, Kind::RequestTimeout]);
    if slow {
        let all = !matches!(scene.spread(), Spread::One(_));
        return (all && scene.has_grown())
            .then(|| Finding::new(Root::Capacity, 82).because(grown(scene)));
    }
    if !is_shed(scene) {
        return None;
    }
    let finding =
        Finding::new(Root::Capacity, 0).about(&format!("upstream {}", scene.case.upstream));
    Some(if scene.has_grown() {
        finding.weighing(88).because(grown(scene))
    } else {
        finding.weighing(72)
    })
}

/// The limit is reached because each request takes longer.
pub(super) fn slower(scene: &Scene<'_>) -> Option<Finding> {
    if !is_shed(scene) || scene.has_grown() {
        return None;
    }
    let (before, since) = scene.first_bytes();
    let (before, since) = (before?, since?);
    (since > before * SLOWER).then(|| {
        Finding::new(Root::SlowService, 83).because(format!(
            "Requests took {before:.0} ms to their first byte before this began, and {since:.0} ms since, while traffic \
             did not grow: places stay taken for longer."
        ))
    })
}

/// A bucket is empty: whose?
pub(super) fn rate(scene: &Scene<'_>) -> Option<Finding> {
    if !scene.ending.is(&[Kind::RateExceeded]) {
        return None;
    }
    let over: BTreeSet<_> = scene.same.iter().map(|one| one.client).collect();
    let others: BTreeSet<_> = scene.good.iter().map(|one| one.client).collect();
    let others = others.difference(&over).count();
    Some(match (over.first(), over.len()) {
        (Some(one), 1) => {
            let weight = if others > 0 { 92 } else { 78 };
            let why = format!(
                "All {} that were refused so came from {one}; {others} other clients were served.",
                scene.same.len()
            );
            let finding = Finding::new(Root::OneClient, weight).about(one);
            finding.because(why)
        }
        (_, several) => Finding::new(Root::OverRate, 86)
            .about(&format!("route {}", scene.case.route))
            .because(format!("{several} clients were refused so.")),
    })
}

/// This process has no more of something.
pub(super) fn own_shortage(scene: &Scene<'_>) -> Option<Finding> {
    let kinds = [
        Kind::ProcessPressure,
        Kind::PortsExhausted,
        Kind::DescriptorsExhausted,
    ];
    if !scene.ending.is(&kinds) {
        return None;
    }
    let level = scene.happened().find_map(|one| match one.what {
        Happening::Pressure { level } => Some(level),
        _ => None,
    });
    let finding = Finding::new(Root::OwnPressure, 92);
    Some(match level {
        Some(level) => finding.because(format!(
            "The gateway told of its own shortage before: level {level} of 4."
        )),
        None => finding,
    })
}

/// This process did not run, and what waited meanwhile ran out of time.
pub(super) fn stood_still(scene: &Scene<'_>) -> Option<Finding> {
    let timed_out = [
        Kind::FirstByteTimeout,
        Kind::RequestTimeout,
        Kind::ConnectTimeout,
        Kind::TlsTimeout,
        Kind::QueueTimeout,
        Kind::DeadlinePast,
        Kind::ResponseStalled,
        Kind::BodyTimeout,
        Kind::HeadTimeout,
    ];
    if !scene.ending.is(&timed_out) {
        return None;
    }
    let case = scene.case;
    let ended = case.at_ms as f64 + case.timings_ms.total;
    scene.around.happenings.iter().find_map(|one| {
        let Happening::StoodStill { late_ms } = one.what else {
            return None;
        };
        let (at, late) = (one.at_ms as f64, late_ms as f64);
        let within = case.at_ms as f64 <= at
            && ended >= at - late
            && ended <= at + AFTER_STANDSTILL_MS as f64;
        let much = late * 2.0 >= case.timings_ms.total;
        (within && much).then(|| {
            Finding::new(Root::OwnStandstill, 89).because(format!(
                "This process did not run for {late_ms} ms while the request waited: its time ran out here, not there."
            ))
        })
    })
}

pub(super) fn is_shed(scene: &Scene<'_>) -> bool {
    let Ending::Fault(kind) = scene.ending else {
        return false;
    };
    let apart = [
        Kind::RateExceeded,
        Kind::ProcessPressure,
        Kind::PortsExhausted,
        Kind::DescriptorsExhausted,
    ];
    kind.facts().cause == Cause::Overload && !apart.contains(&kind)
}

fn grown(scene: &Scene<'_>) -> String {
    format!(
        "Traffic of route {} was {:.1} times what it had been when this began.",
        scene.case.route,
        scene.growth().unwrap_or(1.0)
    )
}
