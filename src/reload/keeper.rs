//! The task that owns the live state and makes every snapshot.

mod carry;
mod probation;

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

use self::probation::Probation;
use super::{
    Handle, LastReload, Learned, Notes, Status, Trigger, Verdict, handle,
    history::{History, store},
    memory, needs_restart,
    order::Order,
    system::SystemFiles,
    traffic::Traffic,
};
use crate::{
    config::{self, ConfigHash, Diagnostics, Loaded},
    snapshot::{ConfigFacts, Ground, Snapshot},
    telemetry::Telemetry,
};

/// How often connections that rested too long are let go, and traffic is looked at.
const SWEEP: Duration = Traffic::EVERY;
/// How many requests to reload may wait; one more would ask for the same.
const ASKS: usize = 4;
/// How many configs may wait to be applied; one more is refused.
const ORDERS: usize = 4;

/// The one task that makes snapshots.
#[derive(Debug)]
pub struct Keeper {
    file: Option<PathBuf>,
    running: Loaded,
    ground: Ground,
    snapshot: Arc<ArcSwap<Snapshot>>,
    telemetry: Arc<Telemetry>,
    status: watch::Sender<Status>,
    history: watch::Sender<Arc<History>>,
    traffic: Arc<Traffic>,
    /// What is watched since the last reload.
    probation: Option<Probation>,
    /// The config that was taken back last.
    doubted: Option<ConfigHash>,
    /// What the file was at the last look.
    seen: Seen,
    /// The files that say how names are resolved.
    system: SystemFiles,
}

/// A keeper at work.
#[derive(Debug)]
pub struct Running {
    /// The snapshot in force; the keeper alone stores to it.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// How others see it.
    pub handle: Handle,
    /// What is written to disk meanwhile.
    pub notes: Notes,
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

/// What others ask of the keeper.
struct Asks {
    reloads: mpsc::Receiver<Trigger>,
    orders: mpsc::Receiver<Order>,
    system: mpsc::Receiver<Trigger>,
}

// === impl Keeper ===

impl Keeper {
    /// Puts `loaded` into force and keeps it up to date: with `file`, where there is one, and with DNS. What limits and
    /// the history were before is read from `[history] dir`.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start(loaded: Loaded, file: Option<PathBuf>, telemetry: Arc<Telemetry>) -> Running {
        Self::start_knowing(None, loaded, file, telemetry)
    }

