//! Plan + live state → the next snapshot. Infallible: whatever can fail has failed before.
//!
//! | state | identity | what a change of its plan does |
//! | --- | --- | --- |
//! | token buckets | route and limit name | fills are kept in proportion; another `key` starts anew |
//! | in-flight count, queue | upstream name | kept; a smaller queue refuses the newest beyond it |
//! | retry budget, round-robin cursor | upstream name | kept |
//! | health, ejection, slow start, in-flight | upstream name and address | kept |
//! | connections | upstream name and address | kept, unless what is spoken over them changed |
//! | DNS answers | name and `[dns]` | kept; another `[dns]` asks anew and serves the old answer until then |

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    checks::Checks,
    gates::Gates,
    lookups::Lookups,
    whole::{ConfigFacts, RouteLive, Snapshot, Target, UpstreamLive},
};
use crate::{
    admission::RateLimit,
    config::{ActionPlan, EndpointSource, Files, Loaded, RoutePlan, UpstreamPlan},
    names::{EndpointId, LimitId, UpstreamName},
    pool::{Registry, Seat, Seats},
    route,
    telemetry::Telemetry,
};

/// The live state that outlives snapshots, by identity. One task owns it.
#[derive(Debug)]
pub struct Ground {
    telemetry: Arc<Telemetry>,
    endpoints: Registry,
    gates: Gates,
    limits: HashMap<LimitId, Arc<RateLimit>>,
    lookups: Lookups,
    checks: Checks,
}

// === impl Ground ===

impl Ground {
    /// Nothing yet. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry,
            endpoints: Registry::new(),
            gates: Gates::default(),
            limits: HashMap::new(),
            lookups: Lookups::default(),
            checks: Checks::default(),
        }
    }

    /// Rings when the answer of a name changed, so that a snapshot with the new addresses is due.
    #[must_use]
    pub fn names_changed(&self) -> Arc<Notify> {
        self.lookups.changed()
    }

    /// The snapshot of `loaded`, with all live state that it still names.
    ///
    /// Starts and stops the loops (lookups, checks) that the new plan wants; what it no longer names is let go.
    pub fn adopt(&mut self, loaded: &Loaded, config: ConfigFacts, now: Instant) -> Snapshot {
        self.lookups.follow(&loaded.plan, &self.telemetry);
        let upstreams: Vec<_> = loaded
            .plan
            .upstreams
            .values()
            .map(|plan| Arc::new(self.upstream(plan, &loaded.files)))
            .collect();
        let indices: BTreeMap<&UpstreamName, usize> =
            loaded.plan.upstreams.keys().zip(0..).collect();
        let mut limits = HashMap::new();
        let routes = loaded
            .plan
            .routes
            .iter()
            .map(|plan| self.route(plan, &indices, &mut limits, now))
            .collect();
        self.limits = limits;
        self.gates
            .retain(|name| loaded.plan.upstreams.contains_key(name));
        self.checks.reconcile(&upstreams, now);
        let snapshot = Snapshot {
            config,
            table: route::Table::new(&loaded.plan.routes),
            plan: Arc::new(loaded.plan.clone()),
            routes,
            certificates: loaded.files.listeners.clone(),
            upstreams,
        };
        self.endpoints.retire(&snapshot.endpoints().collect(), now);
        snapshot
    }

    /// Lets go of connections that rested too long and of endpoints that nothing has named for long.
    pub fn sweep(&self, now: Instant) {
        self.endpoints.sweep(now);
    }

    /// Ends every loop. What is running on connections goes on.
    pub fn stop(&self) {
        self.lookups.stop();
        self.checks.stop();
    }

    fn upstream(&mut self, plan: &Arc<UpstreamPlan>, files: &Files) -> UpstreamLive {
        let handles = self.telemetry.upstream(&plan.name);
        let kept = self.gates.of(plan, files, &handles);
        let answers: Vec<_> = plan
            .endpoints
            .iter()
            .filter_map(|endpoint| self.lookups.answer(&endpoint.source))
            .collect();
        let seats = self.seats(plan);
        UpstreamLive {
            plan: Arc::clone(plan),
            gate: kept.gate,
            budget: kept.budget,
            turn: kept.turn,
            connector: kept.connector,
            seats,
            answers,
            handles,
        }
    }

    /// A seat for every address, the first mention winning where one is named twice.
    fn seats(&self, plan: &UpstreamPlan) -> Seats {
        let mut seats = BTreeMap::new();
        for endpoint in &plan.endpoints {
            let (name, addresses) = match &endpoint.source {
                EndpointSource::Address(address) => (None, vec![*address]),
                EndpointSource::Dns { name, port } => {
                    let answer = self.lookups.answer(&endpoint.source).unwrap_or_default();
                    let sockets = answer
                        .addresses
                        .iter()
                        .map(|ip| SocketAddr::new(*ip, *port))
                        .collect();
                    (Some(&**name), sockets)
                }
            };
            for address in addresses {
                let id = EndpointId::new(plan.name.clone(), address);
                seats.entry(id.clone()).or_insert_with(|| {
                    Seat::new(self.endpoints.get_or_new(&id), endpoint.weight, name)
                });
            }
        }
        Seats::new(seats.into_values(), plan.panic_threshold, plan.slow_start)
    }

    fn route(
        &self,
        plan: &Arc<RoutePlan>,
        indices: &BTreeMap<&UpstreamName, usize>,
        limits: &mut HashMap<LimitId, Arc<RateLimit>>,
        now: Instant,
    ) -> RouteLive {
        let handles = |upstream| {
            self.telemetry
                .route(Some(&plan.name), upstream, plan.priority)
        };
        let targets = match &plan.action {
            ActionPlan::Forward(split) => split
                .iter()
                .filter_map(|share| {
                    let upstream = *indices.get(&share.upstream)?;
                    Some(Target {
                        upstream,
                        handles: handles(Some(&share.upstream)),
                    })
                })
                .collect(),
            ActionPlan::Respond { .. } | ActionPlan::Redirect { .. } => Vec::new(),
        };
        let rates = plan.rate_limits.iter().map(|limit| {
            let id = LimitId {
                route: plan.name.clone(),
                limit: Arc::from(&*limit.name),
            };
            let kept = match self.limits.get(&id) {
                Some(running) if running.plan() == limit => Arc::clone(running),
                Some(running) => running.reshape(limit, now),
                None => RateLimit::new(limit, now),
            };
            limits.insert(id, Arc::clone(&kept));
            kept
        });
        RouteLive {
            limits: rates.collect(),
            plan: Arc::clone(plan),
            targets,
            handles: handles(None),
        }
    }
}
