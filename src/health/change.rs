//! What changed in the health of an endpoint, and the telling of it.

use std::time::Duration;

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
    /// An ejection is over. Noticed with the first event after its end, so it may come late; the endpoint
    /// may serve from the end on all the same.
    Returned,
}

/// Logs `change`, and counts it where it is an ejection. Called by whoever got the change, once.
pub fn announce(
    change: Change,
    endpoint: &EndpointId,
    why: Option<&str>,
    handles: &UpstreamHandles,
) {
    let why = why.unwrap_or_default();
    match change {
        Change::Up => tracing::info!(%endpoint, "endpoint passes its checks again"),
        Change::Down => tracing::warn!(%endpoint, why, "endpoint fails its checks"),
        Change::Degraded => tracing::warn!(%endpoint, "endpoint says that it is degraded"),
        Change::Recovered => tracing::info!(%endpoint, "endpoint is no longer degraded"),
        Change::Ejected { cause, for_ } => {
            handles.ejected(cause);
            tracing::warn!(%endpoint, because = %cause, for_ = ?for_, why, "endpoint ejected");
        }
        Change::Returned => tracing::info!(%endpoint, "ejection is over"),
    }
}
