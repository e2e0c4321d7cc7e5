//! What clients are told of a fault.

use std::{fmt, path::PathBuf};

use http::StatusCode;

use crate::config::Template;

/// `[errors]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorsPlan {
    /// Whether clients see the detail of a fault.
    pub details: bool,
    /// The file that browsers get in place of the built-in page; what it holds is in the loaded files.
    pub page: Option<PathBuf>,
    /// The language for who asks for none that there is: English, or one that a text is in.
    pub language: LanguageTag,
    /// In the file's order: of several that fit the first holds.
    pub texts: Vec<TextPlan>,
}

/// `[[errors.texts]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPlan {
    /// Its language.
    pub language: LanguageTag,
    /// The causes that it is for; empty: all.
    pub causes: Vec<CauseWord>,
    /// The statuses that it is for; empty: all.
    pub statuses: Vec<StatusCode>,
    /// What happened, in a few words.
    pub title: Box<str>,
    /// What happened, in one sentence.
    pub sentence: Box<str>,
    /// What a visitor can try.
    pub advice: Option<Template>,
    /// The same where the service may have acted on the request.
    pub advice_sent: Option<Template>,
}

/// A language, by a tag of RFC 5646. Its case means nothing.
#[derive(Clone)]
pub struct LanguageTag(pub(in crate::config) std::borrow::Cow<'static, str>);

/// A cause of faults, in a word. The words are those of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseWord(pub(in crate::config) &'static str);

// === impl ErrorsPlan ===

impl Default for ErrorsPlan {
    /// As where the file says nothing.
    fn default() -> Self {
        Self {
            details: false,
            page: None,
            language: LanguageTag::ENGLISH,
            texts: Vec::new(),
        }
    }
}

// === impl TextPlan ===

impl TextPlan {
    /// Whether it is for faults of this cause, which end in this status.
    #[must_use]
    pub fn fits(&self, cause: &str, status: StatusCode) -> bool {
        let causes = self.causes.is_empty() || self.causes.iter().any(|word| word.0 == cause);
        causes && (self.statuses.is_empty() || self.statuses.contains(&status))
    }
}

// === impl LanguageTag ===

impl LanguageTag {
    /// The language of the built-in texts.
    pub const ENGLISH: Self = Self(std::borrow::Cow::Borrowed("en"));

    /// The tag, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the language that `tag` names.
    #[must_use]
    pub fn is(&self, tag: &str) -> bool {
        self.0.eq_ignore_ascii_case(tag)
    }
}

impl fmt::Debug for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl PartialEq for LanguageTag {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.as_str())
    }
}

impl Eq for LanguageTag {}
