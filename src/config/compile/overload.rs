//! `hedge` and `outcomes` of `[[routes]]`

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;

use super::matcher::unique;
use crate::config::{
    HedgeAfter, HedgePlan, OutcomePlan,
    fields::route as keys,
    problem::{At, Code, Problem, Span},
    row::Row,
    value::GrpcCode,
};

/// Statuses that mean overload where the file names none.
const DROPPED: [StatusCode; 3] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];
/// gRPC codes that mean overload where the file names none: `RESOURCE_EXHAUSTED` and `UNAVAILABLE`.
const GRPC_DROPPED: [u8; 2] = [8, 14];

/// Keys without meaning on a route that forwards nothing.
pub(super) fn refuse_unforwarded(row: &Row<'_>) {
    for key in ["share", "tenant", "hedge", "outcomes"] {
        if let Some(at) = row.key_at(key) {
            row.problems().add(Problem::error(
                Code::Conflict,
                at,
                format!("`{key}` has no effect where nothing is forwarded"),
                "leave it out",
            ));
        }
    }
}

/// `hedge` of a route whose requests end after `timeout`.
pub(super) fn hedge(route: &Row<'_>, timeout: Option<Duration>) -> Option<HedgePlan> {
    let after = route.table(&keys::HEDGE)?.get(&keys::AFTER)?;
    if let (HedgeAfter::Time(time), Some(timeout)) = (after.it.0, timeout)
        && time >= timeout
    {
        route.problems().add(Problem::warning(
            Code::Doubtful,
            after.at,
            "the route gives up before a second try begins",
            "not shorter than its `timeout`",
        ));
    }
    Some(HedgePlan { after: after.it.0 })
}

pub(super) fn outcomes(row: &Row<'_>) -> OutcomePlan {
    let dropped = row.get(&keys::DROPPED).map(|list| list.it);
    let ignored = row.get(&keys::IGNORED).map(|list| list.it);
    let ignored = ignored.unwrap_or_default();
    let codes = row.get(&keys::GRPC_DROPPED).map(|list| list.it);
    if dropped.is_some() || !row.has("dropped") {
        check_apart(row, dropped.as_deref(), &ignored);
    }
    OutcomePlan {
        dropped: dropped.map_or_else(|| DROPPED.into(), |list| statuses(row, list)),
        ignored: statuses(row, ignored),
        grpc_dropped: codes.map_or_else(|| GRPC_DROPPED.into(), |list| grpc(row, list)),
    }
}

fn statuses(row: &Row<'_>, list: Vec<At<StatusCode>>) -> Box<[StatusCode]> {
    let mut statuses = unique(list, "this status", row.problems());
    statuses.sort_unstable();
    statuses.into()
}

fn grpc(row: &Row<'_>, list: Vec<At<GrpcCode>>) -> Box<[u8]> {
    let mut codes = unique(list, "this gRPC code", row.problems());
    codes.sort_unstable();
    codes.into_iter().map(|code| code.0).collect()
}

/// A status that says both that a server has too much to do, and nothing.
fn check_apart(row: &Row<'_>, dropped: Option<&[At<StatusCode>]>, ignored: &[At<StatusCode>]) {
    let places: BTreeMap<StatusCode, Option<Span>> = match dropped {
        Some(list) => list.iter().map(|one| (one.it, Some(one.at))).collect(),
        None => DROPPED.iter().map(|one| (*one, None)).collect(),
    };
    for status in ignored {
        let Some(place) = places.get(&status.it) else {
            continue;
        };
        let problem = Problem::error(
            Code::Conflict,
            status.at,
            format!("{} is both `dropped` and `ignored`", status.it.as_u16()),
            "keep it in one of the two",
        );
        row.problems().add(match place {
            Some(at) => problem.and(*at, "`dropped` here"),
            None => problem.help("`dropped` is [429, 503, 504] where it is left out"),
        });
    }
}
