//! What to make of each kind of fault: what it means, why it usually happens, where to look, what prevents the next.
//!
//! One table for each cause, and of communication one each for TLS and HTTP/2. The `match` here has no `_` arm, so a kind without a guide does not compile. A word in
//! backquotes is a key of the config, a field of the access log or a command that can be typed as it stands; a test
//! holds them against the reference.

mod application;
mod client;
mod communication;
mod dns;
mod http2;
mod internal;
mod network;
mod overload;
mod tls;

use super::{Cause, Kind};

/// What is worth knowing of a kind of fault once it has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guide {
    /// What happened, for who has not seen it before.
    pub means: &'static str,
    /// Why it usually happens, the likeliest first.
    pub reasons: &'static [&'static str],
    /// Where to look, in this order.
    pub look: &'static [&'static str],
    /// What prevents the next.
    pub prevent: &'static [&'static str],
}

// === impl Kind ===

impl Kind {
    /// What to make of this kind.
    #[must_use]
    #[expect(
        clippy::too_many_lines,
        reason = "a line for each kind, so that none can be forgotten"
    )]
    pub const fn guide(self) -> Guide {
        match self {
            Self::FramingInvalid => client::FRAMING,
            Self::HostInvalid => client::HOST,
            Self::TargetInvalid => client::TARGET,
            Self::PathInvalid => client::PATH,
            Self::HeaderInvalid => client::HEADER,
            Self::CodingUnsupported => client::CODING,
            Self::MethodRefused => client::METHOD,
            Self::ExpectationRefused => client::EXPECTATION,
            Self::UriTooLong => client::URI,
            Self::HeadTooLarge => client::HEAD_SIZE,
            Self::HeadTimeout => client::HEAD_TIME,
            Self::BodyTooLarge => client::BODY_SIZE,
            Self::BodyTimeout => client::BODY_TIME,
            Self::BodyInvalid => client::BODY,
            Self::ReadTimeout => client::READ,
            Self::ClientAborted => client::ABORTED,
            Self::NoRoute => internal::NO_ROUTE,
            Self::RateExceeded => overload::RATE,
            Self::ConcurrencyExceeded => overload::CONCURRENCY,
            Self::QueueFull => overload::QUEUE_FULL,
            Self::QueueTimeout => overload::QUEUE_TIME,
            Self::DeadlineUnmeetable => overload::UNMEETABLE,
            Self::ProcessPressure => overload::PRESSURE,
            Self::DeadlinePast => overload::PAST,
            Self::NoEndpoint => application::NO_ENDPOINT,
            Self::NameNotFound => dns::NOT_FOUND,
            Self::NameServerFailed => dns::SERVER_FAILED,
            Self::NameEmpty => dns::EMPTY,
            Self::NameUnresolved => dns::NEVER,
            Self::NameUnresolvedTimeout => dns::NEVER_TIMEOUT,
            Self::NameGone => dns::GONE,
            Self::NameEmptied => dns::EMPTIED,
            Self::NameStale => dns::STALE,
            Self::NameStaleTimeout => dns::STALE_TIMEOUT,
            Self::AddressProhibited => dns::PROHIBITED,
            Self::ConnectRefused => network::REFUSED,
            Self::HostUnreachable => network::HOST,
            Self::NetUnreachable => network::NET,
            Self::ConnectTimeout => network::TIMEOUT,
            Self::ConnectFailed => network::FAILED,
            Self::PortsExhausted => overload::PORTS,
            Self::DescriptorsExhausted => overload::DESCRIPTORS,
            Self::TlsTimeout => tls::TIME,
            Self::TlsProtocol => tls::PROTOCOL,
            Self::TlsMismatch => tls::MISMATCH,
            Self::TlsName => tls::NAME,
            Self::TlsExpired => tls::EXPIRED,
            Self::TlsNotYetValid => tls::NOT_YET_VALID,
            Self::TlsUnknownIssuer => tls::UNKNOWN_ISSUER,
            Self::TlsCertificate => tls::CERTIFICATE,
            Self::TlsAlertMismatch => tls::ALERT_MISMATCH,
            Self::TlsAlert => tls::ALERT,
            Self::ConnectionReset => communication::RESET,
            Self::HeadReset => communication::RESET_IN_HEAD,
            Self::ConnectionClosed => communication::CLOSED,
            Self::KeepAliveRace => communication::RACE,
            Self::StreamRefused => http2::REFUSED,
            Self::StreamReset => http2::RESET,
            Self::GoneAway => http2::GONE,
            Self::ResponseInvalid => communication::INVALID,
            Self::Http2Broken => http2::BROKEN,
            Self::ResponseHeadTooLarge => communication::HEAD,
            Self::HeadIncomplete => communication::HEAD_INCOMPLETE,
            Self::ResponseIncomplete => communication::INCOMPLETE,
            Self::BodyReset => communication::RESET_IN_BODY,
            Self::BodyMalformed => communication::MALFORMED,
            Self::UpgradeFailed => communication::UPGRADE,
            Self::LoopDetected => communication::LOOP,
            Self::FirstByteTimeout => application::FIRST_BYTE,
            Self::RequestTimeout => application::TOTAL,
            Self::ResponseStalled => application::STALLED,
            Self::Panicked => internal::PANICKED,
            Self::Internal => internal::BUG,
        }
    }

    /// The word by which it is asked for: its reason where it has one, else its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        let facts = self.facts();
        match facts.reason {
            Some(reason) => reason,
            None => facts.name,
        }
    }

    /// The kinds that `word` may mean: a name, a reason, or both as `name/reason`, in the way of the access log.
    pub fn named(word: &str) -> impl Iterator<Item = Self> + '_ {
        Self::ALL.iter().copied().filter(move |kind| {
            let facts = kind.facts();
            let both = word.split_once('/');
            facts.name == word
                || facts.reason == Some(word)
                || both.is_some_and(|(name, reason)| {
                    facts.name == name && facts.reason == Some(reason)
                })
        })
    }
}

