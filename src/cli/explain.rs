//! `tidegate explain`: what to make of a kind of fault.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;

use super::terminal::{say, tell};
use crate::{
    fault::{Facts, Guide, Kind},
    telemetry::catalog,
};

/// What `tidegate explain` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct ExplainArgs {
    /// A kind of fault, as the access log has it: its kind, its reason, or both as KIND/REASON.
    #[arg(long, value_name = "KIND", required = true)]
    kind: String,
}

/// Prints what is known of the kind; ends with 1 where there is none of this name.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let found: Vec<_> = Kind::named(&args.kind).collect();
    if found.is_empty() {
        tell(unknown(&args.kind));
        return ExitCode::FAILURE;
    }
    let texts: Vec<_> = found.into_iter().map(text).collect();
    say(texts.join("\n").trim_end());
    ExitCode::SUCCESS
}

/// Every kind with what is to be made of it, by cause: the page `config/FAULTS.md`.
#[must_use]
pub fn faults() -> String {
    let mut page = String::new();
    for cause in crate::fault::Cause::ALL {
        let _ = writeln!(page, "## {cause}\n\n{}\n", cause.means());
        let kinds = Kind::ALL.iter().filter(|kind| kind.facts().cause == cause);
        for kind in kinds {
            page.push_str(&section(*kind));
        }
    }
    page
}

/// For a terminal.
fn text(kind: Kind) -> String {
    let (facts, guide) = (kind.facts(), kind.guide());
    let mut text = format!(
        "{}: {}\n\n{}\n{}\n",
        title(facts),
        facts.title,
        wrapped(guide.means, ""),
        wrapped(facts.cause.means(), "")
    );
    for (head, items) in heads(guide) {
        let _ = writeln!(text, "\n{head}");
        for item in items {
            text.push_str(&wrapped(item, "  "));
            text.push('\n');
        }
    }
    let _ = writeln!(text, "\n{}\nmetric      {}", facts_of(facts), metric(facts));
    text
}

/// For the page.
fn section(kind: Kind) -> String {
    let (facts, guide) = (kind.facts(), kind.guide());
    let mut text = format!(
        "### {}\n\n**{}** Status {}, at stage `{}`; `Proxy-Status: error={}`. Metric `{}`.\n\n{}\n",
        title(facts),
        facts.title,
        facts.status.as_u16(),
        facts.stage,
        facts.proxy_error,
        metric(facts),
        guide.means
    );
    for (head, items) in heads(guide) {
        let _ = writeln!(text, "\n{head}\n");
        for item in items {
            let _ = writeln!(text, "- {item}");
        }
    }
    text.push('\n');
    text
}

fn heads(guide: Guide) -> [(&'static str, &'static [&'static str]); 3] {
    [
        ("Usual reasons", guide.reasons),
        ("What to look at", guide.look),
        ("What prevents the next", guide.prevent),
    ]
}

/// The kind and the reason, as they are asked for.
fn title(facts: Facts) -> String {
    match facts.reason {
        Some(reason) => format!("{}/{reason}", facts.name),
        None => facts.name.to_owned(),
    }
}

fn facts_of(facts: Facts) -> String {
    let reason = facts.reason.unwrap_or("-");
    format!(
        "status      {}\naccess log  cause={} kind={} stage={} reason={reason}\nanswer      Proxy-Status: tidegate; error={}; cause={}",
        facts.status.as_u16(),
        facts.cause,
        facts.name,
        facts.stage,
        facts.proxy_error,
        facts.cause
    )
}

fn metric(facts: Facts) -> String {
    format!(
        "{}{{cause=\"{}\",kind=\"{}\"}}",
        catalog::FAULTS.name,
        facts.cause,
        facts.name
    )
}

/// `text` in lines of a terminal's width, the first behind `- ` where `indent` is not empty.
fn wrapped(text: &str, indent: &str) -> String {
    const WIDTH: usize = 96;
    let (first, next) = if indent.is_empty() {
        (String::new(), String::new())
    } else {
        (format!("{indent}- "), format!("{indent}  "))
    };
    let mut lines = first;
    let mut used = lines.len();
    for word in text.split(' ') {
        let begins = used <= next.len();
        if !begins && used + 1 + word.len() > WIDTH {
            lines.push('\n');
            lines.push_str(&next);
            used = next.len();
        } else if !begins {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += word.len();
    }
    lines
}

fn unknown(word: &str) -> String {
    let known = || Kind::ALL.iter().map(|kind| kind.word());
    let nearest = known().max_by(|one, other| {
        let near = |known| strsim::jaro_winkler(word, known);
        near(one).total_cmp(&near(other))
    });
    format!(
        "tidegate: there is no kind of fault `{word}`; did you mean `{}`? All of them are in config/FAULTS.md.",
        nearest.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_with_everything_that_is_known_of_it() {
        let text = text(Kind::ConnectTimeout);
        let guide = Kind::ConnectTimeout.guide();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let lists = [guide.reasons, guide.look, guide.prevent];
        for item in lists.into_iter().flatten() {
            assert!(flat.contains(item), "{item} is not in\n{text}");
        }
        assert!(
            text.contains("cause=network kind=connection_timeout stage=connect reason=filtered")
        );
        assert!(text.lines().all(|line| line.len() < 140), "{text}");
    }

    #[test]
    fn the_page_has_every_kind_once() {
        let page = faults();
        for kind in Kind::ALL {
            let head = format!("### {}\n", title(kind.facts()));
            assert_eq!(page.matches(&head).count(), 1, "{head}");
        }
    }

    #[test]
    fn a_misspelt_kind_is_answered_with_the_nearest() {
        assert!(unknown("queue_ful").contains("did you mean `queue_full`?"));
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        let text = "word ".repeat(60);
        let lines = wrapped(text.trim(), "  ");
        assert!(lines.lines().count() > 2);
        assert!(lines.lines().all(|line| line.len() <= 96));
        assert!(lines.starts_with("  - word word"));
        assert!(
            lines
                .lines()
                .skip(1)
                .all(|line| line.starts_with("    word"))
        );
    }
}
