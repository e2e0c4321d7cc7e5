//! `[[routes]]`: what a route does.

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{Folder, fallback, limits, matcher, names, overload, upstream::Upstream};
use crate::{
    config::{
        ActionPlan, HeaderEdits, PathMatch, RetryOn, RetryPlan, RewritePlan, RoutePlan, SplitPlan,
        fields::{self, route as keys},
        nearest::did_you_mean,
        problem::{At, Code, Problem, Span},
        row::Row,
        shape::{Nested, Preset},
        value::{Identity, RetryWord},
    },
    names::{RouteName, UpstreamName},
};

/// A route, and the places that conflicts point at.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) plan: RoutePlan,
    /// Its header.
    pub(super) at: Span,
    /// Whether its conditions are all as they were meant.
    pub(super) sound: bool,
    /// Where its timeout stands.
    pub(super) timeout_at: Option<Span>,
    /// Where each upstream that it forwards to is named.
    pub(super) forwards_at: Vec<(UpstreamName, Span)>,
    /// The upstream of its fallback, and where it is named.
    pub(super) falls_to: Option<(UpstreamName, Span)>,
    /// The file of its fallback.
    pub(super) page: Option<At<PathBuf>>,
    /// Where its share stands.
    pub(super) share_at: Option<Span>,
}

// === impl Route ===

impl Route {
    /// The file of its fallback, which is to be loaded.
    pub(super) fn page(&self) -> Option<(RouteName, At<PathBuf>)> {
        let page = self.page.clone()?;
        Some((self.plan.name.clone(), page))
    }
}

pub(super) fn all(root: &Row<'_>, upstreams: &[Upstream], folder: Folder<'_>) -> Vec<Route> {
    let rows = root.tables(&fields::ROUTES);
    let known: Vec<&str> = upstreams
        .iter()
        .map(|upstream| upstream.plan.name.as_str())
        .collect();
    let given: Vec<_> = rows.iter().map(|row| row.get(&keys::NAME)).collect();
    let names = names(&rows, &given, "route", root.problems());
    rows.iter()
        .zip(names)
        .map(|(row, name)| one(row, &name, &known, folder))
        .collect()
}

fn one(row: &Row<'_>, name: &str, known: &[&str], folder: Folder<'_>) -> Route {
    let before = row.problems().count();
    let matcher = matcher::compile(row);
    let sound = row.problems().count() == before;
    let (timeout, timeout_at) = row.placed(&keys::TIMEOUT);
    if let (None, Some(at)) = (timeout, timeout_at) {
        row.problems().add(Problem::warning(
            Code::Dangerous,
            at,
            "a route without a timeout holds its place as long as its upstream likes",
            "no end",
        ));
    }
    let (action, forwards_at) = action(row, known);
    let rewrite = rewrite(row, &matcher.path, &action);
    let fallback = fallback::compile(row, &action, known, folder);
    let share = row.get(&keys::PORTION);
    if !matches!(action, ActionPlan::Forward(_)) {
        overload::refuse_unforwarded(row);
    }
    let plan = RoutePlan {
        name: RouteName::from(name),
        matcher,
        action,
        fallback: fallback.plan,
        rewrite,
        priority: row.value(&keys::PRIORITY),
        timeout,
        max_body_bytes: row.value(&keys::MAX_BODY).map(|size| size.0),
        retry: retry(&row.table_or_empty(&keys::RETRY)),
        request_headers: edits(row, &keys::REQUEST_HEADERS),
        response_headers: edits(row, &keys::RESPONSE_HEADERS),
        rate_limits: limits::all(row),
        share: share.map(|share| share.it.0),
        tenant: row.value(&keys::TENANT).0,
        hedge: overload::hedge(row, timeout),
        outcomes: overload::outcomes(&row.table_or_empty(&keys::OUTCOMES)),
    };
    Route {
        plan,
        at: row.at,
        sound,
        timeout_at,
        forwards_at,
        falls_to: fallback.upstream,
        page: fallback.page,
        share_at: share.map(|share| share.at),
    }
}

