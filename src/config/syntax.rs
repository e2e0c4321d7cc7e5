//! Text -> toml's spanned tables, with every syntax error.

use toml::{Spanned, de::DeTable};

use super::problem::{Code, Problem, Problems, Span};

/// The tables of `text`. Syntax errors are noted; what could be read all the same is returned.
pub(crate) fn tables<'t>(text: &'t str, problems: &Problems) -> Spanned<DeTable<'t>> {
    let (tables, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(
            Span {
                start: text.len(),
                end: text.len(),
            },
            Span::from,
        );
        problems.add(problem_of(text, at, error.message()));
    }
    tables
}

/// How far above a repeated key the first is looked for.
const MOST_LINES: usize = 1000;

fn problem_of(text: &str, at: Span, message: &str) -> Problem {
    if message.starts_with("duplicate key") {
        let typed = text.get(at.start..at.end).unwrap_or_default();
        let problem = Problem::error(
            Code::Duplicate,
            at,
            format!("`{typed}` is given twice"),
            "given again here",
        );
        return match earlier(text, at) {
            Some(first) => problem.and(first, "first given here"),
            None => problem,
        };
    }
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, format!("expected {expected}")),
        None => (message, String::new()),
    };
    Problem::error(
        Code::Syntax,
        at,
        format!("not valid TOML: {what}"),
        expected,
    )
}

/// Where the key or header at `at` was given first: the nearest line above that begins in the same way, for a
/// key within its table. At most [`MOST_LINES`] are looked at.
fn earlier(text: &str, at: Span) -> Option<Span> {
    let line_start = text.get(..at.start)?.rfind('\n').map_or(0, |end| end + 1);
    let header = text.get(line_start..)?.trim_start().starts_with('[');
    let lead = text.get(line_start..at.end)?.trim_start();
    let mut end = line_start;
    for _ in 0..MOST_LINES {
        if end == 0 {
            break;
        }
        let above = text.get(..end - 1)?;
        let start = above.rfind('\n').map_or(0, |end| end + 1);
        let line = above.get(start..)?;
        let indent = line.len() - line.trim_start().len();
        let rest = line.trim_start().strip_prefix(lead);
        if rest.is_some_and(|rest| rest.starts_with([' ', '\t', '=', ']', '.'])) {
            let key = text.get(at.start..at.end)?;
            let at = start + indent + lead.len() - key.len();
            return Some(Span {
                start: at,
                end: at + key.len(),
            });
        }
        if !header && line.trim_start().starts_with('[') {
            return None;
        }
        end = start;
    }
    None
}
