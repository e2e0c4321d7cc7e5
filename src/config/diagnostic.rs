//! What the operator is told: an error or a warning, its place in the file, and what to do.

use std::{fmt, sync::Arc};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::problem::{Problem, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, and something in it is probably not meant.
    Warning,
}

/// One thing to say about a config file. Its text is complete without the file at hand.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    source: Arc<Source>,
    problem: Problem,
}

/// The errors of a file, in the file's order; never empty. The first 20 are kept, the rest counted.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    shown: Vec<Diagnostic>,
    count: usize,
}

/// The file that diagnostics speak of.
#[derive(Debug)]
pub(crate) struct Source {
    /// As the operator named it.
    file: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// How many errors of a file are kept and shown; the rest are counted.
const MOST_SHOWN: usize = 20;

// === impl Diagnostic ===

impl Diagnostic {
    pub(crate) fn new(source: &Arc<Source>, problem: Problem) -> Self {
        let mut problem = problem;
        problem.at = problem.at.map(|span| source.clip(span));
        for (span, _) in &mut problem.others {
            *span = source.clip(*span);
        }
        Self {
            source: Arc::clone(source),
            problem,
        }
    }

    /// `C014`: the same kind of mistake always has the same code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.problem.code.as_str()
    }

    /// Whether it is an error or a warning.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.problem.warning {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.problem.message
    }

    /// What was expected at that place; empty where the message says it all.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.problem.label
    }

    /// What to do, where something is known.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.problem.help.as_deref()
    }

    /// The file, as the operator named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.file
    }

    /// The line, from 1; `None` for what concerns the file as a whole.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.problem.at.map(|at| self.source.line_and_column(at).0)
    }

    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        self.problem.at.map(|at| self.source.line_and_column(at).1)
    }

    /// The whole message with the text underlined, without a newline at its end.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let level = if self.problem.warning {
            Level::WARNING
        } else {
            Level::ERROR
        };
        let title = level.primary_title(self.message()).id(self.code());
        let mut group = match self.problem.at {
            Some(at) => Group::with_title(title).element(self.snippet(at)),
            None => Group::with_title(title).element(Origin::path(self.file())),
        };
        if let Some(help) = self.help() {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }

    fn snippet(&self, at: Span) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let label = Some(self.label()).filter(|label| !label.is_empty());
        Snippet::source(self.source.text.as_str())
            .path(self.file())
            .annotation(AnnotationKind::Primary.span(at.start..at.end).label(label))
            .annotations(self.problem.others.iter().map(|(at, label)| {
                AnnotationKind::Context
                    .span(at.start..at.end)
                    .label(label.as_str())
            }))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("diagnostic", 8)?;
        fields.serialize_field("severity", &self.severity())?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", self.message())?;
        fields.serialize_field("expected", self.label())?;
        fields.serialize_field("help", &self.help())?;
        fields.serialize_field("file", self.file())?;
        fields.serialize_field("line", &self.line())?;
        fields.serialize_field("column", &self.column())?;
        fields.end()
    }
}

// === impl Diagnostics ===

impl Diagnostics {
    pub(crate) fn new(mut all: Vec<Diagnostic>) -> Self {
        let count = all.len();
        all.truncate(MOST_SHOWN);
        Self { shown: all, count }
    }

    /// The one error of a file whose text is not there.
    pub(crate) fn unreadable(file: String, problem: Problem) -> Self {
        let source = Arc::new(Source::new(file, String::new()));
        Self::new(vec![Diagnostic::new(&source, problem)])
    }

    /// How many errors there are, those that are not shown included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The line of the first error that has one.
    #[must_use]
    pub fn first_line(&self) -> Option<u32> {
        self.iter().find_map(Diagnostic::line)
    }

    /// The first 20 errors, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.shown.iter()
    }

    /// The first 20 in full and the number of the rest, without a newline at the end.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut shown: Vec<_> = self
            .iter()
            .map(|diagnostic| diagnostic.render(color))
            .collect();
        match self.len().saturating_sub(self.shown.len()) {
            0 => {}
            1 => shown.push("and 1 more error".to_owned()),
            rest => shown.push(format!("and {rest} more errors")),
        }
        shown.join("\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.shown)
    }
}

// === impl Source ===

impl Source {
    pub(crate) fn new(file: String, text: String) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { file, text, lines }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The part of `span` that lies in the text and on its first line, on borders of characters.
    fn clip(&self, span: Span) -> Span {
        let start = self.floor(span.start);
        let end = self.floor(span.end).max(start);
        let text = self.text.get(start..end).unwrap_or_default();
        let line = text.split(['\r', '\n']).next().unwrap_or_default();
        Span {
            start,
            end: start + line.len(),
        }
    }

    /// The border of a character at or before `index`.
    fn floor(&self, index: usize) -> usize {
        let mut index = index.min(self.text.len());
        while !self.text.is_char_boundary(index) {
            index -= 1;
        }
        index
    }

    /// The line of a span, from 1.
    pub(crate) fn line_of(&self, at: Span) -> u32 {
        self.line_and_column(at).0
    }

    fn line_and_column(&self, at: Span) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= at.start);
        let start = self.lines.get(line.saturating_sub(1)).copied();
        let before = self.text.get(start.unwrap_or(0)..at.start);
        let column = before.unwrap_or_default().chars().count() + 1;
        (narrow(line), narrow(column))
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
