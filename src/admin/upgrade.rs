//! Asking the process for a newer binary in its place.

use std::{fmt, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{Admin, change::detailed, router::problem};

/// Where a newer binary is asked for. At most one ask may wait.
pub type UpgradeAsks = mpsc::Sender<UpgradeAsk>;

/// One who waits to hear how it ended: with the id of the new process, or why there is none.
pub type UpgradeAsk = oneshot::Sender<Result<u32, NotUpgraded>>;

/// A newer binary has taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradedView {
    /// The id of the process that serves now.
    pub pid: u32,
    /// The id of the process that finishes what it has begun, and ends.
    pub from: u32,
}

/// Why the process stays what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotUpgraded {
    /// Another attempt is under way, or the process ends.
    Busy,
    /// The process is the first of a container, which would end with it.
    First,
    /// The new process could not be started.
    NotStarted(String),
    /// It ended, in these words.
    Ended(String),
    /// It was not ready in time.
    Late,
}

// === impl NotUpgraded ===

impl NotUpgraded {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Busy | Self::First => StatusCode::CONFLICT,
            Self::NotStarted(_) | Self::Ended(_) | Self::Late => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for NotUpgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("another upgrade is under way, or the gateway ends"),
            Self::First => f.write_str(
                "the gateway is process 1 of its container, which would end with it: start a new container instead",
            ),
            Self::NotStarted(why) => write!(f, "the new process cannot be started: {why}"),
            Self::Ended(how) => write!(
                f,
                "the new process ended before it was ready ({how}); the log says why"
            ),
            Self::Late => {
                f.write_str("the new process was not ready in time ([upgrade] timeout), and was killed")
            }
        }
    }
}

/// Asks for a newer binary, and waits until it has taken over.
pub(super) async fn upgrade(State(admin): State<Arc<Admin>>) -> Response {
    let Some(asks) = &admin.upgrades else {
        return problem(
            StatusCode::CONFLICT,
            "This gateway is not a process of its own.",
        );
    };
    let (ask, answer) = oneshot::channel();
    let asked = asks.try_send(ask);
    let answer = match asked {
        // Dropped unanswered where the process ends meanwhile.
        Ok(()) => answer.await.unwrap_or(Err(NotUpgraded::Busy)),
        Err(_) => Err(NotUpgraded::Busy),
    };
    match answer {
        Ok(pid) => {
            let from = std::process::id();
            Json(UpgradedView { pid, from }).into_response()
        }
        Err(why) => detailed(
            why.status(),
            "The old process goes on.",
            &why.to_string(),
            None,
        ),
    }
}
