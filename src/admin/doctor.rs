//! Looking at the road to upstreams from where this gateway stands.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use tokio::{task::spawn_blocking, time::Instant};

use super::{Admin, change::detailed, router::problem};
use crate::doctor::{Bounds, MOST_IDLE, Practice, Progress, WITHIN, examine};

/// How long a connection is left alone where nobody says how long.
const IDLE: Duration = Duration::from_secs(2);

/// What is to be looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    /// A route, an upstream or a URL; all upstreams and the machine where there is none.
    target: Option<String>,
    /// How long a connection is left alone, in milliseconds.
    idle_ms: Option<u64>,
    /// Whether the machine is looked at beside a target.
    #[serde(default)]
    machine: bool,
}

/// Looks, and answers when all is seen.
pub(super) async fn doctor(State(admin): State<Arc<Admin>>, Query(wish): Query<Wish>) -> Response {
    let Some(patient) = &admin.patient else {
        return problem(StatusCode::NOT_FOUND, "There is nothing to look at here.");
    };
    let idle = wish.idle_ms.map_or(IDLE, Duration::from_millis);
    if idle > MOST_IDLE {
        return problem(
            StatusCode::BAD_REQUEST,
            "A connection is left alone for a minute at most.",
        );
    }
    let Ok(_only) = admin.doctors.try_acquire() else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "Another examination is under way.",
        );
    };
    let practice = Practice::of_running(&patient.load());
    let bounds = Bounds {
        idle,
        until: Instant::now() + WITHIN,
        machine: (wish.machine || wish.target.is_none()).then_some("the gateway's process"),
    };
    let meant = spawn_blocking(move || practice.visit(wish.target.as_deref())).await;
    let visit = match meant {
        Ok(Ok(visit)) => visit,
        Ok(Err(none)) => {
            let title = "There is no such target.";
            return detailed(StatusCode::NOT_FOUND, title, &none.to_string(), None);
        }
        Err(_) => {
            return problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The examination broke off.",
            );
        }
    };
    let progress = Progress::default();
    tokio::select! {
        biased; // who ends does not look on
        () = admin.stop.cancelled() => problem(StatusCode::SERVICE_UNAVAILABLE, "The gateway ends."),
        report = examine(&visit, &bounds, &progress) => Json(report).into_response(),
    }
}
