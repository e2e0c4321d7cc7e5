//! The caller, and this gateway itself.

use super::super::{ending::Ending, root::Root, scene::Scene, suspect::Finding};
use crate::fault::{Cause, Kind};

/// What the caller did.
pub(super) fn client(scene: &Scene<'_>) -> Option<Finding> {
    let Ending::Fault(kind) = scene.ending else {
        return None;
    };
    if kind.facts().cause != Cause::Client {
        return None;
    }
    let root = match kind {
        Kind::ClientAborted => Root::ClientLeft,
        Kind::HeadTimeout | Kind::BodyTimeout | Kind::ReadTimeout => Root::ClientSlow,
        _ => Root::ClientWrong,
    };
    let weight = if root == Root::ClientLeft { 76 } else { 88 };
    Some(Finding::new(root, weight).about(&scene.case.client))
}

/// What this gateway must not do.
pub(super) fn bug(scene: &Scene<'_>) -> Option<Finding> {
    let ours = scene.ending.is(&[Kind::Panicked, Kind::Internal]);
    ours.then(|| Finding::new(Root::Bug, 95))
}
