//! What every request of a gateway shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

use crate::{
    admission::Pressure,
    names::Priority,
    snapshot::Snapshot,
    telemetry::{AccessLog, RouteHandles, Telemetry},
};

/// The door into the data path: the snapshot in force, and where requests are told of.
#[derive(Debug)]
pub struct Entrance {
    /// The only one there is: a request loads it once, and reads nothing else that a reload changes.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Metrics.
    pub telemetry: Arc<Telemetry>,
    /// The access log.
    pub access: Arc<AccessLog>,
    /// How short the process itself is of what it lives on.
    pub pressure: Arc<Pressure>,
    /// What is counted of requests that reached no route.
    pub(super) nowhere: Arc<RouteHandles>,
    /// Where tries run whose clients left. Each ends by itself, in bounded time.
    pub(super) ghosts: TaskTracker,
}

impl Entrance {
    /// The entrance to what `snapshot` holds.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        telemetry: Arc<Telemetry>,
        access: Arc<AccessLog>,
        pressure: Arc<Pressure>,
    ) -> Self {
        let nowhere = telemetry.route(None, None, Priority::Normal);
        Self {
            snapshot,
            telemetry,
            access,
            pressure,
            nowhere,
            ghosts: TaskTracker::new(),
        }
    }
}
