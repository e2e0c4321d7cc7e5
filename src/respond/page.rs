//! Faults as a page for people: no script, nothing fetched, readable in light and dark.

use std::{fmt::Write as _, sync::LazyLock};

use crate::{
    config::{Piece, Slot, Template},
    fault::{Facts, Kind},
};

use super::said::Said;

/// What a page is filled with.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    /// The status, in digits.
    pub(super) status: &'a str,
    /// What is said, in some language.
    pub(super) said: &'a Said<'a>,
    /// Not yet harmless.
    pub(super) request_id: &'a str,
    /// Seconds until the client should come back.
    pub(super) retry_after: Option<u64>,
}

/// The built-in page before and after the rows that are only in it.
static BUILT_IN: LazyLock<(Template, Template)> = LazyLock::new(|| {
    let parsed = |text: &str| Template::parse(text, Slot::PAGE).unwrap_or_default(); // a test reads it whole
    let (before, after) = TEMPLATE.split_once(ROWS).unwrap_or((TEMPLATE, ""));
    (parsed(before), parsed(after))
});

const TEMPLATE: &str = include_str!("page.html");
/// Where the rows go.
const ROWS: &str = "<!-- rows -->\n";

/// The built-in page. `rows` are those of the kind; `detail` is there where the operator shows it.
pub(super) fn built_in(filling: &Filling<'_>, rows: &str, detail: Option<&str>) -> String {
    let (before, after) = &*BUILT_IN;
    let spare = filling.said.len() + filling.request_id.len() + detail.map_or(0, str::len) + 256;
    let mut out = String::with_capacity(TEMPLATE.len() + rows.len() + spare);
    fill(&mut out, before, filling);
    out.push_str(rows);
    if let Some(detail) = detail {
        out.push_str("<dt>Detail</dt><dd>");
        push_text(&mut out, detail);
        out.push_str("</dd>\n");
    }
    fill(&mut out, after, filling);
    out
}

/// The page of an operator's.
pub(super) fn own(page: &Template, filling: &Filling<'_>) -> String {
    let mut out = String::with_capacity(OWN_PAGE);
    fill(&mut out, page, filling);
    out
}

/// What most pages have room in.
const OWN_PAGE: usize = 4096;

/// What operators know a fault of `kind` by, as rows of the built-in page. All text in it is ours.
pub(super) fn rows(kind: Kind) -> Box<str> {
    let Facts {
        cause,
        proxy_error,
        reason,
        ..
    } = kind.facts();
    let reason = reason.unwrap_or(proxy_error);
    format!("<dt>Cause</dt><dd>{cause}</dd>\n<dt>Reason</dt><dd>{reason}</dd>\n").into()
}

fn fill(out: &mut String, page: &Template, filling: &Filling<'_>) {
    for piece in page.pieces() {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Slot(slot) => push_slot(out, *slot, filling),
        }
    }
}

fn push_slot(out: &mut String, slot: Slot, filling: &Filling<'_>) {
    match slot {
        Slot::Status => out.push_str(filling.status),
        Slot::Title => out.push_str(filling.said.title),
        Slot::Sentence => out.push_str(filling.said.sentence),
        Slot::Advice => out.push_str(&filling.said.advice),
        Slot::RequestId => push_text(out, filling.request_id),
        Slot::RetryAfter => {
            if let Some(seconds) = filling.retry_after {
                let _ = write!(out, "{seconds}"); // writing to a String cannot fail
            }
        }
        Slot::Language => out.push_str(filling.said.language),
    }
}

/// `text` with everything escaped that means something to HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_text(&mut out, text);
    out
}

fn push_text(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
}
