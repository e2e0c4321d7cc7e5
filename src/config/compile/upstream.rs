//! `[upstreams.NAME]` and what is below it.

use super::{
    Folder, NamedPair, NamedRoots, NamedTrust, concurrency, groups, health,
    listener::{certificate_plan, pair},
    process::{name_servers, ordered},
};
use crate::{
    config::{
        EjectionPlan, LatencyPlan, SuccessRatePlan, UpstreamPlan, UpstreamTlsPlan,
        fields::{self, upstream as keys},
        problem::{At, Code, Problem, Span},
        row::Row,
        value::{FilePath, FromText, Identity, Wrong},
    },
    names::UpstreamName,
};

/// An upstream, and the places that conflicts point at.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) plan: UpstreamPlan,
    pub(super) name_at: Span,
    /// Where each of the plan's endpoints stands.
    pub(super) endpoints_at: Vec<Span>,
    /// Whether the file says where its limit comes from.
    pub(super) has_mode: bool,
    /// Where `max_wait` stands.
    pub(super) max_wait_at: Option<Span>,
    /// What its own name servers need where any is asked over TLS.
    pub(super) name_servers: Option<NamedTrust>,
    tls: Option<Tls>,
}

/// The `tls` table.
#[derive(Debug)]
struct Tls {
    plan: UpstreamTlsPlan,
    at: Span,
    ca: Option<At<std::path::PathBuf>>,
    client: Option<NamedPair>,
}

pub(super) fn all(root: &Row<'_>, folder: Folder<'_>) -> Vec<Upstream> {
    root.named(&fields::UPSTREAMS)
        .into_iter()
        .map(|(name, row)| {
            if let Err(wrong) = Identity::from_text(name.it) {
                root.problems().add(bad_name(name, wrong));
            }
            one(&row, name, folder)
        })
        .collect()
}

fn bad_name(name: At<&str>, wrong: Wrong) -> Problem {
    let message = format!("`{}` cannot name an upstream", name.it);
    Problem::error(Code::Malformed, name.at, message, wrong.because)
}

fn one(row: &Row<'_>, name: At<&str>, folder: Folder<'_>) -> Upstream {
    let groups::Endpoints {
        plans: endpoints,
        places: endpoints_at,
        groups,
        ..
    } = groups::endpoints(row);
    let limit = row.table_or_empty(&keys::CONCURRENCY);
    let (concurrency, max_wait_at) = concurrency::compile(&limit);
    let tls = row.table(&keys::TLS).map(|tls| self::tls(&tls, folder));
    let own_servers = |dns: Row<'_>| name_servers(&dns, dns.get(&keys::SERVERS), folder);
    let dns = row.table(&keys::NAME_SERVERS);
    let (name_servers, trust) = dns.map(own_servers).unwrap_or_default();
    let protocol = row.value(&keys::PROTOCOL);
    let health = row.table(&keys::HEALTH);
    let plan = UpstreamPlan {
        name: UpstreamName::from(name.it),
        endpoints,
        groups,
        overprovisioning: row.value(&keys::OVERPROVISIONING),
        name_servers,
        protocol,
        balance: row.value(&keys::BALANCE),
        connect_timeout: row.value(&keys::CONNECT_TIMEOUT),
        first_byte_timeout: row.value(&keys::FIRST_BYTE_TIMEOUT),
        idle_timeout: row.value(&keys::IDLE_TIMEOUT),
        host: row.value(&keys::HOST),
        panic_threshold: row.value(&keys::PANIC_THRESHOLD),
        tls: tls.as_ref().map(|tls| tls.plan.clone()),
        health: health.map(|health| health::compile(&health, protocol)),
        ejection: ejection(&row.table_or_empty(&keys::EJECTION)),
        concurrency,
        slow_start: row.value(&keys::SLOW_START),
        max_connection_age: row.value(&keys::MAX_CONNECTION_AGE),
    };
    Upstream {
        plan,
        name_at: name.at,
        endpoints_at,
        has_mode: limit.has("mode"),
        max_wait_at,
        name_servers: trust,
        tls,
    }
}

fn tls(row: &Row<'_>, folder: Folder<'_>) -> Tls {
    let ca = row
        .get(&keys::CA)
        .map(|file: At<FilePath>| folder.path(file));
    let client = row.table(&keys::CLIENT).and_then(|row| pair(&row, folder));
    Tls {
        plan: UpstreamTlsPlan {
            server_name: row.get(&keys::SERVER_NAME).map(|name| name.it.0),
            ca: ca.clone().map(|ca| ca.it),
            client: client.as_ref().map(certificate_plan),
        },
        at: row.at,
        ca,
        client,
    }
}

fn ejection(row: &Row<'_>) -> Option<EjectionPlan> {
    let (base_time, base_at) = row.placed(&keys::BASE_TIME);
    let (max_time, max_at) = row.placed(&keys::MAX_TIME);
    ordered(
        row,
        ("base_time", base_time, base_at),
        ("max_time", max_time, max_at),
    );
    let consecutive_failures = row.value(&keys::CONSECUTIVE_FAILURES);
    let local = row.get(&keys::CONSECUTIVE_LOCAL_FAILURES);
    let plan = EjectionPlan {
        consecutive_failures,
        consecutive_local_failures: local.map_or(consecutive_failures, |local| local.it),
        interval: row.value(&keys::COMPARED_EACH),
        success_rate: success_rate(&row.table_or_empty(&keys::SUCCESS_RATE)),
        latency: row.table(&keys::LATENCY).and_then(|row| latency(&row)),
        base_time,
        max_time,
    };
    row.value(&keys::ENABLED).then_some(plan)
}

fn success_rate(row: &Row<'_>) -> Option<SuccessRatePlan> {
    let plan = SuccessRatePlan {
        minimum_requests: row.value(&keys::SUCCESS_RATE_REQUESTS),
        margin: row.value(&keys::FAILURE_MARGIN),
    };
    row.value(&keys::SUCCESS_RATE_ENABLED).then_some(plan)
}

fn latency(row: &Row<'_>) -> Option<LatencyPlan> {
    let plan = LatencyPlan {
        minimum_requests: row.value(&keys::LATENCY_REQUESTS),
        factor: row.value(&keys::LATENCY_FACTOR),
        margin: row.value(&keys::LATENCY_MARGIN),
    };
    row.value(&keys::LATENCY_ENABLED).then_some(plan)
}

// === impl Upstream ===

impl Upstream {
    /// What its TLS needs to be loaded.
    pub(super) fn roots(&self) -> Option<NamedRoots> {
        self.tls.as_ref().map(|tls| NamedRoots {
            upstream: self.plan.name.clone(),
            protocol: self.plan.protocol,
            at: tls.at,
            ca: tls.ca.clone(),
            client: tls.client.clone(),
        })
    }
}
