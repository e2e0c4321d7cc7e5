//! `[upstreams.NAME.health]` and what is below it.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, header, uri::PathAndQuery};

use super::{matcher::twice, process::ordered, route::UNTOUCHABLE};
use crate::config::{
    AskPlan, BodyPlan, CheckMethod, CheckPlan, DegradedPlan, GrpcCheckPlan, HealthPlan,
    HttpCheckPlan, StatusSet, UpstreamProtocol,
    fields::health as keys,
    problem::{At, Code, Problem, Span},
    row::Row,
    value::StatusRange,
};

/// How often is asked while it is unsure, unless `interval` is shorter or the file says.
const FAST: Duration = Duration::from_secs(1);
/// What passes, unless the file says.
const EXPECTED: (u16, u16) = (200, 399);

pub(super) fn compile(row: &Row<'_>, protocol: UpstreamProtocol) -> HealthPlan {
    let (interval, interval_at) = row.placed(&keys::INTERVAL);
    let (timeout, timeout_at) = row.placed(&keys::TIMEOUT);
    let upper = ("interval", interval, interval_at);
    ordered(row, ("timeout", timeout, timeout_at), upper);
    let fast = row.get(&keys::FAST_INTERVAL);
    if let Some(fast) = &fast {
        ordered(row, ("fast_interval", fast.it, Some(fast.at)), upper);
    }
    HealthPlan {
        check: check(row, protocol),
        port: row.get(&keys::PORT).map(|port| port.it),
        interval,
        fast_interval: fast.map_or(interval.min(FAST), |fast| fast.it),
        timeout,
        unhealthy_after: row.value(&keys::UNHEALTHY_AFTER),
        healthy_after: row.value(&keys::HEALTHY_AFTER),
        degraded: row
            .table(&keys::DEGRADED)
            .map(|degraded| self::degraded(&degraded, row.has("grpc"))),
    }
}

/// Keys that mean nothing without a request, and those that mean nothing without HTTP.
const OF_REQUESTS: [&str; 3] = ["host", "headers", "degraded"];
const OF_HTTP: [&str; 4] = ["method", "expected_statuses", "expected_body", "max_body"];

fn check(row: &Row<'_>, protocol: UpstreamProtocol) -> CheckPlan {
    let grpc = row.table(&keys::GRPC);
    if !row.has("path") && grpc.is_some() {
        idle(row, &OF_HTTP, "the check is a gRPC call");
    } else if !row.has("path") && !row.has("grpc") {
        let because = "the check is a connection, and asks for nothing";
        idle(row, &OF_HTTP, because);
        idle(row, &OF_REQUESTS, because);
    }
    let ask = ask(row);
    let method = row.get(&keys::METHOD.field);
    let expected = row.get(&keys::EXPECTED_STATUSES);
    let body = body(row, method);
    if let Some(grpc) = grpc {
        if protocol == UpstreamProtocol::Http1 {
            row.problems().add(Problem::error(
                Code::Conflict,
                grpc.at,
                "gRPC needs HTTP/2, which this upstream does not speak",
                "its `protocol` is \"http1\"",
            ));
        }
        let service = grpc.get(&keys::SERVICE).map(|service| service.it.0);
        return CheckPlan::Grpc(GrpcCheckPlan {
            service: service.unwrap_or_default(),
            ask,
        });
    }
    let Some(path) = row.get(&keys::PATH) else {
        return CheckPlan::Connect;
    };
    let path = path.it.0.parse();
    CheckPlan::Http(HttpCheckPlan {
        method: method.map_or(keys::METHOD.default, |method| method.it),
        path: path.unwrap_or_else(|_| PathAndQuery::from_static("/")),
        ask,
        expected: expected.map_or_else(|| StatusSet::of([EXPECTED]), |ranges| set_of(ranges.it)),
        body,
    })
}

