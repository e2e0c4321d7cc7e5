//! What happens to listeners and to the process itself.

use std::{fmt, net::SocketAddr};

use serde::Serialize;

use super::{EventKind, Severity, Subject, event::short, what::Telling};
use crate::names::ListenerName;

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::process";

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ProcessEvent {
    /// It stood still.
    StoodStill {
        /// For so long, at least.
        late_ms: u64,
    },
    /// A listener was opened while it ran.
    ListenerAdded {
        /// Which.
        #[serde(skip)]
        listener: ListenerName,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// A listener left the config.
    ListenerRemoved {
        /// Which.
        #[serde(skip)]
        listener: ListenerName,
        /// Where it was bound.
        address: SocketAddr,
        /// How many connections drain.
        connections: usize,
        /// Within this time.
        within_ms: u64,
    },
    /// It took over from the process before.
    TookOver {},
    /// A newer process serves.
    HandedOver {
        /// Its id.
        pid: u32,
    },
    /// A newer process did not become ready.
    UpgradeFailed {
        /// Why.
        why: Box<str>,
    },
}

// === impl ProcessEvent ===

impl Telling for ProcessEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::StoodStill { .. } => EventKind::StoodStill,
            Self::ListenerAdded { .. } => EventKind::ListenerAdded,
            Self::ListenerRemoved { .. } => EventKind::ListenerRemoved,
            Self::TookOver {} => EventKind::TookOver,
            Self::HandedOver { .. } => EventKind::HandedOver,
            Self::UpgradeFailed { .. } => EventKind::UpgradeFailed,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::StoodStill { .. } => Severity::Warn,
            Self::UpgradeFailed { .. } => Severity::Error,
            Self::ListenerAdded { .. }
            | Self::ListenerRemoved { .. }
            | Self::TookOver {}
            | Self::HandedOver { .. } => Severity::Info,
        }
    }

    fn subject(&self) -> Subject {
        let listener = match self {
            Self::ListenerAdded { listener, .. } | Self::ListenerRemoved { listener, .. } => {
                Some(listener.clone())
            }
            _ => None,
        };
        Subject {
            listener,
            ..Subject::default()
        }
    }

    fn log(&self) {
        match self {
            Self::StoodStill { late_ms } => tracing::warn!(target: TARGET, late_ms,
                "this process stood still: health checks that fail meanwhile are not counted"
            ),
            Self::ListenerAdded { listener, address } => {
                tracing::info!(target: TARGET, %listener, %address, "a listener was opened");
            }
            Self::ListenerRemoved {
                listener,
                address,
                connections,
                within_ms,
            } => tracing::info!(target: TARGET, %listener, %address, connections, within_ms,
                "a listener left the config; its connections drain"
            ),
            Self::TookOver {} => {
                tracing::info!(target: TARGET, "took over from the process before");
            }
            Self::HandedOver { pid } => {
                tracing::info!(target: TARGET, pid,
                    "the new process serves; this one finishes what it has begun"
                );
            }
            Self::UpgradeFailed { why } => {
                tracing::error!(target: TARGET, %why, "no upgrade; this process goes on");
            }
        }
    }
}

impl fmt::Display for ProcessEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoodStill { late_ms } => write!(
                f,
                "this process stood still for {late_ms} ms; checks that fail meanwhile are not counted"
            ),
            Self::ListenerAdded { listener, address } => {
                write!(f, "listener {listener} was opened at {address}")
            }
            Self::ListenerRemoved {
                listener,
                address,
                connections,
                ..
            } => write!(
                f,
                "listener {listener} at {address} left the config; {connections} connections drain"
            ),
            Self::TookOver {} => f.write_str("this process took over from the one before"),
            Self::HandedOver { pid } => write!(
                f,
                "a newer process ({pid}) serves; this one finishes what it has begun"
            ),
            Self::UpgradeFailed { why } => {
                write!(f, "no upgrade, this process goes on: {}", short(why))
            }
        }
    }
}
