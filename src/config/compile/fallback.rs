//! `fallback` of `[[routes]]`.

use std::path::PathBuf;

use http::{HeaderValue, StatusCode};

use super::{Folder, route};
use crate::{
    config::{
        ActionPlan, FallbackPlan,
        fields::route as keys,
        problem::{At, Code, Problem, Span},
        row::Row,
        value::FieldValue,
    },
    names::UpstreamName,
};

/// What a file is where the config does not say.
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A fallback, and what of it is looked at elsewhere.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    pub(super) plan: Option<FallbackPlan>,
    /// The upstream, and where it is named.
    pub(super) upstream: Option<(UpstreamName, Span)>,
    /// The file.
    pub(super) page: Option<At<PathBuf>>,
}

/// The fallback of a route that does `action`.
pub(super) fn compile(
    row: &Row<'_>,
    action: &ActionPlan,
    known: &[&str],
    folder: Folder<'_>,
) -> Fallback {
    let Some(own) = row.table(&keys::FALLBACK) else {
        return Fallback::default();
    };
    if !matches!(action, ActionPlan::Forward(_)) {
        row.problems().add(Problem::error(
            Code::Conflict,
            row.key_at("fallback").unwrap_or(own.at),
            "`fallback` has no effect where nothing is forwarded",
            "leave it out",
        ));
    }
    let respond = own
        .table(&keys::FALLBACK_RESPOND)
        .map(|row| route::answer(&row, &keys::FALLBACK_ANSWER_STATUS));
    let file = of_file(&own, folder);
    if let Some(upstream) = own.get(&keys::FALLBACK_UPSTREAM) {
        route::check_upstream(&own, &upstream, known);
        let name = UpstreamName::from(upstream.it.0.as_str());
        if leads_nowhere_else(action, &name) {
            own.problems().add(circle(&name, upstream.at));
        }
        return Fallback {
            plan: Some(FallbackPlan::Upstream(name.clone())),
            upstream: Some((name, upstream.at)),
            page: None,
        };
    }
    file.unwrap_or_else(|| Fallback {
        plan: respond.map(|(status, body)| FallbackPlan::Respond { status, body }),
        ..Fallback::default()
    })
}

/// `file`, `status` and `content_type`, of which the last two are looked at in any case.
fn of_file(row: &Row<'_>, folder: Folder<'_>) -> Option<Fallback> {
    let (status, status_at) = row.placed(&keys::FALLBACK_STATUS);
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        row.problems().add(Problem::error(
            Code::Conflict,
            status_at.unwrap_or(row.at),
            format!("an answer with status {} has no body", status.as_u16()),
            "a file is a body",
        ));
    }
    let content_type = row.get(&keys::CONTENT_TYPE).map(|given| {
        let At {
            it: FieldValue(value),
            at,
        } = given;
        if !is_media_type(&value) {
            row.problems().add(Problem::error(
                Code::Malformed,
                at,
                "this is not a media type",
                "expected a type and a subtype, like \"text/html\"",
            ));
        }
        value
    });
    let page = folder.path(row.get(&keys::FALLBACK_FILE)?);
    let plan = FallbackPlan::File {
        path: page.it.clone(),
        status,
        content_type: content_type.unwrap_or(HTML),
    };
    Some(Fallback {
        plan: Some(plan),
        upstream: None,
        page: Some(page),
    })
}

/// RFC 9110 section 8.3.1, parameters aside.
fn is_media_type(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default();
    let name = text.split(';').next().unwrap_or_default().trim_end();
    let is_token = |part: &str| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(token)
    };
    name.split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Whether all of the route's requests go to `name` as it is.
fn leads_nowhere_else(action: &ActionPlan, name: &UpstreamName) -> bool {
    let ActionPlan::Forward(split) = action else {
        return false;
    };
    let mut used = split.iter().filter(|share| share.weight > 0).peekable();
    used.peek().is_some() && used.all(|share| share.upstream == *name)
}

fn circle(name: &UpstreamName, at: Span) -> Problem {
    Problem::error(
        Code::Conflict,
        at,
        format!("the fallback is `{name}`, to which the route forwards as it is"),
        "expected another upstream",
    )
    .help("for servers that take over within one upstream: [[upstreams.NAME.groups]]")
}
