//! The whole gateway, put together: config in force, sockets bound, loops running.

mod fronts;
mod hand_over;
mod incidents;
mod outlets;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{
    fronts::{Fronts, House},
    outlets::{Outlets, access_log},
};
use crate::{
    admin::{Admin, Live, Readiness, Token, UpgradeAsks},
    admission::{self, Level, Pressure, Signals, SystemSignals},
    config::{Loaded, LogFormat},
    listener::{Inherited, Strain, Unwanted},
    proxy::Entrance,
    reload::{self, Keeper, Learned},
    snapshot::Snapshot,
    telemetry::{AccessLog, LineFormat, OwnLog, Telemetry},
};

/// A running gateway. Dropped, it ends without a drain.
pub struct Gateway {
    keeper: reload::Running,
    fronts: Fronts,
    streams: CancellationToken,
    readiness: watch::Sender<Readiness>,
    telemetry: Arc<Telemetry>,
    access: Arc<AccessLog>,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// What a gateway begins with beside its config.
pub struct Begin {
    /// Sockets that listen already; what is missing is bound.
    pub sockets: Inherited,
    /// What limits of another process have learned.
    pub learned: Option<Learned>,
    /// Where the API asks for a newer binary; `None`: it cannot.
    pub upgrades: Option<UpgradeAsks>,
    /// The log of the process, where it is to follow the config.
    pub log: Option<OwnLog>,
}

/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(1);
/// How long the last lines of the access log get to be written.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long loops get to end, and to write down what must outlive the process.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Gateway {
    /// Puts `loaded` into force, follows `file` where there is one, and serves. Needs a tokio runtime.
    ///
    /// Every socket is bound before the first request is taken.
    ///
    /// # Errors
    /// Where a socket cannot be bound or the access log cannot be opened.
    pub fn start(loaded: Loaded, file: Option<PathBuf>) -> io::Result<Self> {
        Self::start_with(loaded, file, SystemSignals::new())
    }

    /// The same, where `signals` tell how this process is.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        loaded: Loaded,
        file: Option<PathBuf>,
        signals: impl Signals + 'static,
    ) -> io::Result<Self> {
        Self::start_from(&mut Begin::default(), loaded, file, signals)
    }

    /// The same, from what there is already.
    ///
    /// # Errors
    /// As [`start`](Self::start), and where a socket was handed over that no listener is bound to.
    pub fn start_from(
        begin: &mut Begin,
        loaded: Loaded,
        file: Option<PathBuf>,
        signals: impl Signals + 'static,
    ) -> io::Result<Self> {
        let telemetry = Telemetry::new();
        let access = Arc::new(access_log(&loaded.plan.log, &telemetry).map_err(io::Error::other)?);
        let fronts = Fronts::new(&telemetry);
        let first = fronts.bind(&loaded, &mut begin.sockets)?;
        let learned = begin.learned.take();
        let ready = Keeper::prepare_knowing(learned, loaded, file.clone(), Arc::clone(&telemetry));
        let snapshot = Arc::clone(&ready.snapshot);
        let pressure = Pressure::new(snapshot.load().plan.pressure);
        let entrance = Arc::new(Entrance::new(
            snapshot,
            Arc::clone(&telemetry),
            Arc::clone(&access),
            Arc::clone(&pressure),
        ));
        let (strain, asked) = watch::channel(Strain::None);
        let (readiness, is_ready) = watch::channel(Readiness::Ready);
        let stop = CancellationToken::new();
        let streams = stop.child_token();
        let live = Live {
            snapshot: Arc::clone(&ready.snapshot),
            reload: ready.handle.clone(),
            readiness: is_ready,
            path: file,
            pressure: Arc::clone(&pressure),
            doors: Arc::new(fronts.clone()),
            started_at: SystemTime::now(),
        };
        let upgrades = begin.upgrades.clone();
        let house = House {
            entrance,
            strain: asked,
            pages: pages(live, &telemetry, &ready.handle, &streams, upgrades),
        };
        fronts.open(house, first);
        let outlets = Outlets::new(&fronts, &access, begin.log.take());
        let keeper = ready.keep(Arc::new(outlets));
        let tasks = TaskTracker::new();
        tasks.spawn(upkeep(Arc::clone(&telemetry), stop.clone()));
        let (pressed, events) = (pressure.clone(), telemetry.events().clone());
        tasks.spawn(admission::watch(pressed, signals, events, stop.clone()));
        incidents::begin(&tasks, &keeper.snapshot, &telemetry, &stop);
        tasks.spawn(strain_listeners(pressure.subscribe(), strain, stop.clone()));
        let (status, source) = (keeper.handle.subscribe(), Arc::clone(&keeper.snapshot));
        tasks.spawn(follow_plan(status, source, pressure));
        let stop = stop.drop_guard();
        Ok(Self {
            keeper,
            fronts,
            streams,
            readiness,
            telemetry,
            access,
            tasks,
            stop,
        })
    }

    /// Where the listener `name` is bound; the admin listener's is `admin`.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.fronts.address(name)
    }

    /// What is in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.keeper.snapshot.load_full()
    }

    /// The config's keeper.
    #[must_use]
    pub const fn reload(&self) -> &reload::Handle {
        &self.keeper.handle
    }

    /// What was counted.
    #[must_use]
    pub const fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Ends: not ready at once, still accepting for `delay`, then finishing what runs for at most `timeout`.
    /// Returns how many connections and tunnels had to be cut.
    ///
    /// # Cancel safety
    /// Dropped, what still runs ends with the gateway.
    pub async fn drain(self, delay: Duration, timeout: Duration) -> usize {
        self.readiness.send_replace(Readiness::Draining);
        tokio::time::sleep(delay).await;
        let cut = self.fronts.drain(Instant::now() + timeout).await;
        self.end(cut).await
    }

    /// Ends, when data listeners have; `cut` is what they had to cut.
    async fn end(self, cut: usize) -> usize {
        drop(self.stop);
        self.fronts.drain_admin().await;
        self.tasks.close();
        let last_words = async {
            self.keeper.stop().await;
            self.tasks.wait().await;
        };
        // A disk that hangs must not keep the process from ending.
        drop(tokio::time::timeout(LAST_WORDS, last_words).await);
        self.access.flush(LAST_LINES).await;
        cut
    }
}

