//! The task that owns the live state and makes every snapshot.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{LastReload, Status, Trigger, Verdict, needs_restart, system::SystemFiles};
use crate::{
    config::{self, ConfigHash, Diagnostics, Loaded},
    snapshot::{ConfigFacts, Ground, Snapshot},
    telemetry::Telemetry,
};

/// How often connections that rested too long are let go.
const SWEEP: Duration = Duration::from_secs(5);
/// How many requests to reload may wait; one more would ask for the same.
const ASKS: usize = 4;

/// The one task that makes snapshots.
#[derive(Debug)]
pub struct Keeper {
    file: Option<PathBuf>,
    running: Loaded,
    ground: Ground,
    snapshot: Arc<ArcSwap<Snapshot>>,
    telemetry: Arc<Telemetry>,
    status: watch::Sender<Status>,
    /// What the file was at the last look.
    seen: Seen,
    /// The files that say how names are resolved.
    system: SystemFiles,
}

/// How others see the keeper, and ask it.
#[derive(Debug, Clone)]
pub struct Handle {
    asks: mpsc::Sender<Trigger>,
    status: watch::Receiver<Status>,
}

/// A keeper at work.
#[derive(Debug)]
pub struct Running {
    /// The snapshot in force; the keeper alone stores to it.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// How others see it.
    pub handle: Handle,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// What the file was at the last look, right or wrong; empty where it could not be read.
#[derive(Debug, Default)]
struct Seen {
    hash: Option<ConfigHash>,
    stamp: Option<SystemTime>,
}

/// A look at the file.
enum Reading {
    /// It is what it was at the last look.
    AsBefore,
    /// It was written again with the same bytes.
    Touched(Seen),
    /// It holds something else, which was read.
    New {
        seen: Seen,
        loaded: Box<Result<Loaded, Diagnostics>>,
    },
}

// === impl Keeper ===

impl Keeper {
    /// Puts `loaded` into force and keeps it up to date: with `file`, where there is one, and with DNS.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start(loaded: Loaded, file: Option<PathBuf>, telemetry: Arc<Telemetry>) -> Running {
        let mut ground = Ground::new(Arc::clone(&telemetry));
        let config = ConfigFacts {
            hash: loaded.hash.clone(),
            revision: 1,
            applied_at: SystemTime::now(),
        };
        let first = ground.adopt(&loaded, config.clone(), Instant::now());
        let snapshot = Arc::new(ArcSwap::from_pointee(first));
        let (asks, asked) = mpsc::channel(ASKS);
        let (status, told) = watch::channel(Status { config, last: None });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        if let Some(file) = &file {
            tasks.spawn(super::watch::follow(
                file.clone(),
                asks.clone(),
                stop.clone(),
            ));
        }
        let seen = Seen {
            hash: Some(loaded.hash.clone()),
            stamp: file.as_deref().and_then(stamp),
        };
        let (mut system, system_told) = SystemFiles::new(tasks.clone(), stop.clone());
        system.follow(ground.system_files());
        let keeper = Self {
            file,
            running: loaded,
            ground,
            snapshot: Arc::clone(&snapshot),
            telemetry,
            status,
            seen,
            system,
        };
        tasks.spawn(keeper.keep(asked, system_told, stop.clone()));
        Running {
            snapshot,
            handle: Handle { asks, status: told },
            tasks,
            stop: stop.drop_guard(),
        }
    }

