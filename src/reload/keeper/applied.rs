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

/// `route shop: timeout 3s -> 1s`. Values of header fields may be secrets of services, and events go far.
fn in_words(change: &Change) -> Box<str> {
    let Change { of, key, old, new } = change;
    let dot = if key.is_empty() { "" } else { ": " };
    let is_secret = key.split('.').any(|part| part.ends_with("headers"));
    let value = |value: &Option<String>| match value {
        Some(_) if is_secret => "(not told)".to_owned(),
        Some(value) => value.chars().take(MOST_CHARS).collect(),
        None => "nothing".to_owned(),
    };
    format!("{of}{dot}{key} {} -> {}", value(old), value(new)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &str, old: Option<&str>, new: Option<&str>) -> Box<str> {
        in_words(&Change {
            of: "route shop".to_owned(),
            key: key.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        })
    }

    #[test]
    fn a_change_is_told_short_and_without_what_may_be_secret() {
        assert_eq!(
            &*told("timeout", Some("3s"), Some("1s")),
            "route shop: timeout 3s -> 1s"
        );
        assert_eq!(
            &*told("", None, Some("there")),
            "route shop nothing -> there"
        );
        let header = told("request_headers.set.authorization", None, Some("Bearer s3"));
        assert_eq!(
            &*header,
            "route shop: request_headers.set.authorization nothing -> (not told)"
        );
        assert!(told("hosts", None, Some(&"x".repeat(500))).len() < 100);
    }
}
