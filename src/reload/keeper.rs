//! The task that owns the live state and makes every snapshot.

mod applied;
mod carry;
mod named;
mod prepare;
mod probation;

use std::{
    collections::BTreeSet,
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

use self::{prepare::Prepared, probation::Probation};
use super::{
    Handle, LastReload, Learned, Status, Trigger, Verdict,
    beside::Beside,
    casebook,
    expiry::Expiry,
    handle,
    history::{History, store},
    hold::{self, Held, Hold},
    memory,
    notes::Notes,
    order::{Order, Refused},
    sockets::Sockets,
    traffic::Traffic,
};
use crate::{
    config::{self, ConfigHash, Diagnostics, Diff, Files, Loaded},
    names::{EndpointId, ListenerName},
    snapshot::{ConfigFacts, Ground, Snapshot},
    telemetry::{ConfigEvent, Telemetry},
};

/// How often connections that rested too long are let go, and traffic is looked at.
const SWEEP: Duration = Traffic::EVERY;
/// How often endpoints are compared with each other, where it is time.
const ENDPOINTS: Duration = Duration::from_millis(500);
/// How often it is looked whether certificates end soon.
const CERTIFICATES: Duration = Duration::from_secs(3600);
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
    /// What was told of the end of certificates of listeners, by their files.
    expiry: Expiry<(ListenerName, PathBuf)>,
    /// And of those that endpoints show.
    expiry_there: Expiry<EndpointId>,
    /// What came into force and was not told yet.
    put: Option<ConfigEvent>,
    /// The config that was taken back last.
    doubted: Option<ConfigHash>,
    /// What the file was at the last look.
    seen: Seen,
    /// The files that say how names are resolved.
    system: Beside,
    /// The files that the config names.
    named: Beside,
    sockets: Arc<dyn Sockets>,
    notes: Arc<Notes>,
    held: Held,
}

/// A config in force that nobody keeps up to date yet.
#[derive(Debug)]
pub struct Ready {
    /// The snapshot in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// How others will see the keeper.
    pub handle: Handle,
    loaded: Loaded,
    file: Option<PathBuf>,
    seen: Seen,
    ground: Ground,
    telemetry: Arc<Telemetry>,
    status: watch::Sender<Status>,
    history: watch::Sender<Arc<History>>,
    asked: Asks,
}

/// A keeper at work.
#[derive(Debug)]
pub struct Running {
    /// The snapshot in force; the keeper alone stores to it.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// How others see it.
    pub handle: Handle,
    /// What is written to disk meanwhile.
    notes: Arc<Notes>,
    hold: Hold,
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
#[derive(Debug)]
struct Asks {
    reloads: mpsc::Receiver<Trigger>,
    orders: mpsc::Receiver<Order>,
}

// === impl Keeper ===

impl Keeper {
    /// Puts `loaded`, which was read from `file` where there is one, into force. What limits and the history were before
    /// is read from `[history] dir`. Nothing follows the file until [`Ready::keep`].
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn prepare(loaded: Loaded, file: Option<PathBuf>, telemetry: Arc<Telemetry>) -> Ready {
        Self::prepare_knowing(None, loaded, file, telemetry)
    }

    /// The same, where limits begin with what another process `learned`, and not with what is on disk.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn prepare_knowing(
        learned: Option<Learned>,
        loaded: Loaded,
        file: Option<PathBuf>,
        telemetry: Arc<Telemetry>,
    ) -> Ready {
        let ground = Ground::new(Arc::clone(&telemetry));
        Self::begin(ground, learned, loaded, file, telemetry)
    }

    /// The same over a ground that is there already, as in a simulation, which has names of its own.
    #[must_use]
    pub fn prepare_on(
        ground: Ground,
        loaded: Loaded,
        file: Option<PathBuf>,
        telemetry: Arc<Telemetry>,
    ) -> Ready {
        Self::begin(ground, None, loaded, file, telemetry)
    }

