//! What happened to the gateway around an incident.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::telemetry::{Event, EventKind, What};

/// Something that happened and may have begun or ended an incident: a config, an answer of DNS, an endpoint that left or
/// came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The kind of the event.
    pub kind: Cow<'static, str>,
    /// The upstreams that it is about; empty: it may be about any.
    pub upstreams: Vec<Box<str>>,
    /// One sentence.
    pub sentence: Box<str>,
}

/// Which side of an incident is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What may have begun it.
    Begin,
    /// What may have ended it.
    End,
}

// === impl Happening ===

impl Happening {
    /// What `event` may have to do with incidents; `None`: nothing.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let asked = [Side::Begin, Side::End];
        if !asked.into_iter().any(|side| side.may_be(event.kind)) {
            return None;
        }
        let subject = event.subject.upstream.iter();
        let named = match &event.what {
            What::Name(name) => name.upstreams.as_slice(),
            _ => &[],
        };
        Some(Self {
            at_ms: event.at_ms,
            kind: event.kind.as_str().into(),
            upstreams: subject
                .chain(named)
                .map(|name| name.as_str().into())
                .collect(),
            sentence: event.sentence.clone(),
        })
    }

    /// Whether it can have to do with what happens at `upstream`.
    fn concerns(&self, upstream: Option<&str>) -> bool {
        self.upstreams.is_empty()
            || upstream.is_some_and(|name| self.upstreams.iter().any(|one| **one == *name))
    }

    fn may_be(&self, side: Side) -> bool {
        EventKind::of_word(&self.kind).is_some_and(|kind| side.may_be(kind))
    }
}

// === impl Side ===

impl Side {
    /// Whether something of this kind may begin or end an incident. What follows from faults, an ejection above all,
    /// begins none.
    const fn may_be(self, kind: EventKind) -> bool {
        match kind {
            EventKind::ConfigApplied
            | EventKind::ConfigTakenBack
            | EventKind::FilesChanged
            | EventKind::AddressesChanged
            | EventKind::EndpointDown
            | EventKind::TookOver => true,
            EventKind::LookupsFail
            | EventKind::NameGone
            | EventKind::NameExpired
            | EventKind::AddressesRefused
            | EventKind::EndpointDegraded
            | EventKind::PressureRose
            | EventKind::StoodStill => matches!(self, Self::Begin),
            EventKind::NameRecovered
            | EventKind::EndpointUp
            | EventKind::EndpointRecovered
            | EventKind::EndpointEjected
            | EventKind::EndpointReturned
            | EventKind::PanicBegan
            | EventKind::PanicEnded
            | EventKind::SpillBegan
            | EventKind::PressureFell => matches!(self, Self::End),
            _ => false,
        }
    }
}

/// The latest of `happenings` that concerns `upstream`, from `from` to `to`, both in milliseconds since 1970.
pub(super) fn latest<'a>(
    happenings: impl IntoIterator<Item = &'a Happening>,
    side: Side,
    upstream: Option<&str>,
    (from, to): (u64, u64),
) -> Option<&'a Happening> {
    happenings
        .into_iter()
        .filter(|one| (from..=to).contains(&one.at_ms))
        .filter(|one| one.may_be(side) && one.concerns(upstream))
        .max_by_key(|one| one.at_ms)
}
