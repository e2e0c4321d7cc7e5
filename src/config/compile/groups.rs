//! `endpoints` and `[[upstreams.NAME.groups]]`: where the servers of an upstream are.

use std::collections::BTreeMap;

use crate::config::{
    EndpointPlan, EndpointSource,
    fields::upstream as keys,
    problem::{Code, Problem, Span},
    row::Row,
    shape::Nested,
};

/// The endpoints of an upstream, group by group.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    pub(super) plans: Vec<EndpointPlan>,
    /// Where each of them stands.
    pub(super) places: Vec<Span>,
    /// The names of the groups.
    pub(super) groups: Vec<Box<str>>,
    seen: BTreeMap<EndpointSource, Span>,
}

/// `endpoints` of the upstream itself, then its `groups`.
pub(super) fn endpoints(row: &Row<'_>) -> Endpoints {
    let mut all = Endpoints::default();
    let groups = row.tables(&keys::GROUPS);
    if row.has("endpoints") || groups.is_empty() {
        all.add(row, &keys::ENDPOINTS, "1".into());
    }
    let mut names: BTreeMap<Box<str>, Span> = BTreeMap::new();
    for group in &groups {
        let number = all.groups.len().saturating_add(1).to_string();
        let given = group.get(&keys::GROUP_NAME);
        let at = given.as_ref().map_or(group.at, |name| name.at);
        let name: Box<str> = given.map_or(number, |name| name.it.0).into();
        let first = all.groups.iter().position(|known| *known == name);
        if let Some(first) = names.insert(name.clone(), at) {
            row.problems()
                .add(taken(&name, at).and(first, "taken here"));
        } else if first.is_some() {
            let help = "`endpoints` of the upstream are the group `1`";
            row.problems().add(taken(&name, at).help(help));
        }
        all.add(group, &keys::GROUP_ENDPOINTS, name);
    }
    all
}

fn taken(name: &str, at: Span) -> Problem {
    let message = format!("two groups are named `{name}`");
    Problem::error(Code::Name, at, message, "the name is taken")
}

// === impl Endpoints ===

impl Endpoints {
    /// The endpoints that `row` lists, as a group named `name`.
    fn add(&mut self, row: &Row<'_>, listed: &'static Nested, name: Box<str>) {
        let group = self.groups.len();
        self.groups.push(name);
        for row in row.tables(listed) {
            let weight = row.value(&keys::WEIGHT);
            let Some((source, at)) = source(&row) else {
                continue;
            };
            if let Some(first) = self.seen.insert(source.clone(), at) {
                row.problems().add(twice(at, first));
            }
            self.places.push(at);
            self.plans.push(EndpointPlan {
                source,
                weight,
                group,
            });
        }
    }
}

fn source(row: &Row<'_>) -> Option<(EndpointSource, Span)> {
    let address = row.get(&keys::ADDRESS);
    let dns = row.get(&keys::DNS);
    let srv = row.get(&keys::SRV);
    let address = address.map(|at| at.map(|address| EndpointSource::Address(address.0)));
    let name = dns.map(|at| {
        at.map(|dns| EndpointSource::Dns {
            name: dns.name,
            port: dns.port,
        })
    });
    let service = srv.map(|at| at.map(|service| EndpointSource::Srv { name: service.0 }));
    let source = address.or(name).or(service)?;
    Some((source.it, source.at))
}

fn twice(at: Span, first: Span) -> Problem {
    Problem::error(
        Code::Conflict,
        at,
        "this endpoint is given twice",
        "given again here",
    )
    .and(first, "first given here")
    .help("for a larger share give it a `weight`")
}
