//! What is counted of the fallback of a route.

use std::sync::Arc;

use metrics::Counter;

use super::{Telemetry, catalog, owners::Owner, recorder::Recorder};
use crate::names::RouteName;

/// What is counted of one fallback.
#[derive(Debug)]
pub struct FallbackHandles {
    taken: Counter,
    /// Held, so that its series are not forgotten.
    _recorder: Arc<Recorder>,
}

// === impl FallbackHandles ===

impl FallbackHandles {
    /// A request went to it.
    pub fn taken(&self) {
        self.taken.increment(1);
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// Handles of the fallback of `route` to what the word `to` says. The same names count into the same series.
    #[must_use]
    pub fn fallback(&self, route: &RouteName, to: &'static str) -> Arc<FallbackHandles> {
        let recorder = self.owners().recorder(Owner::Route(Some(route.clone())));
        Arc::new(FallbackHandles {
            taken: recorder.counter(&catalog::FALLBACKS, [route.as_str(), to]),
            _recorder: recorder,
        })
    }
}
