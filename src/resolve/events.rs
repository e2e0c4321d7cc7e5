//! What happens to a name, told and counted.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{Answer, AnswerState, Host, MAX_ADDRESSES, Why, held::Step};
use crate::telemetry::{self, Few, NameChange, UpstreamHandles};

/// Something that happened to a name. [`emit`](Self::emit) tells and counts it.
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
    /// Lookups fail, and the last good answer will serve no more.
    Expires { within: Duration, why: Why },
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
    /// Tells of it, and counts it for every upstream that uses the name.
    pub(super) fn emit(self, name: &str, handles: &[Arc<UpstreamHandles>]) {
        for handle in handles {
            handle.name_event(self.word());
        }
        let Some(first) = handles.first() else {
            return; // nobody uses it
        };
        let users = handles.iter().map(|handle| handle.upstream().clone());
        first.events().tell(telemetry::NameEvent {
            name: name.into(),
            upstreams: users.collect(),
            change: self.told(),
        });
    }

    /// The same as it is told.
    fn told(self) -> NameChange {
        match self {
            Self::Changed {
                count,
                added,
                removed,
            } => NameChange::Changed {
                count,
                added: Few::of(&added),
                removed: Few::of(&removed),
            },
            Self::Recovered => NameChange::Recovered {},
            Self::Stale(why) => NameChange::Failing {
                why: why.as_str(),
                serves: true,
            },
            Self::Unresolved(why) => NameChange::Failing {
                why: why.as_str(),
                serves: false,
            },
            Self::Expired(why @ (Why::NotFound | Why::Empty)) => {
                NameChange::Gone { why: why.as_str() }
            }
            Self::Expired(why) => NameChange::Expired { why: why.as_str() },
            Self::Expires { within, why } => NameChange::Expires {
                within,
                why: why.as_str(),
            },
            Self::Held { kept } => NameChange::Held { kept },
            Self::Refused(addresses) => NameChange::Refused {
                addresses: Few::of(addresses),
            },
            Self::TooMany { left_out } => NameChange::TooMany {
                left_out,
                most: MAX_ADDRESSES,
            },
        }
    }

    /// The word in the metric.
    const fn word(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Recovered => "recovered",
            Self::Stale(_) => "stale",
            Self::Expired(_) => "expired",
            Self::Expires { .. } => "expires",
            Self::Unresolved(_) => "unresolved",
            Self::Held { .. } => "held",
            Self::Refused(_) => "refused",
            Self::TooMany { .. } => "too_many",
        }
    }
}
