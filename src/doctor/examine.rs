//! The whole examination: names first, then every address, side by side and within bounds; the machine last.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    stream::{self, StreamExt},
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    Visit,
    endpoint::Endpoint,
    judge, kernel, names,
    report::{Code, Finding, Mark, Report, Section, Stage},
};
use crate::{
    config::{CheckPlan, EndpointSource, HealthPlan, HttpCheckPlan, UpstreamPlan},
    names::EndpointId,
    pool::{Registry, Seat},
    resolve::{Host, Records},
    upstream::Steps,
};

/// How many names or addresses are looked at at a time.
const AT_A_TIME: usize = 8;
/// Addresses of one upstream beyond these are not looked at.
const MOST_ADDRESSES: usize = 64;
/// How long an answer may take where no check says it.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// How long a whole examination may take.
pub const WITHIN: Duration = Duration::from_secs(90);
/// The longest that a connection is left alone.
pub const MOST_IDLE: Duration = Duration::from_secs(60);

/// How far an examination may go.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// For how long a connection is left alone, to see whether the endpoint closes it; zero: it is not.
    pub idle: Duration,
    /// When all is over. What was not reached by then is told.
    pub until: Instant,
    /// Whose limits the machine's are compared with, in words; `None`: the machine is left out.
    pub machine: Option<&'static str>,
}

/// How many steps are done, of how many that are known so far.
pub type Progress = watch::Sender<Asked>;

/// How far an examination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Names and addresses that were looked at.
    pub done: usize,
    /// Those that are known so far.
    pub of: usize,
}

/// Goes to all that `visit` means.
///
/// # Cancel safety
/// Dropping the future closes its connections; nothing that traffic uses was touched.
pub async fn examine(visit: &Visit, bounds: &Bounds, progress: &Progress) -> Report {
    let began = Instant::now();
    let mut sections = visit.found.clone();
    let registry = Registry::new();
    let asked = visit.upstreams.iter();
    let asked: Vec<_> = asked
        .map(|upstream| members(visit, upstream, bounds, progress).boxed())
        .collect();
    let members: Vec<Members> = stream::iter(asked).buffered(AT_A_TIME).collect().await;
    let upstreams: Vec<Patient<'_>> = visit
        .upstreams
        .iter()
        .zip(members)
        .map(|(upstream, members)| Patient {
            upstream,
            seats: seats(upstream, &members, &registry),
            members,
            check: check(upstream, visit),
        })
        .collect();
    let mut roads = Vec::new();
    for patient in &upstreams {
        let of_patient = patient.seats.iter();
        roads.extend(of_patient.map(|seat| road(visit, patient, seat, bounds, progress).boxed()));
    }
    progress.send_modify(|asked| asked.of += roads.len());
    let roads: Vec<Vec<Finding>> = stream::iter(roads).buffered(AT_A_TIME).collect().await;
    let mut roads = roads.into_iter();
    for patient in upstreams {
        sections.extend(patient.members.sections);
        let seats = patient.seats.iter();
        let addresses = seats.map(|seat| seat.endpoint.id.address);
        sections.extend(
            addresses
                .zip(&mut roads)
                .map(|(address, findings)| Section {
                    upstream: Some(patient.upstream.name.to_string()),
                    about: address.to_string(),
                    findings,
                }),
        );
    }
    sections.extend(machine(visit, bounds).await);
    Report::new(visit.target.clone(), began.elapsed(), sections)
}

/// An upstream, and what is asked of its endpoints.
#[derive(Debug)]
struct Patient<'a> {
    upstream: &'a Arc<UpstreamPlan>,
    members: Members,
    /// Of the members, in their order.
    seats: Vec<Seat>,
    check: HealthPlan,
}

/// The addresses of an upstream, each with the name that it goes by, and what was found of names.
#[derive(Debug, Default)]
struct Members {
    sections: Vec<Section>,
    addresses: BTreeMap<SocketAddr, Member>,
}

/// How an address came to be a member.
#[derive(Debug)]
enum Member {
    Address,
    Named(Box<str>),
    Service { service: Box<str>, target: Arc<str> },
}

async fn members(
    visit: &Visit,
    upstream: &UpstreamPlan,
    bounds: &Bounds,
    progress: &Progress,
) -> Members {
    let mut members = Members::default();
    let resolver = visit.practice.resolver(upstream);
    let allow = &visit.practice.plan.dns.allow_addresses;
    for endpoint in &upstream.endpoints {
        let (name, records) = match &endpoint.source {
            EndpointSource::Address(address) => {
                members.addresses.entry(*address).or_insert(Member::Address);
                continue;
            }
            EndpointSource::Dns { name, .. } => (name, Records::Addresses),
            EndpointSource::Srv { name } => (name, Records::Services),
        };
        progress.send_modify(|asked| asked.of += 1);
        let asked = names::ask(&resolver, name, records, allow);
        let asked = timeout_at(bounds.until, asked).await;
        let (findings, hosts) =
            asked.unwrap_or_else(|_| (vec![no_time(Stage::Resolve)], Vec::new()));
        progress.send_modify(|asked| asked.done += 1);
        members.sections.push(Section {
            upstream: Some(upstream.name.to_string()),
            about: name.to_string(),
            findings,
        });
        for host in hosts {
            members.add(&endpoint.source, host);
        }
    }
    members.cap(upstream);
    members
}

