//! `tidegate config status`: what is in force, and what is wrong.

use std::fmt::Write as _;

use http::Method;
use serde::Deserialize;

use crate::{
    cli::{
        answer::{Unknown, asked},
        inquiry::CallerArgs,
    },
    telemetry::ReloadResult,
};

/// The config in force, as the API tells it.
#[derive(Debug, Deserialize)]
struct Shown {
    path: String,
    hash: String,
    revision: u64,
    applied_at: String,
    last_reload: Option<Last>,
    wrong_files: Vec<Wrong>,
}

#[derive(Debug, Deserialize)]
struct Last {
    at: String,
    result: ReloadResult,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Wrong {
    file: String,
    since: String,
    why: String,
}

/// Asks a running gateway.
pub(super) fn ask(caller: &CallerArgs, as_json: bool) -> Option<Result<String, Unknown>> {
    let text = |shown: Shown| text(&shown);
    asked(caller, Method::GET, "/api/v1/config", as_json, text)
}

fn text(shown: &Shown) -> String {
    let mut text = format!(
        "in force: {} (revision {}) since {}\nfile: {}\n",
        shown.hash, shown.revision, shown.applied_at, shown.path
    );
    if let Some(last) = &shown.last_reload {
        let _ = writeln!(text, "last read: {}, {}", last.at, last.result.as_str());
        for line in last.error.iter().flat_map(|error| error.lines()) {
            let _ = writeln!(text, "  {line}");
        }
    }
    for Wrong { file, since, why } in &shown.wrong_files {
        let _ = writeln!(
            text,
            "wrong since {since}: {file}: {why}\n  what it held before stays in force"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_file_since_when_and_why() {
        let shown = serde_json::json!({
            "path": "tidegate.toml", "hash": "0123456789ab", "revision": 7, "applied_at": "A",
            "last_reload": { "at": "B", "result": "rejected", "error": "one\ntwo", "line": 3 },
            "wrong_files": [{ "file": "tls/a.crt", "since": "C", "why": "it holds no certificate" }],
        });
        assert_eq!(
            text(&serde_json::from_value(shown).unwrap()),
            "in force: 0123456789ab (revision 7) since A\nfile: tidegate.toml\nlast read: B, rejected\n  one\n  two\n\
             wrong since C: tls/a.crt: it holds no certificate\n  what it held before stays in force\n"
        );
    }
}
