//! What happens to upstreams as a whole.

use std::fmt;

use serde::Serialize;

use super::{EventKind, Severity, Subject, event::short, what::Telling};
use crate::names::UpstreamName;

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::upstream";

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum UpstreamEvent {
    /// Every endpoint failed its checks at about the same time: more likely the check's fault.
    ChecksSuspicious {
        /// Whose.
        #[serde(skip)]
        upstream: UpstreamName,
        /// How many.
        endpoints: usize,
        /// From the first to the last.
        within_ms: u64,
        /// How the last check failed.
        why: Box<str>,
    },
    /// Too few endpoints can serve, so all are used.
    PanicBegan {
        /// Whose.
        #[serde(skip)]
        upstream: UpstreamName,
        /// How many can.
        able: usize,
        /// Of how many.
        all: usize,
        /// Below this share there is panic.
        threshold: f64,
    },
    /// That is over.
    PanicEnded {
        /// Whose.
        #[serde(skip)]
        upstream: UpstreamName,
        /// How many can serve.
        able: usize,
        /// Of how many.
        all: usize,
    },
    /// The first group cannot take all.
    SpillBegan {
        /// Whose.
        #[serde(skip)]
        upstream: UpstreamName,
        /// Who gets how much: `main 70 %, standby 30 %`.
        shares: Box<str>,
    },
    /// It takes all again.
    SpillEnded {
        /// Whose.
        #[serde(skip)]
        upstream: UpstreamName,
    },
}

// === impl UpstreamEvent ===

impl UpstreamEvent {
    const fn upstream(&self) -> &UpstreamName {
        match self {
            Self::ChecksSuspicious { upstream, .. }
            | Self::PanicBegan { upstream, .. }
            | Self::PanicEnded { upstream, .. }
            | Self::SpillBegan { upstream, .. }
            | Self::SpillEnded { upstream } => upstream,
        }
    }
}

impl Telling for UpstreamEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::ChecksSuspicious { .. } => EventKind::ChecksSuspicious,
            Self::PanicBegan { .. } => EventKind::PanicBegan,
            Self::PanicEnded { .. } => EventKind::PanicEnded,
            Self::SpillBegan { .. } => EventKind::SpillBegan,
            Self::SpillEnded { .. } => EventKind::SpillEnded,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::ChecksSuspicious { .. } => Severity::Error,
            Self::PanicBegan { .. } | Self::SpillBegan { .. } => Severity::Warn,
            Self::PanicEnded { .. } | Self::SpillEnded { .. } => Severity::Info,
        }
    }

    fn subject(&self) -> Subject {
        Subject::upstream(self.upstream())
    }

    fn log(&self) {
        let upstream = self.upstream().as_str();
        match self {
            Self::ChecksSuspicious {
                endpoints,
                within_ms,
                why,
                ..
            } => tracing::error!(target: TARGET, upstream, endpoints, within_ms, %why,
                "health check suspicious: every endpoint failed it at about the same time"
            ),
            Self::PanicBegan {
                able,
                all,
                threshold,
                ..
            } => tracing::warn!(target: TARGET, upstream,
                able,
                all,
                threshold,
                "upstream in panic: too few endpoints can serve, so all are used"
            ),
            Self::PanicEnded { able, all, .. } => tracing::info!(target: TARGET, upstream,
                able,
                all,
                "upstream out of panic: only endpoints that can serve are used"
            ),
            Self::SpillBegan { shares, .. } => tracing::warn!(target: TARGET, upstream, %shares,
                "the first group cannot take all: traffic goes to others"
            ),
            Self::SpillEnded { .. } => {
                tracing::info!(target: TARGET, upstream, "all traffic is back at the first group");
            }
        }
    }
}

impl fmt::Display for UpstreamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upstream {}: ", self.upstream())?;
        match self {
            Self::ChecksSuspicious { endpoints, why, .. } => write!(
                f,
                "all {endpoints} endpoints failed their checks at about the same time, so the check itself is \
                 suspicious: {}",
                short(why)
            ),
            Self::PanicBegan { able, all, .. } => {
                write!(
                    f,
                    "only {able} of {all} endpoints can serve, so all are used"
                )
            }
            Self::PanicEnded { able, all, .. } => {
                write!(
                    f,
                    "{able} of {all} endpoints can serve, and only these are used"
                )
            }
            Self::SpillBegan { shares, .. } => {
                write!(f, "the first group cannot take all: {shares}")
            }
            Self::SpillEnded { .. } => f.write_str("all traffic is back at the first group"),
        }
    }
}