    /// The same, where limits begin with what another process `learned`, and not with what is on disk.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start_knowing(
        learned: Option<Learned>,
        loaded: Loaded,
        file: Option<PathBuf>,
        telemetry: Arc<Telemetry>,
    ) -> Running {
        let now = Instant::now();
        let kept = loaded.plan.history.dir.clone();
        let mut ground = Ground::new(Arc::clone(&telemetry));
        let learned = learned.or_else(|| memory::read(kept.as_deref()?, SystemTime::now()));
        if let Some(Learned { endpoints, ago }) = learned {
            ground.recall(endpoints, ago, now);
        }
        let config = ConfigFacts {
            hash: loaded.hash.clone(),
            revision: 1,
            applied_at: SystemTime::now(),
        };
        let first = ground.adopt(&loaded, config.clone(), now);
        let snapshot = Arc::new(ArcSwap::from_pointee(first));
        let history = history_of(kept.as_deref(), &loaded, config.applied_at);
        let (history, past) = watch::channel(Arc::new(history));
        let (asks, reloads) = mpsc::channel(ASKS);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (status, told) = watch::channel(Status { config, last: None });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        if let Some(file) = file.clone() {
            tasks.spawn(super::watch::follow(file, asks.clone(), stop.clone()));
        }
        let notes = Notes::begun(kept, past.clone(), &snapshot);
        let traffic = Arc::new(Traffic::new(Arc::clone(&telemetry), now));
        let handle = Handle {
            asks,
            orders,
            status: told,
            history: past,
            traffic: Arc::clone(&traffic),
            file: handle::shared(file.as_ref()),
        };
        let (mut system, system_told) = SystemFiles::new(tasks.clone(), stop.clone());
        system.follow(ground.system_files());
        let keeper = Self {
            seen: Seen::at_start(&loaded, file.as_deref()),
            file,
            running: loaded,
            ground,
            snapshot: Arc::clone(&snapshot),
            telemetry,
            status,
            history,
            traffic,
            probation: None,
            doubted: None,
            system,
        };
        let asked = Asks {
            reloads,
            orders: ordered,
            system: system_told,
        };
        tasks.spawn(keeper.keep(asked, stop.clone()));
        Running {
            snapshot,
            handle,
            notes,
            tasks,
            stop: stop.drop_guard(),
        }
    }

    async fn keep(mut self, mut asked: Asks, stop: CancellationToken) {
        let names = self.ground.names_changed();
        let mut sweep = tokio::time::interval(SWEEP);
        let mut look = tokio::time::interval(Probation::LOOK);
        for tick in [&mut sweep, &mut look] {
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                biased; // stop first; what the operator says before what DNS says; housekeeping last
                () = stop.cancelled() => return self.ground.stop(),
                Some(order) = asked.orders.recv() => self.carry_out(order).await,
                Some(trigger) = asked.reloads.recv() => self.reload(trigger).await,
                Some(_) = asked.system.recv() => self.ground.look_at_system(),
                () = names.notified() => self.swap(self.snapshot.load().config.clone()),
                _ = look.tick(), if self.probation.is_some() => self.look_at_probation().await,
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.ground.sweep(now);
        self.traffic.look(now);
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
                let verdict = self.judge(*loaded, trigger);
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

    fn judge(&mut self, read: Result<Loaded, Diagnostics>, trigger: Trigger) -> Verdict {
        let next = match read {
            Ok(next) => next,
            Err(errors) => return Verdict::Rejected(errors),
        };
        if self.is_running(&next) {
            return Verdict::Unchanged;
        }
        let fixed = needs_restart(&self.running.plan, &next.plan);
        if !fixed.is_empty() {
            return Verdict::NeedsRestart(fixed);
        }
        self.put_into_force(next, trigger);
        Verdict::Applied
    }

    fn is_running(&self, next: &Loaded) -> bool {
        let same_files = next.files.fingerprint == self.running.files.fingerprint;
        next.hash == self.running.hash && same_files
    }

    /// Swaps to `next`, of which nothing can be wrong any more.
    fn put_into_force(&mut self, next: Loaded, trigger: Trigger) {
        let revision = self.snapshot.load().config.revision.saturating_add(1);
        let config = ConfigFacts {
            hash: next.hash.clone(),
            revision,
            applied_at: SystemTime::now(),
        };
        self.note(|history| {
            history.applied(
                config.applied_at,
                &next.hash,
                trigger,
                Arc::clone(&next.text),
            );
        });
        let before = std::mem::replace(&mut self.running, next);
        self.swap(config);
        self.probation = self.begin_probation(before, trigger);
    }

    /// Builds the next snapshot and stores it: the one place that does.
    fn swap(&mut self, config: ConfigFacts) {
        let next = self.ground.adopt(&self.running, config, Instant::now());
        self.snapshot.store(Arc::new(next));
        self.system.follow(self.ground.system_files());
    }

    /// Adds to the history.
    fn note(&self, what: impl FnOnce(&mut History)) {
        self.history
            .send_modify(|history| what(Arc::make_mut(history)));
    }

    fn tell(&self, trigger: Trigger, verdict: Verdict) {
        let config = self.snapshot.load().config.clone();
        let result = verdict.result();
        self.telemetry.reloaded(result);
        match verdict.errors() {
            None => tracing::info!(
                hash = %config.hash, revision = config.revision, ?trigger, result = result.as_str(), "config read"
            ),
            Some(errors) => {
                tracing::error!(
                    running = %config.hash, revision = config.revision, ?trigger, line = verdict.error_line(),
                    "config rejected; the running one stays in force\n{errors}"
                );
                if trigger != Trigger::Guard {
                    let hash = self.seen.hash.as_ref();
                    self.note(|history| {
                        history.rejected(SystemTime::now(), hash, trigger, &errors);
                    });
                }
            }
        }
        let last = Some(LastReload {
            at: SystemTime::now(),
            trigger,
            verdict,
        });
        self.status.send_replace(Status { config, last });
    }
}

/// The history up to now: what is kept in `dir`, and that the process began with `loaded`. Blocks.
fn history_of(dir: Option<&Path>, loaded: &Loaded, at: SystemTime) -> History {
    let mut history = dir.map(store::load).unwrap_or_default();
    history.started(at, &loaded.hash, Arc::clone(&loaded.text));
    history
}

// === impl Running ===

impl Running {
    /// Ends the keeper and its loops, and writes down what is to outlive them. The last snapshot stays in force for
    /// what still runs.
    ///
    /// # Cancel safety
    /// Dropped, the keeper still ends, unawaited.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
        self.notes.last().await;
    }
}

// === impl Reading ===

impl Reading {
    /// Looks at `file`, and reads it unless its bytes are those of `last`. Blocks.
    fn of(file: &Path, last: Option<&Seen>) -> Self {
        let seen = Seen::of(file);
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

// === impl Seen ===

impl Seen {
    /// What was read from `file` before there was a keeper.
    fn at_start(loaded: &Loaded, file: Option<&Path>) -> Self {
        Self {
            hash: Some(loaded.hash.clone()),
            stamp: file.and_then(stamp),
        }
    }

    /// Looks at `file`. Blocks.
    fn of(file: &Path) -> Self {
        Self {
            hash: config::hash_of(file),
            stamp: stamp(file),
        }
    }
}

/// When the file was written last.
fn stamp(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|facts| facts.modified())
        .ok()
}
