//! `tidegate config`: the configs of a running gateway, what changes between them, and the way back.

mod status;

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use http::Method;
use serde::de::DeserializeOwned;

use super::{
    answer::{Unknown, asked, shown},
    inquiry::CallerArgs,
};
use crate::{
    admin::{AppliedView, ChangesView, DiffView, EntryView},
    config::Change,
    reload::Outcome,
    telemetry::ReloadResult,
};

/// What `tidegate config` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Clone, Subcommand)]
enum ConfigVerb {
    /// What is in force, what became of the last file, and which files that it names are wrong.
    Status(StatusArgs),
    /// The last 50 configs, the newest first: when, which, what asked for it, and what became of it.
    History(HistoryArgs),
    /// What changes from one to another: routes, limits and upstreams by name, and the traffic that it touches.
    Diff(DiffArgs),
    /// Write an earlier config to the config file and put it into force again.
    Rollback(RollbackArgs),
}

#[derive(Debug, Clone, Args)]
struct StatusArgs {
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Args)]
struct HistoryArgs {
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Args)]
struct DiffArgs {
    /// The number of the one; left out: the one that was in force before B.
    #[arg(value_name = "A")]
    from: Option<u64>,
    /// The number of the other; left out: the one in force.
    #[arg(value_name = "B")]
    to: Option<u64>,
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Args)]
struct RollbackArgs {
    /// Its number in the history.
    #[arg(value_name = "N")]
    number: u64,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Asks, and prints; ends with 1 where nothing came of it.
pub(super) fn run(args: &ConfigArgs) -> ExitCode {
    let told = match &args.verb {
        ConfigVerb::Status(args) => status::ask(&args.caller, args.json),
        ConfigVerb::History(args) => ask(
            &args.caller,
            Method::GET,
            "history",
            args.json,
            |entries: Vec<EntryView>| history(&entries),
        ),
        ConfigVerb::Diff(args) => {
            let numbers = [("from", args.from), ("to", args.to)];
            let query: String = numbers
                .iter()
                .filter_map(|(key, number)| Some(format!("{key}={}&", (*number)?)))
                .collect();
            let path = format!("diff?{query}");
            ask(
                &args.caller,
                Method::GET,
                &path,
                args.json,
                |view: DiffView| diff(&view),
            )
        }
        ConfigVerb::Rollback(args) => {
            let path = format!("rollback?to={}&dry_run={}", args.number, args.dry_run);
            ask(
                &args.caller,
                Method::POST,
                &path,
                args.json,
                |view: AppliedView| applied(&view, args.number),
            )
        }
    };
    shown(told, "")
}

/// What `/api/v1/config/PATH` is answered.
fn ask<T: DeserializeOwned>(
    caller: &CallerArgs,
    method: Method,
    path: &str,
    as_json: bool,
    text: impl FnOnce(T) -> String,
) -> Option<Result<String, Unknown>> {
    asked(
        caller,
        method,
        &format!("/api/v1/config/{path}"),
        as_json,
        text,
    )
}

/// A table; `*` marks what is in force.
fn history(entries: &[EntryView]) -> String {
    let mut text =
        String::from("     n  when                      hash          asked     outcome\n");
    for entry in entries {
        let mark = if entry.in_force { '*' } else { ' ' };
        let asked = serde_json::to_value(entry.asked).unwrap_or_default();
        let _ = writeln!(
            text,
            "{mark} {:>4}  {:<24}  {:<12}  {:<8}  {}",
            entry.number,
            entry.at,
            entry.hash,
            asked.as_str().unwrap_or_default(),
            outcome(&entry.outcome)
        );
    }
    text
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied => "applied".to_owned(),
        Outcome::Rejected(why) => format!("rejected: {why}"),
        Outcome::RolledBack(why) => format!("rolled back: {why}"),
    }
}

fn diff(view: &DiffView) -> String {
    let end = |entry: &EntryView| format!("{} ({}, {})", entry.number, entry.hash, entry.at);
    format!(
        "from {} to {}\n{}",
        end(&view.from),
        end(&view.to),
        changes(&view.what)
    )
}

fn applied(view: &AppliedView, number: u64) -> String {
    let done = match (view.result, view.dry_run) {
        (ReloadResult::Unchanged, _) => format!("entry {number} is in force already"),
        (_, true) => format!("entry {number} would come into force ({})", view.hash),
        (_, false) => format!(
            "entry {number} is in force ({}, revision {})",
            view.hash, view.revision
        ),
    };
    format!("{done}\n{}", changes(&view.what))
}

/// The changes, each thing with its keys, and the traffic that they touch.
fn changes(view: &ChangesView) -> String {
    if view.changes.is_empty() {
        return "nothing changes\n".to_owned();
    }
    let mut text = listed(&view.changes);
    if view.touches_all {
        text.push_str("touches every route; in the last minute\n");
    } else if view.touches.is_empty() {
        text.push_str("touches no route\n");
    } else {
        text.push_str("touches, in the last minute\n");
    }
    for route in &view.touches {
        let _ = writeln!(
            text,
            "  route {}: {} requests, {} ended badly",
            route.route, route.requests, route.faulted
        );
    }
    text
}

/// What changes, each thing with its keys.
pub(super) fn listed(changes: &[Change]) -> String {
    let mut text = String::new();
    let mut of = "";
    for change in changes {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        if change.key.is_empty() {
            let what = if new.is_some() { "comes" } else { "goes" };
            let _ = writeln!(text, "{} {what}", change.of);
            continue;
        }
        if of != change.of {
            let _ = writeln!(text, "{}", change.of);
            of = &change.of;
        }
        let (old, new) = (old.unwrap_or("-"), new.unwrap_or("-"));
        let _ = writeln!(text, "  {}: {old} -> {new}", change.key);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::TouchedView, reload::Trigger};

    fn entry(number: u64, outcome: Outcome) -> EntryView {
        EntryView {
            number,
            at: "2026-01-02T03:04:05.006Z".to_owned(),
            hash: "0123456789ab".to_owned(),
            asked: Trigger::File,
            in_force: outcome == Outcome::Applied,
            outcome,
            kept: true,
        }
    }

    #[test]
    fn the_history_is_a_table_that_marks_what_is_in_force() {
        let entries = [
            entry(12, Outcome::Rejected("no such key".to_owned())),
            entry(11, Outcome::Applied),
        ];
        let text = history(&entries);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "    12  2026-01-02T03:04:05.006Z  0123456789ab  file      rejected: no such key",
                "*   11  2026-01-02T03:04:05.006Z  0123456789ab  file      applied",
            ]
        );
    }

    #[test]
    fn a_diff_names_each_thing_once_and_ends_with_the_traffic() {
        let change = |of: &str, key: &str, old: Option<&str>, new: Option<&str>| Change {
            of: of.to_owned(),
            key: key.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let view = DiffView {
            from: entry(1, Outcome::Applied),
            to: entry(2, Outcome::Applied),
            what: ChangesView {
                changes: vec![
                    change("route shop", "timeout", Some("\"3s\""), Some("\"4s\"")),
                    change("route shop", "share", None, Some("0.2")),
                    change("route new", "", None, Some("there")),
                ],
                touches_all: false,
                touches: vec![TouchedView {
                    route: "shop".to_owned(),
                    requests: 120,
                    faulted: 3,
                }],
            },
        };
        let text = diff(&view);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "route shop",
                "  timeout: \"3s\" -> \"4s\"",
                "  share: - -> 0.2",
                "route new comes",
                "touches, in the last minute",
                "  route shop: 120 requests, 3 ended badly",
            ]
        );
    }
}
