//! What others may ask of the keeper: to write a config to the file and put it into force.

use std::{fmt, io, path::Path, sync::Arc};

use tokio::sync::oneshot;

use super::{
    Trigger, Unprepared,
    disk::{self, Readable},
};
use crate::{
    config::{self, ConfigHash, Diagnostics, Diff},
    snapshot::ConfigFacts,
    telemetry::ReloadResult,
};

/// Whether to do it, or only to say what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// Do it.
    ForReal,
    /// Change nothing.
    Dry,
}

/// A config to be put into force.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) text: Arc<str>,
    pub(super) asked: Asked,
    pub(super) try_it: Try,
    pub(super) reply: oneshot::Sender<Result<Answer, Refused>>,
}

/// Who asks for it.
#[derive(Debug)]
pub(super) enum Asked {
    /// The API, with the hash that it takes for the one in force.
    Api { expects: Option<Box<str>> },
    /// An earlier config is to come back.
    Rollback,
}

/// What an order did, or would do.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What is in force.
    pub config: ConfigFacts,
    /// Of the config that was brought.
    pub hash: ConfigHash,
    /// `Applied` (or that it would be), or `Unchanged`.
    pub result: ReloadResult,
    /// What changes.
    pub diff: Diff,
}

/// Why an order was not carried out.
#[derive(Debug)]
pub enum Refused {
    /// Another config is in force than the caller thinks.
    Stale(ConfigHash),
    /// It is not valid.
    Wrong(Box<Diagnostics>),
    /// A socket or a file that it wants cannot be had.
    Unprepared(Unprepared),
    /// There is no config file.
    NoFile,
    /// The config file is a link, which somebody else manages.
    Link,
    /// The file holds something that is not in force.
    Edited,
    /// The file is not there.
    Missing,
    /// The system does not let us write it.
    Forbidden(String),
    /// Writing it failed.
    Failed(String),
    /// No entry has this number.
    NoEntry(u64),
    /// The file of this entry is not kept.
    NotKept(u64),
    /// Too many ask at once, or the gateway ends.
    Busy,
}

/// What must hold of the file before it is written over.
#[derive(Debug, Clone)]
pub(super) enum Holds {
    /// It is the config of this hash.
    Just(ConfigHash),
    /// It may hold anything, or not be there.
    Anything,
}

/// Writes `text` to `file`, where it `holds` what it must, and not `text` already. Blocks.
pub(super) fn write(file: &Path, text: &str, holds: &Holds) -> Result<(), Refused> {
    let held = config::hash_of(file);
    if held.as_ref() == Some(&ConfigHash::of(text.as_bytes())) {
        return Ok(());
    }
    let readable = match std::fs::symlink_metadata(file) {
        Ok(facts) if facts.is_symlink() => return Err(Refused::Link),
        Ok(_) => Readable::AsBefore,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Refused::of(&error)),
        // Nobody says who may read it, and it may name secrets.
        Err(_) if matches!(holds, Holds::Anything) => Readable::ByOwner,
        Err(_) => return Err(Refused::Missing),
    };
    if let Holds::Just(hash) = holds
        && held.as_ref() != Some(hash)
    {
        return Err(Refused::Edited);
    }
    disk::replace(file, text.as_bytes(), readable).map_err(|error| Refused::of(&error))
}

// === impl Order ===

impl Order {
    /// Does nothing of it, and says why.
    pub(super) fn refuse(self, why: Refused) {
        drop(self.reply.send(Err(why)));
    }
}

// === impl Asked ===

impl Asked {
    pub(super) const fn trigger(&self) -> Trigger {
        match self {
            Self::Api { .. } => Trigger::Api,
            Self::Rollback => Trigger::Rollback,
        }
    }
}

// === impl Refused ===

impl Refused {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Forbidden(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(hash) => write!(f, "another config is in force: {hash}"),
            Self::Wrong(errors) => errors.fmt(f),
            Self::Unprepared(why) => why.fmt(f),
            Self::NoFile => f.write_str("the config is embedded: there is no file to write"),
            Self::Link => f.write_str(
                "the config file is a link, which something else manages: change it there",
            ),
            Self::Edited => f.write_str(
                "the config file holds something that is not in force: put it right or take it back first",
            ),
            Self::Missing => f.write_str(
                "the config file is not there: whoever took it away may want that; a rollback writes it anew",
            ),
            Self::Forbidden(why) => write!(
                f,
                "the config file may not be written ({why}): change it where it comes from"
            ),
            Self::Failed(why) => write!(f, "the config file cannot be written: {why}"),
            Self::NoEntry(number) => write!(f, "the history has no entry {number}"),
            Self::NotKept(number) => write!(f, "the config of entry {number} is not kept"),
            Self::Busy => f.write_str("the gateway is busy with other changes, or ends"),
        }
    }
}
