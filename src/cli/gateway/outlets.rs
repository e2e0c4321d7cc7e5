//! All that a config changes beside the snapshot: sockets, the access log, and the gateway's own.

use std::{fmt, sync::Arc};

use super::{Fronts, fronts::Move, line_format};
use crate::{
    config::{AccessTarget, Loaded, LogPlan},
    listener::{Inherited, Unwanted},
    reload::{Prepared, Sockets, Unprepared},
    telemetry::{AccessLog, AccessLogError, AccessTo, OwnLog, Telemetry, Turn},
};

/// See the module.
#[derive(Clone)]
pub(super) struct Outlets {
    fronts: Fronts,
    access: Arc<AccessLog>,
    /// `None` where the process has none, or where it is not this gateway's.
    own: Option<OwnLog>,
}

/// A change of all of them.
struct Change {
    fronts: Move,
    access: Turn,
    log: LogPlan,
    outlets: Outlets,
}

/// Begins the access log as the plan says.
pub(super) fn access_log(
    plan: &LogPlan,
    telemetry: &Telemetry,
) -> Result<AccessLog, AccessLogError> {
    AccessLog::start(target_of(plan), line_format(plan.format), telemetry)
}

/// The target of access lines, in the words of the room that writes them.
fn target_of(plan: &LogPlan) -> AccessTo {
    match &plan.access {
        AccessTarget::Stdout => AccessTo::Stdout,
        AccessTarget::Off => AccessTo::Off,
        AccessTarget::File(path) => AccessTo::File(path.clone()),
    }
}

// === impl Outlets ===

impl Outlets {
    /// All of one gateway.
    pub(super) fn new(fronts: &Fronts, access: &Arc<AccessLog>, own: Option<OwnLog>) -> Self {
        Self {
            fronts: fronts.clone(),
            access: Arc::clone(access),
            own,
        }
    }
}

impl Sockets for Outlets {
    fn prepare(&self, next: &Loaded) -> Result<Box<dyn Prepared>, Unprepared> {
        let log = &next.plan.log;
        let access = self
            .access
            .prepare(target_of(log), line_format(log.format))
            .map_err(|error| Unprepared(error.to_string()))?;
        // What another process handed over was taken at the start.
        let fronts = self
            .fronts
            .bind(next, &mut Inherited::none(Unwanted::Closed))
            .map_err(|error| Unprepared(error.to_string()))?;
        Ok(Box::new(Change {
            fronts,
            access,
            log: log.clone(),
            outlets: self.clone(),
        }))
    }
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlets")
            .field("fronts", &self.fronts)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

// === impl Change ===

impl Prepared for Change {
    fn make(self: Box<Self>) {
        self.outlets.access.turn(self.access);
        if let Some(own) = &self.outlets.own {
            own.reshape(self.log.level, line_format(self.log.format));
        }
        self.fronts.settle_and_announce();
    }
}
