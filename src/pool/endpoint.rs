//! One live endpoint: what is known of it and held for it, by its id.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{Connections, Latency, Seats};
use crate::{health::Health, names::EndpointId};

/// The live state of one endpoint. It outlives every version of the config and every DNS answer.
///
/// Nothing tunable is here: weights and names are facts of a [`Seat`](super::Seat).
pub struct Endpoint {
    /// Who it is.
    pub id: EndpointId,
    /// Whether it may serve.
    pub health: Health,
    /// Its connections.
    pub connections: Connections,
    /// How long it takes to answer.
    pub latency: Latency,
    /// Requests that run here. `Relaxed`: the count compares loads and guards no other memory.
    in_flight: AtomicU32,
    /// When the certificate that it showed last ends, in seconds since 1970; [`NEVER_SHOWN`] where none was read.
    /// `Relaxed`: it guards no other memory.
    certificate_ends: AtomicI64,
    /// The newest seats of the upstream. Locked while one of its endpoints is being ejected, so that two don't go at once.
    pub(super) ejections: Arc<Ejections>,
    /// The tasks that drive its connections.
    drivers: TaskTracker,
}

/// The seats among which an ejection is judged: the newest ones, whichever snapshot a request came by.
pub(super) type Ejections = Mutex<Weak<Seats>>;

/// A request that runs at an endpoint; its end is the drop.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
}

/// As the end of a certificate: there was none to read.
const NEVER_SHOWN: i64 = i64::MIN;

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn new(id: EndpointId, ejections: Arc<Ejections>, drivers: TaskTracker) -> Self {
        Self {
            id,
            health: Health::new(),
            connections: Connections::new(),
            latency: Latency::default(),
            in_flight: AtomicU32::new(0),
            certificate_ends: AtomicI64::new(NEVER_SHOWN),
            ejections,
            drivers,
        }
    }

    /// Counts a request that begins here, until the guard drops.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight {
            endpoint: Arc::clone(self),
        }
    }

    /// How many requests run here.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// It showed a certificate that ends at this time, in seconds since 1970; `None` where that cannot be read.
    pub fn showed_certificate(&self, ends: Option<i64>) {
        self.certificate_ends
            .store(ends.unwrap_or(NEVER_SHOWN), Relaxed);
    }

    /// When the certificate that it showed last ends, in seconds since 1970.
    #[must_use]
    pub fn certificate_ends(&self) -> Option<i64> {
        let ends = self.certificate_ends.load(Relaxed);
        (ends != NEVER_SHOWN).then_some(ends)
    }

    /// The head of an answer came at `now`, `took` after its request went out.
    pub fn answered(&self, took: Duration, now: Instant) {
        self.latency.answered(took, now);
    }

    /// An attempt failed at `now`, or its answer says that the endpoint did.
    pub fn failed(&self, now: Instant) {
        self.latency.failed(now);
    }

    /// Where the tasks that drive connections belong.
    #[must_use]
    pub fn drivers(&self) -> &TaskTracker {
        &self.drivers
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

// === impl InFlight ===

impl InFlight {
    /// Where the request runs.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Relaxed);
    }
}
