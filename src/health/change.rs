//! What changed in the health of an endpoint, and the telling of it.

use std::{fmt, time::Duration};

use crate::{
    names::{EjectionCause, EndpointId},
    telemetry::UpstreamHandles,
};

/// An endpoint went out or came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Checks passed again after it was down.
    Up,
    /// Checks failed.
    Down,
    /// It passes its checks, and says that it can do less.
    Degraded,
    /// It no longer says so.
    Recovered,
    /// Its traffic failed.
    Ejected {
        /// What gave cause.
        cause: EjectionCause,
        /// How long it stays out.
        for_: Duration,
    },
    /// It was on trial after an ejection, and a request succeeded.
    Returned,
}

/// Logs `change`, and counts it where it is an ejection. Called by whoever got the change, once. `why` is how the
/// endpoint stands now, in a sentence.
pub fn announce(
    change: Change,
    endpoint: &EndpointId,
    why: &dyn fmt::Display,
    handles: &UpstreamHandles,
) {
    match change {
        Change::Up => tracing::info!(%endpoint, %why, "endpoint passes its checks again"),
        Change::Down => tracing::warn!(%endpoint, %why, "endpoint fails its checks"),
        Change::Degraded => tracing::warn!(%endpoint, %why, "endpoint says that it is degraded"),
        Change::Recovered => tracing::info!(%endpoint, %why, "endpoint is no longer degraded"),
        Change::Ejected { cause, for_ } => {
            handles.ejected(cause);
            tracing::warn!(%endpoint, because = %cause, for_ = ?for_, %why, "endpoint ejected");
        }
        Change::Returned => tracing::info!(%endpoint, %why, "ejection is over"),
    }
}
