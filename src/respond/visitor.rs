//! What a page says to a visitor, in English: what happened in a few words, and what can sensibly be tried.
//!
//! Nothing is advised where nothing helps, and nobody is told to send something again that the service may have acted
//! on: doing it twice may do harm.

use crate::fault::{Cause, Fault, Kind, Stage};

/// What a visitor can try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// To come back when `Retry-After` says.
    Wait,
    /// To load the page again, later.
    Later,
    /// To look at the address.
    Address,
    /// To begin at a shorter address.
    FrontPage,
    /// To drop what makes every request too large.
    Cookies,
    /// To send less.
    Less,
    /// To look at one's own connection.
    Connection,
    /// Nothing helps.
    Nothing,
}

/// Whether the service may have acted on a request that it would be harmful to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It may be sent again.
    Harmless,
    /// It may have been acted on.
    Harmful,
}

// === impl Try ===

impl Try {
    /// What can be tried about `kind`.
    #[expect(
        clippy::too_many_lines,
        reason = "a line for each kind, so that none can be forgotten"
    )]
    pub(super) const fn about(kind: Kind) -> Self {
        use Kind as K;
        match kind {
            K::RateExceeded
            | K::ConcurrencyExceeded
            | K::QueueFull
            | K::QueueTimeout
            | K::DeadlineUnmeetable
            | K::ProcessPressure
            | K::PortsExhausted
            | K::DescriptorsExhausted
            | K::NoEndpoint
            | K::NameNotFound
            | K::NameServerFailed
            | K::NameEmpty
            | K::NameUnresolved
            | K::NameUnresolvedTimeout => Self::Wait,
            K::DeadlinePast
            | K::NameGone
            | K::NameEmptied
            | K::NameStale
            | K::NameStaleTimeout
            | K::ConnectRefused
            | K::HostUnreachable
            | K::NetUnreachable
            | K::ConnectTimeout
            | K::ConnectFailed
            | K::TlsTimeout
            | K::ConnectionReset
            | K::HeadReset
            | K::ConnectionClosed
            | K::KeepAliveRace
            | K::StreamRefused
            | K::StreamReset
            | K::GoneAway
            | K::HeadIncomplete
            | K::ResponseIncomplete
            | K::BodyReset
            | K::FirstByteTimeout
            | K::RequestTimeout
            | K::ResponseStalled
            | K::Panicked
            | K::Internal => Self::Later,
            K::NoRoute | K::PathInvalid | K::TargetInvalid => Self::Address,
            K::UriTooLong => Self::FrontPage,
            K::HeadTooLarge => Self::Cookies,
            K::BodyTooLarge => Self::Less,
            K::HeadTimeout | K::BodyTimeout => Self::Connection,
            K::FramingInvalid
            | K::HostInvalid
            | K::HeaderInvalid
            | K::CodingUnsupported
            | K::MethodRefused
            | K::ExpectationRefused
            | K::BodyInvalid
            | K::ReadTimeout
            | K::ClientAborted
            | K::AddressProhibited
            | K::TlsProtocol
            | K::TlsMismatch
            | K::TlsName
            | K::TlsExpired
            | K::TlsNotYetValid
            | K::TlsUnknownIssuer
            | K::TlsCertificate
            | K::TlsAlertMismatch
            | K::TlsAlert
            | K::ResponseInvalid
            | K::BodyMalformed
            | K::Http2Broken
            | K::ResponseHeadTooLarge
            | K::UpgradeFailed
            | K::LoopDetected => Self::Nothing,
        }
    }

    /// The same in words. `{wait}` is a time.
    pub(super) const fn words(self) -> Option<&'static str> {
        match self {
            Self::Wait => Some("Please wait {wait}, then load this page again."),
            Self::Later => Some(
                "Please load this page again in a minute. If it goes on, tell whoever runs this site the request id.",
            ),
            Self::Address => Some("Please check the address for a slip."),
            Self::FrontPage => Some("Please begin at the front page of this site."),
            Self::Cookies => {
                Some("Please delete the cookies of this site, then load this page again.")
            }
            Self::Less => Some("Please send less at once, such as a smaller file."),
            Self::Connection => Some("Please check your own connection, then try again."),
            Self::Nothing => None,
        }
    }
}

/// Said in place of an advice to try again where that may do harm.
pub(super) const MAY_HAVE_ARRIVED: &str =
    "What you sent may have arrived. Please check that before you send it again.";

/// What happened, in a few words.
pub(super) fn title(kind: Kind) -> &'static str {
    let facts = kind.facts();
    match (facts.status.as_u16(), facts.cause) {
        (429, _) => "Too many requests",
        (404, _) => "Nothing here",
        (413 | 414 | 431, _) => "Too large",
        (408, _) => "Too slow",
        (_, Cause::Client) => "Not possible",
        (503, Cause::Overload) => "Very busy right now",
        (504, _) => "No answer in time",
        (_, Cause::Internal) => "Something broke here",
        _ => "Not available right now",
    }
}

impl Repeat {
    /// What it would do to repeat a request that ended with `fault`; `idempotent` says what its method promises.
    pub(super) fn after(fault: &Fault, idempotent: bool) -> Self {
        let reached = matches!(
            fault.stage,
            Stage::Send | Stage::FirstByte | Stage::Body | Stage::Upgrade
        );
        let harmful = match fault.facts().cause {
            Cause::Internal => true, // wherever it was
            Cause::Communication | Cause::Network | Cause::Application => reached,
            Cause::Overload | Cause::Dns | Cause::Client | Cause::Config => false,
        };
        if harmful && !idempotent {
            Self::Harmful
        } else {
            Self::Harmless
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_to_wait_is_told_how_long_by_the_status() {
        for kind in Kind::ALL {
            let says_when = matches!(kind.facts().status.as_u16(), 429 | 503);
            assert_eq!(Try::about(*kind) == Try::Wait, says_when, "{kind:?}");
        }
    }

    #[test]
    fn nobody_is_told_to_repeat_what_may_have_been_acted_on() {
        let after = |kind, idempotent| Repeat::after(&Fault::new(kind), idempotent);
        assert_eq!(after(Kind::ConnectionReset, false), Repeat::Harmful);
        assert_eq!(after(Kind::ConnectionReset, true), Repeat::Harmless);
        assert_eq!(after(Kind::ConnectRefused, false), Repeat::Harmless);
        assert_eq!(after(Kind::QueueFull, false), Repeat::Harmless);
        assert_eq!(after(Kind::Panicked, false), Repeat::Harmful);
        assert_eq!(after(Kind::BodyTooLarge, false), Repeat::Harmless);
        let early = Fault::new(Kind::RequestTimeout).at(Stage::Connect);
        assert_eq!(Repeat::after(&early, false), Repeat::Harmless);
    }
}
