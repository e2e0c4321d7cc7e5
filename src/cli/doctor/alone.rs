//! Looking from this process, by a config file.

use std::{io, pin::pin, process::ExitCode, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{DoctorArgs, Idle, USAGE, code_of, shown};
use crate::{
    cli::{
        runtime,
        terminal::{erase, in_colour, say, sketch, tell},
    },
    config::{self, Loaded},
    doctor::{Asked, Bounds, Practice, Report, Visit, WITHIN, examine},
};

pub(super) fn run(args: &DoctorArgs) -> ExitCode {
    let loaded = match config::read(args.caller.config()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            tell(errors.render(in_colour()));
            return ExitCode::FAILURE;
        }
    };
    let visit = match Practice::of_file(&loaded).visit(args.target.as_deref()) {
        Ok(visit) => visit,
        Err(none) => {
            tell(none);
            return ExitCode::from(USAGE);
        }
    };
    let Idle(idle) = args.idle;
    let machine = args.machine || args.target.is_none();
    match examined(&visit, idle, machine) {
        Ok(report) if args.json => match serde_json::to_string(&report) {
            Ok(json) => {
                say(json);
                code_of(&report)
            }
            Err(error) => failed(&error),
        },
        Ok(report) => shown(&report),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    tell(format_args!("not examined: {error}"));
    ExitCode::FAILURE
}

/// All upstreams of a file.
pub(in crate::cli) fn all_of(loaded: &Loaded) -> Option<Visit> {
    Practice::of_file(loaded).visit(None).ok()
}

/// Goes to all that `visit` means, on a runtime of its own; shows on a terminal how far it is.
///
/// # Errors
/// Where there can be no runtime.
pub(in crate::cli) fn examined(visit: &Visit, idle: Duration, machine: bool) -> io::Result<Report> {
    // As `run` does, whose limit it is to be compared with.
    runtime::raise_descriptor_limit();
    let runtime = runtime::small()?;
    let report = runtime.block_on(async {
        let bounds = Bounds {
            idle,
            until: Instant::now() + WITHIN,
            machine: machine.then_some("a gateway started as this process was"),
        };
        watched(visit, &bounds).await
    });
    // The system's resolver may still be waiting for an answer that nobody wants.
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(report)
}

async fn watched(visit: &Visit, bounds: &Bounds) -> Report {
    let (progress, mut seen) = watch::channel(Asked::default());
    let mut examining = pin!(examine(visit, bounds, &progress));
    loop {
        tokio::select! {
            biased; // the end is not waited for
            report = &mut examining => {
                erase();
                return report;
            }
            Ok(()) = seen.changed() => {
                let Asked { done, of } = *seen.borrow_and_update();
                sketch(&format!("looked at {done} of {of} names and addresses"));
            }
        }
    }
}
