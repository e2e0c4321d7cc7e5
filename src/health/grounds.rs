//! Why an endpoint is ejected: what was seen, as numbers and words of ours.

use std::{fmt, time::Duration};

use super::Failed;
use crate::names::EjectionCause;

/// What gave cause for an ejection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Grounds {
    /// Failures in a row.
    Failures {
        /// So many.
        count: u32,
        /// What the last one was.
        last: Option<Failed>,
    },
    /// Failures in a row to reach it.
    LocalFailures {
        /// So many.
        count: u32,
        /// What the last one was.
        last: Option<Failed>,
    },
    /// It failed more than the others.
    SuccessRate {
        /// Its share of failures.
        share: f64,
        /// That of all others together.
        others: f64,
    },
    /// It was slower than the others.
    Latency {
        /// Nine of ten of its answers took no longer.
        p90: Duration,
        /// The median of the others' same figure.
        others: Duration,
    },
    /// It was on trial and failed.
    Trial {
        /// By this.
        last: Option<Failed>,
    },
}

// === impl Grounds ===

impl Grounds {
    /// The word for it.
    #[must_use]
    pub const fn cause(self) -> EjectionCause {
        match self {
            Self::Failures { .. } => EjectionCause::ConsecutiveFailures,
            Self::LocalFailures { .. } => EjectionCause::ConsecutiveLocalFailures,
            Self::SuccessRate { .. } => EjectionCause::SuccessRate,
            Self::Latency { .. } => EjectionCause::Latency,
            Self::Trial { .. } => EjectionCause::Trial,
        }
    }

    /// Whether it is a verdict on the endpoint alone, which the others may share: then it is not the endpoint's.
    pub(super) const fn may_be_shared(self) -> bool {
        match self {
            Self::Failures { .. } | Self::LocalFailures { .. } => true,
            Self::SuccessRate { .. } | Self::Latency { .. } | Self::Trial { .. } => false,
        }
    }
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = match *self {
            Self::Failures { count, last } => {
                write!(f, "{}", Times(count, "failure", "failures"))?;
                f.write_str(" in a row")?;
                last
            }
            Self::LocalFailures { count, last } => {
                write!(f, "{}", Times(count, "failure", "failures"))?;
                f.write_str(" in a row to reach it")?;
                last
            }
            Self::SuccessRate { share, others } => {
                let (share, others) = (share * 100.0, others * 100.0);
                return write!(
                    f,
                    "{share:.0} % of its requests failed, {others:.0} % of the others'"
                );
            }
            Self::Latency { p90, others } => {
                let (p90, others) = (p90.as_secs_f64() * 1e3, others.as_secs_f64() * 1e3);
                return write!(
                    f,
                    "nine of ten answers took up to {p90:.0} ms, the others' {others:.0} ms"
                );
            }
            Self::Trial { last } => {
                f.write_str("the request that tried it failed")?;
                last
            }
        };
        match last {
            Some(failed) => write!(f, ", the last: {failed}"),
            None => Ok(()),
        }
    }
}

/// A number of things.
pub(super) struct Times(
    pub(super) u32,
    pub(super) &'static str,
    pub(super) &'static str,
);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = *self;
        write!(f, "{count} {}", if count == 1 { one } else { many })
    }
}
