//! No connection comes about.

use super::super::{
    root::Root,
    scene::{Scene, Spread},
    suspect::Finding,
};

/// Nothing listens, nothing comes back, or there is no way.
pub(super) fn unreached(scene: &Scene<'_>) -> Option<Finding> {
    let facts = scene.ending.facts()?;
    let (root, proves) = match (facts.name, facts.reason) {
        ("connection_refused", _) => (
            Root::NotListening,
            "The host itself answered that nothing listens at this port.",
        ),
        ("connection_timeout", _) => (
            Root::Filtered,
            "Not even a refusal came back: packets are swallowed on the way, or the host takes none.",
        ),
        ("destination_ip_unroutable", _) => (
            Root::Unreachable,
            "The system or a router on the way said that there is no way to this host.",
        ),
        ("connection_terminated", Some("connect")) => (
            Root::ConnectBroken,
            "The connection was begun and not made.",
        ),
        _ => return None,
    };
    let finding = Finding::new(root, 0).because(proves);
    Some(match scene.spread() {
        Spread::One(at) => finding.weighing(87).about(&at),
        Spread::All => finding.weighing(86),
        Spread::Several => finding.weighing(82),
        Spread::Unknown => finding.weighing(72),
    })
}
