//! The views of a running gateway, read from the snapshot in force.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::Instant};

use super::{
    ConfigView, EndpointState, EndpointView, LearnedView, LimitView, ListenerView, NameView,
    PressureView, Readiness, Recommendations, ReloadView, RouteView, Source, StatusView,
    UpstreamView, WrongFileView, advice, groups,
};
use crate::{
    admission::{LaneView, Pressure, RateLimit},
    config::{
        ActionPlan, CertificateFacts, FallbackPlan, HostMatch, PathMatch, RateKey, RoutePlan,
        Trouble,
    },
    health::Checked,
    pool::SeatView,
    reload,
    snapshot::{Snapshot, UpstreamLive},
};

/// What the admin pages show of the gateway in this process.
#[derive(Debug)]
pub struct Live {
    /// What is in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What became of the last file.
    pub reload: reload::Handle,
    /// Whether new work should be sent here.
    pub readiness: watch::Receiver<Readiness>,
    /// The config file; `None` where the config is embedded.
    pub path: Option<PathBuf>,
    /// What this process gives up for its own health.
    pub pressure: Arc<Pressure>,
    /// What is listened on.
    pub doors: Arc<dyn Doors>,
    /// When the process began.
    pub started_at: SystemTime,
}

/// What is listened on, as whoever holds the sockets tells it.
pub trait Doors: std::fmt::Debug + Send + Sync {
    /// The data listeners in force, in the order of the config.
    fn listeners(&self) -> Vec<ListenerView>;
    /// Open connections by the names of listeners, of those that drain too.
    fn connections(&self) -> Vec<(String, usize)>;
}

impl Source for Live {
    fn status(&self) -> StatusView {
        StatusView {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started_at: self.started_at,
            uptime: self.started_at.elapsed().unwrap_or_default(),
            readiness: self.ready(),
            listeners: self.doors.listeners(),
            pressure: pressure(&self.pressure),
        }
    }

    fn upstreams(&self) -> Vec<UpstreamView> {
        self.snapshot
            .load()
            .upstreams
            .iter()
            .map(|live| upstream(live))
            .collect()
    }

    fn limits(&self) -> Vec<LimitView> {
        let snapshot = self.snapshot.load();
        let routes = snapshot.routes.iter();
        routes
            .flat_map(|route| {
                route
                    .limits
                    .iter()
                    .map(|live| limit(route.plan.name.as_str(), live))
            })
            .collect()
    }

    fn routes(&self) -> Vec<RouteView> {
        self.snapshot
            .load()
            .routes
            .iter()
            .map(|live| route(&live.plan))
            .collect()
    }

    fn config(&self) -> ConfigView {
        let status = self.reload.status();
        let snapshot = self.snapshot.load();
        let config = snapshot.config.clone();
        ConfigView {
            path: self
                .path
                .as_ref()
                .map_or("embedded".into(), |path| path.display().to_string()),
            hash: config.hash.to_string(),
            revision: config.revision,
            applied_at: config.applied_at,
            last_reload: status.last.map(|last| ReloadView {
                at: last.at,
                error: last.verdict.errors(),
                line: last.verdict.error_line(),
                result: last.verdict.result(),
            }),
            wrong_files: snapshot.troubles.iter().map(wrong_file).collect(),
        }
    }

    fn recommendations(&self) -> Recommendations {
        let snapshot = self.snapshot.load_full();
        advice::of(&snapshot, Instant::now())
    }

    fn connections(&self) -> Vec<(String, usize)> {
        self.doors.connections()
    }

    fn certificates(&self) -> Vec<CertificateFacts> {
        self.snapshot.load().certificates.clone()
    }

    fn ready(&self) -> Readiness {
        *self.readiness.borrow()
    }
}

fn pressure(pressure: &Pressure) -> PressureView {
    let known = pressure.readings();
    let signals = known
        .known()
        .map(|(signal, value)| (signal.as_str(), value));
    PressureView {
        level: pressure.level().number(),
        enforced: pressure.enforced().number(),
        words: pressure.enforced().as_str(),
        signals: signals.collect(),
    }
}

fn upstream(live: &UpstreamLive) -> UpstreamView {
    let gate = live.gate.view();
    let groups = groups::views(live);
    let seats = live.seats.views(Instant::now());
    UpstreamView {
        name: live.plan.name.to_string(),
        limit: gate.limit,
        in_flight: gate.in_flight,
        waiting: gate.waiting,
        max_waiting: live.plan.concurrency.queue.max_waiting,
        panic: live.seats.is_in_panic(Instant::now()),
        names: names(live),
        endpoints: seats
            .iter()
            .enumerate()
            .map(|(index, seat)| EndpointView {
                group: groups::name(&groups, seat.group),
                ..endpoint(seat, live, index)
            })
            .collect(),
        groups,
    }
}