/// Notes each of `names` that is there.
fn idle(row: &Row<'_>, names: &[&'static str], because: &'static str) {
    for name in names {
        if let Some(at) = row.key_at(name) {
            let message = format!("`{name}` has no effect on these checks");
            let problem = Problem::error(Code::Conflict, at, message, because);
            row.problems().add(if row.has("grpc") {
                problem
            } else {
                problem.help("add `path`, as in path = \"/healthz\"")
            });
        }
    }
}

fn ask(row: &Row<'_>) -> AskPlan {
    let given = row.get(&keys::HEADERS).map(|headers| headers.it);
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in given.unwrap_or_default() {
        let At { it: name, at } = name.map(|name| name.0);
        if let Some(first) = seen.insert(name.as_str().to_owned(), at) {
            row.problems().add(twice("this header", at, first));
        }
        if UNTOUCHABLE.contains(&name) {
            row.problems().add(untouchable(&name, at));
        }
        headers.push((name, value.it.0));
    }
    AskPlan {
        host: row.get(&keys::HOST).map(|host| host.it.0),
        headers: headers.into(),
    }
}

fn untouchable(name: &HeaderName, at: Span) -> Problem {
    let message = format!("`{name}` is not for `headers`");
    let label = "it frames the message, or belongs to one connection";
    let problem = Problem::error(Code::Conflict, at, message, label);
    if *name == header::HOST {
        problem.help("a key of its own says it: host = \"shop.internal\"")
    } else {
        problem
    }
}

fn body(row: &Row<'_>, method: Option<At<CheckMethod>>) -> Option<BodyPlan> {
    let within = row.value(&keys::MAX_BODY).0;
    let text = row.get(&keys::EXPECTED_BODY);
    if let (Some(text), Some(method)) = (&text, method)
        && method.it == CheckMethod::Head
    {
        let problem = Problem::error(
            Code::Conflict,
            text.at,
            "`expected_body` can never hold with `method = \"HEAD\"`",
            "an answer to HEAD has no body",
        );
        row.problems()
            .add(problem.and(method.at, "`method` is here"));
    }
    if let (Some(at), false) = (row.key_at("max_body"), row.has("expected_body")) {
        let message = "`max_body` has no effect without `expected_body`";
        let label = "the body is not read";
        row.problems()
            .add(Problem::error(Code::Conflict, at, message, label));
    }
    text.map(|text| BodyPlan {
        text: text.it.0,
        within: usize::try_from(within).unwrap_or(usize::MAX),
    })
}

fn degraded(row: &Row<'_>, grpc: bool) -> DegradedPlan {
    let header = row.get(&keys::HEADER).map(|header| header.it.0);
    let value = row.get(&keys::VALUE);
    let statuses = row.get(&keys::STATUSES_DEGRADED);
    if !row.has("header") && !row.has("statuses") {
        row.problems().add(Problem::error(
            Code::KeyChoice,
            row.at,
            "`degraded` needs `header` or `statuses`",
            "nothing says that a server is degraded",
        ));
    }
    if let (Some(value), false) = (&value, row.has("header")) {
        row.problems().add(Problem::error(
            Code::Conflict,
            value.at,
            "`value` has no effect without `header`",
            "no field is looked at",
        ));
    }
    if let (Some(statuses), true) = (&statuses, grpc) {
        row.problems().add(Problem::error(
            Code::Conflict,
            statuses.at,
            "`statuses` has no effect on these checks",
            "the check is a gRPC call, whose status is always 200",
        ));
    }
    DegradedPlan {
        header: header.map(|name| (name, value.map(|value| value.it.0))),
        statuses: set_of(statuses.map(|it| it.it).unwrap_or_default()),
        thousandths: row.value(&keys::SHARE).0,
    }
}

fn set_of(ranges: Vec<At<StatusRange>>) -> StatusSet {
    StatusSet::of(ranges.into_iter().map(|it| (it.it.first, it.it.last)))
}