// === impl Cause ===

impl Cause {
    /// What the cause means to who meets it.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::Overload => {
                "More was asked for than can be finished in time. Tidegate refused early, so that what was admitted is still served. Nothing is broken; capacity, a limit or a caller's rate has to change."
            }
            Self::Communication => {
                "A connection to the service was made, and then the two did not understand each other or one of them ended it. Look at both ends at the same second."
            }
            Self::Network => {
                "No connection to the service could be made. Something between the two hosts refuses or swallows packets, or nothing listens there."
            }
            Self::Dns => "The name of the service was not turned into an address that may be used.",
            Self::Application => {
                "The service can be reached and does not do its work: it fails its checks, fails its requests, or is too slow."
            }
            Self::Client => {
                "What the caller sent, or how it sent it, cannot be served. No server behind the gateway is at fault, and none is blamed."
            }
            Self::Config => "No part of the config takes this request.",
            Self::Internal => {
                "Tidegate did something that it must not. This is a defect of the gateway."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_something_to_say_under_each_head() {
        for kind in Kind::ALL {
            let guide = kind.guide();
            assert!(guide.means.ends_with('.'), "{kind:?}");
            for list in [guide.reasons, guide.look, guide.prevent] {
                assert!(!list.is_empty(), "{kind:?}");
                assert!(
                    list.iter().all(|item| item.ends_with(['.', '?'])),
                    "{kind:?}"
                );
            }
        }
    }

    #[test]
    fn no_two_kinds_say_the_same() {
        for (at, one) in Kind::ALL.iter().enumerate() {
            for other in &Kind::ALL[at + 1..] {
                assert_ne!(one.guide(), other.guide(), "{one:?}, {other:?}");
            }
        }
    }

    #[test]
    fn a_kind_is_found_by_its_name_its_reason_or_both() {
        let found = |word: &str| Kind::named(word).collect::<Vec<_>>();
        assert_eq!(found("connection_refused"), [Kind::ConnectRefused]);
        assert_eq!(found("queue_full"), [Kind::QueueFull]);
        assert_eq!(found("dns_timeout/stale"), [Kind::NameStaleTimeout]);
        assert_eq!(found("dns_timeout/queue_full"), []);
        assert_eq!(found("nonsense"), []);
        assert!(found("http_response_timeout").len() > 2);
        for kind in Kind::ALL {
            assert!(found(kind.word()).contains(kind), "{kind:?}");
        }
    }
}
