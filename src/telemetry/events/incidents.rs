//! Incidents that begin and end.

use std::fmt;

use serde::Serialize;

use super::{EventKind, Severity, Subject, event::short, what::Telling};
use crate::names::{RouteName, UpstreamName};

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::incidents";

/// An incident began or ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum IncidentEvent {
    /// It began.
    Began(IncidentTold),
    /// It is over.
    Ended(IncidentTold),
}

/// What is told of an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentTold {
    /// Its id, as it is asked for.
    pub incident: Box<str>,
    /// The route whose requests it hits; `None`: several.
    #[serde(skip)]
    pub route: Option<RouteName>,
    /// The upstream that they go to; `None`: several, or none.
    #[serde(skip)]
    pub upstream: Option<UpstreamName>,
    /// How bad its begin is.
    #[serde(skip)] // the event has it
    pub severity: Severity,
    /// Whose doing the faults are.
    pub cause: &'static str,
    /// How many requests it has hit so far.
    pub requests: u64,
    /// What it is, in a sentence.
    pub sentence: Box<str>,
}

// === impl IncidentEvent ===

impl IncidentEvent {
    const fn told(&self) -> &IncidentTold {
        match self {
            Self::Began(told) | Self::Ended(told) => told,
        }
    }
}

impl Telling for IncidentEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::Began(_) => EventKind::IncidentBegan,
            Self::Ended(_) => EventKind::IncidentEnded,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Began(told) => told.severity,
            Self::Ended(_) => Severity::Info,
        }
    }

    fn subject(&self) -> Subject {
        let told = self.told();
        Subject {
            route: told.route.clone(),
            upstream: told.upstream.clone(),
            ..Subject::default()
        }
    }

    fn log(&self) {
        let IncidentTold {
            incident,
            cause,
            requests,
            sentence,
            ..
        } = self.told();
        match self {
            Self::Began(IncidentTold { severity, .. }) if *severity < Severity::Error => {
                tracing::warn!(target: TARGET, %incident, cause, requests, %sentence, "an incident began");
            }
            Self::Began(_) => {
                tracing::error!(target: TARGET, %incident, cause, requests, %sentence, "an incident began");
            }
            Self::Ended(_) => {
                tracing::info!(target: TARGET, %incident, cause, requests, %sentence, "an incident is over");
            }
        }
    }
}

impl fmt::Display for IncidentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(short(&self.told().sentence))
    }
}
