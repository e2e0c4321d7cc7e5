//! What a request reads, once, when it arrives.

use std::{sync::Arc, time::SystemTime};

use super::{FallbackLive, Found, Named, Roster, Spill};
use crate::{
    admission::{FailedKeys, Gate, RateLimit, Remembered, RetryBudget, RouteNumber},
    balance::Turns,
    config::{
        CertificateFacts, ConfigHash, DnsTrusts, HookFiles, Plan, RoutePlan, Trouble, UpstreamPlan,
    },
    names::{EndpointId, UpstreamName},
    pool::Seats,
    respond::Pages,
    route,
    telemetry::{RouteHandles, UpstreamHandles},
    upstream::Connector,
};

/// One version of everything: a plan, joined to the live state of what it names.
#[derive(Debug)]
pub struct Snapshot {
    /// Which file this is, and since when it is in force.
    pub config: ConfigFacts,
    /// What the file means.
    pub plan: Arc<Plan>,
    /// Finds the route of a request.
    pub table: route::Table,
    /// In the order of [`Plan::routes`]: what [`Self::table`] finds is an index into it.
    pub routes: Vec<RouteLive>,
    /// How faults are told.
    pub pages: Pages,
    /// What listeners that speak TLS show to clients.
    pub certificates: Vec<CertificateFacts>,
    /// Files that the config names and that are wrong, while what they held before stays in force.
    pub troubles: Vec<Trouble>,
    /// How name servers over TLS are checked, where the config has any.
    pub name_servers: DnsTrusts,
    /// What the webhook of incidents needs, where there is one.
    pub webhook: Option<HookFiles>,
    /// Ordered by name: a [`Target`] holds an index into it.
    pub upstreams: Vec<Arc<UpstreamLive>>,
}

/// Which file is in force, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFacts {
    /// The first twelve hex digits of the file's SHA-256.
    pub hash: ConfigHash,
    /// Counts the files applied by this process, from 1.
    pub revision: u64,
    /// When it came into force.
    pub applied_at: SystemTime,
}

/// A route with its live state.
#[derive(Debug)]
pub struct RouteLive {
    /// What the file says of it.
    pub plan: Arc<RoutePlan>,
    /// Its token buckets.
    pub limits: Vec<Arc<RateLimit>>,
    /// The idempotency keys of its requests that were refused or failed lately.
    pub failed_keys: Arc<FailedKeys>,
    /// Where its requests go, and last the upstream of its fallback where it has one; empty where the route answers
    /// by itself.
    pub targets: Vec<Target>,
    /// What is answered when nothing else can serve.
    pub fallback: Option<FallbackLive>,
    /// What is counted of requests that reached the route but no upstream.
    pub handles: Arc<RouteHandles>,
}

/// One upstream of a route.
#[derive(Debug)]
pub struct Target {
    /// Its index in [`Snapshot::upstreams`].
    pub upstream: usize,
    /// The route, as the upstream's gate numbers it.
    pub route: RouteNumber,
    /// What is counted of the route's requests to it.
    pub handles: Arc<RouteHandles>,
}

/// An upstream with its live state.
#[derive(Debug)]
pub struct UpstreamLive {
    /// What the file says of it.
    pub plan: Arc<UpstreamPlan>,
    /// How much it gets at once.
    pub gate: Arc<Gate>,
    /// How many retries it may get.
    pub budget: Arc<RetryBudget>,
    /// The round-robin cursors.
    pub turns: Arc<Turns>,
    /// Whether its traffic goes to another group than the first.
    pub spill: Arc<Spill>,
    /// Its endpoints as they are now.
    pub seats: Arc<Seats>,
    /// The same, with what admission knows of them.
    pub roster: Arc<Roster>,
    /// What its limit came to in the last hour.
    pub found: Arc<Found>,
    /// The names that its endpoints come from; empty where all are addresses.
    pub names: Vec<Named>,
    /// How connections to it are made.
    pub connector: Arc<Connector>,
    /// What is counted of it.
    pub handles: Arc<UpstreamHandles>,
}

// === impl Snapshot ===

impl Snapshot {
    /// The upstream at `index`, as a [`Target`] names it.
    #[must_use]
    pub fn upstream(&self, index: usize) -> Option<&Arc<UpstreamLive>> {
        self.upstreams.get(index)
    }

    /// The upstream of this name.
    #[must_use]
    pub fn upstream_named(&self, name: &UpstreamName) -> Option<&Arc<UpstreamLive>> {
        self.upstreams
            .binary_search_by(|live| live.plan.name.cmp(name))
            .ok()
            .and_then(|at| self.upstreams.get(at))
    }

    /// What its limits have learned, to go on from after a restart.
    #[must_use]
    pub fn remember(&self) -> Vec<Remembered> {
        let upstreams = self.upstreams.iter();
        upstreams.flat_map(|live| live.gate.remember()).collect()
    }

    /// Every endpoint that it names.
    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointId> {
        self.upstreams
            .iter()
            .flat_map(|upstream| upstream.seats.as_slice())
            .map(|seat| &seat.endpoint.id)
    }
}

// === impl UpstreamLive ===

impl UpstreamLive {
    /// A name that has no address; `None` where all names have some.
    #[must_use]
    pub fn unresolved(&self) -> Option<&Named> {
        let mut names = self.names.iter();
        names.find(|named| named.answer.fault().is_some())
    }
}
