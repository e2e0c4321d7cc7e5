//! How a request ended badly, as incidents see it.

use std::borrow::Cow;

use crate::fault::{Cause, Kind};

/// How a request ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::telemetry) enum Ending {
    /// By a fault.
    Fault(Kind),
    /// By an error of the service's own, 500 and above, which was passed on.
    Own,
}

/// Whose doing it is, as far as that decides what it is grouped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The upstream's, or of what leads to it.
    Service,
    /// A rate limit of a route did what it is there for.
    Limits,
    /// The callers' own.
    Clients,
    /// This process is short of something.
    Process,
}

// === impl Ending ===

impl Ending {
    /// What it is grouped with.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Fault(Kind::RateExceeded) => Class::Limits,
            Self::Fault(
                Kind::ProcessPressure | Kind::PortsExhausted | Kind::DescriptorsExhausted,
            ) => Class::Process,
            Self::Fault(_) if matches!(self.cause(), Cause::Client | Cause::Config) => {
                Class::Clients
            }
            Self::Fault(_) | Self::Own => Class::Service,
        }
    }

    /// Whose doing it was.
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Fault(kind) => kind.facts().cause,
            Self::Own => Cause::Application,
        }
    }

    /// The kind and the reason, as they are asked for.
    pub(super) fn word(self) -> Cow<'static, str> {
        match self {
            Self::Fault(kind) => {
                let facts = kind.facts();
                match facts.reason {
                    Some(reason) => format!("{}/{reason}", facts.name).into(),
                    None => facts.name.into(),
                }
            }
            Self::Own => Self::OWN.into(),
        }
    }

    /// One sentence.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Fault(kind) => kind.facts().title,
            Self::Own => "The service itself answered with an error.",
        }
    }

    /// Whether it follows from something else where anything else is there: a service that is slow or down fills the
    /// line before it, and has no endpoint left in the end.
    pub(super) fn follows(self) -> bool {
        matches!(
            self,
            Self::Fault(
                Kind::NoEndpoint
                    | Kind::ConcurrencyExceeded
                    | Kind::QueueFull
                    | Kind::QueueTimeout
                    | Kind::DeadlineUnmeetable
                    | Kind::DeadlinePast
            )
        )
    }

    /// The one of this word, where this version knows it.
    pub(super) fn of(word: &str) -> Option<Self> {
        let faults = Kind::ALL.iter().copied().map(Self::Fault);
        faults.chain([Self::Own]).find(|known| known.word() == word)
    }

    /// The word for an error of the service's own.
    pub(super) const OWN: &'static str = "own_error";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_is_found_again_by_its_word() {
        let all = Kind::ALL.iter().map(|kind| Ending::Fault(*kind));
        for ending in all.chain([Ending::Own]) {
            assert_eq!(Ending::of(&ending.word()), Some(ending));
        }
        assert_eq!(Ending::of("another"), None);
    }

    #[test]
    fn what_callers_do_is_told_from_what_services_do() {
        let class = |kind| Ending::Fault(kind).class();
        assert_eq!(class(Kind::ClientAborted), Class::Clients);
        assert_eq!(class(Kind::NoRoute), Class::Clients);
        assert_eq!(class(Kind::RateExceeded), Class::Limits);
        assert_eq!(class(Kind::ProcessPressure), Class::Process);
        assert_eq!(class(Kind::QueueFull), Class::Service);
        assert_eq!(Ending::Own.class(), Class::Service);
    }
}
