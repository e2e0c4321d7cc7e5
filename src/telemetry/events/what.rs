//! What happened, as typed fields.

use std::fmt;

use serde::Serialize;

use super::{
    ConfigEvent, EndpointEvent, EventKind, IncidentEvent, LoadEvent, NameEvent, ProcessEvent,
    Severity, Subject, UpstreamEvent,
};

/// What happened. As text it is a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum What {
    /// To the config, or to files that it names.
    Config(ConfigEvent),
    /// To a DNS name.
    Name(NameEvent),
    /// To one endpoint.
    Endpoint(EndpointEvent),
    /// To an upstream as a whole.
    Upstream(UpstreamEvent),
    /// To a limit, or to what this process gives up.
    Load(LoadEvent),
    /// To listeners, or to the process itself.
    Process(ProcessEvent),
    /// To requests, so that it is an incident.
    Incident(IncidentEvent),
}

/// What each of them says of itself.
pub(super) trait Telling: fmt::Display {
    fn kind(&self) -> EventKind;
    fn severity(&self) -> Severity;
    fn subject(&self) -> Subject;
    /// Writes the line in the gateway's own log.
    fn log(&self);
}

// === impl What ===

impl What {
    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.telling().kind()
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.telling().severity()
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.telling().subject()
    }

    pub(super) fn log(&self) {
        self.telling().log();
    }

    fn telling(&self) -> &dyn Telling {
        match self {
            Self::Config(event) => event,
            Self::Name(event) => event,
            Self::Endpoint(event) => event,
            Self::Upstream(event) => event,
            Self::Load(event) => event,
            Self::Process(event) => event,
            Self::Incident(event) => event,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.telling().fmt(f)
    }
}

macro_rules! from {
    ($($variant:ident $event:ident),+ $(,)?) => {$(
        impl From<$event> for What {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        }
    )+};
}
from!(
    Config ConfigEvent,
    Name NameEvent,
    Endpoint EndpointEvent,
    Upstream UpstreamEvent,
    Load LoadEvent,
    Process ProcessEvent,
    Incident IncidentEvent,
);
