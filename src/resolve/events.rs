//! What happens to a name, told to the log and counted.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{Answer, AnswerState, Host, MAX_ADDRESSES, Why, held::Step};
use crate::telemetry::UpstreamHandles;

/// How many addresses a log line shows.
const SHOWN: usize = 8;

/// Something that happened to a name. [`emit`](Self::emit) has the log line and the count together.
#[derive(Debug)]
pub(super) enum NameEvent<'a> {
    /// It stands for other hosts, or they for something else.
    Changed {
        count: usize,
        added: Vec<&'a Host>,
        removed: Vec<&'a Host>,
    },
    /// It resolves again.
    Recovered,
    /// Lookups fail; the last good answer serves on.
    Stale(Why),
    /// The last good answer serves no more.
    Expired(Why),
    /// It does not resolve, and never did.
    Unresolved(Why),
    /// An answer drops most of the hosts; they are kept until it is confirmed.
    Held { kept: usize },
    /// An answer has addresses that names may not have.
    Refused(&'a [IpAddr]),
    /// An answer has more addresses than are kept.
    TooMany { left_out: usize },
}

/// What a lookup led to beside the answer.
pub(super) fn of_step(step: &Step) -> impl Iterator<Item = NameEvent<'static>> {
    let held = step
        .doubt_begins
        .then_some(NameEvent::Held { kept: step.doubted });
    let left_out = step.left_out;
    let too_many = (left_out > 0).then_some(NameEvent::TooMany { left_out });
    held.into_iter().chain(too_many)
}

/// What the difference between two answers is.
pub(super) fn of_change(old: &Answer, new: &Answer, mut tell: impl FnMut(NameEvent<'_>)) {
    if old.hosts != new.hosts {
        tell(NameEvent::Changed {
            count: new.hosts.len(),
            added: not_in(old, new),
            removed: not_in(new, old),
        });
    }
    match (old.state, new.state) {
        (
            AnswerState::Stale { .. } | AnswerState::Failed(_) | AnswerState::Expired(_),
            AnswerState::Fresh,
        ) => tell(NameEvent::Recovered),
        // Told once: what fails next, or how, is in the metric of lookups.
        (AnswerState::Stale { .. }, AnswerState::Stale { .. })
        | (AnswerState::Expired(_), AnswerState::Expired(_))
        | (_, AnswerState::Fresh | AnswerState::Pending) => {}
        (_, AnswerState::Stale { why, .. }) => tell(NameEvent::Stale(why)),
        (_, AnswerState::Expired(why)) => tell(NameEvent::Expired(why)),
        (_, AnswerState::Failed(why)) => tell(NameEvent::Unresolved(why)),
    }
}

/// The hosts of `of` whose address and port those of `those` lack.
fn not_in<'a>(those: &Answer, of: &'a Answer) -> Vec<&'a Host> {
    let gone = |host: &&Host| {
        let key = host.key();
        those.hosts.binary_search_by_key(&key, Host::key).is_err()
    };
    of.hosts.iter().filter(gone).collect()
}

// === impl NameEvent ===

impl NameEvent<'_> {
    /// Tells the log, and counts it for every upstream that uses the name.
    pub(super) fn emit(self, name: &str, handles: &[Arc<UpstreamHandles>]) {
        for handle in handles {
            handle.name_event(self.word());
        }
        match self {
            Self::Changed {
                count,
                added,
                removed,
            } => tracing::info!(
                name, count, added = %List(&added), removed = %List(&removed), "addresses changed"
            ),
            Self::Recovered => tracing::info!(name, "name resolves again"),
            Self::Stale(why) => {
                tracing::warn!(name, %why, "lookups fail; the last good answer serves on");
            }
            Self::Expired(why @ (Why::NotFound | Why::Empty)) => {
                tracing::error!(name, %why, "the name is gone, and has no addresses any more");
            }
            Self::Expired(why) => tracing::error!(
                name, %why, "lookups fail for too long; the name has no addresses any more"
            ),
            Self::Unresolved(why) => tracing::error!(name, %why, "name does not resolve"),
            Self::Held { kept } => tracing::warn!(
                name,
                kept,
                "an answer drops most of the addresses; they are kept until it is confirmed"
            ),
            Self::Refused(addresses) => tracing::warn!(
                name, addresses = %List(addresses),
                "name has addresses that it may not have; `allow_addresses` lets them through"
            ),
            Self::TooMany { left_out } => {
                tracing::warn!(
                    name,
                    left_out,
                    most = MAX_ADDRESSES,
                    "name has too many addresses"
                );
            }
        }
    }

    /// The word in the metric.
    const fn word(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Recovered => "recovered",
            Self::Stale(_) => "stale",
            Self::Expired(_) => "expired",
            Self::Unresolved(_) => "unresolved",
            Self::Held { .. } => "held",
            Self::Refused(_) => "refused",
            Self::TooMany { .. } => "too_many",
        }
    }
}

/// The first few of a list, for a log line.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{item}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
