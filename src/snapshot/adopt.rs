//! Plan + live state → the next snapshot. Infallible: whatever can fail has failed before.
//!
//! | state | identity | what a change of its plan does |
//! | --- | --- | --- |
//! | token buckets | route and limit name | fills are kept in proportion; another `key` starts anew |
//! | in-flight count, queue | upstream name | kept; a smaller queue refuses the newest beyond it; who waits is judged anew only where the `timeout` of its route shrank |
//! | learned limit, its beliefs, in-flight count | upstream name and address | kept and clamped to other bounds; another law begins where the limit is, and goes on where it was when its mode comes back; a new endpoint begins with what its siblings learned |
//! | the same, through a restart | upstream name and address | where `[history] dir` is set and it is less than an hour ago: the limit begins where it was, and is believed the less the longer ago that is |
//! | share of places, baseline of a route | upstream name and route name | kept; another `share` holds from the next place on |
//! | idempotency keys that failed lately | route name | kept |
//! | retry budget, round-robin cursors, whether traffic is told to go to another group | upstream name | kept |
//! | what was asked of limits, what they came to | as the limits | kept; another `key` or `mode` starts anew |
//! | health by checks, its streak, the last error, degraded or not | upstream name and address | kept, in another group too; other settings hold from the next check on, which comes within a second; without checks it is forgotten, and who was down comes back |
//! | ejection, its clock, how often, trial | upstream name and address | kept with the end it had, in another group too; `enabled = false` ends it; other numbers hold from the next failure on |
//! | failures in a row, window of comparison | upstream name and address | kept; another `interval` counts from the last comparison |
//! | slow start | upstream name and address | kept; another `slow_start` holds for what is left of it; an endpoint that joins others that have served for that long begins one |
//! | in-flight | upstream name and address | kept |
//! | whether the upstream is in panic | upstream name | kept, so that a reload tells nothing twice |
//! | connections | upstream name and address | kept, unless what is spoken over them changed |
//! | for how long connections may rest, as the endpoint tells or shows; when its certificate ends | upstream name and address | kept |
//! | counters and histograms | route, road from route to upstream, upstream, or listener, by name | kept; those of a name that left go ten minutes after the last request that knew it, and sooner where more than 256 such are kept |
//! | access log | its target | lines of before are written where they went, those to come to the new target; a file that was moved away is made anew |
//! | history of configs | the gateway | kept; another `[history] dir` begins with it |
//! | DNS answers | name, what it is asked for, and of whom | kept; another `[dns]`, other servers, or others that are trusted, are asked anew, and the old answer serves until then |

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    checks::Checks,
    fallback::FallbackLive,
    gates::Gates,
    lookups::Lookups,
    named::Named,
    roster::Roster,
    services::Shares,
    whole::{ConfigFacts, RouteLive, Snapshot, Target, UpstreamLive},
};
use crate::{
    admission::{FailedKeys, RateLimit, Remembered, RouteNumber},
    config::{
        ActionPlan, EndpointPlan, EndpointSource, FallbackPlan, Files, HealthPlan, Loaded,
        RoutePlan, UpstreamPlan,
    },
    names::{EndpointId, LimitId, RouteName, UpstreamName},
    pool::{Endpoint, Registry, Seat, Seats},
    resolve::StandIn,
    respond::Pages,
    route,
    telemetry::Telemetry,
};

/// The live state that outlives snapshots, by identity. One task owns it.
#[derive(Debug)]
pub struct Ground {
    telemetry: Arc<Telemetry>,
    endpoints: Arc<Registry>,
    gates: Gates,
    limits: HashMap<LimitId, Arc<RateLimit>>,
    failed_keys: HashMap<RouteName, Arc<FailedKeys>>,
    /// How long the requests of each route had; `None`: as long as they want.
    timeouts: HashMap<RouteName, Option<Duration>>,
    lookups: Lookups,
    checks: Checks,
}

// === impl Ground ===

