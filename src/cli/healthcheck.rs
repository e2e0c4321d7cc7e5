//! `tidegate healthcheck`: asks a running gateway whether it is ready.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use http::StatusCode;

use super::{
    inquiry::{self, AdminArgs, AskError},
    runtime,
    terminal::{say, tell},
};

/// How long the question may take in all; a container's health check waits longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `tidegate healthcheck` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct HealthcheckArgs {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Ends with 0 where the gateway is ready.
pub(super) fn run(args: &HealthcheckArgs) -> ExitCode {
    let Some(target) = args.admin.target() else {
        return ExitCode::FAILURE;
    };
    let asked = target.and_then(|target| {
        let runtime = runtime::small().map_err(AskError::Io)?;
        // The page is open to all: no token is shown to whoever answers there.
        let question = inquiry::get(&target.authority, "/readyz", None, PATIENCE);
        let (status, _) = runtime.block_on(question)?;
        Ok((target.authority, status))
    });
    match asked {
        Ok((_, StatusCode::OK)) => {
            say("ready");
            ExitCode::SUCCESS
        }
        Ok((authority, status)) => {
            tell(format_args!("not ready: {authority} answers {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(format_args!("not ready: {error}"));
            ExitCode::FAILURE
        }
    }
}
