//! What was found wrong, and who was out when.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tidegate::{names::EndpointId, pool::Endpoint, snapshot::Snapshot};
use tokio::time::Instant;

/// Shared by all who look.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    found: Mutex<Option<String>>,
    standing: Mutex<HashMap<EndpointId, Stood>>,
}

/// How an endpoint was found at the looks up to now.
#[derive(Debug, Clone)]
struct Stood {
    endpoint: Weak<Endpoint>,
    looked: Instant,
    /// Since when it was out at every look.
    out_since: Option<Instant>,
    /// When it was out last.
    out: Option<Instant>,
}

/// Longer than between two looks.
pub(super) const BETWEEN: Duration = Duration::from_secs(2);

// === impl Faults ===

impl Faults {
    /// The first fault is the one to look at.
    pub(super) fn tell(&self, what: String) {
        self.0.found.lock().get_or_insert(what);
    }

    pub(super) fn check<T>(&self, result: Result<T, String>) -> Option<T> {
        result.map_err(|fault| self.tell(fault)).ok()
    }

    pub(super) fn found(&self) -> Result<(), String> {
        match &*self.0.found.lock() {
            None => Ok(()),
            Some(fault) => Err(fault.clone()),
        }
    }

    /// Notes who is out.
    pub(super) fn look(&self, snapshot: &Snapshot, now: Instant) {
        let mut standing = self.0.standing.lock();
        for live in &snapshot.upstreams {
            for seat in live.seats.as_slice() {
                let out = !seat.endpoint.health.can_serve(now);
                let stood = standing.entry(seat.endpoint.id.clone()).or_insert(Stood {
                    endpoint: Arc::downgrade(&seat.endpoint),
                    looked: now,
                    out_since: None,
                    out: None,
                });
                let unbroken = stood.out_since.filter(|_| now - stood.looked < BETWEEN);
                stood.out_since = out.then(|| unbroken.unwrap_or(now));
                stood.out = if out { Some(now) } else { stood.out };
                stood.looked = now;
                stood.endpoint = Arc::downgrade(&seat.endpoint);
            }
        }
    }

    /// It went out, or came back, just now.
    pub(super) fn moved(&self, id: &EndpointId, now: Instant) {
        if let Some(stood) = self.0.standing.lock().get_mut(id) {
            (stood.out_since, stood.out) = (None, Some(now));
        }
    }

    /// Whether it was out at every look for long enough.
    pub(super) fn is_long_out(&self, id: &EndpointId, now: Instant) -> bool {
        let standing = self.0.standing.lock();
        standing.get(id).is_some_and(|stood| {
            now - stood.looked < BETWEEN
                && stood.out_since.is_some_and(|since| now - since > BETWEEN)
        })
    }

    /// Whether a host was out in some upstream when an answer came at `at`, or may have been.
    pub(super) fn was_out(&self, snapshot: &Snapshot, address: IpAddr, at: Instant) -> bool {
        let now = Instant::now();
        let standing = self.0.standing.lock();
        let mut seats = snapshot
            .upstreams
            .iter()
            .flat_map(|live| live.seats.as_slice());
        let out_now = seats.any(|seat| {
            seat.endpoint.id.address.ip() == address && !seat.endpoint.health.can_serve(now)
        });
        out_now
            || standing.iter().any(|(id, stood)| {
                let was_out = stood.out.is_some_and(|out| out + BETWEEN >= at);
                id.address.ip() == address && (was_out || stood.went_out_unseen(now))
            })
    }
}

// === impl Stood ===

impl Stood {
    /// Whether it is out, or changed its mind, since the last look at it: as where it left the set that is looked at
    /// right after.
    fn went_out_unseen(&self, now: Instant) -> bool {
        self.endpoint.upgrade().is_some_and(|endpoint| {
            let since = endpoint.health.view(now).since;
            let changed = since.is_some_and(|ago| now - ago >= self.looked);
            changed || !endpoint.health.can_serve(now)
        })
    }
}
