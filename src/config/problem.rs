//! What is wrong with a file, noted while it is read: spans and sentences, not yet joined to the text.

use std::cell::RefCell;

/// A stretch of the file's text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) it: T,
    pub(crate) at: Span,
}

/// What kind of thing is wrong. The text of a code is for people to search by and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The config file itself cannot be read.
    Unreadable,
    /// The file is not UTF-8 text.
    NotText,
    /// Not TOML.
    Syntax,
    /// A key or table that is given twice.
    Duplicate,
    /// A key that nobody knows.
    UnknownKey,
    /// A list where text should be, and so on.
    WrongKind,
    /// A key that must be there.
    MissingKey,
    /// A value beyond its bounds.
    OutOfBounds,
    /// A word that is not in its closed set.
    UnknownWord,
    /// Text that cannot be read as what it should be.
    Malformed,
    /// A key or word of a later version.
    NotYet,
    /// Keys that exclude each other, or none of several where one must be.
    KeyChoice,
    /// A name that is missing or taken.
    Name,
    /// A name that means nothing.
    UnknownName,
    /// Two values that cannot both hold.
    Conflict,
    /// Two routes that nothing tells apart.
    EqualRoutes,
    /// Two sockets on one address.
    SameBind,
    /// An admin listener that anybody may reach.
    OpenAdmin,
    /// A named file that cannot be read.
    FileUnreadable,
    /// A named file that does not hold what it should.
    FileContent,
    /// A key that does not belong to its certificate.
    KeyMismatch,
    /// Legal, and probably not meant.
    Doubtful,
    /// Legal, and dangerous.
    Dangerous,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) warning: bool,
    pub(crate) message: String,
    pub(crate) at: Option<Span>,
    pub(crate) label: String,
    pub(crate) others: Vec<(Span, String)>,
    pub(crate) help: Option<String>,
}

/// All that is wrong so far.
///
/// A cell, so that every row and value of a file can note what is wrong with it while others are borrowed.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

// === impl Span ===

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

// === impl At ===

impl<T> At<T> {
    pub(crate) fn new(it: T, at: Span) -> Self {
        Self { it, at }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At::new(change(self.it), self.at)
    }
}

// === impl Code ===

impl Code {
    /// The code in `error[C014]`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "C001",
            Self::NotText => "C002",
            Self::Syntax => "C003",
            Self::Duplicate => "C004",
            Self::UnknownKey => "C010",
            Self::WrongKind => "C011",
            Self::MissingKey => "C012",
            Self::OutOfBounds => "C013",
            Self::UnknownWord => "C014",
            Self::Malformed => "C015",
            Self::NotYet => "C016",
            Self::KeyChoice => "C017",
            Self::Name => "C020",
            Self::UnknownName => "C021",
            Self::Conflict => "C022",
            Self::EqualRoutes => "C023",
            Self::SameBind => "C024",
            Self::OpenAdmin => "C025",
            Self::FileUnreadable => "C030",
            Self::FileContent => "C031",
            Self::KeyMismatch => "C032",
            Self::Doubtful => "C040",
            Self::Dangerous => "C041",
        }
    }

    /// Whether it can be told by one value alone, whatever the rest of the file says.
    pub(crate) const fn is_local(self) -> bool {
        matches!(
            self,
            Self::Syntax
                | Self::Duplicate
                | Self::UnknownKey
                | Self::WrongKind
                | Self::OutOfBounds
                | Self::UnknownWord
                | Self::Malformed
                | Self::NotYet
        )
    }
}

// === impl Problem ===

impl Problem {
    /// An error with its place and, under the text, what was expected.
    pub(crate) fn error(
        code: Code,
        at: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            code,
            warning: false,
            message: message.into(),
            at: Some(at),
            label: label.into(),
            others: Vec::new(),
            help: None,
        }
    }

    /// Something legal that is probably not meant.
    pub(crate) fn warning(
        code: Code,
        at: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            warning: true,
            ..Self::error(code, at, message, label)
        }
    }

    /// An error of the file as a whole.
    pub(crate) fn whole(code: Code, message: impl Into<String>) -> Self {
        Self {
            at: None,
            ..Self::error(code, Span::default(), message, "")
        }
    }

    /// Something doubtful about the file as a whole.
    pub(crate) fn whole_warning(code: Code, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::whole(code, message)
        }
    }

    /// Shows a second place.
    pub(crate) fn and(mut self, at: Span, label: impl Into<String>) -> Self {
        self.others.push((at, label.into()));
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where something is known.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

// === impl Problems ===

impl Problems {
    pub(crate) fn add(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// How much is noted so far.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// The spans of what is noted with that code.
    pub(crate) fn places(&self, code: Code) -> Vec<Span> {
        let problems = self.0.borrow();
        let of_code = problems.iter().filter(|problem| problem.code == code);
        of_code.filter_map(|problem| problem.at).collect()
    }

    pub(crate) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}
