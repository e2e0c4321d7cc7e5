//! What happens to DNS names.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{EventKind, Severity, Subject, what::Telling};
use crate::names::UpstreamName;

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::resolve";

/// Something happened to a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NameEvent {
    /// The name.
    #[serde(skip)] // the subject has it
    pub name: Box<str>,
    /// The upstreams that use it.
    pub upstreams: Vec<UpstreamName>,
    /// What.
    #[serde(flatten)]
    pub change: NameChange,
}

/// What happened to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NameChange {
    /// It stands for other hosts, or they for something else.
    Changed {
        /// How many there are now.
        count: usize,
        /// Who came.
        added: Few,
        /// Who went.
        removed: Few,
    },
    /// It resolves again.
    Recovered {},
    /// Lookups fail.
    Failing {
        /// How: `timeout`, `server_failure`, ...
        why: &'static str,
        /// Whether its last good answer serves on; else there never was one.
        serves: bool,
    },
    /// Servers say that it is gone, and its addresses went with it.
    Gone {
        /// How they say it.
        why: &'static str,
    },
    /// Lookups failed for too long, and its addresses serve no more.
    Expired {
        /// How they failed last.
        why: &'static str,
    },
    /// Lookups fail, and its addresses will soon serve no more.
    Expires {
        /// How long until then.
        #[serde(rename = "in_s", serialize_with = "seconds")]
        within: Duration,
        /// How they failed last.
        why: &'static str,
    },
    /// An answer drops most of its hosts; they are kept until it is confirmed.
    Held {
        /// How many are kept.
        kept: usize,
    },
    /// It has addresses that names may not have.
    Refused {
        /// These.
        addresses: Few,
    },
    /// It has too many addresses.
    TooMany {
        /// How many are left out.
        left_out: usize,
        /// How many are kept.
        most: usize,
    },
}

/// The first few of a list, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Few {
    /// The first.
    pub first: Vec<Box<str>>,
    /// How many there are.
    pub count: usize,
}

/// So many are named.
const FEW: usize = 8;

// === impl Few ===

impl Few {
    /// The first few of `all`.
    pub fn of<T: fmt::Display>(all: &[T]) -> Self {
        Self {
            first: all
                .iter()
                .take(FEW)
                .map(|one| one.to_string().into())
                .collect(),
            count: all.len(),
        }
    }
}

impl fmt::Display for Few {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

// === impl NameEvent ===

impl Telling for NameEvent {
    fn kind(&self) -> EventKind {
        match self.change {
            NameChange::Changed { .. } => EventKind::AddressesChanged,
            NameChange::Recovered {} => EventKind::NameRecovered,
            NameChange::Failing { .. } => EventKind::LookupsFail,
            NameChange::Gone { .. } => EventKind::NameGone,
            NameChange::Expired { .. } => EventKind::NameExpired,
            NameChange::Expires { .. } => EventKind::NameExpires,
            NameChange::Held { .. } => EventKind::AddressesHeld,
            NameChange::Refused { .. } => EventKind::AddressesRefused,
            NameChange::TooMany { .. } => EventKind::AddressesCut,
        }
    }

    fn severity(&self) -> Severity {
        match self.change {
            NameChange::Changed { .. } | NameChange::Recovered {} => Severity::Info,
            NameChange::Failing { serves: false, .. }
            | NameChange::Gone { .. }
            | NameChange::Expired { .. } => Severity::Error,
            NameChange::Failing { .. }
            | NameChange::Expires { .. }
            | NameChange::Held { .. }
            | NameChange::Refused { .. }
            | NameChange::TooMany { .. } => Severity::Warn,
        }
    }

    fn subject(&self) -> Subject {
        let upstream = match self.upstreams.as_slice() {
            [only] => Some(only.clone()),
            _ => None, // `upstreams` among the fields has them
        };
        Subject {
            upstream,
            name: Some(self.name.clone()),
            ..Subject::default()
        }
    }

    fn log(&self) {
        let name = &*self.name;
        match &self.change {
            NameChange::Changed {
                count,
                added,
                removed,
            } => tracing::info!(target: TARGET, name, count, %added, %removed, "addresses changed"),
            NameChange::Recovered {} => tracing::info!(target: TARGET, name, "name resolves again"),
            NameChange::Failing { why, serves: true } => {
                tracing::warn!(target: TARGET, name, why, "lookups fail; the last good answer serves on");
            }
            NameChange::Failing { why, serves: false } => {
                tracing::error!(target: TARGET, name, why, "name does not resolve");
            }
            NameChange::Gone { why } => {
                tracing::error!(target: TARGET, name, why, "the name is gone, and has no addresses any more");
            }
            NameChange::Expired { why } => tracing::error!(target: TARGET, name,
                why,
                "lookups fail for too long; the name has no addresses any more"
            ),
            NameChange::Expires { within, why } => tracing::warn!(target: TARGET, name,
                why,
                in_s = within.as_secs(),
                "lookups fail; soon the name will have no addresses any more"
            ),
            NameChange::Held { kept } => tracing::warn!(target: TARGET, name,
                kept,
                "an answer drops most of the addresses; they are kept until it is confirmed"
            ),
            NameChange::Refused { addresses } => tracing::warn!(target: TARGET, name, %addresses,
                "name has addresses that it may not have; `allow_addresses` lets them through"
            ),
            NameChange::TooMany { left_out, most } => {
                tracing::warn!(target: TARGET, name, left_out, most, "name has too many addresses");
            }
        }
    }
}

impl fmt::Display for NameEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.change {
            NameChange::Changed {
                count,
                added,
                removed,
            } => {
                write!(f, "{name} has {count} addresses now")?;
                if added.count > 0 {
                    write!(f, "; new: {added}")?;
                }
                if removed.count > 0 {
                    write!(f, "; gone: {removed}")?;
                }
                Ok(())
            }
            NameChange::Recovered {} => write!(f, "{name} resolves again"),
            NameChange::Failing { why, serves: true } => {
                write!(
                    f,
                    "lookups of {name} fail ({why}); its last good answer serves on"
                )
            }
            NameChange::Failing { why, serves: false } => {
                write!(f, "{name} does not resolve ({why})")
            }
            NameChange::Gone { why } => {
                write!(f, "{name} is gone ({why}), and has no addresses any more")
            }
            NameChange::Expired { why } => write!(
                f,
                "lookups of {name} failed for too long ({why}); it has no addresses any more"
            ),
            NameChange::Expires { within, why } => write!(
                f,
                "lookups of {name} fail ({why}); in {} s it will have no addresses any more",
                within.as_secs()
            ),
            NameChange::Held { kept } => write!(
                f,
                "an answer for {name} drops most of its addresses; {kept} are kept until it is confirmed"
            ),
            NameChange::Refused { addresses } => {
                write!(f, "{name} has addresses that it may not have: {addresses}")
            }
            NameChange::TooMany { left_out, most } => write!(
                f,
                "{name} has too many addresses: {most} are kept, {left_out} left out"
            ),
        }
    }
}

pub(super) fn seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}