    fn begin(
        mut ground: Ground,
        learned: Option<Learned>,
        loaded: Loaded,
        file: Option<PathBuf>,
        telemetry: Arc<Telemetry>,
    ) -> Ready {
        let now = Instant::now();
        let kept = loaded.plan.history.dir.clone();
        recall(&mut ground, learned, kept.as_deref(), now);
        if let Some(dir) = &kept {
            casebook::recall(dir, &telemetry, now, SystemTime::now());
        }
        let config = ConfigFacts {
            hash: loaded.hash.clone(),
            revision: 1,
            applied_at: SystemTime::now(),
        };
        let first = ground.adopt(&loaded, config.clone(), now);
        let history = history_of(kept.as_deref(), &loaded, config.applied_at);
        let (history, past) = watch::channel(Arc::new(history));
        let (asks, reloads) = mpsc::channel(ASKS);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (status, told) = watch::channel(Status { config, last: None });
        Ready {
            snapshot: Arc::new(ArcSwap::from_pointee(first)),
            handle: Handle {
                asks,
                orders,
                status: told,
                history: past,
                traffic: Arc::new(Traffic::new(Arc::clone(&telemetry), now)),
                file: handle::shared(file.as_ref()),
            },
            seen: Seen::at_start(&loaded, file.as_deref()),
            loaded,
            file,
            ground,
            telemetry,
            status,
            history,
            asked: Asks {
                reloads,
                orders: ordered,
            },
        }
    }

