//! The answer of a running gateway, read as what a verb prints.

use std::{fmt, process::ExitCode, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    inquiry::{AskError, CallerArgs, Reply},
    terminal::{say, tell},
};

/// How long an answer may take: some are reckoned when they are asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is nothing to show.
#[derive(Debug)]
pub(super) enum Unknown {
    /// There is no answer.
    Ask(AskError),
    /// The answer is a refusal that says why.
    Refused(Refusal),
    /// Whoever answers does so with another status than 200.
    Status(String, StatusCode),
    /// The answer is not what this version expects.
    Answer(serde_json::Error),
}

/// A problem document of the API.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    title: String,
    #[serde(default)]
    detail: String,
}

/// What `method path` is answered: as it is where `as_json`, else as `text` makes of it. `None` where the config file
/// cannot say whom to ask, which was told.
pub(super) fn asked<T: DeserializeOwned>(
    caller: &CallerArgs,
    method: Method,
    path: &str,
    as_json: bool,
    text: impl FnOnce(T) -> String,
) -> Option<Result<String, Unknown>> {
    asked_within(caller, (method, path, PATIENCE), as_json, text)
}

/// The same, where the answer may take another time.
pub(super) fn asked_within<T: DeserializeOwned>(
    caller: &CallerArgs,
    (method, path, patience): (Method, &str, Duration),
    as_json: bool,
    text: impl FnOnce(T) -> String,
) -> Option<Result<String, Unknown>> {
    let reply = caller.ask(method, path, patience)?;
    Some(reply.map_err(Unknown::Ask).and_then(|reply| {
        let body = body_of(reply)?;
        let answer = serde_json::from_slice(&body).map_err(Unknown::Answer)?;
        Ok(if as_json {
            String::from_utf8_lossy(&body).into_owned()
        } else {
            text(answer)
        })
    }))
}

/// Prints what was answered, and ends with 0; else tells why there is nothing, behind `complaint`, and ends with 1.
pub(super) fn shown(told: Option<Result<String, Unknown>>, complaint: &str) -> ExitCode {
    match told {
        Some(Ok(text)) => {
            say(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Some(Err(unknown)) => tell(format_args!("{complaint}{unknown}")),
        None => {}
    }
    ExitCode::FAILURE
}

pub(super) fn body_of(reply: Reply) -> Result<Bytes, Unknown> {
    if reply.status == StatusCode::OK {
        return Ok(reply.body);
    }
    let refusal = serde_json::from_slice(&reply.body).ok();
    let refusal = refusal.filter(|_| reply.status != StatusCode::UNAUTHORIZED);
    Err(refusal.map_or(
        Unknown::Status(reply.authority, reply.status),
        Unknown::Refused,
    ))
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(error) => error.fmt(f),
            Self::Refused(Refusal { title, detail }) if detail.is_empty() => f.write_str(title),
            Self::Refused(Refusal { title, detail }) => write!(f, "{title} {detail}"),
            Self::Status(authority, StatusCode::UNAUTHORIZED) => {
                write!(f, "{authority} asks for a token: --token-file FILE")
            }
            Self::Status(authority, status) => write!(f, "{authority} answers {status}"),
            Self::Answer(error) => write!(f, "the answer is of another version: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: StatusCode, body: &'static str) -> String {
        let reply = Reply {
            authority: "here".to_owned(),
            status,
            body: body.into(),
        };
        body_of(reply).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let body = r#"{"type":"about:blank","title":"No.","status":409,"detail":"It is a link."}"#;
        assert_eq!(refusal(StatusCode::CONFLICT, body), "No. It is a link.");
    }

    #[test]
    fn who_asks_for_a_token_is_told_how_to_show_one() {
        let body = r#"{"title":"Unauthorized"}"#;
        let said = refusal(StatusCode::UNAUTHORIZED, body);
        assert_eq!(said, "here asks for a token: --token-file FILE");
    }

    #[test]
    fn another_program_is_told_by_its_status() {
        let said = refusal(StatusCode::NOT_FOUND, "<html>");
        assert_eq!(said, "here answers 404 Not Found");
    }
}
