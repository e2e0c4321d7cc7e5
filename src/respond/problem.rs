//! Faults as problem+json (RFC 9457).

use std::fmt::Write;

use crate::fault::{Facts, Kind};

/// Everything up to the value of `request_id`. All text in it is ours and needs no escaping.
///
/// The `type` is the error type of RFC 9209 as a URN: stable, and never fetched. `reason` is the kind's name
/// where the kind has no reason of its own.
pub(super) fn beginning(kind: Kind) -> Box<str> {
    let Facts {
        name,
        cause,
        status,
        proxy_error,
        reason,
        title,
        ..
    } = kind.facts();
    let reason = reason.unwrap_or(name);
    let status = status.as_u16();
    format!(
        "{{\"type\":\"urn:ietf:rfc:9209#{proxy_error}\",\"title\":\"{title}\",\"status\":{status},\
         \"cause\":\"{cause}\",\"reason\":\"{reason}\",\"request_id\":"
    )
    .into()
}

/// The whole body. `detail` is there where the operator shows it.
pub(super) fn body(beginning: &str, request_id: &str, detail: Option<&str>) -> String {
    let spare = detail.map_or(0, |text| text.len() + 16);
    let mut out = String::with_capacity(beginning.len() + request_id.len() + 8 + spare);
    out.push_str(beginning);
    push_text(&mut out, request_id);
    if let Some(detail) = detail {
        out.push_str(",\"detail\":");
        push_text(&mut out, detail);
    }
    out.push('}');
    out
}

/// Appends `text` as a JSON string (RFC 8259 section 7).
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => {
                // Writing to a String cannot fail. Control characters are all below U+00A0.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}
