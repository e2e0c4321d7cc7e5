//! The closed list of ways a request ends badly: cause, kind, stage, status and retry hint.
//!
//! No error reaches a client, a log or a metric but as a [`Fault`]. Whoever adds a [`Kind`] is walked by
//! the compiler through every place that must know it, since no `match` on it has a `_` arm.

mod facts;
mod guide;
mod kind;
mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use facts::{Cause, Facts, Party, Stage};
pub use guide::Guide;
pub use kind::Kind;
pub use refusal::{BucketFacts, Refusal, ShedReason};

/// A request ended badly.
///
/// `detail` may hold addresses or the text of an OS error: it goes to the log, and to the client only where
/// the operator allows it (`[errors] details = true`).
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What happened.
    pub kind: Kind,
    /// Where on the road it happened.
    pub stage: Stage,
    /// Which limit refused, where one did.
    pub refusal: Option<Refusal>,
    /// When the client may come back, where that is known.
    pub retry_after: Option<Duration>,
    /// What the place that saw it can add, for operators.
    pub detail: Option<Box<str>>,
}

// === impl Fault ===

impl Fault {
    /// A fault of this kind at the kind's usual stage.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            stage: kind.facts().stage,
            refusal: None,
            retry_after: None,
            detail: None,
        }
    }

    /// The fault that a limit's refusal is.
    #[must_use]
    pub fn shed(refusal: Refusal) -> Self {
        let mut fault = Self::new(Kind::from(refusal.reason));
        fault.retry_after = Some(refusal.retry_after);
        fault.refusal = Some(refusal);
        fault
    }

    /// The same fault, seen at `stage`.
    #[must_use]
    pub fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// The same fault with a hint when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same fault with a word for operators.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What is always true of this kind of fault.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.kind.facts()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::shed(refusal)
    }
}
