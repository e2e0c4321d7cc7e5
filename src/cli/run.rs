//! `tidegate run`: the gateway until a signal ends it.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    demo::{self, DemoArgs},
    gateway::Gateway,
    runtime,
    signals::{Ending, Served, Signals, until_ended},
    terminal::{in_colour, tell},
};
use crate::{
    config::{self, DrainPlan, Loaded, LogFormat, Plan},
    reload::Trigger,
    telemetry::{LineFormat, init_logging},
};

/// The config file where none is named.
pub(super) const DEFAULT_FILE: &str = "tidegate.toml";
/// The exit code where the end cut something.
const CUT: u8 = 3;

/// What `tidegate run` takes.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// The config file.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Runs the gateway to its end.
pub(super) fn run(args: &RunArgs) -> ExitCode {
    if !args.config.exists() {
        tell(how_to_begin(&args.config.display().to_string()));
        return ExitCode::FAILURE;
    }
    let loaded = match config::read(&args.config) {
        Ok(loaded) => loaded,
        Err(errors) => {
            tell(errors.render(in_colour()));
            return ExitCode::FAILURE;
        }
    };
    for warning in &loaded.warnings {
        tell(warning.render(in_colour()));
    }
    let format = match loaded.plan.log.format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text => LineFormat::Text,
    };
    init_logging(loaded.plan.log.level, format);
    runtime::raise_descriptor_limit();
    on_runtime(serve(loaded, args.config.clone()))
}

/// Runs the demo until its time is over, or a signal.
pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    runtime::raise_descriptor_limit();
    on_runtime(async {
        let mut signals = Signals::listen()?;
        let stop = CancellationToken::new();
        let shown = demo::run(args, stop.clone());
        let stopper = async {
            signals.end().await;
            stop.cancel();
            signals.end().await; // a second one does not wait
        };
        tokio::select! {
            shown = shown => shown.map(|()| ExitCode::SUCCESS),
            () = stopper => Ok(ExitCode::from(CUT)),
        }
    })
}

/// Runs `work` on all processors. What is left of it when it ends does not hold the process.
fn on_runtime(work: impl Future<Output = io::Result<ExitCode>>) -> ExitCode {
    let ended = runtime::threaded().and_then(|runtime| {
        let ended = runtime.block_on(work);
        runtime.shutdown_timeout(Duration::ZERO);
        ended
    });
    ended.unwrap_or_else(|error| {
        tell(format_args!("tidegate: {error}"));
        ExitCode::FAILURE
    })
}

async fn serve(loaded: Loaded, file: PathBuf) -> io::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let names = names(&loaded.plan);
    let gateway = Gateway::start(loaded, Some(file))?;
    for name in &names {
        if let Some(address) = gateway.address(name) {
            announce(name, address);
        }
    }
    Ok(told(
        until_ended(gateway, async || signals.next().await).await,
    ))
}

/// The names of all listeners, the admin's last.
fn names(plan: &Plan) -> Vec<String> {
    let listeners = plan
        .listeners
        .iter()
        .map(|listener| listener.name.to_string());
    listeners.chain(["admin".to_owned()]).collect()
}

/// The line that says where a socket listens; scripts and tests read the port from it.
pub(super) fn announce(name: &str, address: SocketAddr) {
    tell(format_args!("listening name={name} address={address}"));
}

fn told(ending: Ending) -> ExitCode {
    match ending {
        Ending::Finished => {
            tracing::info!("drained");
            ExitCode::SUCCESS
        }
        Ending::Cut(count) => {
            tracing::warn!(cut = count, "the drain's time was over");
            ExitCode::from(CUT)
        }
        Ending::AtOnce => {
            tracing::warn!("ended at once by a second signal");
            ExitCode::from(CUT)
        }
    }
}

/// What to do where there is no config file.
fn how_to_begin(file: &str) -> String {
    format!(
        "tidegate: there is no config file `{file}`.\n\n\
         `tidegate run --config FILE` names another one. A first one may be:\n\n\
         {FIRST_FILE}\n\
         `tidegate demo` needs none."
    )
}

/// A config file to begin with.
const FIRST_FILE: &str = r#"    [[listeners]]
    bind = "127.0.0.1:8080"
    [upstreams.app]
    endpoints = [{ address = "127.0.0.1:3000" }]
    [[routes]]
    upstream = "app"
"#;

impl Served for Gateway {
    fn reload(&self) {
        Gateway::reload(self).reload(Trigger::Signal);
    }

    async fn drain(self) -> usize {
        let DrainPlan { delay, timeout } = self.snapshot().plan.drain;
        Gateway::drain(self, delay, timeout).await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_first_file_that_is_offered_is_valid() {
        let loaded = config::parse(FIRST_FILE, Path::new(DEFAULT_FILE)).unwrap();
        assert_eq!(names(&loaded.plan), ["default", "admin"]);
        assert!(loaded.warnings.is_empty());
    }
}
