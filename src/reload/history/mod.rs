//! The configs that were in force, and those that were refused: the last [`MOST_ENTRIES`].

pub(super) mod store;

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::Trigger;
use crate::config::ConfigHash;

/// The most entries. One more drops the oldest refused one, where there are more than [`MOST_REJECTED`], and else the
/// oldest: so a file that is broken over and over does not push out what once worked.
pub const MOST_ENTRIES: usize = 50;
/// Refused entries beyond these go first.
const MOST_REJECTED: usize = 10;
/// The most bytes of all files together; beyond it the files of the oldest entries are dropped, the entries stay.
const MOST_BYTES: usize = 8 << 20;
/// The longest reason that is kept, in bytes.
const MOST_REASON: usize = 500;

/// A config that was read, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts up from 1, through restarts.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// Of the file's bytes; empty where they could not be read.
    pub hash: Box<str>,
    /// What asked for it.
    pub asked: Trigger,
    /// What became of it.
    pub outcome: Outcome,
    /// The file; `None` where it was refused, or is not kept any more.
    pub text: Option<Arc<str>>,
}

/// What became of a config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum Outcome {
    /// It came into force.
    Applied,
    /// It did not, for this reason.
    Rejected(String),
    /// It came into force, and was taken back for this reason.
    RolledBack(String),
}

/// Entries, the oldest first. Cheap to clone: each entry is shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    entries: VecDeque<Arc<Entry>>,
}

// === impl History ===

impl History {
    /// The entries, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().map(AsRef::as_ref)
    }

    /// The entry of this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Entry> {
        self.newest_first().find(|entry| entry.number == number)
    }

    /// The config that came into force last.
    #[must_use]
    pub fn in_force(&self) -> Option<&Entry> {
        self.newest_first()
            .find(|entry| entry.outcome == Outcome::Applied)
    }

    /// The last config that came into force before the one of this number, and has another content.
    #[must_use]
    pub fn before(&self, number: u64) -> Option<&Entry> {
        let hash = &self.get(number)?.hash;
        let earlier = self.newest_first().filter(|entry| entry.number < number);
        let mut applied = earlier.filter(|entry| !matches!(entry.outcome, Outcome::Rejected(_)));
        applied.find(|entry| entry.hash != *hash)
    }

    /// A config came into force.
    pub(super) fn applied(
        &mut self,
        at: SystemTime,
        hash: &ConfigHash,
        asked: Trigger,
        text: Arc<str>,
    ) {
        self.add(at, hash.as_str(), asked, Outcome::Applied, Some(text));
    }

    /// The config of a new process. One that was in force when the last one ended is no news.
    pub(super) fn started(&mut self, at: SystemTime, hash: &ConfigHash, text: Arc<str>) {
        if self
            .in_force()
            .is_none_or(|entry| *entry.hash != *hash.as_str())
        {
            self.applied(at, hash, Trigger::Start, text);
        }
    }

    /// A config was refused. The same one again for the same reason is no news.
    pub(super) fn rejected(
        &mut self,
        at: SystemTime,
        hash: Option<&ConfigHash>,
        asked: Trigger,
        why: &str,
    ) {
        let hash = hash.map_or("", ConfigHash::as_str);
        let outcome = Outcome::Rejected(first_line(why));
        let known = self
            .entries
            .back()
            .is_some_and(|last| *last.hash == *hash && last.outcome == outcome);
        if !known {
            self.add(at, hash, asked, outcome, None);
        }
    }

    /// The config in force is taken back.
    pub(super) fn rolled_back(&mut self, why: &str) {
        let mut newest = self.entries.iter_mut().rev();
        if let Some(entry) = newest.find(|entry| entry.outcome == Outcome::Applied) {
            Arc::make_mut(entry).outcome = Outcome::RolledBack(first_line(why));
        }
    }

    fn add(
        &mut self,
        at: SystemTime,
        hash: &str,
        asked: Trigger,
        outcome: Outcome,
        text: Option<Arc<str>>,
    ) {
        let last = self.entries.back().map_or(0, |entry| entry.number);
        self.entries.push_back(Arc::new(Entry {
            number: last.saturating_add(1),
            at,
            hash: hash.into(),
            asked,
            outcome,
            text,
        }));
        self.bound();
    }

    /// Drops what is too much.
    fn bound(&mut self) {
        let is_rejected = |entry: &Arc<Entry>| matches!(entry.outcome, Outcome::Rejected(_));
        while self.entries.len() > MOST_ENTRIES {
            let rejected = self
                .entries
                .iter()
                .filter(|entry| is_rejected(entry))
                .count();
            let oldest = self.entries.iter().position(is_rejected);
            let dropped = oldest.filter(|_| rejected > MOST_REJECTED).unwrap_or(0);
            self.entries.remove(dropped);
        }
        let mut bytes = 0_usize;
        for entry in self.entries.iter_mut().rev() {
            bytes = bytes.saturating_add(entry.text.as_ref().map_or(0, |text| text.len()));
            if bytes > MOST_BYTES && entry.text.is_some() {
                Arc::make_mut(entry).text = None;
            }
        }
    }
}

/// The first line of a reason, and not too much of it.
fn first_line(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    let mut end = line.len().min(MOST_REASON);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
