//! A config that came into force, as it is told.

use crate::{
    config::{Change, Diff, Loaded, Touched},
    reload::Trigger,
    telemetry::{ConfigEvent, TouchedRoutes},
};

/// Longest value of a key that is told, in characters.
const MOST_CHARS: usize = 40;

/// `loaded` came into force as this `revision`, and `diff` is what it changed.
pub(super) fn of(loaded: &Loaded, revision: u64, trigger: Trigger, diff: &Diff) -> ConfigEvent {
    let changes = diff.changes.iter().take(ConfigEvent::MOST_CHANGES);
    ConfigEvent::Applied {
        hash: loaded.hash.to_string().into(),
        revision,
        trigger: trigger.as_str(),
        touches: match &diff.touches {
            Touched::Routes(routes) if routes.len() <= ConfigEvent::MOST_ROUTES => {
                TouchedRoutes::Some(routes.clone())
            }
            Touched::All | Touched::Routes(_) => TouchedRoutes::ALL,
        },
        changes: changes.map(in_words).collect(),
        changed: diff.changes.len(),
    }
}

/// `route shop: timeout 3s -> 1s`
fn in_words(change: &Change) -> Box<str> {
    let Change { of, key, old, new } = change;
    let dot = if key.is_empty() { "" } else { ": " };
    let value = |value: &Option<String>| match value {
        Some(value) => value.chars().take(MOST_CHARS).collect(),
        None => "nothing".to_owned(),
    };
    format!("{of}{dot}{key} {} -> {}", value(old), value(new)).into()
}
