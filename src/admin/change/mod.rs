//! Changing the config through the API: what was in force, what changes, and putting another one into force.

mod view;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

pub use view::{AppliedView, ChangesView, DiffView, EntryView, TouchedView};

use super::{Admin, router::problem};
use crate::reload::{Answer, Handle, NotCompared, Refused, Try};

/// The largest config that is taken: as large as the file may be.
pub(super) const MAX_CONFIG_BYTES: usize = 1 << 20;

/// Which entries.
#[derive(Debug, Deserialize)]
pub(super) struct Between {
    from: Option<u64>,
    to: Option<u64>,
}

/// Whether to do it.
#[derive(Debug, Deserialize)]
pub(super) struct Dry {
    #[serde(default)]
    dry_run: bool,
}

/// Which entry, and whether to do it.
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    to: u64,
    #[serde(default)]
    dry_run: bool,
}

/// The last configs, the newest first.
pub(super) async fn history(State(admin): State<Arc<Admin>>) -> Response {
    let Some(handle) = &admin.reload else {
        return no_keeper();
    };
    let history = handle.history();
    let in_force = history.in_force().map(|entry| entry.number);
    let entries = history.newest_first();
    let views: Vec<_> = entries
        .map(|entry| EntryView::of(entry, in_force))
        .collect();
    Json(views).into_response()
}

/// What changes between two of them.
pub(super) async fn diff(
    State(admin): State<Arc<Admin>>,
    Query(between): Query<Between>,
) -> Response {
    let Some(handle) = admin.reload.clone() else {
        return no_keeper();
    };
    let comparing = spawn_blocking(move || {
        let compared = handle.compare(between.from, between.to)?;
        Ok(DiffView::of(
            &compared,
            &handle.history(),
            &handle.last_minute(),
        ))
    });
    match comparing.await {
        Ok(Ok(view)) => Json(view).into_response(),
        Ok(Err(why)) => not_compared(&why),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The comparison broke off.",
        ),
    }
}

/// Puts the config in the body into force.
pub(super) async fn apply(
    State(admin): State<Arc<Admin>>,
    Query(Dry { dry_run }): Query<Dry>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(handle) = &admin.reload else {
        return no_keeper();
    };
    let Ok(text) = std::str::from_utf8(&body) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "The config is not UTF-8.");
    };
    let expects = expected(&headers, handle.status().config.hash.as_str());
    let answer = handle.apply(text.into(), expects, try_of(dry_run)).await;
    answered(handle, answer, dry_run)
}

/// Puts an earlier config into force again.
pub(super) async fn rollback(
    State(admin): State<Arc<Admin>>,
    Query(back): Query<Back>,
) -> Response {
    let Some(handle) = &admin.reload else {
        return no_keeper();
    };
    let answer = handle.roll_back(back.to, try_of(back.dry_run)).await;
    answered(handle, answer, back.dry_run)
}

const fn try_of(dry_run: bool) -> Try {
    if dry_run { Try::Dry } else { Try::ForReal }
}

/// The hash that `If-Match` names: the one in force where it is among several; `None` where any will do.
fn expected(headers: &HeaderMap, running: &str) -> Option<Box<str>> {
    let value = headers.get(header::IF_MATCH)?.to_str().unwrap_or_default();
    if value.trim() == "*" {
        return None;
    }
    let mut tags = value.split(',').map(|tag| tag.trim().trim_matches('"'));
    let first = tags.clone().next().unwrap_or_default();
    Some(tags.find(|tag| *tag == running).unwrap_or(first).into())
}

fn answered(handle: &Handle, answer: Result<Answer, Refused>, dry_run: bool) -> Response {
    match answer {
        Ok(answer) => {
            let tag = format!("\"{}\"", answer.config.hash);
            let view = AppliedView::of(answer, dry_run, &handle.last_minute());
            ([(header::ETAG, tag)], Json(view)).into_response()
        }
        Err(refused) => refusal(&refused),
    }
}

fn refusal(refused: &Refused) -> Response {
    let (status, title) = match refused {
        Refused::Stale(_) => (
            StatusCode::PRECONDITION_FAILED,
            "Another config is in force.",
        ),
        Refused::Wrong(_) => (StatusCode::UNPROCESSABLE_ENTITY, "The config is not valid."),
        Refused::Unprepared(_) => (StatusCode::CONFLICT, "A socket or a file cannot be had."),
        Refused::NoFile
        | Refused::Link
        | Refused::Edited
        | Refused::Missing
        | Refused::Failed(_) => (StatusCode::CONFLICT, "The config file cannot be written."),
        Refused::Forbidden(_) => (StatusCode::FORBIDDEN, "The config file may not be written."),
        Refused::NoEntry(_) => (StatusCode::NOT_FOUND, "There is no such entry."),
        Refused::NotKept(_) => (StatusCode::CONFLICT, "The config is not kept."),
        Refused::Busy => (StatusCode::SERVICE_UNAVAILABLE, "The gateway is busy."),
    };
    let errors = match refused {
        Refused::Wrong(errors) => serde_json::to_value(errors).ok(),
        _ => None,
    };
    detailed(status, title, &refused.to_string(), errors)
}

fn not_compared(why: &NotCompared) -> Response {
    let detail = why.to_string();
    let (status, title) = match why {
        NotCompared::NoEntry(_) => (StatusCode::NOT_FOUND, "There is no such entry."),
        NotCompared::Alone => (StatusCode::CONFLICT, "There is nothing to compare with."),
        NotCompared::NotKept(_) => (StatusCode::CONFLICT, "The config is not kept."),
        NotCompared::Wrong(_) => (StatusCode::CONFLICT, "The config is not valid any more."),
    };
    detailed(status, title, &detail, None)
}

/// A problem with what is to be known of it; `errors` are those of a config.
pub(super) fn detailed(
    status: StatusCode,
    title: &'static str,
    detail: &str,
    errors: Option<Value>,
) -> Response {
    let mut body = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail
    });
    if let (Some(errors), Value::Object(fields)) = (errors, &mut body) {
        fields.insert("errors".to_owned(), errors);
    }
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}

fn no_keeper() -> Response {
    problem(StatusCode::NOT_FOUND, "No config is kept here.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, value.parse().unwrap());
        expected(&headers, "aaaaaaaaaaaa").map(Into::into)
    }

    #[test]
    fn if_match_is_one_tag_or_several_or_any() {
        assert_eq!(expected(&HeaderMap::new(), "aaaaaaaaaaaa"), None);
        assert_eq!(expecting("*"), None);
        for one in [
            "\"aaaaaaaaaaaa\"",
            "aaaaaaaaaaaa",
            "\"b\", \"aaaaaaaaaaaa\"",
        ] {
            assert_eq!(expecting(one).as_deref(), Some("aaaaaaaaaaaa"), "{one}");
        }
        assert_eq!(expecting("\"b\"").as_deref(), Some("b"));
        assert_eq!(
            expecting("W/\"aaaaaaaaaaaa\"").as_deref(),
            Some("W/\"aaaaaaaaaaaa")
        );
    }
}
