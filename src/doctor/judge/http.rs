//! An answer over HTTP: whether it passes, how long connections may rest, and the clock of whoever answers.

use std::time::{Duration, SystemTime};

use http::{StatusCode, Version};

use super::said;
use crate::{
    doctor::report::{Code, Finding, Stage},
    health::{CheckFailure, Passed},
    upstream::Rest,
};

/// Clocks that differ by less are alike: `Date` knows whole seconds.
const SKEW: Duration = Duration::from_secs(2);

/// An answer to a check.
#[derive(Debug)]
pub(in crate::doctor) struct Answered<'a> {
    /// What was asked, in words.
    pub(in crate::doctor) asked: &'a str,
    /// Whether it is a check of the config, or only a look.
    pub(in crate::doctor) configured: bool,
    pub(in crate::doctor) status: StatusCode,
    pub(in crate::doctor) version: Version,
    pub(in crate::doctor) first_byte: Duration,
    /// How long that may take.
    pub(in crate::doctor) patience: Duration,
    pub(in crate::doctor) verdict: &'a Result<Passed, CheckFailure>,
}

/// What an answer says. `Err`: there was none.
pub(in crate::doctor) fn answer(
    asked: &str,
    answered: Result<&Answered<'_>, &CheckFailure>,
) -> Finding {
    let it = match answered {
        Ok(it) => it,
        Err(why) => {
            return Finding::bad(Stage::Http, Code::CheckFailed, format!("{asked}: {why}"))
                .advise("the connection is there and no answer comes: look at the service's log at this second");
        }
    };
    let says = format!(
        "{} answers {} over {:?}",
        it.asked,
        it.status.as_u16(),
        it.version
    );
    let found = match it.verdict {
        Err(why) => Finding::bad(
            Stage::Http,
            Code::CheckFailed,
            format!("{says}; the check does not pass: {why}"),
        )
        .advise("the endpoint is out of rotation while this lasts: look at the service, or at [upstreams.NAME.health]"),
        Ok(Passed::Degraded) => Finding::warn(
            Stage::Http,
            Code::Degraded,
            format!("{says}; the service says that it can do less"),
        ),
        Ok(Passed::Whole) if !it.configured && it.status.is_server_error() => {
            Finding::warn(Stage::Http, Code::ServerError, says)
                .advise("it is the service's own error; name a path that should work with [upstreams.NAME.health] path")
        }
        Ok(Passed::Whole) if it.first_byte > it.patience / 2 => {
            let says = format!("{says}, more than half of what is waited for ({})", said(it.patience));
            Finding::warn(Stage::Http, Code::Slow, says)
                .advise("requests will run into first_byte_timeout, or checks into timeout, under load")
        }
        Ok(Passed::Whole) => Finding::well(Stage::Http, says),
    };
    found.took(it.first_byte)
}

/// What is known of how long an endpoint leaves connections open.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::doctor) struct KeepAlive<'a> {
    /// The value of its `Keep-Alive`.
    pub(in crate::doctor) told: Option<&'a str>,
    /// Whether it says that it closes after the answer.
    pub(in crate::doctor) closes: bool,
    /// What was seen of a connection that rested, and for how long it was looked at; `None`: nothing.
    pub(in crate::doctor) seen: Option<(Rest, Duration)>,
}

/// Their time against ours.
pub(in crate::doctor) fn keep_alive(known: KeepAlive<'_>, ours: Duration) -> Finding {
    let stage = Stage::KeepAlive;
    if known.closes {
        return Finding::warn(
            stage,
            Code::NoKeepAlive,
            "the service closes the connection after each answer",
        )
        .advise("each request pays for a connection of its own: let the service keep them open");
    }
    let closed = match known.seen {
        Some((Rest::Shared, _)) => {
            return Finding::well(stage, "HTTP/2: whoever closes says so before");
        }
        Some((Rest::Closed(after), _)) => Some(after),
        Some((Rest::Open, _)) | None => None,
    };
    let told = known.told.and_then(timeout_of);
    // What was seen counts, where both are known.
    let (theirs, how) = match (closed, told) {
        (Some(after), _) => (after, "closed a resting connection after"),
        (None, Some(told)) => (told, "says that it closes resting connections after"),
        (None, None) => {
            return match known.seen {
                Some((_, looked)) => Finding::well(
                    stage,
                    format!(
                        "a connection that rested for {} was still open",
                        said(looked)
                    ),
                ),
                None => {
                    Finding::skipped(stage, "nothing is known of how long connections may rest")
                }
            };
        }
    };
    let says = format!(
        "the service {how} {}; we reuse them for {}",
        said(theirs),
        said(ours)
    );
    if theirs > ours {
        return Finding::well(stage, says);
    }
    Finding::warn(stage, Code::ClosesFirst, says).advise(format!(
        "a request may meet a connection that closes at that moment: set idle_timeout below {}, or let the service wait longer",
        said(theirs)
    ))
}

/// `timeout` of a `Keep-Alive` field, such as `timeout=5, max=100`.
fn timeout_of(value: &str) -> Option<Duration> {
    let mut parts = value
        .split(',')
        .filter_map(|part| part.trim().split_once('='));
    let (_, seconds) = parts.find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))?;
    seconds
        .trim()
        .trim_matches('"')
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// The clock of whoever answered, who said `date` between these moments of ours.
pub(in crate::doctor) fn skew(
    date: Option<SystemTime>,
    (sent, heard): (SystemTime, SystemTime),
) -> Finding {
    let stage = Stage::Clock;
    let Some(date) = date else {
        return Finding::skipped(stage, "the answer has no Date");
    };
    // It was said at some moment of the second that it names, and between our two.
    let latest = date + Duration::from_secs(1);
    let ahead = date.duration_since(heard).unwrap_or_default();
    let behind = sent.duration_since(latest).unwrap_or_default();
    let (by, where_to) = if ahead >= behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    if by < SKEW {
        return Finding::well(stage, "the clocks of both machines agree");
    }
    let says = format!(
        "the service's clock is {} {where_to} ours, at least",
        said(by)
    );
    Finding::warn(stage, Code::Skewed, says)
        .advise("certificates, tokens and logs need one time: let both machines follow NTP")
}

#[cfg(test)]
mod tests;
