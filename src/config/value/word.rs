//! Values out of a closed set of words.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{Given, Shown, Typed};
use crate::{
    config::{
        BalancePolicy, CauseWord, CheckMethod, ClientAuth, HostPolicy, LawWord, LogFormat,
        UpstreamProtocol,
        nearest::did_you_mean,
        problem::{Code, Problem},
        shape::Shape,
    },
    names::Priority,
};

/// A closed set of words. The words of a field's shape are those of its type: [`Word::shape`] says so.
pub(crate) trait Word: Copy + PartialEq + Sync + 'static {
    /// Each value and its word.
    const WORDS: &'static [(&'static str, Self)];
    /// The words alone, in the same order.
    const NAMES: &'static [&'static str];
    /// Words of later versions.
    const LATER: &'static [&'static str] = &[];
    /// The shape of fields of this type.
    const SHAPE: Shape = Shape::Word { words: Self::NAMES };

    /// The value's word.
    fn text(self) -> &'static str {
        let word = Self::WORDS.iter().find(|(_, value)| *value == self);
        word.map_or("", |(word, _)| *word)
    }
}

/// `mode` of a concurrency limit, before its numbers are joined to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConcurrencyWord {
    Off,
    Fixed,
    Learned(LawWord),
}

/// One of the words of `retry.on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryWord {
    Connect,
    Reset,
    Timeout,
    Status502,
    Status503,
    Status504,
}

impl Word for ConcurrencyWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("adaptive", Self::Learned(LawWord::Adaptive)),
        ("fixed", Self::Fixed),
        ("aimd", Self::Learned(LawWord::Aimd)),
        ("vegas", Self::Learned(LawWord::Vegas)),
        ("gradient2", Self::Learned(LawWord::Gradient2)),
        ("off", Self::Off),
    ];
    const NAMES: &'static [&'static str] =
        &["adaptive", "fixed", "aimd", "vegas", "gradient2", "off"];
}

impl Word for RetryWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("connect", Self::Connect),
        ("reset", Self::Reset),
        ("timeout", Self::Timeout),
        ("502", Self::Status502),
        ("503", Self::Status503),
        ("504", Self::Status504),
    ];
    const NAMES: &'static [&'static str] = &["connect", "reset", "timeout", "502", "503", "504"];
}

impl Word for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("optional", Self::Optional)];
    const NAMES: &'static [&'static str] = &["required", "optional"];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
    const NAMES: &'static [&'static str] = &["json", "text"];
}

impl Word for tracing::Level {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::ERROR),
        ("warn", Self::WARN),
        ("info", Self::INFO),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
    const NAMES: &'static [&'static str] = &["error", "warn", "info", "debug", "trace"];
}

impl Word for UpstreamProtocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("http1", Self::Http1),
        ("h2", Self::H2),
        ("auto", Self::Auto),
    ];
    const NAMES: &'static [&'static str] = &["http1", "h2", "auto"];
}

impl Word for BalancePolicy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("least_request", Self::LeastRequest),
        ("round_robin", Self::RoundRobin),
        ("random", Self::Random),
        ("peak_ewma", Self::PeakEwma),
    ];
    const NAMES: &'static [&'static str] = &["least_request", "round_robin", "random", "peak_ewma"];
    const LATER: &'static [&'static str] = &["consistent_hash"];
}

impl Word for HostPolicy {
    const WORDS: &'static [(&'static str, Self)] =
        &[("preserve", Self::Preserve), ("upstream", Self::Upstream)];
    const NAMES: &'static [&'static str] = &["preserve", "upstream"];
}

impl Word for CauseWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("overload", Self("overload")),
        ("communication", Self("communication")),
        ("network", Self("network")),
        ("dns", Self("dns")),
        ("application", Self("application")),
        ("client", Self("client")),
        ("config", Self("config")),
        ("internal", Self("internal")),
    ];
    const NAMES: &'static [&'static str] = &[
        "overload",
        "communication",
        "network",
        "dns",
        "application",
        "client",
        "config",
        "internal",
    ];
}