    async fn keep(
        mut self,
        mut asked: Asks,
        [mut system, mut named]: [mpsc::Receiver<Trigger>; 2],
        stop: CancellationToken,
    ) {
        let names = self.ground.names_changed();
        let mut sweep = tokio::time::interval(SWEEP);
        let mut look = tokio::time::interval(Probation::LOOK);
        let mut endpoints = tokio::time::interval(ENDPOINTS);
        let mut certificates = tokio::time::interval(CERTIFICATES);
        for tick in [&mut sweep, &mut look, &mut endpoints, &mut certificates] {
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let held = self.held.look();
            tokio::select! {
                biased; // stop first; what the operator says before what DNS says; housekeeping last
                () = stop.cancelled() => return self.ground.stop(),
                () = self.held.changed() => {}
                Some(order) = asked.orders.recv() => {
                    if held {
                        order.refuse(Refused::Busy);
                    } else {
                        self.carry_out(order).await;
                    }
                },
                Some(trigger) = asked.reloads.recv(), if !held => self.reload(trigger).await,
                Some(_) = named.recv(), if !held => self.look_at_named().await,
                Some(_) = system.recv() => self.ground.look_at_system(),
                () = names.notified() => self.swap(self.snapshot.load().config.clone()),
                _ = look.tick(), if self.probation.is_some() && !held => self.look_at_probation().await,
                _ = endpoints.tick() => self.ground.look_at_endpoints(Instant::now()),
                _ = sweep.tick() => self.sweep(),
                _ = certificates.tick() => self.look_at_certificates(),
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
        let before = self.running.files.clone();
        let look = move || {
            let known = (trigger != Trigger::Signal).then_some(&last);
            let reading = Reading::of(&file, known, &before);
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
                let verdict = self.judge(*loaded, trigger).await;
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

    async fn judge(&mut self, read: Result<Loaded, Diagnostics>, trigger: Trigger) -> Verdict {
        let next = match read {
            Ok(next) => next,
            Err(errors) => return Verdict::Rejected(errors),
        };
        if self.is_running(&next) {
            return Verdict::Unchanged;
        }
        match self.prepare_beside(&next).await {
            Ok(beside) => {
                self.put_into_force(next, beside, trigger);
                Verdict::Applied
            }
            Err(why) => Verdict::Unprepared(why),
        }
    }

    fn is_running(&self, next: &Loaded) -> bool {
        let same_files = next.files.fingerprint == self.running.files.fingerprint;
        next.hash == self.running.hash && same_files
    }

    /// Swaps to `next`, of which nothing can be wrong any more, and then to what was prepared `beside` it.
    fn put_into_force(&mut self, next: Loaded, beside: Prepared, trigger: Trigger) {
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
        self.make_beside(beside);
        self.named.follow(self.running.named_files());
        if before.files.troubles != self.running.files.troubles {
            self.tell_troubles();
        }
        self.look_at_certificates();
        let diff = Diff::between(&before, &self.running);
        self.put = Some(applied::of(&self.running, revision, trigger, &diff));
        self.probation = self.begin_probation(before, diff.touches, trigger);
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

    fn tell(&mut self, trigger: Trigger, verdict: Verdict) {
        let config = self.snapshot.load().config.clone();
        let result = verdict.result();
        self.telemetry.reloaded(result);
        let put = self.put.take();
        let was_put = put.is_some();
        if let Some(applied) = put {
            self.telemetry.events().tell(applied);
        }
        match verdict.errors() {
            None if was_put => {}
            None => tracing::info!(
                hash = %config.hash, revision = config.revision, trigger = trigger.as_str(),
                result = result.as_str(), "config read"
            ),
            Some(errors) => {
                self.telemetry.events().tell(ConfigEvent::Rejected {
                    running: config.hash.to_string().into(),
                    revision: config.revision,
                    trigger: trigger.as_str(),
                    line: verdict.error_line(),
                    why: errors.as_str().into(),
                });
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

/// Limits begin with what was `learned`, else with what is kept of that in `dir`. Blocks.
fn recall(ground: &mut Ground, learned: Option<Learned>, dir: Option<&Path>, now: Instant) {
    let learned = learned.or_else(|| memory::read(dir?, SystemTime::now()));
    if let Some(Learned { endpoints, ago }) = learned {
        ground.recall(endpoints, ago, now);
    }
}

/// The history up to now: what is kept in `dir`, and that the process began with `loaded`. Blocks.
fn history_of(dir: Option<&Path>, loaded: &Loaded, at: SystemTime) -> History {
    let mut history = dir.map(store::load).unwrap_or_default();
    history.started(at, &loaded.hash, Arc::clone(&loaded.text));
    history
}

// === impl Ready ===

impl Ready {
    /// Keeps the config up to date from now on: with its file, with DNS, and with what others ask. `sockets` are asked
    /// and told of every change.
    #[must_use]
    pub fn keep(self, sockets: Arc<dyn Sockets>) -> Running {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        if let Some(file) = self.file.clone() {
            let asks = self.handle.asks.clone();
            let file = BTreeSet::from([file]);
            tasks.spawn(super::watch::follow(file, asks, stop.clone()));
        }
        let dir = self.loaded.plan.history.dir.clone();
        let history = self.handle.history.clone();
        let notes = Notes::begun(dir, history, &self.snapshot, &self.telemetry);
        let notes = Arc::new(notes);
        let (hold, held) = hold::pair();
        let (mut system, system_told) = Beside::new(tasks.clone(), stop.clone());
        system.follow(self.ground.system_files());
        let (mut named, named_told) = Beside::new(tasks.clone(), stop.clone());
        named.follow(self.loaded.named_files());
        let keeper = Keeper {
            file: self.file,
            running: self.loaded,
            ground: self.ground,
            snapshot: Arc::clone(&self.snapshot),
            telemetry: self.telemetry,
            status: self.status,
            history: self.history,
            traffic: Arc::clone(&self.handle.traffic),
            probation: None,
            expiry: Expiry::default(),
            expiry_there: Expiry::default(),
            put: None,
            doubted: None,
            seen: self.seen,
            system,
            named,
            sockets,
            notes: Arc::clone(&notes),
            held,
        };
        tasks.spawn(keeper.keep(self.asked, [system_told, named_told], stop.clone()));
        Running {
            snapshot: self.snapshot,
            handle: self.handle,
            notes,
            hold,
            tasks,
            stop: stop.drop_guard(),
        }
    }
}

// === impl Running ===

impl Running {
    /// Changes no config and writes nothing to disk from now on, after the last words: another process is about to do
    /// both. What the file says meanwhile is put off.
    ///
    /// # Cancel safety
    /// The last words are written, unawaited; [`resume`](Self::resume) undoes it.
    pub async fn pause(&self) {
        self.hold.begin().await;
        self.notes.pause().await;
    }

    /// Nothing came of the other process: goes on.
    pub fn resume(&self) {
        self.notes.begin();
        self.hold.end();
    }

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
    /// Looks at `file`, and reads it unless its bytes are those of `last`. What its named files held `before` stays where
    /// they are wrong. Blocks.
    fn of(file: &Path, last: Option<&Seen>, before: &Files) -> Self {
        let seen = Seen::of(file);
        match last {
            Some(last) if last.hash == seen.hash && last.stamp == seen.stamp => Self::AsBefore,
            Some(last) if last.hash == seen.hash => Self::Touched(seen),
            _ => Self::New {
                loaded: Box::new(config::read_after(file, before)),
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
