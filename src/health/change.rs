//! What changed in the health of an endpoint, and the telling of it.

use std::{fmt, time::Duration};

use crate::{
    names::{EjectionCause, EndpointId},
    telemetry::{EndpointChange, EndpointEvent, UpstreamHandles},
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

/// Tells of `change`, and counts it where it is an ejection. Called by whoever got the change, once. `why` is how the
/// endpoint stands now, in a sentence.
pub fn announce(
    change: Change,
    endpoint: &EndpointId,
    why: &dyn fmt::Display,
    handles: &UpstreamHandles,
) {
    let change = match change {
        Change::Up => EndpointChange::Up {},
        Change::Down => EndpointChange::Down {},
        Change::Degraded => EndpointChange::Degraded {},
        Change::Recovered => EndpointChange::Recovered {},
        Change::Ejected { cause, for_ } => {
            handles.ejected(cause);
            EndpointChange::Ejected { cause, for_ }
        }
        Change::Returned => EndpointChange::Returned {},
    };
    handles.events().tell(EndpointEvent {
        endpoint: endpoint.clone(),
        change,
        why: why.to_string().into(),
    });
}
