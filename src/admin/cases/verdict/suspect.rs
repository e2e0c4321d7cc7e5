//! What a verdict names: a root, how sure it is, and why.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::root::Root;

/// From here on a root is certain.
const CERTAIN: u8 = 85;
/// From here on it is likely.
const LIKELY: u8 = 50;

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// What was seen leaves nothing else.
    Certain,
    /// It fits best to what was seen.
    Likely,
    /// Nothing stands out.
    Unknown,
}

/// What may be at the root of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Whose doing it is: one of the eight causes.
    pub cause: Cow<'static, str>,
    /// The finer word.
    pub finer: Cow<'static, str>,
    /// What it is about: an endpoint, a route and its key, a name; `None` where there is nothing to add.
    pub subject: Option<String>,
    /// How sure that is.
    pub confidence: Confidence,
}

/// What one hypothesis makes of a case.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) root: Root,
    pub(super) subject: Option<String>,
    /// How much speaks for it, 0 to 100.
    pub(super) weight: u8,
    pub(super) evidence: Vec<String>,
}

// === impl Finding ===

impl Finding {
    pub(super) fn new(root: Root, weight: u8) -> Self {
        Self {
            root,
            subject: None,
            weight,
            evidence: Vec::new(),
        }
    }

    pub(super) fn about(mut self, subject: &(impl ToString + ?Sized)) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    pub(super) fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    pub(super) fn weighing(mut self, weight: u8) -> Self {
        self.weight = weight;
        self
    }

    /// How sure it is.
    pub(super) const fn confidence(&self) -> Confidence {
        match self.weight {
            CERTAIN.. => Confidence::Certain,
            LIKELY.. => Confidence::Likely,
            _ => Confidence::Unknown,
        }
    }

    pub(super) fn suspect(&self) -> Suspect {
        Suspect {
            cause: self.root.cause().as_str().into(),
            finer: self.root.word().into(),
            subject: self.subject.clone(),
            confidence: self.confidence(),
        }
    }
}

// === impl Confidence ===

impl Confidence {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Unknown => "unknown",
        }
    }
}
