//! `tidegate check`: every error of a config file, and of the files that it names.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::terminal::{in_colour, say, tell};
use crate::config;

/// What `tidegate check` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// The config file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Diagnostics go to standard error, the verdict to standard output.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match config::read(&args.file) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tell(warning.render(in_colour()));
            }
            say(format_args!("{} is valid", args.file.display()));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            tell(errors.render(in_colour()));
            ExitCode::FAILURE
        }
    }
}
