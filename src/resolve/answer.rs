//! What is known of a name.

use std::{fmt, net::IpAddr, sync::Arc};

use tokio::time::Instant;

use super::Host;
use crate::fault::Kind;

/// The hosts of a name, and how far they can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Sorted by address and port, without repetition. Empty while nothing is known.
    pub hosts: Arc<[Host]>,
    /// Where they come from.
    pub state: AnswerState,
    /// Since when these are the hosts; `None` before there were any.
    pub since: Option<Instant>,
    /// How many of them the last answer lacked: they are kept until it is confirmed.
    pub doubted: usize,
    /// When the name is looked up again, at the latest; `None` before the first lookup ended.
    pub next_lookup: Option<Instant>,
    /// While lookups fail: until when these hosts serve, if that goes on.
    pub serves_until: Option<Instant>,
}

/// Where the addresses of a name come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerState {
    /// No lookup has ended yet.
    Pending,
    /// The last lookup gave addresses.
    Fresh,
    /// The last lookup failed; an earlier answer still serves.
    Stale {
        /// When lookups began to fail.
        since: Instant,
        /// How the last one failed.
        why: Why,
    },
    /// No lookup gave addresses yet.
    Failed(Why),
    /// Lookups fail for longer than the last good answer may serve, or the name is gone.
    Expired(Why),
}

/// How a lookup failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// NXDOMAIN: there is no such name.
    NotFound,
    /// SERVFAIL, another error code, an answer that cannot be read, or no server that takes questions.
    ServerFailure,
    /// REFUSED: the server does not answer such questions, or not ours.
    Refused,
    /// No server answered in time.
    Timeout,
    /// The answer did not fit into a datagram, and could not be had over TCP.
    Truncated,
    /// Aliases that lead in a circle, or on and on.
    AliasLoop,
    /// The name is there, but has no records of the kind that is asked for, or says that there is no service.
    Empty,
    /// Every address that it has is one that names may not have.
    Prohibited,
}

// === impl Answer ===

impl Answer {
    /// Before the first lookup.
    #[must_use]
    pub fn pending() -> Self {
        Self {
            hosts: Arc::from([]),
            state: AnswerState::Pending,
            since: None,
            doubted: 0,
            next_lookup: None,
            serves_until: None,
        }
    }

    /// The addresses alone, each once.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.hosts.iter().map(|host| host.address).collect();
        addresses.dedup(); // hosts are sorted by it
        addresses
    }

    /// How a request ends that needs this name; `None` where there are addresses.
    #[must_use]
    pub fn fault(&self) -> Option<Kind> {
        match self.state {
            AnswerState::Fresh | AnswerState::Stale { .. } => None,
            AnswerState::Pending => Some(Kind::NameUnresolved),
            AnswerState::Failed(why) => Some(match why {
                Why::NotFound => Kind::NameNotFound,
                Why::ServerFailure => Kind::NameServerFailed,
                Why::Empty => Kind::NameEmpty,
                Why::Timeout => Kind::NameUnresolvedTimeout,
                Why::Prohibited => Kind::AddressProhibited,
                Why::Refused | Why::Truncated | Why::AliasLoop => Kind::NameUnresolved,
            }),
            AnswerState::Expired(why) => Some(match why {
                Why::NotFound => Kind::NameGone,
                Why::Empty => Kind::NameEmptied,
                Why::Timeout => Kind::NameStaleTimeout,
                Why::Prohibited => Kind::AddressProhibited,
                Why::ServerFailure | Why::Refused | Why::Truncated | Why::AliasLoop => {
                    Kind::NameStale
                }
            }),
        }
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::pending()
    }
}

// === impl Why ===

impl Why {
    /// The word in logs, metrics and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::ServerFailure => "server_failure",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::AliasLoop => "alias_loop",
            Self::Empty => "empty",
            Self::Prohibited => "prohibited",
        }
    }

    /// Whether it is said of the name, so that another server would say the same.
    #[must_use]
    pub(super) const fn is_of_the_name(self) -> bool {
        matches!(self, Self::NotFound | Self::Empty)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(state: AnswerState) -> Option<Kind> {
        let mut answer = Answer::pending();
        answer.state = state;
        answer.fault()
    }

    #[test]
    fn what_the_last_lookup_said_and_whether_there_was_a_good_one_is_told_apart() {
        for (why, never, once) in [
            (Why::NotFound, Kind::NameNotFound, Kind::NameGone),
            (Why::ServerFailure, Kind::NameServerFailed, Kind::NameStale),
            (Why::Empty, Kind::NameEmpty, Kind::NameEmptied),
            (
                Why::Timeout,
                Kind::NameUnresolvedTimeout,
                Kind::NameStaleTimeout,
            ),
            (Why::Refused, Kind::NameUnresolved, Kind::NameStale),
        ] {
            assert_eq!(fault_of(AnswerState::Failed(why)), Some(never));
            assert_eq!(fault_of(AnswerState::Expired(why)), Some(once));
        }
        assert_eq!(fault_of(AnswerState::Pending), Some(Kind::NameUnresolved));
    }

    #[test]
    fn only_prohibited_addresses_have_their_own_fault() {
        for state in [
            AnswerState::Failed(Why::Prohibited),
            AnswerState::Expired(Why::Prohibited),
        ] {
            assert_eq!(fault_of(state), Some(Kind::AddressProhibited));
        }
    }

    #[test]
    fn a_stale_answer_is_no_fault() {
        let state = AnswerState::Stale {
            since: Instant::now(),
            why: Why::Timeout,
        };
        assert_eq!(fault_of(state), None);
    }
}
