//! `tidegate incidents`: faults that belong together, why, and what ended them.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use http::Method;

use super::{
    answer::{asked, shown},
    explain::{Ago, encoded, suspects, wrapped},
    inquiry::CallerArgs,
};
use crate::{admin::IncidentView, telemetry::Incident};

/// What `tidegate incidents` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct IncidentsArgs {
    /// The id of one of them, to see all of it.
    #[arg(value_name = "ID", conflicts_with_all = ["since", "open"])]
    id: Option<String>,
    /// Those that go on, or whose last fault is not longer ago than this, such as 90s, 10m or 2h.
    #[arg(long, value_name = "TIME")]
    since: Option<Ago>,
    /// Those that go on alone.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Prints what is known; ends with 1 where there is no answer.
pub(super) fn run(args: &IncidentsArgs) -> ExitCode {
    let ask = |path: &str| {
        asked(
            &args.caller,
            Method::GET,
            path,
            args.json,
            |all: Vec<IncidentView>| list(&all),
        )
    };
    let told = if let Some(id) = &args.id {
        let path = format!("/api/v1/incidents/{}", encoded(id));
        asked(&args.caller, Method::GET, &path, args.json, |one| {
            whole(&one)
        })
    } else {
        let since = args.since.map_or_else(String::new, Ago::query);
        ask(&format!("/api/v1/incidents?open={}{since}", args.open))
    };
    shown(told, "")
}

/// All of them, one after the other.
fn list(all: &[IncidentView]) -> String {
    if all.is_empty() {
        return "no incident\n".to_owned();
    }
    let texts: Vec<_> = all.iter().map(whole).collect();
    texts.join("\n")
}

/// One of them, for a terminal.
fn whole(view: &IncidentView) -> String {
    let IncidentView { incident, verdict } = view;
    let Incident {
        id,
        began,
        routes,
        faulted,
        requests,
        share,
        ..
    } = incident;
    let upstream = incident.upstream.as_deref().unwrap_or("-");
    let kinds: Vec<_> = incident
        .kinds
        .iter()
        .map(|hit| format!("{} ({})", hit.kind, hit.requests))
        .collect();
    let until = match &incident.ended {
        None => "goes on".to_owned(),
        Some(ended) => format!("until {}, {}", ended.time, lasted(incident)),
    };
    let mut text = format!(
        "incident  {id}, {}, {}\n\
         time      {began}, {until}\n\
         where     upstream {upstream}, route {}\n\
         hit       {faulted} of {requests} requests, {:.1} %\n\
         kinds     {}\n",
        if incident.is_open() { "open" } else { "over" },
        incident.severity.as_str(),
        routes.join(", "),
        share * 100.0,
        kinds.join(", ")
    );
    let _ = writeln!(text, "\n{}", wrapped(&incident.sentence, ""));
    if let Some(verdict) = verdict {
        let _ = write!(text, "\nWhat its first request says{}", suspects(verdict));
    }
    if !incident.evidence.is_empty() {
        let _ = writeln!(text, "\nEvidence");
    }
    for item in &incident.evidence {
        let _ = writeln!(text, "{}", wrapped(item, "  "));
    }
    if let Some(ended) = &incident.ended {
        let _ = writeln!(text, "\nWhat ended it\n{}", wrapped(&ended.by, "  "));
    }
    text
}

fn lasted(incident: &Incident) -> String {
    let seconds = incident.lasted().as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
