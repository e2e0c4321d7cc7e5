//! Faults as a page for people: no script, nothing fetched, readable in light and dark.

use crate::fault::{Facts, Kind};

/// The page before and after the request id.
#[derive(Debug)]
pub(super) struct Around {
    before: Box<str>,
    after: Box<str>,
}

const TEMPLATE: &str = include_str!("page.html");

/// The page of `kind`, cut where the request id goes. All text in it is ours and needs no escaping.
pub(super) fn around(kind: Kind) -> Around {
    let Facts {
        cause,
        status,
        proxy_error,
        reason,
        title,
        ..
    } = kind.facts();
    let page = TEMPLATE
        .replace("{status}", status.as_str())
        .replace("{title}", title)
        .replace("{advice}", advice(kind))
        .replace("{error}", proxy_error)
        .replace("{cause}", cause.as_str())
        .replace("{reason}", reason.unwrap_or(proxy_error));
    let (before, after) = page.split_once("{request_id}").unwrap_or((&page, ""));
    Around {
        before: before.into(),
        after: after.into(),
    }
}

/// The whole page. `detail` is there where the operator shows it.
pub(super) fn body(around: &Around, request_id: &str, detail: Option<&str>) -> String {
    let spare = 64 + detail.map_or(0, str::len);
    let size = around.before.len() + around.after.len() + request_id.len() + spare;
    let mut out = String::with_capacity(size);
    out.push_str(&around.before);
    push_text(&mut out, request_id);
    if let Some(detail) = detail {
        out.push_str("</dd>\n<dt>Detail</dt><dd>");
        push_text(&mut out, detail);
    }
    out.push_str(&around.after);
    out
}

/// What whoever sees the page can do.
fn advice(kind: Kind) -> &'static str {
    match kind.facts().status.as_u16() {
        429 => "Please wait a moment before trying again.",
        503 => "Please try again in a moment.",
        404 => "Please check the address.",
        400..=499 => "The request was not understood; trying again will not help.",
        _ => "Please try again later. If it goes on, tell the operator the request id below.",
    }
}

/// Appends `text` with everything escaped that means something to HTML.
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