/// What the route does. All four forms are looked at, so that errors in each are seen.
fn action(row: &Row<'_>, known: &[&str]) -> (ActionPlan, Vec<(UpstreamName, Span)>) {
    let upstream = row.get(&keys::UPSTREAM);
    let split = split(row, known);
    let respond = row.table(&keys::RESPOND).map(|row| {
        let (status, body) = answer(&row, &keys::STATUS);
        ActionPlan::Respond { status, body }
    });
    let redirect = row.table(&keys::REDIRECT).and_then(|row| redirect(&row));
    if let Some(upstream) = upstream {
        check_upstream(row, &upstream, known);
        let name = UpstreamName::from(upstream.it.0.as_str());
        let shares = vec![SplitPlan {
            upstream: name.clone(),
            weight: 1,
        }];
        return (ActionPlan::Forward(shares), vec![(name, upstream.at)]);
    }
    if let Some(action) = respond.or(redirect) {
        return (action, Vec::new());
    }
    let places = split
        .iter()
        .map(|(share, at)| (share.upstream.clone(), *at))
        .collect();
    let shares = split.into_iter().map(|(share, _)| share).collect();
    (ActionPlan::Forward(shares), places)
}

fn split(row: &Row<'_>, known: &[&str]) -> Vec<(SplitPlan, Span)> {
    let rows = row.tables(&keys::SPLIT);
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut shares = Vec::new();
    for share in &rows {
        let weight = share.value(&keys::SHARE_WEIGHT);
        let Some(upstream) = share.get(&keys::SHARE_UPSTREAM) else {
            continue;
        };
        check_upstream(share, &upstream, known);
        if let Some(first) = seen.insert(upstream.it.0.clone(), upstream.at) {
            row.problems()
                .add(matcher::twice("this upstream", upstream.at, first));
        }
        let plan = SplitPlan {
            upstream: UpstreamName::from(upstream.it.0.as_str()),
            weight,
        };
        shares.push((plan, upstream.at));
    }
    let whole = !rows.is_empty() && shares.len() == rows.len();
    if whole && shares.iter().all(|(share, _)| share.weight == 0) {
        let at = row.key_at("split").unwrap_or(row.at);
        row.problems().add(Problem::error(
            Code::Conflict,
            at,
            "all weights are 0: nobody gets a request",
            "at least one weight above 0",
        ));
    }
    shares
}

pub(super) fn check_upstream(row: &Row<'_>, upstream: &At<Identity>, known: &[&str]) {
    let name = upstream.it.0.as_str();
    if known.contains(&name) {
        return;
    }
    let label = if known.is_empty() {
        "the file has no upstreams".to_owned()
    } else if known.len() > 8 {
        "not under [upstreams]".to_owned()
    } else {
        format!("expected one of: {}", known.join(", "))
    };
    let help = did_you_mean(name, known.iter().copied())
        .unwrap_or_else(|| format!("add [upstreams.{name}]"));
    row.problems().add(
        Problem::error(
            Code::UnknownName,
            upstream.at,
            format!("there is no upstream `{name}`"),
            label,
        )
        .help(help),
    );
}

/// `{ status, body }`
pub(super) fn answer(row: &Row<'_>, status: &'static Preset<StatusCode>) -> (StatusCode, Bytes) {
    let status = row.value(status);
    let body = row.get(&keys::BODY);
    let bare = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if let Some(body) = body.as_ref().filter(|body| bare && !body.it.0.is_empty()) {
        row.problems().add(Problem::error(
            Code::Conflict,
            body.at,
            format!("an answer with status {} has no body", status.as_u16()),
            "leave it out",
        ));
    }
    let body = body.map(|body| body.it.0.into()).unwrap_or_default();
    (status, body)
}

fn redirect(row: &Row<'_>) -> Option<ActionPlan> {
    let (status, at) = row.placed(&keys::LEAD_STATUS);
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        row.problems().add(Problem::error(
            Code::OutOfBounds,
            at.unwrap_or(row.at),
            format!("{} does not redirect", status.as_u16()),
            "expected 301, 302, 303, 307 or 308",
        ));
    }
    let to = row.get(&keys::TO)?.it.0;
    Some(ActionPlan::Redirect { status, to })
}

