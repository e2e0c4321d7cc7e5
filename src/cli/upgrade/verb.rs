//! `tidegate upgrade`: a newer binary takes over from a running gateway.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use http::Method;

use crate::{
    admin::UpgradedView,
    cli::{
        answer::{asked_within, shown},
        inquiry::CallerArgs,
    },
};

/// What is asked.
const PATH: &str = "/api/v1/upgrade";
/// How long the answer may take: longer than `[upgrade] timeout` may be.
const PATIENCE: Duration = Duration::from_secs(660);

/// What `tidegate upgrade` takes.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct UpgradeArgs {
    #[command(flatten)]
    caller: CallerArgs,
    /// As JSON, as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Asks, waits, and says how it ended; ends with 1 where the old process goes on.
pub(in crate::cli) fn run(args: &UpgradeArgs) -> ExitCode {
    let ask = (Method::POST, PATH, PATIENCE);
    let told = asked_within(&args.caller, ask, args.json, |view| text(&view));
    shown(told, "not upgraded: ")
}

fn text(UpgradedView { pid, from }: &UpgradedView) -> String {
    format!("process {pid} serves now; process {from} finishes what it has begun, and ends")
}
