//! What no section can see alone: sockets, waits, loops, and routes that nothing tells apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use super::{listener::Listener, process::Admin, route::Route, upstream::Upstream};
use crate::{
    config::{
        ActionPlan, ConcurrencyMode, EndpointSource, HostMatch, MatchPlan, PathMatch,
        problem::{Code, Problem, Problems, Span},
        row::Row,
        value::time_text,
    },
    names::UpstreamName,
};

/// Two sockets that want the same port.
pub(super) fn binds(root: &Row<'_>, admin: &Admin, listeners: &[Listener]) {
    let mut taken: BTreeMap<u16, Vec<(SocketAddr, Span)>> = BTreeMap::new();
    for listener in listeners {
        let (bind, at) = (listener.plan.bind, listener.bind_at);
        if bind.port() == 0 {
            continue;
        }
        let same_port = taken.entry(bind.port()).or_default();
        if let Some((_, first)) = same_port.iter().find(|(other, _)| collide(bind, *other)) {
            root.problems().add(
                Problem::error(
                    Code::SameBind,
                    at,
                    "two listeners on one address",
                    "the address is taken",
                )
                .and(*first, "taken here"),
            );
        }
        same_port.push((bind, at));
    }
    let bind = admin.plan.bind;
    let same_port = taken
        .get(&bind.port())
        .map(Vec::as_slice)
        .unwrap_or_default();
    for (_, at) in same_port.iter().filter(|(other, _)| collide(bind, *other)) {
        let problem = Problem::error(
            Code::SameBind,
            *at,
            "the admin listener wants the same address",
            "the address is taken",
        );
        root.problems().add(match admin.bind_at {
            Some(admin) => problem.and(admin, "taken here"),
            None => problem.help(format!(
                "[admin] binds to {bind} where the file says nothing"
            )),
        });
    }
}

/// Whether one of the two sockets could not be bound beside the other.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same_family = one.is_ipv4() == other.is_ipv4();
    one.port() == other.port() && (one.ip() == other.ip() || (any && same_family))
}

/// A route whose upstream is one of the gateway's own listeners.
pub(super) fn loops(
    listeners: &[Listener],
    upstreams: &[Upstream],
    routes: &[Route],
    problems: &Problems,
) {
    let used: BTreeSet<&UpstreamName> = forwards(routes).map(|(name, _)| name).collect();
    for upstream in upstreams
        .iter()
        .filter(|upstream| used.contains(&upstream.plan.name))
    {
        for (endpoint, at) in upstream.plan.endpoints.iter().zip(&upstream.endpoints_at) {
            let EndpointSource::Address(address) = endpoint.source else {
                continue;
            };
            let own = listeners
                .iter()
                .find(|listener| reaches(address, listener.plan.bind));
            if let Some(listener) = own {
                problems.add(
                    Problem::warning(
                        Code::Dangerous,
                        *at,
                        "this endpoint is a listener of the gateway's own: requests go in circles",
                        "leads back here",
                    )
                    .and(listener.bind_at, "the listener"),
                );
            }
        }
    }
}

fn reaches(address: SocketAddr, bind: SocketAddr) -> bool {
    let local = bind.ip().is_unspecified() && address.ip().is_loopback();
    address.port() == bind.port() && (address.ip() == bind.ip() || local)
}

/// A wait for a place that is longer than the whole request may take.
pub(super) fn waits(upstreams: &[Upstream], routes: &[Route], problems: &Problems) {
    let by_name: BTreeMap<&UpstreamName, &Upstream> = upstreams
        .iter()
        .map(|upstream| (&upstream.plan.name, upstream))
        .collect();
    let mut told: BTreeSet<&UpstreamName> = BTreeSet::new();
    for route in routes {
        let Some(timeout) = route.plan.timeout else {
            continue;
        };
        for (name, at) in route.forwards_at.iter().chain(&route.falls_to) {
            let Some(upstream) = by_name.get(name) else {
                continue;
            };
            let max_wait = upstream.plan.concurrency.queue.max_wait;
            let asked = upstream.max_wait_at.is_some();
            if max_wait <= timeout || !(asked || waited_for(upstream)) || !told.insert(name) {
                continue;
            }
            problems.add(too_long(upstream, max_wait, route, timeout, *at));
        }
    }
}

