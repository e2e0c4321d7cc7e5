//! What is in force, and what became of the last file that was read.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Unprepared;
use crate::{config::Diagnostics, snapshot::ConfigFacts, telemetry::ReloadResult};

/// The state of the config, as the API and the log tell it.
#[derive(Debug, Clone)]
pub struct Status {
    /// What is in force.
    pub config: ConfigFacts,
    /// What became of the last file that was read after the start.
    pub last: Option<LastReload>,
}

/// What became of a file that was read.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// When.
    pub at: SystemTime,
    /// What asked for it.
    pub trigger: Trigger,
    /// How it ended.
    pub verdict: Verdict,
}

/// What asked for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The process began with it.
    Start,
    /// The file, or a directory on the way to it, changed.
    File,
    /// The slow look at the file, where no event came.
    Poll,
    /// SIGHUP: files that the config names are read again too.
    Signal,
    /// The API brought it.
    Api,
    /// An earlier config was asked for.
    Rollback,
    /// The guard took a config back, and this one was in force before.
    Guard,
}

/// What became of it.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is in force.
    Applied,
    /// The same bytes as those in force.
    Unchanged,
    /// It is not in force, for these reasons.
    Rejected(Diagnostics),
    /// A socket or a file that it wants cannot be had; the sentence says which, and why.
    Unprepared(Unprepared),
    /// It was taken back for this reason, and is still what the file holds, which could not be written.
    TakenBack(String),
}

// === impl Trigger ===

impl Trigger {
    /// The word in logs, events and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Poll => "poll",
            Self::Signal => "signal",
            Self::Api => "api",
            Self::Rollback => "rollback",
            Self::Guard => "guard",
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// The same in the words of metrics, logs and the API.
    #[must_use]
    pub const fn result(&self) -> ReloadResult {
        match self {
            Self::Applied => ReloadResult::Applied,
            Self::Unchanged => ReloadResult::Unchanged,
            Self::Rejected(_) | Self::Unprepared(_) | Self::TakenBack(_) => ReloadResult::Rejected,
        }
    }

    /// Whether the file that was read last is the one in force.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        matches!(self, Self::Applied | Self::Unchanged)
    }

    /// The line of the first error, where there is one.
    #[must_use]
    pub fn error_line(&self) -> Option<u32> {
        match self {
            Self::Rejected(errors) => errors.first_line(),
            Self::Applied | Self::Unchanged | Self::Unprepared(_) | Self::TakenBack(_) => None,
        }
    }

    /// The errors as text for people.
    #[must_use]
    pub fn errors(&self) -> Option<String> {
        match self {
            Self::Applied | Self::Unchanged => None,
            Self::Rejected(errors) => Some(errors.to_string()),
            Self::Unprepared(why) => Some(why.to_string()),
            Self::TakenBack(why) => Some(format!("taken back, and the file still holds it: {why}")),
        }
    }
}