    async fn keep(
        mut self,
        mut asked: mpsc::Receiver<Trigger>,
        mut system_told: mpsc::Receiver<Trigger>,
        stop: CancellationToken,
    ) {
        let names = self.ground.names_changed();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased; // stop first; what the operator says before what DNS says; housekeeping last
                () = stop.cancelled() => return self.ground.stop(),
                Some(trigger) = asked.recv() => self.reload(trigger).await,
                Some(_) = system_told.recv() => self.ground.look_at_system(),
                () = names.notified() => self.swap(self.snapshot.load().config.clone()),
                _ = sweep.tick() => self.ground.sweep(Instant::now()),
            }
        }
    }

    /// Reads the file and, where it is another one and right, puts it into force.
    async fn reload(&mut self, trigger: Trigger) {
        let Some(file) = self.file.clone() else {
            return;
        };
        // Disks can be slow, and a request never waits for a loop.
        let last = std::mem::take(&mut self.seen);
        let look = move || {
            let known = (trigger != Trigger::Signal).then_some(&last);
            let reading = Reading::of(&file, known);
            (last, reading)
        };
        match tokio::task::spawn_blocking(look).await {
            Ok((last, Reading::AsBefore)) => self.seen = last,
            Ok((_, Reading::Touched(seen))) => {
                self.seen = seen;
                if self.is_in_force() {
                    self.tell(trigger, Verdict::Unchanged);
                }
            }
            Ok((_, Reading::New { seen, loaded })) => {
                self.seen = seen;
                let verdict = self.judge(*loaded);
                self.tell(trigger, verdict);
            }
            Err(error) => {
                tracing::error!(%error, "reading the config failed; the running one stays in force");
            }
        }
    }

    /// Whether the file that was read last is the one in force.
    fn is_in_force(&self) -> bool {
        self.status
            .borrow()
            .last
            .as_ref()
            .is_none_or(|last| last.verdict.is_in_force())
    }

    fn judge(&mut self, read: Result<Loaded, Diagnostics>) -> Verdict {
        let next = match read {
            Ok(next) => next,
            Err(errors) => return Verdict::Rejected(errors),
        };
        let same_files = next.files.fingerprint == self.running.files.fingerprint;
        if next.hash == self.running.hash && same_files {
            return Verdict::Unchanged;
        }
        let fixed = needs_restart(&self.running.plan, &next.plan);
        if !fixed.is_empty() {
            return Verdict::NeedsRestart(fixed);
        }
        let revision = self.snapshot.load().config.revision.saturating_add(1);
        let config = ConfigFacts {
            hash: next.hash.clone(),
            revision,
            applied_at: SystemTime::now(),
        };
        self.running = next;
        self.swap(config);
        Verdict::Applied
    }

    /// Builds the next snapshot and stores it: the one place that does.
    fn swap(&mut self, config: ConfigFacts) {
        let next = self.ground.adopt(&self.running, config, Instant::now());
        self.snapshot.store(Arc::new(next));
        self.system.follow(self.ground.system_files());
    }

    fn tell(&self, trigger: Trigger, verdict: Verdict) {
        let config = self.snapshot.load().config.clone();
        let result = verdict.result();
        self.telemetry.reloaded(result);
        match verdict.errors() {
            None => tracing::info!(
                hash = %config.hash, revision = config.revision, ?trigger, result = result.as_str(), "config read"
            ),
            Some(errors) => tracing::error!(
                running = %config.hash, revision = config.revision, ?trigger, line = verdict.error_line(),
                "config rejected; the running one stays in force\n{errors}"
            ),
        }
        let last = Some(LastReload {
            at: SystemTime::now(),
            trigger,
            verdict,
        });
        self.status.send_replace(Status { config, last });
    }
}

// === impl Handle ===

impl Handle {
    /// Asks for a reload. Where enough ask already, this one is theirs.
    pub fn reload(&self, trigger: Trigger) {
        let _ = self.asks.try_send(trigger);
    }

    /// What is in force now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Sees every change of it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

// === impl Running ===

impl Running {
    /// Ends the keeper and its loops. The last snapshot stays in force for what still runs.
    ///
    /// # Cancel safety
    /// Dropped, the keeper still ends, unawaited.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

// === impl Reading ===

impl Reading {
    /// Looks at `file`, and reads it unless its bytes are those of `last`. Blocks.
    fn of(file: &Path, last: Option<&Seen>) -> Self {
        let seen = Seen {
            hash: config::hash_of(file),
            stamp: stamp(file),
        };
        match last {
            Some(last) if last.hash == seen.hash && last.stamp == seen.stamp => Self::AsBefore,
            Some(last) if last.hash == seen.hash => Self::Touched(seen),
            _ => Self::New {
                loaded: Box::new(config::read(file)),
                seen,
            },
        }
    }
}

/// When the file was written last.
fn stamp(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|facts| facts.modified())
        .ok()
}
