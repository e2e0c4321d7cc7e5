//! `tidegate check`: every error of a config file, and of the files that it names.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::{
    doctor,
    terminal::{in_colour, say, tell},
};
use crate::config::{self, Loaded};

/// What `tidegate check` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// The config file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Go the road to every upstream that it names, too, as `doctor` does; ends with 1 where something is bad.
    #[arg(long)]
    live: bool,
}

/// How long a connection is left alone, to see whether it is closed.
const IDLE: Duration = Duration::from_secs(2);

/// Diagnostics go to standard error, the verdict to standard output.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match config::read(&args.file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tell(warning.render(in_colour()));
            }
            say(format_args!("{} is valid", args.file.display()));
            if args.live {
                return live(&loaded);
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            tell(errors.render(in_colour()));
            ExitCode::FAILURE
        }
    }
}

/// The road to every upstream, as it is now.
fn live(loaded: &Loaded) -> ExitCode {
    let examined = doctor::all_of(loaded).map(|visit| doctor::examined(&visit, IDLE, false));
    match examined {
        Some(Ok(report)) => doctor::shown(&report),
        Some(Err(error)) => {
            tell(format_args!("not examined: {error}"));
            ExitCode::FAILURE
        }
        None => ExitCode::FAILURE,
    }
}
