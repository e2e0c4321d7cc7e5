//! `tidegate explain`: what happened to a request, and what to make of a kind of fault.

use std::{fmt::Write as _, process::ExitCode, str::FromStr};

use clap::{ArgGroup, Args};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    answer::{asked, shown},
    inquiry::CallerArgs,
    terminal::{say, tell},
};
use crate::{
    admin::{ExplainedView, Suspect, Verdict},
    fault::{Facts, Guide, Kind, Party},
    telemetry::{Case, TimingsMs, catalog},
};

/// What `tidegate explain` takes.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["request", "last_fault", "route", "kind"]))]
pub(super) struct ExplainArgs {
    /// The id of a request, as its client got it in `x-request-id`.
    #[arg(value_name = "REQUEST-ID")]
    request: Option<String>,
    /// The request that failed last.
    #[arg(long)]
    last_fault: bool,
    /// The requests of this route that failed.
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Not longer ago than this, such as 90s, 10m or 2h.
    #[arg(long, value_name = "TIME", requires = "route")]
    since: Option<Ago>,
    /// A kind of fault, as the access log has it: its kind, its reason, or both as KIND/REASON. Asks no gateway.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

/// How long ago, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ago(u64);

/// How many failed requests of a route are shown.
const MOST: usize = 20;

/// Prints what is known; ends with 1 where that is nothing.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    if let Some(kind) = &args.kind {
        return print_kind(kind);
    }
    let ask = |path: &str| {
        asked(
            &args.caller,
            Method::GET,
            path,
            args.json,
            |views: Vec<ExplainedView>| all(&views),
        )
    };
    let told = if let Some(id) = &args.request {
        let path = format!("/api/v1/requests/{}", encoded(id));
        asked(&args.caller, Method::GET, &path, args.json, |view| {
            request(&view)
        })
    } else if let Some(route) = &args.route {
        let since = args.since.map_or_else(String::new, Ago::query);
        ask(&format!(
            "/api/v1/faults?most={MOST}&route={}{since}",
            encoded(route)
        ))
    } else {
        ask("/api/v1/faults?most=1")
    };
    shown(told, "")
}

fn print_kind(word: &str) -> ExitCode {
    let found: Vec<_> = Kind::named(word).collect();
    if found.is_empty() {
        tell(unknown(word));
        return ExitCode::FAILURE;
    }
    let texts: Vec<_> = found.into_iter().map(text).collect();
    say(texts.join("\n").trim_end());
    ExitCode::SUCCESS
}

/// `text` as a part of a path or a query.
pub(super) fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn all(views: &[ExplainedView]) -> String {
    if views.is_empty() {
        return "no request that failed is kept\n".to_owned();
    }
    let texts: Vec<_> = views.iter().map(request).collect();
    texts.join("\n")
}

/// One request, for a terminal.
fn request(view: &ExplainedView) -> String {
    let (case, verdict) = (&view.request, &view.verdict);
    let mut text = head(case);
    let _ = writeln!(text, "\n{}", wrapped(&verdict.sentence, ""));
    text.push_str(&suspects(verdict));
    for (head, items) in [
        ("Evidence", &verdict.evidence),
        ("What to look at", &verdict.next),
    ] {
        if !items.is_empty() {
            let _ = writeln!(text, "\n{head}");
        }
        for item in items {
            let _ = writeln!(text, "{}", wrapped(item, "  "));
        }
    }
    if let Some(ill) = &case.fault {
        let _ = writeln!(
            text,
            "\nMore of this kind: tidegate explain --kind {}",
            ill.word()
        );
    }
    text
}

fn head(case: &Case) -> String {
    let Case {
        request_id,
        time,
        method,
        host,
        path,
        protocol,
        client,
        listener,
        route,
        upstream,
        attempts,
        status,
        timings_ms,
        bytes_in,
        bytes_out,
        config,
        ..
    } = case;
    let endpoint = case
        .endpoint
        .map_or_else(|| "-".to_owned(), |endpoint| endpoint.to_string());
    format!(
        "request   {request_id}\n\
         time      {time}\n\
         asked     {method} {host}{path} {protocol}, by {client} at listener {listener}\n\
         went to   route {route}, upstream {upstream}, endpoint {endpoint}, attempts {attempts}\n\
         answered  {status}, {bytes_in} bytes in, {bytes_out} bytes out\n\
         timings   {}\n\
         config    {config}\n",
        stages(timings_ms)
    )
}

