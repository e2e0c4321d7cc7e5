//! Every live endpoint by its id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{Endpoint, Seats, endpoint::Ejections};
use crate::names::{EndpointId, UpstreamName};

/// How long an endpoint that no snapshot names is remembered, with its ejections and its age.
pub const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// The live endpoints of one gateway. Asked when a snapshot is built, never by a request.
///
/// Bound: the endpoints of the config and of the DNS answers, and those of the last ten minutes.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Mutex<Entries>,
    drivers: TaskTracker,
}

#[derive(Debug, Default)]
struct Entries {
    endpoints: BTreeMap<EndpointId, Entry>,
    ejections: BTreeMap<UpstreamName, Arc<Ejections>>,
}

#[derive(Debug)]
struct Entry {
    endpoint: Arc<Endpoint>,
    /// When it was found that nothing names it any more.
    unnamed_since: Option<Instant>,
}

// === impl Registry ===

impl Registry {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The endpoint of this id, which may be one that was named before.
    pub fn get_or_new(&self, id: &EndpointId) -> Arc<Endpoint> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.endpoints.get_mut(id) {
            entry.unnamed_since = None;
            entry.endpoint.connections.reopen();
            return Arc::clone(&entry.endpoint);
        }
        let ejections = Arc::clone(entries.ejections.entry(id.upstream.clone()).or_default());
        let endpoint = Arc::new(Endpoint::new(id.clone(), ejections, self.drivers.clone()));
        let entry = Entry {
            endpoint: Arc::clone(&endpoint),
            unnamed_since: None,
        };
        entries.endpoints.insert(id.clone(), entry);
        endpoint
    }

    /// From now on ejections of `upstream` are judged among `seats`, also those that a request of an earlier snapshot
    /// gives cause for.
    pub fn judge_among(&self, upstream: &UpstreamName, seats: &Arc<Seats>) {
        if let Some(ejections) = self.entries.lock().ejections.get(upstream) {
            *ejections.lock() = Arc::downgrade(seats);
        }
    }

    /// The endpoint of this id, where it is known.
    #[must_use]
    pub fn get(&self, id: &EndpointId) -> Option<Arc<Endpoint>> {
        let entries = self.entries.lock();
        let entry = entries.endpoints.get(id)?;
        Some(Arc::clone(&entry.endpoint))
    }

    /// To be called after each swap of the snapshot with what the new one names. Endpoints that it does not
    /// name close what rests; what runs there ends in peace. After [`REMEMBERED`] they are forgotten.
    pub fn retire(&self, named: &BTreeSet<&EndpointId>, now: Instant) {
        let mut entries = self.entries.lock();
        for (id, entry) in &mut entries.endpoints {
            if named.contains(id) {
                entry.unnamed_since = None;
            } else if entry.unnamed_since.is_none() {
                entry.unnamed_since = Some(now);
                entry.endpoint.connections.close();
            }
        }
        entries.forget(now);
    }

    /// To be called now and then (each second is fine): closes connections that rested too long or are too
    /// old, and forgets endpoints that were unnamed too long. Returns how many connections it closed.
    pub fn sweep(&self, now: Instant) -> usize {
        let mut entries = self.entries.lock();
        entries.forget(now);
        let endpoints: Vec<_> = entries
            .endpoints
            .values()
            .map(|entry| Arc::clone(&entry.endpoint))
            .collect();
        drop(entries);
        endpoints
            .iter()
            .map(|endpoint| endpoint.connections.sweep(now))
            .sum()
    }

    /// Lets go of every connection, at the end of the process: those that run end with their request.
    pub fn close(&self) {
        for entry in self.entries.lock().endpoints.values() {
            entry.endpoint.connections.close();
        }
    }

    /// The tasks that drive connections to endpoints.
    #[must_use]
    pub fn drivers(&self) -> &TaskTracker {
        &self.drivers
    }

    /// How many endpoints are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.lock().endpoints.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Entries ===

impl Entries {
    fn forget(&mut self, now: Instant) {
        self.endpoints.retain(|_, entry| {
            entry
                .unnamed_since
                .is_none_or(|since| now.saturating_duration_since(since) < REMEMBERED)
        });
        let endpoints = &self.endpoints;
        self.ejections
            .retain(|upstream, _| endpoints.keys().any(|id| id.upstream == *upstream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(port: u16) -> EndpointId {
        EndpointId::new("shop".into(), ([10, 0, 0, 1], port).into())
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_id_is_the_same_endpoint() {
        let registry = Registry::new();
        let first = registry.get_or_new(&id(1));
        assert!(Arc::ptr_eq(&first, &registry.get_or_new(&id(1))));
        assert!(!Arc::ptr_eq(&first, &registry.get_or_new(&id(2))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_is_forgotten_ten_minutes_after_it_was_last_named() {
        let registry = Registry::new();
        let (kept, gone) = (id(1), id(2));
        registry.get_or_new(&kept);
        registry.get_or_new(&gone);
        let start = Instant::now();
        registry.retire(&BTreeSet::from([&kept]), start);
        registry.sweep(start + REMEMBERED - Duration::from_millis(1));
        assert_eq!(registry.len(), 2);
        registry.sweep(start + REMEMBERED);
        assert_eq!(registry.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_named_again_is_remembered_and_stays() {
        let registry = Registry::new();
        let endpoint = registry.get_or_new(&id(1));
        let start = Instant::now();
        registry.retire(&BTreeSet::new(), start);
        assert!(Arc::ptr_eq(&endpoint, &registry.get_or_new(&id(1))));
        registry.sweep(start + 2 * REMEMBERED);
        assert_eq!(registry.len(), 1);
    }
}
