//! `[incidents]`

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use http::Uri;

/// `[incidents]`
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentsPlan {
    /// Faults of one route within the window that begin an incident.
    pub min_faults: NonZeroU32,
    /// The share of its requests that they must be, 0 to 1.
    pub min_share: f64,
    /// How far back is looked.
    pub window: Duration,
    /// How long there must be none for an incident to be over.
    pub end_after: Duration,
    /// Who is told of begin and end.
    pub webhook: Option<WebhookPlan>,
}

/// `webhook = { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPlan {
    /// Where it goes: `http` or `https`, with a host.
    pub url: Uri,
    /// The file that holds the token to be shown.
    pub token_file: Option<PathBuf>,
    /// The authorities of the receiver; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// How long one try may take.
    pub timeout: Duration,
}
