//! What is known of a name.

use std::{fmt, net::IpAddr, sync::Arc};

use tokio::time::Instant;

use crate::fault::Kind;

/// The addresses of a name, and how far they can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Sorted, without repetition, IPv4-mapped ones as IPv4. Empty while nothing is known.
    pub addresses: Arc<[IpAddr]>,
    /// Where they come from.
    pub state: AnswerState,
    /// When the name is looked up again, at the latest; `None` before the first lookup ended.
    pub next_lookup: Option<Instant>,
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
    /// Lookups fail for longer than the last good answer may serve.
    Expired(Why),
}

/// How a lookup failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// NXDOMAIN: there is no such name.
    NotFound,
    /// SERVFAIL, REFUSED, another error code, an answer that cannot be read, or no server that takes questions.
    ServerFailure,
    /// No server answered in time.
    Timeout,
    /// The name is there, but has neither A nor AAAA records.
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
            addresses: Arc::from([]),
            state: AnswerState::Pending,
            next_lookup: None,
        }
    }

    /// How a request ends that needs this name; `None` where there are addresses.
    #[must_use]
    pub fn fault(&self) -> Option<Kind> {
        match self.state {
            AnswerState::Fresh | AnswerState::Stale { .. } => None,
            AnswerState::Failed(Why::Prohibited) | AnswerState::Expired(Why::Prohibited) => {
                Some(Kind::AddressProhibited)
            }
            AnswerState::Failed(Why::Timeout) => Some(Kind::NameUnresolvedTimeout),
            AnswerState::Pending | AnswerState::Failed(_) => Some(Kind::NameUnresolved),
            AnswerState::Expired(Why::Timeout) => Some(Kind::NameStaleTimeout),
            AnswerState::Expired(_) => Some(Kind::NameStale),
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
    /// The word in logs and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::ServerFailure => "server_failure",
            Self::Timeout => "timeout",
            Self::Empty => "empty",
            Self::Prohibited => "prohibited",
        }
    }

    /// The word under which lookups are counted.
    #[must_use]
    pub(super) const fn counted_as(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Empty => "empty",
            Self::NotFound | Self::ServerFailure | Self::Prohibited => "error",
        }
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
    fn a_name_that_never_resolved_is_told_from_one_that_went_stale() {
        assert_eq!(
            fault_of(AnswerState::Failed(Why::NotFound)),
            Some(Kind::NameUnresolved)
        );
        assert_eq!(
            fault_of(AnswerState::Expired(Why::NotFound)),
            Some(Kind::NameStale)
        );
    }

    #[test]
    fn a_timeout_is_told_from_an_error() {
        assert_eq!(
            fault_of(AnswerState::Failed(Why::Timeout)),
            Some(Kind::NameUnresolvedTimeout)
        );
        assert_eq!(
            fault_of(AnswerState::Expired(Why::Timeout)),
            Some(Kind::NameStaleTimeout)
        );
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