// === impl Members ===

impl Members {
    fn add(&mut self, source: &EndpointSource, host: Host) {
        let (port, member) = match (source, host.service) {
            (EndpointSource::Dns { name, port }, _) => (*port, Member::Named(name.clone())),
            (EndpointSource::Srv { name }, Some(service)) => (
                service.port,
                Member::Service {
                    service: name.clone(),
                    target: service.target,
                },
            ),
            (EndpointSource::Srv { .. } | EndpointSource::Address(_), _) => return,
        };
        let address = SocketAddr::new(host.address, port);
        self.addresses.entry(address).or_insert(member);
    }

    /// Leaves out what is too many, and says so.
    fn cap(&mut self, upstream: &UpstreamPlan) {
        let Some(beyond) = self.addresses.keys().nth(MOST_ADDRESSES).copied() else {
            return;
        };
        let left_out = self.addresses.split_off(&beyond).len();
        let says =
            format!("{left_out} of its addresses are not looked at: {MOST_ADDRESSES} are enough");
        self.sections.push(Section {
            upstream: Some(upstream.name.to_string()),
            about: upstream.name.to_string(),
            findings: vec![Finding::new(
                Stage::Resolve,
                Mark::Skipped,
                Code::TooMany,
                says,
            )],
        });
    }
}

/// Seats of their own: neither connections nor health are shared with traffic.
fn seats(upstream: &UpstreamPlan, members: &Members, registry: &Registry) -> Vec<Seat> {
    let seat = |(address, member): (&SocketAddr, &Member)| {
        let id = EndpointId::new(upstream.name.clone(), *address);
        let endpoint = registry.get_or_new(&id);
        match member {
            Member::Address => Seat::new(endpoint, NonZeroU32::MIN, None),
            Member::Named(name) => Seat::new(endpoint, NonZeroU32::MIN, Some(name)),
            Member::Service { service, target } => {
                Seat::new(endpoint, NonZeroU32::MIN, Some(target)).of_service(service, 0)
            }
        }
    };
    members.addresses.iter().map(seat).collect()
}

/// What is asked of an upstream's endpoints.
fn check(upstream: &UpstreamPlan, visit: &Visit) -> HealthPlan {
    let of = |check| HealthPlan {
        check,
        port: None,
        interval: LOOK_WITHIN,
        fast_interval: LOOK_WITHIN,
        timeout: upstream.first_byte_timeout.min(LOOK_WITHIN),
        unhealthy_after: NonZeroU32::MIN,
        healthy_after: NonZeroU32::MIN,
        degraded: None,
    };
    match (&visit.path, &upstream.health) {
        (Some(path), _) => of(CheckPlan::Http(HttpCheckPlan {
            path: path.clone(),
            ..HttpCheckPlan::of_root()
        })),
        (None, Some(plan)) => plan.clone(),
        (None, None) => of(CheckPlan::Connect),
    }
}

async fn road(
    visit: &Visit,
    patient: &Patient<'_>,
    seat: &Seat,
    bounds: &Bounds,
    progress: &Progress,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(connector) = visit.practice.connector(&patient.upstream.name) {
        let check = &patient.check;
        let endpoint = Endpoint {
            address: seat.endpoint.id.address,
            steps: Steps::new(Arc::clone(connector), seat.clone(), check.clone()),
            upstream: patient.upstream,
            check,
            idle: bounds.idle,
        };
        let visited = timeout_at(bounds.until, endpoint.visit(&mut found)).await;
        if visited.is_err() {
            found.push(no_time(Stage::Http));
        }
    }
    progress.send_modify(|asked| asked.done += 1);
    found
}

fn no_time(stage: Stage) -> Finding {
    Finding::new(
        stage,
        Mark::Skipped,
        Code::NoTime,
        "there was no time left for it",
    )
}

async fn machine(visit: &Visit, bounds: &Bounds) -> Option<Section> {
    let process = bounds.machine?;
    let plan = Arc::clone(&visit.practice.plan);
    let read = spawn_blocking(move || kernel::read(process, &plan)).await;
    Some(Section {
        upstream: None,
        about: "machine".to_owned(),
        findings: judge::machine(&read.unwrap_or_default()),
    })
}
