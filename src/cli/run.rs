//! `tidegate run`: the gateway until a signal ends it.

use std::{io, net::SocketAddr, path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    demo::{self, DemoArgs},
    gateway::{Begin, Gateway, line_format},
    notify::{self, Notify, Telling},
    runtime,
    signals::{Ending, Served, Signal, Signals, until_ended},
    terminal::{in_colour, tell},
    upgrade::{self, Activation, Handed, Heir, Origin, Program},
};
use crate::{
    admin::NotUpgraded,
    admission::SystemSignals,
    config::{self, DrainPlan, Loaded, Plan},
    reload::Trigger,
    telemetry::{OwnLog, ProcessEvent, init_logging},
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
    let activation = Activation::of_process();
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
    let log = init_logging(loaded.plan.log.level, line_format(loaded.plan.log.format));
    runtime::raise_descriptor_limit();
    on_runtime(serve(loaded, args.config.clone(), activation, log))
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

async fn serve(
    loaded: Loaded,
    file: PathBuf,
    activation: Activation,
    log: OwnLog,
) -> io::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let (program, notify) = (Program::of_process()?, Notify::of_process());
    let origin = Origin::find(activation).await?;
    let (asks, mut asked) = mpsc::channel(1);
    let mut begin = Begin {
        sockets: origin.sockets,
        learned: origin.learned,
        upgrades: Some(asks),
        log: Some(log),
    };
    let names = names(&loaded.plan);
    let gateway = Gateway::start_from(&mut begin, loaded, Some(file), SystemSignals::new())?;
    for name in &names {
        if let Some(address) = gateway.address(name) {
            announce(name, address);
        }
    }
    let events = gateway.telemetry().events();
    origin.past.ready(begin.sockets.taken(), events).await;
    let status = gateway.reload().subscribe();
    notify.ready(&notify::in_words(&gateway.reload().status()));
    let process = Process {
        telling: notify.begin(status),
        gateway,
        program,
        notify,
    };
    let next = async || {
        tokio::select! {
            biased; // an end is not kept waiting by others
            signal = signals.next() => signal,
            Some(ask) = asked.recv() => Signal::Upgrade(Some(ask)),
        }
    };
    Ok(told(until_ended(process, next).await))
}

/// A gateway that is a process of its own.
struct Process {
    gateway: Gateway,
    program: Program,
    notify: Notify,
    telling: Telling,
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

// === impl Process ===

impl Process {
    /// What another process is given. From now on this one changes no config and writes nothing to disk.
    async fn hand(&self) -> io::Result<Handed> {
        self.gateway.pause().await;
        Ok(Handed {
            sockets: self.gateway.sockets()?,
            learned: self.gateway.learned()?,
        })
    }
}

impl Served for Process {
    type Heir = Heir;

    fn reload(&self) {
        self.notify.reloading();
        self.gateway.reload().reload(Trigger::Signal);
    }

    async fn upgrade(&self) -> Result<(u32, Heir), NotUpgraded> {
        let within = self.gateway.snapshot().plan.upgrade.timeout;
        let not_started = |error: io::Error| NotUpgraded::NotStarted(error.to_string());
        let raised = match self.hand().await.map_err(not_started) {
            Ok(handed) => upgrade::raise(&self.program, &handed, within).await,
            Err(why) => Err(why),
        };
        let events = self.gateway.telemetry().events();
        match &raised {
            Ok(heir) => events.tell(ProcessEvent::HandedOver { pid: heir.pid }),
            Err(why) => {
                self.gateway.resume();
                let why = why.to_string().into();
                events.tell(ProcessEvent::UpgradeFailed { why });
            }
        }
        raised.map(|heir| (heir.pid, heir))
    }

    async fn end(self, heir: Option<Heir>) -> usize {
        let DrainPlan { delay, timeout } = self.gateway.snapshot().plan.drain;
        drop(self.telling);
        let Some(mut heir) = heir else {
            self.notify.stopping();
            // An attempt that was broken off may have left it so.
            self.gateway.resume();
            return self.gateway.drain(delay, timeout).await;
        };
        let kept = std::mem::take(&mut heir.kept);
        let mut ending = pin!(self.gateway.hand_over(&kept, timeout));
        tokio::select! {
            biased; // who has ended does not look back
            cut = &mut ending => return cut,
            () = heir.watch() => {}
        }
        ending.await
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
