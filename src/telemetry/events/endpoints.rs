//! What happens to single endpoints.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{EventKind, Severity, Subject, event::short, names::seconds, what::Telling};
use crate::names::{EjectionCause, EndpointId};

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::health";

/// An endpoint went out or came back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointEvent {
    /// Which.
    #[serde(skip)] // the subject has it
    pub endpoint: EndpointId,
    /// What happened.
    #[serde(flatten)]
    pub change: EndpointChange,
    /// How it stands now, in a sentence.
    pub why: Box<str>,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EndpointChange {
    /// Checks passed again after it was down.
    Up {},
    /// Checks failed.
    Down {},
    /// It passes its checks, and says that it can do less.
    Degraded {},
    /// It no longer says so.
    Recovered {},
    /// Its traffic failed.
    Ejected {
        /// What gave cause.
        cause: EjectionCause,
        /// How long it stays out.
        #[serde(rename = "for_s", serialize_with = "seconds")]
        for_: Duration,
    },
    /// The certificate that it shows ends soon, or has ended.
    CertificateExpires {
        /// When, in seconds since 1970.
        ends: u64,
        /// How many whole days are left; `None` where it has ended.
        days: Option<u64>,
    },
    /// It was on trial after an ejection, and a request succeeded.
    Returned {},
}

// === impl EndpointEvent ===

impl Telling for EndpointEvent {
    fn kind(&self) -> EventKind {
        match self.change {
            EndpointChange::Up {} => EventKind::EndpointUp,
            EndpointChange::Down {} => EventKind::EndpointDown,
            EndpointChange::Degraded {} => EventKind::EndpointDegraded,
            EndpointChange::Recovered {} => EventKind::EndpointRecovered,
            EndpointChange::Ejected { .. } => EventKind::EndpointEjected,
            EndpointChange::CertificateExpires { .. } => EventKind::CertificateExpires,
            EndpointChange::Returned {} => EventKind::EndpointReturned,
        }
    }

    fn severity(&self) -> Severity {
        match self.change {
            EndpointChange::Up {} | EndpointChange::Recovered {} | EndpointChange::Returned {} => {
                Severity::Info
            }
            EndpointChange::CertificateExpires { days: None, .. } => Severity::Error,
            EndpointChange::Down {}
            | EndpointChange::Degraded {}
            | EndpointChange::CertificateExpires { .. }
            | EndpointChange::Ejected { .. } => Severity::Warn,
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            endpoint: Some(self.endpoint.address),
            ..Subject::upstream(&self.endpoint.upstream)
        }
    }

    fn log(&self) {
        let Self { endpoint, why, .. } = self;
        match self.change {
            EndpointChange::Up {} => {
                tracing::info!(target: TARGET, %endpoint, %why, "endpoint passes its checks again");
            }
            EndpointChange::Down {} => {
                tracing::warn!(target: TARGET, %endpoint, %why, "endpoint fails its checks");
            }
            EndpointChange::Degraded {} => {
                tracing::warn!(target: TARGET, %endpoint, %why, "endpoint says that it is degraded");
            }
            EndpointChange::Recovered {} => {
                tracing::info!(target: TARGET, %endpoint, %why, "endpoint is no longer degraded");
            }
            EndpointChange::Ejected { cause, for_ } => {
                tracing::warn!(target: TARGET, %endpoint, because = %cause, for_ = ?for_, %why, "endpoint ejected");
            }
            EndpointChange::CertificateExpires { ends, days } => {
                tracing::warn!(target: TARGET, %endpoint, ends, days, %why, "an endpoint's certificate ends soon, or has");
            }
            EndpointChange::Returned {} => {
                tracing::info!(target: TARGET, %endpoint, %why, "ejection is over");
            }
        }
    }
}

impl fmt::Display for EndpointEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "endpoint {} ", self.endpoint)?;
        match self.change {
            EndpointChange::Up {} => f.write_str("passes its checks again")?,
            EndpointChange::Down {} => f.write_str("fails its checks")?,
            EndpointChange::Degraded {} => f.write_str("says that it is degraded")?,
            EndpointChange::Recovered {} => f.write_str("is no longer degraded")?,
            EndpointChange::Ejected { for_, .. } => write!(f, "is ejected for {for_:.0?}")?,
            EndpointChange::CertificateExpires { .. } => f.write_str("shows a certificate")?,
            EndpointChange::Returned {} => f.write_str("is back after its ejection")?,
        }
        write!(f, ": {}", short(&self.why))
    }
}
