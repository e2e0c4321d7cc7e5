//! `tidegate recommend`: which limits the traffic of the last hour would have fitted into, as lines to paste.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use http::Method;

use super::{
    answer::{asked, shown},
    inquiry::CallerArgs,
};
use crate::admin::{LimitAdvice, RateAdvice, Recommendations};

/// What is asked for.
const PATH: &str = "/api/v1/recommendations";

/// What `tidegate recommend` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct RecommendArgs {
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Prints the proposals; ends with 1 where there is no answer.
pub(super) fn run(args: &RecommendArgs) -> ExitCode {
    let proposals = |advice: Recommendations| text(&advice);
    let told = asked(&args.caller, Method::GET, PATH, args.json, proposals);
    shown(told, "no recommendations: ")
}

/// The proposals as lines of a config, with what is to be known in comments.
fn text(advice: &Recommendations) -> String {
    let mut text = String::new();
    for limit in &advice.limits {
        write_rate(&mut text, limit);
    }
    for upstream in &advice.upstreams {
        write_limit(&mut text, upstream);
    }
    if text.is_empty() {
        text.push_str("# no limit is set, so there is none to propose another for\n");
    }
    text
}

fn write_rate(text: &mut String, limit: &RateAdvice) {
    let RateAdvice {
        route,
        name,
        rate,
        burst,
        ..
    } = limit;
    let _ = writeln!(
        text,
        "# route {route}, rate limit {name}: \"{rate}\" with a burst of {burst} now"
    );
    if limit.uncounted > 0 {
        let _ = writeln!(text, "# {} requests could not be counted", limit.uncounted);
    }
    match &limit.proposed {
        Some(proposed) => text.push_str(&proposed.toml),
        None => text.push_str("# nothing was asked for in the last hour\n"),
    }
    text.push('\n');
}

fn write_limit(text: &mut String, advice: &LimitAdvice) {
    let now = match advice.limit {
        Some(limit) => format!("a fixed limit of {limit}"),
        None => "a learned limit".to_owned(),
    };
    let _ = writeln!(
        text,
        "# upstream {}: {now} now, seen for {} minutes",
        advice.upstream, advice.minutes
    );
    match &advice.proposed {
        Some(proposed) => text.push_str(&proposed.toml),
        None => text.push_str("# nothing was found yet: it takes a minute with traffic\n"),
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{ProposedLimit, ProposedRate};

    #[test]
    fn the_lines_can_be_pasted_and_the_rest_is_comments() {
        let advice = Recommendations {
            limits: vec![RateAdvice {
                route: "all".to_owned(),
                name: "client_ip".to_owned(),
                rate: "100/s".to_owned(),
                burst: 200,
                uncounted: 3,
                proposed: Some(ProposedRate {
                    rate: "12/s".to_owned(),
                    burst: 30,
                    refused: 0.0,
                    seen: 90,
                    toml: "rate = \"12/s\"\nburst = 30\n".to_owned(),
                }),
            }],
            upstreams: vec![LimitAdvice {
                upstream: "shop".to_owned(),
                mode: "learned".to_owned(),
                limit: None,
                minutes: 12,
                proposed: Some(ProposedLimit {
                    limit: 24,
                    toml: "[upstreams.shop.concurrency]\nmode = \"fixed\"\nlimit = 24\n".to_owned(),
                }),
            }],
        };
        let text = text(&advice);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "rate = \"12/s\"",
                "burst = 30",
                "",
                "[upstreams.shop.concurrency]",
                "mode = \"fixed\"",
                "limit = 24",
                ""
            ]
        );
        assert!(text.contains("# 3 requests could not be counted"), "{text}");
        let json = serde_json::to_vec(&advice).unwrap();
        let read: Recommendations = serde_json::from_slice(&json).unwrap();
        assert_eq!(read, advice);
    }

    #[test]
    fn without_limits_and_without_traffic_it_says_so() {
        assert!(text(&Recommendations::default()).starts_with("# no limit is set"));
        let silent = RateAdvice {
            route: "all".to_owned(),
            name: "client_ip".to_owned(),
            rate: "1/s".to_owned(),
            burst: 1,
            uncounted: 0,
            proposed: None,
        };
        let advice = Recommendations {
            limits: vec![silent],
            upstreams: Vec::new(),
        };
        assert!(
            text(&advice)
                .lines()
                .all(|line| line.starts_with('#') || line.is_empty())
        );
    }
}
