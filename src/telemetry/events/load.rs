//! What happens to limits that are found, and to what the process gives up for its own health.

use std::fmt;

use serde::Serialize;

use super::{EventKind, Severity, Subject, what::Telling};
use crate::names::EndpointId;

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::admission";

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LoadEvent {
    /// The concurrency limit of an endpoint moved.
    LimitMoved {
        /// Whose.
        #[serde(skip)]
        endpoint: EndpointId,
        /// From here, in requests at once.
        from: f64,
        /// To here.
        to: f64,
        /// Why: `queueing`, `drops`, `room`, ...
        because: &'static str,
    },
    /// The process is under more or less pressure.
    Pressure {
        /// The level before, 0 to 4.
        from: u8,
        /// And now.
        to: u8,
        /// What asked for it, else `none`.
        signal: &'static str,
        /// What it read.
        value: f64,
        /// What the level means.
        now: &'static str,
    },
}

// === impl LoadEvent ===

impl Telling for LoadEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::LimitMoved { .. } => EventKind::LimitMoved,
            Self::Pressure { from, to, .. } if to > from => EventKind::PressureRose,
            Self::Pressure { .. } => EventKind::PressureFell,
        }
    }

    fn severity(&self) -> Severity {
        match self.kind() {
            EventKind::PressureRose => Severity::Warn,
            _ => Severity::Info,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::LimitMoved { endpoint, .. } => Subject {
                endpoint: Some(endpoint.address),
                ..Subject::upstream(&endpoint.upstream)
            },
            Self::Pressure { .. } => Subject::default(),
        }
    }

    fn log(&self) {
        match self {
            Self::LimitMoved {
                endpoint,
                from,
                to,
                because,
            } => tracing::info!(target: TARGET, upstream = endpoint.upstream.as_str(),
                endpoint = %endpoint.address,
                from,
                to,
                because,
                "concurrency limit moved"
            ),
            Self::Pressure {
                from,
                to,
                signal,
                value,
                now,
            } => {
                if to > from {
                    tracing::warn!(target: TARGET, from, to, signal, value, now, "pressure rises");
                } else {
                    tracing::info!(target: TARGET, from, to, signal, value, now, "pressure falls");
                }
            }
        }
    }
}

impl fmt::Display for LoadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LimitMoved {
                endpoint,
                from,
                to,
                because,
            } => write!(
                f,
                "the limit of endpoint {endpoint} moved from {from:.0} to {to:.0} requests at once ({because})"
            ),
            Self::Pressure {
                from,
                to,
                signal,
                value,
                now,
            } => {
                let way = if to > from { "rises" } else { "falls" };
                write!(
                    f,
                    "pressure {way} from {from} to {to} ({now}): {signal} reads {value:.2}"
                )
            }
        }
    }
}
