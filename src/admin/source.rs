//! Where the admin pages get what they show.

use serde::Serialize;

use crate::config::CertificateFacts;

use super::{
    Recommendations,
    views::{ConfigView, LimitView, RouteView, StatusView, UpstreamView},
};

/// A running gateway as the admin pages see it. Each call is a fresh look; none may block for long.
pub trait Source: Send + Sync + 'static {
    /// The whole in a few words.
    fn status(&self) -> StatusView;
    /// Every upstream, by name.
    fn upstreams(&self) -> Vec<UpstreamView>;
    /// Every rate limit, by route and name.
    fn limits(&self) -> Vec<LimitView>;
    /// Every route, in the order of the file.
    fn routes(&self) -> Vec<RouteView>;
    /// The config in force and the last reload.
    fn config(&self) -> ConfigView;
    /// Other limits, and what each would have refused. Reckons for milliseconds a limit, so not for the runtime's own
    /// threads.
    fn recommendations(&self) -> Recommendations;
    /// Open connections by the names of listeners, of those that left the config and drain too.
    fn connections(&self) -> Vec<(String, usize)>;
    /// The certificates that listeners show.
    fn certificates(&self) -> Vec<CertificateFacts>;
    /// Whether new work should be sent here.
    fn ready(&self) -> Readiness;
}

/// Whether new work should be sent to this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// Not all listeners are bound yet.
    Starting,
    /// Yes.
    Ready,
    /// The process was told to end.
    Draining,
}

impl Readiness {
    /// The word of `/readyz` and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    /// Whether `/readyz` says 200.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready)
    }
}
