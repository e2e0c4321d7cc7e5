//! What a route takes: hosts, path, methods, headers, query.

use std::collections::BTreeMap;

use http::Method;

use crate::config::{
    HeaderMatch, HostMatch, MatchPlan, PathMatch, QueryMatch,
    fields::route as keys,
    problem::{At, Code, Problem, Problems, Span},
    row::Row,
};

/// The conditions of a route.
pub(super) fn compile(row: &Row<'_>) -> MatchPlan {
    let exact = row.get(&keys::PATH);
    let prefix = row.get(&keys::PATH_PREFIX);
    let path = match (exact, prefix) {
        (Some(path), _) => PathMatch::Exact(path.it.into_exact()),
        (None, Some(path)) => PathMatch::Prefix(path.it.into_prefix()),
        (None, None) => PathMatch::default(),
    };
    MatchPlan {
        hosts: hosts(row),
        path,
        methods: methods(row),
        headers: headers(row),
        query: query(row),
    }
}

fn hosts(row: &Row<'_>) -> Vec<HostMatch> {
    let hosts = row
        .get(&keys::HOSTS)
        .map(|list| list.it)
        .unwrap_or_default();
    let hosts = hosts
        .into_iter()
        .map(|host| host.map(|host| host.0))
        .collect();
    unique(hosts, "this host", row.problems())
}

fn methods(row: &Row<'_>) -> Vec<Method> {
    let methods = row
        .get(&keys::METHODS)
        .map(|list| list.it)
        .unwrap_or_default();
    let methods: Vec<_> = methods
        .into_iter()
        .map(|method| method.map(|method| method.0))
        .map(|method| At::new(method.it.as_str().to_owned(), method.at))
        .collect();
    let unique = unique(methods, "this method", row.problems());
    unique
        .iter()
        .filter_map(|method| Method::from_bytes(method.as_bytes()).ok())
        .collect()
}

fn headers(row: &Row<'_>) -> Vec<HeaderMatch> {
    let pairs = row
        .get(&keys::HEADERS)
        .map(|pairs| pairs.it)
        .unwrap_or_default();
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut matches = Vec::new();
    for (name, value) in pairs {
        if name.it.0 == http::header::HOST {
            row.problems().add(
                Problem::error(
                    Code::Conflict,
                    name.at,
                    "the host is not matched as a header",
                    "not here",
                )
                .help("use `hosts`"),
            );
        }
        if let Some(first) = seen.insert(name.it.0.as_str().to_owned(), name.at) {
            row.problems().add(twice("this header", name.at, first));
        }
        matches.push(HeaderMatch {
            name: name.it.0,
            value: value.it.0.map(|value| value.0),
        });
    }
    matches
}

fn query(row: &Row<'_>) -> Vec<QueryMatch> {
    let pairs = row
        .get(&keys::QUERY)
        .map(|pairs| pairs.it)
        .unwrap_or_default();
    pairs
        .into_iter()
        .map(|(name, value)| QueryMatch {
            name: name.it.0.into(),
            value: value.it.0.map(|value| value.0.into()),
        })
        .collect()
}

/// The values of a list, and an error for each that is there twice.
pub(super) fn unique<T: Ord + Clone>(list: Vec<At<T>>, what: &str, problems: &Problems) -> Vec<T> {
    let mut seen: BTreeMap<T, Span> = BTreeMap::new();
    let mut kept = Vec::new();
    for value in list {
        if let Some(first) = seen.get(&value.it) {
            problems.add(twice(what, value.at, *first));
        } else {
            seen.insert(value.it.clone(), value.at);
            kept.push(value.it);
        }
    }
    kept
}

/// Something that is there twice.
pub(super) fn twice(what: &str, at: Span, first: Span) -> Problem {
    Problem::error(
        Code::Conflict,
        at,
        format!("{what} is given twice"),
        "given again here",
    )
    .and(first, "first given here")
}
