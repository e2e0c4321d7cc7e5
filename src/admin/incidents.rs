//! Faults that belong together.

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

use super::{Admin, router::problem};
use crate::telemetry::{Incident, MOST_KEPT};

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
    let since_ms = which.since_ms();
    reckoned(move || {
        let all = admin.telemetry.incidents().all(admin.telemetry.cases());
        let wanted = all.into_iter().filter(|one| which.takes(one, since_ms));
        Some(wanted.take(most).collect::<Vec<_>>())
    })
    .await
}

/// The one of this id.
pub(super) async fn one(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    reckoned(move || {
        let incidents = admin.telemetry.incidents();
        incidents.find(&id, admin.telemetry.cases())
    })
    .await
}

/// What `reckon` finds, off the runtime's threads: evidence is sought in everything that is kept.
async fn reckoned<T: Serialize + Send + 'static>(
    reckon: impl FnOnce() -> Option<T> + Send + 'static,
) -> Response {
    match spawn_blocking(reckon).await {
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "There is no such incident."),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The reckoning broke off.",
        ),
    }
}

// === impl Which ===

impl Which {
    /// The moment that `since` means, in milliseconds since 1970.
    fn since_ms(&self) -> u64 {
        let since = self.since.map_or(Duration::MAX, Duration::from_secs);
        let at = SystemTime::now().checked_sub(since).unwrap_or(UNIX_EPOCH);
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn takes(&self, incident: &Incident, since_ms: u64) -> bool {
        let upstream = self.upstream.as_ref();
        let route = self.route.as_ref();
        (incident.is_open() || (!self.open && incident.last_fault_ms >= since_ms))
            && upstream.is_none_or(|wanted| incident.upstream.as_ref() == Some(wanted))
            && route.is_none_or(|wanted| incident.routes.contains(wanted))
    }
}