/// Whether the file itself lets requests wait for a place. What nobody typed is not held against a route: its
/// requests then wait until its timeout at most.
fn waited_for(upstream: &Upstream) -> bool {
    let limit = upstream.plan.concurrency;
    upstream.has_mode
        && limit.mode != ConcurrencyMode::Off
        && limit.queue.max_waiting > 0
        && !limit.shadow
}

fn too_long(
    upstream: &Upstream,
    max_wait: Duration,
    route: &Route,
    timeout: Duration,
    forward_at: Span,
) -> Problem {
    let name = &route.plan.name;
    let Some(at) = upstream.max_wait_at else {
        return Problem::error(
            Code::Conflict,
            route.timeout_at.unwrap_or(forward_at),
            format!(
                "a request may wait for a place of `{}` longer than this",
                upstream.plan.name
            ),
            format!("at least \"{}\"", time_text(max_wait)),
        )
        .help(format!(
            "or give queue = {{ max_wait = \"{}\" }} in [upstreams.{}.concurrency]",
            time_text(timeout),
            upstream.plan.name
        ));
    };
    let problem = Problem::error(
        Code::Conflict,
        at,
        format!(
            "`max_wait` is longer than the timeout of route `{name}`, which uses this upstream"
        ),
        format!("at most \"{}\"", time_text(timeout)),
    );
    match route.timeout_at {
        Some(timeout_at) => problem.and(timeout_at, "the route gives up here"),
        None => problem
            .and(forward_at, "the route uses it here")
            .help(format!(
                "the timeout of a route is \"{}\" where it is left out",
                time_text(timeout)
            )),
    }
}

/// Routes with the same conditions: nothing says which of them takes a request.
pub(super) fn equal_routes(routes: &[Route], problems: &Problems) {
    let mut by_path: BTreeMap<(&PathMatch, Option<&HostMatch>), Vec<&Route>> = BTreeMap::new();
    for route in routes.iter().filter(|route| route.sound) {
        let matcher = &route.plan.matcher;
        let mut equal = None;
        for host in hosts(matcher) {
            let others = by_path.entry((&matcher.path, host)).or_default();
            equal = equal.or(others
                .iter()
                .copied()
                .find(|other| same(matcher, &other.plan.matcher)));
            others.push(route);
        }
        if let Some(first) = equal {
            problems.add(
                Problem::error(
                    Code::EqualRoutes,
                    route.at,
                    format!(
                        "routes `{}` and `{}` take the same requests",
                        first.plan.name, route.plan.name
                    ),
                    "nothing tells them apart",
                )
                .and(first.at, format!("route `{}`", first.plan.name))
                .help("the order in the file means nothing: give one of them another condition"),
            );
        }
    }
}

fn hosts(matcher: &MatchPlan) -> Vec<Option<&HostMatch>> {
    if matcher.hosts.is_empty() {
        vec![None]
    } else {
        matcher.hosts.iter().map(Some).collect()
    }
}

/// Whether two routes of one path and host have the same other conditions.
fn same(one: &MatchPlan, other: &MatchPlan) -> bool {
    let methods = one
        .methods
        .iter()
        .any(|method| other.methods.contains(method))
        || (one.methods.is_empty() && other.methods.is_empty());
    let headers = one.headers.len() == other.headers.len()
        && one
            .headers
            .iter()
            .all(|header| other.headers.contains(header));
    let query = one.query.len() == other.query.len()
        && one.query.iter().all(|param| other.query.contains(param));
    methods && headers && query
}

/// Upstreams that no route uses, or no routes at all.
pub(super) fn unused(upstreams: &[Upstream], routes: &[Route], problems: &Problems) {
    if routes.is_empty() {
        problems.add(Problem::whole_warning(
            Code::Doubtful,
            "the file has no routes: every request is answered with 404",
        ));
    }
    let used: BTreeSet<&UpstreamName> = forwards(routes).map(|(name, _)| name).collect();
    for upstream in upstreams
        .iter()
        .filter(|upstream| !used.contains(&upstream.plan.name))
    {
        problems.add(Problem::warning(
            Code::Doubtful,
            upstream.name_at,
            format!("no route uses upstream `{}`", upstream.plan.name),
            "",
        ));
    }
}

/// Each upstream that a route forwards or falls back to, and where.
fn forwards(routes: &[Route]) -> impl Iterator<Item = (&UpstreamName, Span)> {
    routes
        .iter()
        .filter(|route| matches!(route.plan.action, ActionPlan::Forward(_)))
        .flat_map(|route| route.forwards_at.iter().chain(&route.falls_to))
        .map(|(name, at)| (name, *at))
}
