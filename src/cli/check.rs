//! `tidegate check`: every error of a config file, and of the files that it names.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::{
    config::listed,
    doctor,
    terminal::{in_colour, say, tell},
};
use crate::{
    config::{self, Diagnostics, Diff, Loaded, Touched},
    names::RouteName,
};

/// What `tidegate check` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// The config file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Go the road to every upstream that it names, too, as `doctor` does; ends with 1 where something is bad.
    #[arg(long)]
    live: bool,
    /// Print what it changes against this one, and which routes that touches.
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
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
            if let Some(before) = &args.diff {
                match config::read(before) {
                    Ok(before) => say(changed(&Diff::between(&before, &loaded)).trim_end()),
                    Err(errors) => return wrong(&errors),
                }
            }
            if args.live {
                return live(&loaded);
            }
            ExitCode::SUCCESS
        }
        Err(errors) => wrong(&errors),
    }
}

fn wrong(errors: &Diagnostics) -> ExitCode {
    tell(errors.render(in_colour()));
    ExitCode::FAILURE
}

/// What changes, and the routes that it touches.
fn changed(diff: &Diff) -> String {
    if diff.is_empty() {
        return "nothing changes".to_owned();
    }
    let touched = match &diff.touches {
        Touched::All => "touches every route".to_owned(),
        Touched::Routes(routes) if routes.is_empty() => "touches no route".to_owned(),
        Touched::Routes(routes) => {
            let names: Vec<_> = routes.iter().map(RouteName::as_str).collect();
            format!("touches {}", names.join(", "))
        }
    };
    format!("{}{touched}", listed(&diff.changes))
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
