//! Faults that belong together.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    Admin, Surroundings, Verdict,
    reckoned::{reckoned, since_ms},
};
use crate::telemetry::{Incident, MOST_KEPT};

const NO_SUCH: &str = "There is no such incident.";

/// An incident, and what is to be made of the first request of it that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentView {
    /// The incident. Its cause is that of most of its faults; the verdict also weighs what happened around.
    #[serde(flatten)]
    pub incident: Incident,
    /// `None` where no request of it is kept.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// Which incidents.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Those whose last fault is not longer ago, in seconds, and those that go on.
    since: Option<u64>,
    /// Those that go on alone.
    #[serde(default)]
    open: bool,
    upstream: Option<Box<str>>,
    route: Option<Box<str>>,
    most: Option<usize>,
}

/// All that are kept, those that go on first, the newest before the others.
pub(super) async fn all(State(admin): State<Arc<Admin>>, Query(which): Query<Which>) -> Response {
    let most = which.most.unwrap_or(MOST_KEPT).min(MOST_KEPT);
    let since_ms = since_ms(which.since);
    reckoned(NO_SUCH, move || {
        let all = admin.telemetry.incidents().all(admin.telemetry.cases());
        let surroundings = Surroundings::of_admin(&admin);
        let wanted = all.into_iter().filter(|one| which.takes(one, since_ms));
        let views = wanted
            .take(most)
            .map(|one| judged(&admin, &surroundings, one));
        Some(views.collect::<Vec<_>>())
    })
    .await
}

/// The one of this id.
pub(super) async fn one(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    reckoned(NO_SUCH, move || {
        let incidents = admin.telemetry.incidents();
        let found = incidents.find(&id, admin.telemetry.cases())?;
        Some(judged(&admin, &Surroundings::of_admin(&admin), found))
    })
    .await
}

fn judged(admin: &Admin, surroundings: &Surroundings<'_>, incident: Incident) -> IncidentView {
    let example = incident.example.as_deref();
    let case = example.and_then(|id| admin.telemetry.cases().find(id));
    IncidentView {
        verdict: case.map(|case| Verdict::of(&case, &surroundings.around(&case))),
        incident,
    }
}

// === impl Which ===

impl Which {
    fn takes(&self, incident: &Incident, since_ms: u64) -> bool {
        let upstream = self.upstream.as_ref();
        let route = self.route.as_ref();
        (incident.is_open() || (!self.open && incident.last_fault_ms >= since_ms))
            && upstream.is_none_or(|wanted| incident.upstream.as_ref() == Some(wanted))
            && route.is_none_or(|wanted| incident.routes.contains(wanted))
    }
}
