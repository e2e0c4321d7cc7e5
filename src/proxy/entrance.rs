//! What every request of a gateway shares.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
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
    /// What is counted of requests that reached no route.
    pub(super) nowhere: Arc<RouteHandles>,
}

impl Entrance {
    /// The entrance to what `snapshot` holds.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        telemetry: Arc<Telemetry>,
        access: Arc<AccessLog>,
    ) -> Self {
        let nowhere = telemetry.route(None, None, Priority::Normal);
        Self {
            snapshot,
            telemetry,
            access,
            nowhere,
        }
    }
}
