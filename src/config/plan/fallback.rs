//! What a route answers when nothing else can serve.

use std::path::PathBuf;

use http::{HeaderValue, StatusCode};

use crate::names::UpstreamName;

/// `fallback`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FallbackPlan {
    /// `{ upstream = "other" }`
    Upstream(UpstreamName),
    /// `{ file = "sorry.html", status = 503 }`; what it holds is in the loaded files.
    File {
        /// The file.
        path: PathBuf,
        /// The status.
        status: StatusCode,
        /// What the file holds.
        content_type: HeaderValue,
    },
    /// `{ respond = { status, body } }`
    Respond {
        /// The status.
        status: StatusCode,
        /// The body, as text.
        body: bytes::Bytes,
    },
}

// === impl FallbackPlan ===

impl FallbackPlan {
    /// The upstream, where it is one.
    #[must_use]
    pub const fn upstream(&self) -> Option<&UpstreamName> {
        match self {
            Self::Upstream(name) => Some(name),
            Self::File { .. } | Self::Respond { .. } => None,
        }
    }

    /// Its kind, in a word of the config.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream",
            Self::File { .. } => "file",
            Self::Respond { .. } => "respond",
        }
    }
}