fn rewrite(row: &Row<'_>, path: &PathMatch, action: &ActionPlan) -> Option<RewritePlan> {
    let strip = row.get(&keys::STRIP_PREFIX);
    let replace = row.get(&keys::REPLACE_PREFIX);
    let at = strip.as_ref().or(replace.as_ref()).map(|path| path.at)?;
    if !matches!(action, ActionPlan::Forward(_)) {
        row.problems().add(Problem::error(
            Code::Conflict,
            at,
            "a rewritten path has no effect where nothing is forwarded",
            "leave it out",
        ));
    }
    match (strip, replace) {
        (Some(strip), _) => {
            let prefix = strip.it.into_prefix();
            check_strip(row, strip.at, &prefix, path);
            Some(RewritePlan::StripPrefix(prefix))
        }
        (None, replace) => {
            replace.map(|replace| RewritePlan::ReplacePrefix(replace.it.into_prefix()))
        }
    }
}

/// A prefix that the route's paths cannot have is a slip.
fn check_strip(row: &Row<'_>, at: Span, prefix: &str, path: &PathMatch) {
    let (PathMatch::Exact(taken) | PathMatch::Prefix(taken)) = path;
    let below = |path: &str, prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let longer = matches!(path, PathMatch::Prefix(_)) && below(prefix, taken);
    if !below(taken, prefix) && !longer {
        let place = row.key_at("path_prefix").or(row.key_at("path"));
        row.problems().add(
            Problem::error(
                Code::Conflict,
                at,
                "no path that this route takes begins with this",
                "never cut off",
            )
            .and(place.unwrap_or(row.at), "the paths that it takes"),
        );
    }
}

fn retry(row: &Row<'_>) -> RetryPlan {
    let mut on = RetryOn::default();
    let words = row.get(&keys::ON);
    let defaults = [RetryWord::Connect, RetryWord::Reset];
    let words: Vec<RetryWord> = match words {
        Some(words) => words.it.into_iter().map(|word| word.it).collect(),
        None => defaults.to_vec(),
    };
    for word in words {
        match word {
            RetryWord::Connect => on.connect = true,
            RetryWord::Reset => on.reset = true,
            RetryWord::Timeout => on.timeout = true,
            RetryWord::Status502 => on.status_502 = true,
            RetryWord::Status503 => on.status_503 = true,
            RetryWord::Status504 => on.status_504 = true,
        }
    }
    RetryPlan {
        attempts: row.value(&keys::ATTEMPTS),
        on,
        replay_bytes: usize::try_from(row.value(&keys::REPLAY).0).unwrap_or(usize::MAX),
    }
}

/// Fields that frame a message or belong to one connection: the gateway's own business.
pub(super) const UNTOUCHABLE: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

fn edits(row: &Row<'_>, nested: &'static Nested) -> HeaderEdits {
    let row = row.table_or_empty(nested);
    let set = row.get(&keys::SET).map(|set| set.it).unwrap_or_default();
    let remove = row
        .get(&keys::REMOVE)
        .map(|remove| remove.it)
        .unwrap_or_default();
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for (name, _) in &set {
        if let Some(first) = seen.insert(name.it.0.as_str().to_owned(), name.at) {
            row.problems()
                .add(matcher::twice("this header", name.at, first));
        }
    }
    let names = set.iter().map(|(name, _)| name).chain(&remove);
    for name in names.filter(|name| UNTOUCHABLE.contains(&name.it.0)) {
        row.problems().add(untouchable(&name.it.0, name.at));
    }
    HeaderEdits {
        remove: remove.into_iter().map(|name| name.it.0).collect(),
        set: set
            .into_iter()
            .map(|(name, value)| -> (HeaderName, HeaderValue) { (name.it.0, value.it.0) })
            .collect(),
    }
}

fn untouchable(name: &HeaderName, at: Span) -> Problem {
    let problem = Problem::error(
        Code::Conflict,
        at,
        format!("`{name}` cannot be changed"),
        "it frames the message, or belongs to one connection",
    );
    if *name == header::HOST {
        problem.help("for the endpoint's own name: host = \"upstream\" in [upstreams.NAME]")
    } else {
        problem
    }
}
