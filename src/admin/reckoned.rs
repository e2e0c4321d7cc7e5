//! Answers that look through everything that is kept, and so take a while.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::router::problem;

/// What `reckon` finds, off the runtime's threads; 404 with `nothing` where it finds nothing.
pub(super) async fn reckoned<T: Serialize + Send + 'static>(
    nothing: &'static str,
    reckon: impl FnOnce() -> Option<T> + Send + 'static,
) -> Response {
    match spawn_blocking(reckon).await {
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, nothing),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The reckoning broke off.",
        ),
    }
}

/// The moment so many seconds ago, in milliseconds since 1970; `None`: the beginning of time.
pub(super) fn since_ms(ago_seconds: Option<u64>) -> u64 {
    let ago = ago_seconds.map_or(Duration::MAX, Duration::from_secs);
    let at = SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
