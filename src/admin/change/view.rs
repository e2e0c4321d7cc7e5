//! What the API says of past configs and of changes: plain values, that `tidegate config` reads back.

use serde::{Deserialize, Serialize};

use crate::{
    config::{Change, Diff, Touched},
    reload::{Answer, Compared, Counts, Entry, History, Outcome, Trigger},
    telemetry::{Ended, ReloadResult, rfc3339},
};

/// A config that was read, and what became of it: an item of `/api/v1/config/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    /// Its number, for diff and rollback.
    pub number: u64,
    /// When.
    pub at: String,
    /// Of the file's bytes; empty where they could not be read.
    pub hash: String,
    /// What asked for it.
    pub asked: Trigger,
    /// What became of it, and why.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Whether it is in force now.
    pub in_force: bool,
    /// Whether its file is kept, so that it can be compared and come back.
    pub kept: bool,
}

/// What changes, and which traffic that touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesView {
    /// What changes.
    pub changes: Vec<Change>,
    /// Whether it touches every route.
    pub touches_all: bool,
    /// The routes that it touches, with what they saw in the last minute; where it touches all, those that had requests.
    pub touches: Vec<TouchedView>,
}

/// A route that a change touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedView {
    /// Its name.
    pub route: String,
    /// How many of its requests ended in the last minute.
    pub requests: u64,
    /// How many of them badly.
    pub faulted: u64,
}

/// Two configs compared: `/api/v1/config/diff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffView {
    /// From here.
    pub from: EntryView,
    /// To here.
    pub to: EntryView,
    /// What changes.
    #[serde(flatten)]
    pub what: ChangesView,
}

/// What an applied config changed, or would change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppliedView {
    /// `applied`, or `unchanged` where it was in force already.
    pub result: ReloadResult,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Of the config that was brought.
    pub hash: String,
    /// Of the config in force.
    pub running: String,
    /// Counts the files applied by this process.
    pub revision: u64,
    /// What changes.
    #[serde(flatten)]
    pub what: ChangesView,
}

// === impl EntryView ===

impl EntryView {
    pub(super) fn of(entry: &Entry, in_force: Option<u64>) -> Self {
        Self {
            number: entry.number,
            at: rfc3339(entry.at).to_string(),
            hash: entry.hash.to_string(),
            asked: entry.asked,
            outcome: entry.outcome.clone(),
            in_force: in_force == Some(entry.number),
            kept: entry.text.is_some(),
        }
    }
}

// === impl ChangesView ===

impl ChangesView {
    pub(super) fn of(diff: Diff, last_minute: &Counts) -> Self {
        let view = |route: &str, ended: Ended| TouchedView {
            route: route.to_owned(),
            requests: ended.requests,
            faulted: ended.faulted,
        };
        let mut touches: Vec<_> = match &diff.touches {
            Touched::All => last_minute
                .routes
                .iter()
                .filter(|(_, ended)| ended.requests > 0)
                .map(|(route, ended)| view(route.as_str(), *ended))
                .collect(),
            Touched::Routes(routes) => routes
                .iter()
                .map(|route| view(route.as_str(), last_minute.get(route)))
                .collect(),
        };
        touches.sort_by(|one, other| one.route.cmp(&other.route));
        Self {
            changes: diff.changes,
            touches_all: diff.touches == Touched::All,
            touches,
        }
    }
}

// === impl DiffView ===

impl DiffView {
    pub(super) fn of(compared: &Compared, history: &History, last_minute: &Counts) -> Self {
        let in_force = history.in_force().map(|entry| entry.number);
        Self {
            from: EntryView::of(&compared.from, in_force),
            to: EntryView::of(&compared.to, in_force),
            what: ChangesView::of(compared.diff.clone(), last_minute),
        }
    }
}

// === impl AppliedView ===

impl AppliedView {
    pub(super) fn of(answer: Answer, dry_run: bool, last_minute: &Counts) -> Self {
        Self {
            result: answer.result,
            dry_run,
            hash: answer.hash.to_string(),
            running: answer.config.hash.to_string(),
            revision: answer.config.revision,
            what: ChangesView::of(answer.diff, last_minute),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_of_an_entry_reads_back() {
        let view = EntryView {
            number: 3,
            at: "2026-01-01T00:00:00.000Z".to_owned(),
            hash: "aaaaaaaaaaaa".to_owned(),
            asked: Trigger::Guard,
            outcome: Outcome::RolledBack("it failed".to_owned()),
            in_force: false,
            kept: true,
        };
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["outcome"], "rolled_back");
        assert_eq!(
            (&json["why"], &json["asked"]),
            (&json!("it failed"), &json!("guard"))
        );
        assert_eq!(serde_json::from_value::<EntryView>(json).unwrap(), view);
    }
}
