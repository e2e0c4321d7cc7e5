//! Requests that were kept, and what is to be made of each.

mod happening;
mod surroundings;
mod told;
mod verdict;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::{Deserialize, Serialize};

pub use happening::{Happened, Happening, NameTrouble, OutBy};
pub use surroundings::Surroundings;
pub use verdict::{Around, Confidence, Suspect, Verdict};

use super::{
    Admin,
    reckoned::{reckoned, since_ms},
};
use crate::telemetry::{Case, Filter};

const NOT_KEPT: &str = "This request is not kept.";
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
    reckoned(NOT_KEPT, move || {
        let case = admin.telemetry.cases().find(&id);
        case.map(|case| explained(&Surroundings::of_admin(&admin), &case))
    })
    .await
}

/// Requests that ended badly, the newest first, each with its verdict.
pub(super) async fn faults(
    State(admin): State<Arc<Admin>>,
    Query(which): Query<Which>,
) -> Response {
    let filter = Filter {
        route: which.route,
        upstream: which.upstream,
        kind: which.kind,
        since_ms: since_ms(which.since),
        ..Filter::default()
    };
    let most = which.most.unwrap_or(LISTED).min(MOST_LISTED);
    reckoned(NOT_KEPT, move || {
        let surroundings = Surroundings::of_admin(&admin);
        let found = admin.telemetry.cases().select(&filter, most);
        let views = found.iter().map(|case| explained(&surroundings, case));
        Some(views.collect::<Vec<_>>())
    })
    .await
}

fn explained(surroundings: &Surroundings<'_>, case: &Case) -> ExplainedView {
    ExplainedView {
        verdict: Verdict::of(case, &surroundings.around(case)),
        request: case.clone(),
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