impl Ground {
    /// Nothing yet. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self::begin(telemetry, None)
    }

    /// The same, where `names` answers in the place of name servers.
    #[must_use]
    pub fn where_names_are(names: Arc<dyn StandIn>, telemetry: Arc<Telemetry>) -> Self {
        Self::begin(telemetry, Some(names))
    }

    fn begin(telemetry: Arc<Telemetry>, names: Option<Arc<dyn StandIn>>) -> Self {
        let endpoints = Arc::new(Registry::new());
        Self {
            telemetry,
            lookups: Lookups::new(Arc::clone(&endpoints), names),
            endpoints,
            gates: Gates::default(),
            limits: HashMap::new(),
            failed_keys: HashMap::new(),
            timeouts: HashMap::new(),
            checks: Checks::default(),
        }
    }

    /// Limits begin where they were `ago`, before a restart, wherever the endpoint is the same. To be called before the
    /// first [`Self::adopt`].
    pub fn recall(&mut self, remembered: Vec<Remembered>, ago: Duration, now: Instant) {
        self.gates.recall(remembered, ago, now);
    }

    /// Rings when the answer of a name changed, so that a snapshot with the new addresses is due.
    #[must_use]
    pub fn names_changed(&self) -> Arc<Notify> {
        self.lookups.changed()
    }

    /// The files of the system that say how the names that are followed are resolved.
    #[must_use]
    pub fn system_files(&self) -> BTreeSet<PathBuf> {
        self.lookups.system_files()
    }

    /// The files of the system that say how names are resolved may have changed: where they did, every name is
    /// asked for anew.
    pub fn look_at_system(&self) {
        self.lookups.look_again();
    }

    /// The snapshot of `loaded`, with all live state that it still names.
    ///
    /// Starts and stops the loops (lookups, checks) that the new plan wants; what it no longer names is let go.
    pub fn adopt(&mut self, loaded: &Loaded, config: ConfigFacts, now: Instant) -> Snapshot {
        let trusts = &loaded.files.name_servers;
        self.lookups.follow(&loaded.plan, trusts, &self.telemetry);
        let upstreams: Vec<_> = loaded
            .plan
            .upstreams
            .values()
            .map(|plan| Arc::new(self.upstream(plan, &loaded.files, now)))
            .collect();
        let indices: BTreeMap<&UpstreamName, usize> =
            loaded.plan.upstreams.keys().zip(0..).collect();
        let numbers = number_routes(&loaded.plan.routes, &upstreams);
        self.hurry(&loaded.plan.routes, &upstreams, &numbers);
        let mut limits = HashMap::new();
        let routes: Vec<_> = loaded
            .plan
            .routes
            .iter()
            .map(|plan| self.route(plan, &loaded.files, &indices, &numbers, &mut limits, now))
            .collect();
        self.limits = limits;
        let failed_keys = |route: &RouteLive| {
            let keys = Arc::clone(&route.failed_keys);
            (route.plan.name.clone(), keys)
        };
        self.failed_keys = routes.iter().map(failed_keys).collect();
        self.gates
            .retain(|name| loaded.plan.upstreams.contains_key(name));
        self.checks.reconcile(&upstreams, now);
        let snapshot = Snapshot {
            config,
            table: route::Table::new(&loaded.plan.routes),
            plan: Arc::new(loaded.plan.clone()),
            routes,
            pages: Pages::new(&loaded.plan.errors, &loaded.files),
            certificates: loaded.files.certificates.clone(),
            troubles: loaded.files.troubles.clone(),
            name_servers: loaded.files.name_servers.clone(),
            webhook: loaded.files.webhook.clone(),
            upstreams,
        };
        self.endpoints.retire(&snapshot.endpoints().collect(), now);
        snapshot
    }

    /// Who waits is judged anew where its route gives it less time than before.
    fn hurry(
        &mut self,
        routes: &[Arc<RoutePlan>],
        upstreams: &[Arc<UpstreamLive>],
        numbers: &Numbers,
    ) {
        for plan in routes {
            let shrank = match (self.timeouts.get(&plan.name), plan.timeout) {
                (Some(Some(before)), Some(now)) => (now < *before).then_some(now),
                (Some(None), Some(now)) => Some(now),
                (None, _) | (_, None) => None,
            };
            let Some(timeout) = shrank else { continue };
            for (index, upstream) in upstreams.iter().enumerate() {
                if let Some(number) = numbers.get(&(index, plan.name.clone())) {
                    upstream.gate.hurry(*number, timeout);
                }
            }
        }
        let timeouts = routes.iter().map(|plan| (plan.name.clone(), plan.timeout));
        self.timeouts = timeouts.collect();
    }

    /// Lets go of connections that rested too long and of endpoints that nothing has named for long, and notes what
    /// limits were asked for and came to. To be called every few seconds.
    pub fn sweep(&self, now: Instant) {
        self.endpoints.sweep(now);
        self.gates.sweep(now);
        self.limits.values().for_each(|limit| limit.gather(now));
    }

    /// Compares the endpoints of each upstream by what their traffic showed, and tells of those in panic. To be called
    /// about twice a second.
    pub fn look_at_endpoints(&mut self, now: Instant) {
        self.gates.look(now);
    }

    /// Ends every loop. What is running on connections goes on.
    pub fn stop(&self) {
        self.lookups.stop();
        self.checks.stop();
    }

    fn upstream(&mut self, plan: &Arc<UpstreamPlan>, files: &Files, now: Instant) -> UpstreamLive {
        let handles = self.telemetry.upstream(&plan.name);
        let kept = self.gates.of(plan, files, &handles, now);
        let named = |endpoint: &EndpointPlan| {
            let live = self.lookups.answer(plan, &endpoint.source)?;
            Named::new(&endpoint.source, live)
        };
        let names: Vec<_> = plan.endpoints.iter().map(named).collect();
        let seats = Arc::new(self.seats(plan, &names));
        let before = self.gates.roster(&plan.name);
        let before = before.map(|roster| &**roster.seats());
        seats.join(before, plan.slow_start, now);
        self.endpoints.judge_among(&plan.name, &seats);
        let ids = || seats.as_slice().iter().map(|seat| &seat.endpoint.id);
        let roster = Roster::new(
            Arc::clone(&seats),
            ids().map(|id| kept.gate.lane(id)).collect(),
            plan.balance,
            Arc::clone(&kept.turns),
        );
        let roster = Arc::new(roster.with_ejection(plan.ejection.clone()));
        self.gates.follow(&plan.name, &roster);
        kept.gate.follow(Arc::clone(&roster) as _, &ids().collect());
        UpstreamLive {
            plan: Arc::clone(plan),
            gate: kept.gate,
            budget: kept.budget,
            turns: kept.turns,
            spill: kept.spill,
            connector: kept.connector,
            found: kept.found,
            seats: Arc::clone(&seats),
            roster,
            names: names.into_iter().flatten().collect(),
            handles,
        }
    }

    /// A seat for every address, the first mention winning where one is named twice. `names` stand beside the plan's
    /// endpoints.
    fn seats(&self, plan: &UpstreamPlan, names: &[Option<Named>]) -> Seats {
        let mut seats = BTreeMap::new();
        let mut add = |address: SocketAddr, group, seat: &dyn Fn(Arc<Endpoint>) -> Seat| {
            let id = EndpointId::new(plan.name.clone(), address);
            seats
                .entry(id)
                .or_insert_with_key(|id| seat(self.endpoints.get_or_new(id)).in_group(group));
        };
        for (endpoint, named) in plan.endpoints.iter().zip(names) {
            let (source, weight, group) = (&endpoint.source, endpoint.weight, endpoint.group);
            if let EndpointSource::Address(address) = source {
                add(*address, group, &|endpoint| {
                    Seat::new(endpoint, weight, None)
                });
                continue;
            }
            let Some(named) = named else {
                continue;
            };
            let shares = Shares::of(&named.answer.hosts);
            for host in &*named.answer.hosts {
                match (source, &host.service) {
                    (EndpointSource::Dns { name, port }, _) => {
                        let address = SocketAddr::new(host.address, *port);
                        add(address, group, &|endpoint| {
                            Seat::new(endpoint, weight, Some(&**name))
                        });
                    }
                    (EndpointSource::Srv { name }, Some(service)) => {
                        let weight = shares.weight(service, weight);
                        let address = SocketAddr::new(host.address, service.port);
                        add(address, group, &|endpoint| {
                            Seat::new(endpoint, weight, Some(&*service.target))
                                .of_service(name, service.priority)
                        });
                    }
                    (EndpointSource::Srv { .. } | EndpointSource::Address(_), _) => {}
                }
            }
        }
        let degraded_share = plan.health.as_ref().map(HealthPlan::degraded_share);
        Seats::new(seats.into_values(), plan.panic_threshold, plan.slow_start)
            .with_degraded_share(degraded_share.unwrap_or(1.0))
            .with_groups(&plan.groups, plan.overprovisioning)
    }

    fn route(
        &self,
        plan: &Arc<RoutePlan>,
        files: &Files,
        indices: &BTreeMap<&UpstreamName, usize>,
        numbers: &Numbers,
        limits: &mut HashMap<LimitId, Arc<RateLimit>>,
        now: Instant,
    ) -> RouteLive {
        let handles = |upstream: Option<&UpstreamName>| {
            self.telemetry
                .route(Some(&plan.name), upstream, plan.priority)
        };
        let target = |name: &UpstreamName| {
            let upstream = *indices.get(name)?;
            let route = numbers.get(&(upstream, plan.name.clone()));
            Some(Target {
                upstream,
                route: route.copied().unwrap_or_default(),
                handles: handles(Some(name)),
            })
        };
        let mut targets: Vec<_> = match &plan.action {
            ActionPlan::Forward(split) => split
                .iter()
                .filter_map(|share| target(&share.upstream))
                .collect(),
            ActionPlan::Respond { .. } | ActionPlan::Redirect { .. } => Vec::new(),
        };
        let fallback = FallbackLive::of(plan, files, &self.telemetry, targets.len());
        targets.extend(
            plan.fallback
                .as_ref()
                .and_then(FallbackPlan::upstream)
                .and_then(target),
        );
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
        let failed_keys = self.failed_keys.get(&plan.name).cloned();
        RouteLive {
            limits: rates.collect(),
            failed_keys: failed_keys.unwrap_or_else(|| Arc::new(FailedKeys::new(now))),
            plan: Arc::clone(plan),
            targets,
            fallback,
            handles: handles(None),
        }
    }
}

