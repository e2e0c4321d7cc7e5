//! `tidegate schema`: the JSON Schema of the config file.

use std::process::ExitCode;

use super::terminal::say;
use crate::config;

pub(super) fn run() -> ExitCode {
    say(format_args!("{:#}", config::schema()));
    ExitCode::SUCCESS
}
