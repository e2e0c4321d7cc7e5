//! Requests that were kept, and what is to be made of each.

mod verdict;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

pub use verdict::Verdict;

use super::{Admin, router::problem};
use crate::{
    reload::{Handle, History},
    telemetry::{Case, Cases, Filter},
};
use verdict::{Around, Changed};

/// How far around a case its surroundings are looked at, before and after.
const AROUND: Duration = Duration::from_secs(60);
/// How long before a case a change of the config is still worth telling.
const LATELY: Duration = Duration::from_secs(600);
/// Most cases of its surroundings that are looked at.
const MOST_AROUND: usize = 2000;
/// Most cases of one answer.
const MOST_LISTED: usize = 500;
/// Cases of one answer where nobody says how many.
const LISTED: usize = 50;

/// A case with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplainedView {
    /// The request.
    pub request: Case,
    /// What is to be made of it.
    pub verdict: Verdict,
}

/// Which cases.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    route: Option<Box<str>>,
    upstream: Option<Box<str>>,
    kind: Option<Box<str>>,
    /// Not older than this many seconds.
    since: Option<u64>,
    most: Option<usize>,
}

/// One request by its id, with the verdict.
pub(super) async fn request(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    reckoned(move || {
        let case = admin.telemetry.cases().find(&id);
        case.map(|case| Surroundings::of(&admin).explained(&case))
    })
    .await
}

/// Requests that ended badly, the newest first, each with its verdict.
pub(super) async fn faults(
    State(admin): State<Arc<Admin>>,
    Query(which): Query<Which>,
) -> Response {
    let since = which.since.map_or(Duration::MAX, Duration::from_secs);
    let filter = Filter {
        route: which.route,
        upstream: which.upstream,
        kind: which.kind,
        since_ms: millis(SystemTime::now().checked_sub(since).unwrap_or(UNIX_EPOCH)),
        ..Filter::default()
    };
    let most = which.most.unwrap_or(LISTED).min(MOST_LISTED);
    reckoned(move || {
        let surroundings = Surroundings::of(&admin);
        let found = surroundings.cases.select(&filter, most);
        let views: Vec<_> = found
            .iter()
            .map(|case| surroundings.explained(case))
            .collect();
        Some(views)
    })
    .await
}

/// What `reckon` finds, sought off the runtime's threads: each verdict looks through everything that is kept.
async fn reckoned<T: Serialize + Send + 'static>(
    reckon: impl FnOnce() -> Option<T> + Send + 'static,
) -> Response {
    match spawn_blocking(reckon).await {
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "This request is not kept."),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The reckoning broke off.",
        ),
    }
}

/// What cases are seen in.
struct Surroundings<'a> {
    cases: &'a Cases,
    history: Option<Arc<History>>,
}

// === impl Surroundings ===

impl<'a> Surroundings<'a> {
    fn of(admin: &'a Admin) -> Self {
        Self {
            cases: admin.telemetry.cases(),
            history: admin.reload.as_ref().map(Handle::history),
        }
    }

    fn explained(&self, case: &Case) -> ExplainedView {
        let around = u64::try_from(AROUND.as_millis()).unwrap_or(u64::MAX);
        let filter = Filter {
            upstream: Some(case.upstream.clone()),
            since_ms: case.at_ms.saturating_sub(around),
            until_ms: Some(case.at_ms.saturating_add(around)),
            good: true,
            ..Filter::default()
        };
        let around = Around {
            cases: self.cases.select(&filter, MOST_AROUND),
            changes: self.changes(case),
        };
        ExplainedView {
            verdict: verdict::of(case, &around),
            request: case.clone(),
        }
    }

    /// Configs that were asked for shortly before it came, the latest first.
    fn changes(&self, case: &Case) -> Vec<Changed> {
        let entries = self
            .history
            .iter()
            .flat_map(|history| history.newest_first());
        let lately = entries.filter_map(|entry| {
            let before = case.arrived().duration_since(entry.at).ok()?;
            (before <= LATELY).then(|| Changed {
                before,
                hash: entry.hash.clone(),
                outcome: entry.outcome.clone(),
            })
        });
        lately.collect()
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