/// How the gate of an upstream (by its index) numbers a route.
type Numbers = HashMap<(usize, RouteName), RouteNumber>;

/// Has each gate number the routes that use it.
fn number_routes(routes: &[Arc<RoutePlan>], upstreams: &[Arc<UpstreamLive>]) -> Numbers {
    let mut numbers = Numbers::new();
    for (index, upstream) in upstreams.iter().enumerate() {
        let named: Vec<_> = routes
            .iter()
            .filter(|route| may_use(route, &upstream.plan.name))
            .map(|route| {
                // Where it only falls back to, its share does not count.
                let own = forwards_to(route, &upstream.plan.name);
                let share = route.share.filter(|_| own).map(NonZeroU32::get);
                (route.name.clone(), share)
            })
            .collect();
        let given = upstream.gate.routes(&named);
        let keys = named.into_iter().map(|(name, _)| (index, name));
        numbers.extend(keys.zip(given));
    }
    numbers
}

fn may_use(route: &RoutePlan, upstream: &UpstreamName) -> bool {
    let fallback = route.fallback.as_ref().and_then(FallbackPlan::upstream);
    forwards_to(route, upstream) || fallback == Some(upstream)
}

fn forwards_to(route: &RoutePlan, upstream: &UpstreamName) -> bool {
    match &route.action {
        ActionPlan::Forward(split) => split.iter().any(|share| share.upstream == *upstream),
        ActionPlan::Respond { .. } | ActionPlan::Redirect { .. } => false,
    }
}