impl Word for CheckMethod {
    const WORDS: &'static [(&'static str, Self)] = &[("GET", Self::Get), ("HEAD", Self::Head)];
    const NAMES: &'static [&'static str] = &["GET", "HEAD"];
}

impl Word for Priority {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("critical", Self::Critical),
        ("high", Self::High),
        ("normal", Self::Normal),
        ("low", Self::Low),
    ];
    const NAMES: &'static [&'static str] = &["critical", "high", "normal", "low"];
}

fn read<W: Word>(given: &Given<'_>) -> Option<W> {
    let typed = match given.value {
        DeValue::String(text) => text.as_ref(),
        DeValue::Integer(number) if W::NAMES.contains(&number.as_str()) => {
            return given.wrong_kind(Some(format!("put it in quotes: \"{}\"", number.as_str())));
        }
        DeValue::Table(table) => match later_table::<W>(table) {
            Some(word) => word,
            None => return given.wrong_kind(None),
        },
        _ => return given.wrong_kind(None),
    };
    if let Some((_, word)) = W::WORDS.iter().find(|(name, _)| *name == typed) {
        return Some(*word);
    }
    let expected = format!("expected one of: {}", W::NAMES.join(", "));
    let problem = if W::LATER.contains(&typed) {
        let message = format!("`{}` = `{typed}` is not available yet", given.key);
        Problem::error(Code::NotYet, given.at, message, expected)
    } else {
        let message = format!("unknown {} `{typed}`", noun(given.key));
        Problem::error(Code::UnknownWord, given.at, message, expected).maybe_help(meant::<W>(typed))
    };
    given.problems.add(problem);
    None
}

/// The nearest word, one that works before one that does not yet.
fn meant<W: Word>(typed: &str) -> Option<String> {
    let later = || {
        did_you_mean(typed, W::LATER.iter().copied())
            .map(|question| format!("{question} It is not available yet"))
    };
    did_you_mean(typed, W::NAMES.iter().copied()).or_else(later)
}

/// The later word of `{ consistent_hash = "client_ip" }`.
fn later_table<W: Word>(table: &toml::de::DeTable<'_>) -> Option<&'static str> {
    W::LATER
        .iter()
        .copied()
        .find(|word| table.contains_key(*word))
}

/// What the word of a key is called in a sentence.
fn noun(key: &str) -> &str {
    match key {
        "mode" => "concurrency mode",
        "on" => "retry reason",
        "format" => "log format",
        "level" => "log level",
        "balance" => "balance policy",
        "causes" => "cause",
        other => other,
    }
}

macro_rules! words {
    ($($type:ty),+) => {$(
        impl Typed for $type {
            fn read(given: &Given<'_>) -> Option<Self> {
                read(given)
            }
        }

        impl Shown for $type {
            fn shown(&self) -> Json {
                json!(self.text())
            }
        }
    )+};
}
words!(
    ConcurrencyWord,
    RetryWord,
    ClientAuth,
    LogFormat,
    tracing::Level,
    UpstreamProtocol,
    BalancePolicy,
    HostPolicy,
    CauseWord,
    CheckMethod,
    Priority
);

#[cfg(test)]
mod tests {
    use super::*;

    fn same<W: Word>() {
        let words: Vec<_> = W::WORDS.iter().map(|(word, _)| *word).collect();
        assert_eq!(words, W::NAMES);
    }

    #[test]
    fn the_words_that_are_shown_are_those_that_are_read() {
        same::<ConcurrencyWord>();
        same::<RetryWord>();
        same::<ClientAuth>();
        same::<LogFormat>();
        same::<tracing::Level>();
        same::<UpstreamProtocol>();
        same::<BalancePolicy>();
        same::<HostPolicy>();
        same::<CauseWord>();
        same::<CheckMethod>();
        same::<Priority>();
    }
}