/// Each name once, though endpoints may come from it at several ports.
fn names(live: &UpstreamLive) -> Vec<NameView> {
    let mut views: Vec<NameView> = Vec::new();
    for named in &live.names {
        let same = |view: &NameView| view.name == *named.name && view.services == named.services;
        if views.iter().any(same) {
            continue;
        }
        let now = named.view(Instant::now());
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        views.push(NameView {
            name: named.name.to_string(),
            services: named.services,
            addresses: now.addresses,
            doubted: now.doubted,
            stale: now.stale,
            stale_seconds: seconds(now.stale_for),
            stale_left_seconds: seconds(now.stale_left),
            unchanged_seconds: seconds(now.unchanged_for),
            next_lookup_seconds: seconds(now.next_lookup_in),
            in_force: now.in_force,
            why: now.why,
        });
    }
    views
}

fn endpoint(seat: &SeatView, live: &UpstreamLive, index: usize) -> EndpointView {
    let lane = live.roster.lane(index).map(|lane| lane.view());
    EndpointView {
        address: seat.id.address,
        group: String::new(),
        weight: seat.weight.get(),
        priority: seat.priority,
        state: state_of(seat),
        sentence: seat.sentence(&live.plan, SystemTime::now()),
        healthy: seat.health.checked != Checked::Down,
        degraded: seat.health.degraded,
        ejected: seat.health.ejected_for.is_some(),
        limit: lane.as_ref().and_then(|lane| lane.limit),
        in_flight: seat.in_flight,
        keep_alive_ms: seat.keep_alive.map(millis),
        learned: lane.and_then(|lane| learned(&lane, live)),
        certificate_ends: live
            .seats
            .get(index)
            .and_then(|seat| seat.endpoint.certificate_ends()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the law of an endpoint believes; `None` where none is followed.
fn learned(lane: &LaneView, live: &UpstreamLive) -> Option<LearnedView> {
    lane.limit?;
    let names = live.gate.route_names();
    let baselines = lane
        .beliefs
        .baselines
        .iter()
        .filter_map(|(number, seconds)| {
            let name = names.iter().find(|(of, _)| of == number)?.1.to_string();
            Some((name, *seconds))
        });
    Some(LearnedView {
        permits: lane.in_flight,
        probes: lane.probes,
        capacity: lane.beliefs.capacity,
        slowness: lane.beliefs.slowness,
        shared: lane.beliefs.shared,
        baselines: baselines.collect(),
    })
}

fn wrong_file(trouble: &Trouble) -> WrongFileView {
    WrongFileView {
        file: trouble.file.display().to_string(),
        since: trouble.since,
        why: trouble.why.clone(),
    }
}

fn state_of(seat: &SeatView) -> EndpointState {
    let health = &seat.health;
    if health.ejected_for.is_some() {
        EndpointState::Ejected
    } else if health.checked == Checked::Down {
        EndpointState::Down
    } else if health.on_trial {
        EndpointState::Trial
    } else if seat.share < 1.0 {
        EndpointState::Warming
    } else {
        EndpointState::In
    }
}

fn limit(route: &str, live: &RateLimit) -> LimitView {
    let view = live.view(Instant::now());
    LimitView {
        route: route.to_owned(),
        name: view.name.to_string(),
        count: view.count.get(),
        per: view.per,
        burst: view.burst.get(),
        key: match &live.plan().key {
            RateKey::None => "none".into(),
            RateKey::ClientIp => "client_ip".into(),
            RateKey::Header(name) => format!("header:{name}"),
        },
        fill: view.fill,
        keys: view.keys,
        max_keys: view.max_keys,
        shadow: view.shadow,
    }
}

fn route(plan: &RoutePlan) -> RouteView {
    let host = |host: &HostMatch| match host {
        HostMatch::Exact(name) => name.to_string(),
        HostMatch::Wildcard(name) => format!("*.{name}"),
    };
    let hosts: Vec<_> = plan.matcher.hosts.iter().map(host).collect();
    let path = match &plan.matcher.path {
        PathMatch::Exact(path) => path.to_string(),
        PathMatch::Prefix(path) => format!("{path}/*"),
    };
    let methods: Vec<_> = plan
        .matcher
        .methods
        .iter()
        .map(ToString::to_string)
        .collect();
    let upstreams: Vec<_> = match &plan.action {
        ActionPlan::Forward(split) => split
            .iter()
            .map(|share| share.upstream.to_string())
            .collect(),
        ActionPlan::Respond { .. } | ActionPlan::Redirect { .. } => Vec::new(),
    };
    RouteView {
        name: plan.name.to_string(),
        matches: format!("{} {}{path}", methods.join(","), hosts.join(","))
            .trim()
            .to_owned(),
        action: match &plan.action {
            ActionPlan::Forward(_) => format!("forward to {}", upstreams.join(", ")),
            ActionPlan::Respond { status, .. } => format!("respond {}", status.as_u16()),
            ActionPlan::Redirect { status, to } => format!("redirect {} to {to}", status.as_u16()),
        },
        fallback: plan.fallback.as_ref().map(fallback),
        upstreams,
        priority: plan.priority,
        limits: plan
            .rate_limits
            .iter()
            .map(|limit| limit.name.to_string())
            .collect(),
    }
}

fn fallback(plan: &FallbackPlan) -> String {
    match plan {
        FallbackPlan::Upstream(name) => format!("forward to {name}"),
        FallbackPlan::File { path, status, .. } => {
            format!("respond {} with {}", status.as_u16(), path.display())
        }
        FallbackPlan::Respond { status, .. } => format!("respond {}", status.as_u16()),
    }
}
