//! `tidegate doctor`: the road to upstreams, looked at step by step, by a running gateway or by this process.

mod alone;
mod text;

use std::{process::ExitCode, str::FromStr, time::Duration};

use clap::Args;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    answer::{Unknown, body_of},
    inquiry::{AskError, CallerArgs, Reply},
    terminal::{erase, say, says_in_colour, sketch, tell},
};
use crate::doctor::{MOST_IDLE, Mark, Report, WITHIN};

pub(super) use alone::{all_of, examined};

/// What `tidegate doctor` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct DoctorArgs {
    /// A route, an upstream, or a URL such as https://shop.example/cart; all upstreams and the machine where left out.
    #[arg(value_name = "ROUTE|UPSTREAM|URL")]
    target: Option<String>,
    /// Look at the machine beside a target, too.
    #[arg(long)]
    machine: bool,
    /// How long a connection is left alone to see whether it is closed, such as 500ms or 10s; 0s: not at all.
    #[arg(long, value_name = "TIME", default_value = "2s")]
    idle: Idle,
    /// Ask no gateway: look from this process, by the config file.
    #[arg(long, conflicts_with_all = ["admin", "token_file"])]
    alone: bool,
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

/// How long a connection is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Idle(Duration);

/// How long a gateway's answer may take.
const PATIENCE: Duration = WITHIN.saturating_add(Duration::from_secs(10));
/// The exit code where the target means nothing, as for every wrong usage.
const USAGE: u8 = 2;

/// Looks, and prints; ends with 0 where nothing is bad, 1 where something is or nothing could be looked at, and 2 where
/// there is no such target.
pub(super) fn run(args: &DoctorArgs) -> ExitCode {
    if args.alone {
        return alone::run(args);
    }
    sketch("asking the gateway");
    let reply = args.caller.ask(Method::POST, &path(args), PATIENCE);
    erase();
    match reply {
        None => ExitCode::FAILURE,
        Some(Ok(reply)) => answered(reply, args.json),
        // Nobody is there, and nobody said that somebody must be.
        Some(Err(AskError::Io(_))) if !args.caller.is_named() => {
            tell("no gateway answers where the config file says: looking from this process");
            alone::run(args)
        }
        Some(Err(error)) => {
            tell(format_args!("not examined: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn path(args: &DoctorArgs) -> String {
    let Idle(idle) = args.idle;
    let target = args.target.as_ref().map_or_else(String::new, |target| {
        format!("&target={}", utf8_percent_encode(target, NON_ALPHANUMERIC))
    });
    format!(
        "/api/v1/doctor?idle_ms={}&machine={}{target}",
        idle.as_millis(),
        args.machine
    )
}

fn answered(reply: Reply, json: bool) -> ExitCode {
    let is_unknown = reply.status == StatusCode::NOT_FOUND;
    let told = body_of(reply).and_then(|body| {
        let report: Report = serde_json::from_slice(&body).map_err(Unknown::Answer)?;
        Ok((report, body))
    });
    match told {
        Ok((report, body)) if json => {
            say(String::from_utf8_lossy(&body).trim_end());
            code_of(&report)
        }
        Ok((report, _)) => shown(&report),
        Err(unknown) => {
            tell(format_args!("not examined: {unknown}"));
            if is_unknown {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Prints a report for people.
pub(super) fn shown(report: &Report) -> ExitCode {
    say(text::whole(report, says_in_colour()).trim_end());
    code_of(report)
}

fn code_of(report: &Report) -> ExitCode {
    match report.mark {
        Mark::Ok | Mark::Skipped | Mark::Warn => ExitCode::SUCCESS,
        Mark::Bad => ExitCode::FAILURE,
    }
}

// === impl Idle ===

impl FromStr for Idle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a number with ms or s, such as 10s, and at most 60s";
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s').ok_or(EXPECTED)?, 1000),
        };
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let millis = number.checked_mul(unit).ok_or(EXPECTED)?;
        let idle = Duration::from_millis(millis);
        (idle <= MOST_IDLE).then_some(Self(idle)).ok_or(EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_be_left_alone_is_a_number_with_a_unit_and_bounded() {
        let of = |text: &str| text.parse::<Idle>().map(|Idle(idle)| idle.as_millis());
        assert_eq!(of("2s"), Ok(2_000));
        assert_eq!(of("500ms"), Ok(500));
        assert_eq!(of("0s"), Ok(0));
        for wrong in [
            "",
            "2",
            "61s",
            "60001ms",
            "-1s",
            "1m",
            "18446744073709551615s",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