/// What the verdict names, a line each.
pub(super) fn suspects(verdict: &Verdict) -> String {
    let named = [
        ("Cause", &verdict.root),
        ("Also possible", &verdict.also_possible),
        ("At the same time", &verdict.beside),
    ];
    let mut text = String::new();
    for (head, suspect) in named {
        let Some(suspect) = suspect else { continue };
        let Suspect {
            cause,
            finer,
            subject,
            confidence,
        } = suspect;
        let about = subject
            .as_ref()
            .map_or_else(String::new, |subject| format!(" ({subject})"));
        let sure = confidence.as_str();
        let line = format!("{head}: {cause}, {sure}: {finer}{about}");
        let _ = writeln!(text, "{}", wrapped(&line, ""));
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

fn stages(timings: &TimingsMs) -> String {
    let stages = [
        ("admission", timings.admission),
        ("queue", timings.queue),
        ("connect", timings.connect),
        ("upstream TLS", timings.upstream_tls),
        ("first byte", timings.first_byte),
        ("body", timings.body),
        ("total", Some(timings.total)),
    ];
    let told: Vec<_> = stages
        .iter()
        .filter_map(|(stage, took)| Some(format!("{stage} {:.1} ms", (*took)?)))
        .collect();
    told.join(", ")
}

// === impl Ago ===

impl Ago {
    /// As a part of a query.
    pub(super) fn query(self) -> String {
        format!("&since={}", self.0)
    }
}

impl FromStr for Ago {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a number with s, m or h, such as 10m";
        let units = [("s", 1), ("m", 60), ("h", 3600)];
        let found = units
            .iter()
            .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
        let (number, seconds) = found.ok_or(EXPECTED)?;
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        number.checked_mul(*seconds).map(Self).ok_or(EXPECTED)
    }
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
        "### {}\n\n**{}** Begun by the {}. Status {}, at stage `{}`; `Proxy-Status: error={}`. Metric `{}`.\n\n{}\n",
        title(facts),
        facts.title,
        party(facts.begun_by),
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

/// Who began it, in a sentence.
const fn party(party: Party) -> &'static str {
    match party {
        Party::Client => "client",
        Party::Tidegate => "gateway",
        Party::Upstream => "service",
        Party::Network => "network between the two",
    }
}

fn facts_of(facts: Facts) -> String {
    let reason = facts.reason.unwrap_or("-");
    format!(
        "begun by    the {}\nstatus      {}\naccess log  cause={} kind={} stage={} reason={reason}\nanswer      Proxy-Status: tidegate; error={}; cause={}",
        party(facts.begun_by),
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
pub(super) fn wrapped(text: &str, indent: &str) -> String {
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
    use crate::admin::Confidence;

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
    fn what_a_verdict_names_has_a_line_each() {
        let suspect = |finer: &'static str, subject: Option<&str>| Suspect {
            cause: "network".into(),
            finer: finer.into(),
            subject: subject.map(str::to_owned),
            confidence: Confidence::Certain,
        };
        let mut verdict = Verdict {
            sentence: String::new(),
            root: Some(suspect("refused", Some("10.0.0.1:80"))),
            also_possible: None,
            beside: Some(suspect("filtered", None)),
            evidence: Vec::new(),
            next: Vec::new(),
        };
        assert_eq!(
            suspects(&verdict),
            "\nCause: network, certain: refused (10.0.0.1:80)\nAt the same time: network, certain: filtered\n"
        );
        (verdict.root, verdict.beside) = (None, None);
        assert_eq!(suspects(&verdict), "");
    }

    #[test]
    fn a_misspelt_kind_is_answered_with_the_nearest() {
        assert!(unknown("queue_ful").contains("did you mean `queue_full`?"));
    }

    #[test]
    fn a_time_ago_has_a_unit() {
        let ago = |text: &str| text.parse::<Ago>().map(|Ago(seconds)| seconds).ok();
        assert_eq!(ago("90s"), Some(90));
        assert_eq!(ago("10m"), Some(600));
        assert_eq!(ago("2h"), Some(7200));
        for wrong in ["10", "m", "-1s", "1d", "1.5h", "999999999999999999h"] {
            assert_eq!(ago(wrong), None, "{wrong}");
        }
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