// === impl Begin ===

impl Default for Begin {
    /// With nothing.
    fn default() -> Self {
        Self {
            sockets: Inherited::none(Unwanted::Closed),
            learned: None,
            upgrades: None,
            log: None,
        }
    }
}

/// Makes the pages of an admin listener.
fn pages(
    live: Live,
    telemetry: &Arc<Telemetry>,
    handle: &reload::Handle,
    streams: &CancellationToken,
    upgrades: Option<UpgradeAsks>,
) -> Box<dyn Fn(SocketAddr, Option<Token>) -> Admin + Send + Sync> {
    let patient = Arc::clone(&live.snapshot);
    let (live, telemetry) = (Arc::new(live), Arc::clone(telemetry));
    let (handle, streams) = (handle.clone(), streams.clone());
    Box::new(move |address, token| {
        let (live, telemetry) = (Arc::clone(&live), Arc::clone(&telemetry));
        Admin::new(live, telemetry, address.ip(), token, streams.clone())
            .changing(handle.clone())
            .examining(Arc::clone(&patient))
            .upgrading(upgrades.clone())
    })
}

/// Asks of listeners what the level in force asks for.
async fn strain_listeners(
    mut level: watch::Receiver<Level>,
    strain: watch::Sender<Strain>,
    stop: CancellationToken,
) {
    loop {
        strain.send_replace(strain_of(*level.borrow_and_update()));
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => return,
            changed = level.changed() => if changed.is_err() { return },
        }
    }
}

/// What a level means to listeners.
const fn strain_of(level: Level) -> Strain {
    if !level.accepts() {
        Strain::StopAccepting
    } else if level.closes_idle() {
        Strain::CloseIdle
    } else {
        Strain::None
    }
}

/// Gives what decides about pressure what a reload may change of it.
async fn follow_plan(
    mut status: watch::Receiver<reload::Status>,
    snapshot: Arc<arc_swap::ArcSwap<Snapshot>>,
    pressure: Arc<Pressure>,
) {
    while status.changed().await.is_ok() {
        pressure.reshape(snapshot.load().plan.pressure);
    }
}

async fn upkeep(telemetry: Arc<Telemetry>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => return,
            _ = tick.tick() => telemetry.upkeep(),
        }
    }
}

/// The format of lines, in the words of the room that writes them.
pub(super) const fn line_format(format: LogFormat) -> LineFormat {
    match format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text => LineFormat::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_go_from_level_3_on_and_none_is_accepted_at_4() {
        let none = Strain::None;
        let strains = Level::ALL.map(strain_of);
        let wanted = [none, none, none, Strain::CloseIdle, Strain::StopAccepting];
        assert_eq!(strains, wanted);
    }
}
