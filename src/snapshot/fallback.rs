//! What a route answers when nothing else can serve.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::{
    config::{FallbackPlan, Files, RoutePlan},
    telemetry::{FallbackHandles, Telemetry},
};

/// The fallback of a route.
#[derive(Debug)]
pub struct FallbackLive {
    /// Where it leads.
    pub to: FallsTo,
    /// Its kind, in a word of the config.
    pub word: &'static str,
    /// What is counted of it.
    pub handles: Arc<FallbackHandles>,
}

/// Where a fallback leads.
#[derive(Debug)]
pub enum FallsTo {
    /// To the route's target at this index.
    Target(usize),
    /// To an answer of the gateway's own.
    Page {
        /// The status.
        status: StatusCode,
        /// What the body is; `None`: plain text.
        content_type: Option<HeaderValue>,
        /// The body.
        body: Bytes,
    },
}

// === impl FallbackLive ===

impl FallbackLive {
    /// What `plan` says; `files` are those that were loaded with it, and an upstream is the target at `next`.
    pub(super) fn of(
        plan: &RoutePlan,
        files: &Files,
        telemetry: &Telemetry,
        next: usize,
    ) -> Option<Self> {
        let own = plan.fallback.as_ref()?;
        let to = match own {
            FallbackPlan::Upstream(_) => FallsTo::Target(next),
            FallbackPlan::File {
                status,
                content_type,
                ..
            } => FallsTo::Page {
                status: *status,
                content_type: Some(content_type.clone()),
                body: files.fallbacks.get(&plan.name).cloned().unwrap_or_default(),
            },
            FallbackPlan::Respond { status, body } => FallsTo::Page {
                status: *status,
                content_type: None,
                body: body.clone(),
            },
        };
        Some(Self {
            to,
            word: own.word(),
            handles: telemetry.fallback(&plan.name, own.word()),
        })
    }
}
