//! The whole gateway, put together: config in force, sockets bound, loops running.

mod hand_over;

use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
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

use crate::{
    admin::{self, Admin, Live, Readiness, Token, UpgradeAsks},
    admission::{self, Level, Pressure, Signals, SystemSignals},
    config::{AccessTarget, ListenerPlan, Loaded, LogFormat, LogPlan},
    listener::{Bound, Inherited, Leave, Listener, Refused, Strain, Unwanted, Wiring},
    names::ListenerName,
    proxy::{self, Entrance, GateService, Panicked},
    reload::{self, Keeper, Learned},
    snapshot::Snapshot,
    telemetry::{AccessLog, AccessTo, LineFormat, Telemetry},
};

/// A running gateway. Dropped, it ends without a drain.
pub struct Gateway {
    keeper: reload::Running,
    listeners: Vec<Arc<Listener>>,
    admin: Arc<Listener>,
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
}

/// The name under which the admin listener is known.
const ADMIN: &str = "admin";
/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(1);
/// How long the last lines of the access log get to be written.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long loops get to end, and to write down what must outlive the process.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long admin connections get to end.
const ADMIN_DRAIN: Duration = Duration::from_millis(200);

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
        let access = Arc::new(access_log(&loaded.plan.log, &telemetry)?);
        let sockets = Sockets::bind(&loaded, &mut begin.sockets)?;
        let token = token_of(&loaded);
        let keeper = Keeper::start_knowing(
            begin.learned.take(),
            loaded,
            file.clone(),
            Arc::clone(&telemetry),
        );
        let snapshot = Arc::clone(&keeper.snapshot);
        let pressure = Pressure::new(keeper.snapshot.load().plan.pressure);
        let entrance = Arc::new(Entrance::new(
            snapshot,
            Arc::clone(&telemetry),
            Arc::clone(&access),
            Arc::clone(&pressure),
        ));
        let (strain, asked) = watch::channel(Strain::None);
        let data = sockets.data.into_iter();
        let listeners: Vec<_> = data.map(|socket| socket.serve(&entrance, &asked)).collect();
        let (readiness, ready) = watch::channel(Readiness::Ready);
        let stop = CancellationToken::new();
        let streams = stop.child_token();
        let live = Live {
            snapshot: Arc::clone(&keeper.snapshot),
            reload: keeper.handle.clone(),
            readiness: ready,
            path: file,
            pressure: Arc::clone(&pressure),
            listeners: listeners.iter().map(|one| described(one)).collect(),
            started_at: SystemTime::now(),
        };
        let address = sockets.admin.address().ip();
        let pages = Admin::new(
            Arc::new(live),
            Arc::clone(&telemetry),
            address,
            token,
            streams.clone(),
        )
        .changing(keeper.handle.clone())
        .upgrading(begin.upgrades.clone());
        let admin = Arc::new(serve_admin(sockets.admin, pages, &entrance));
        let tasks = TaskTracker::new();
        tasks.spawn(upkeep(Arc::clone(&telemetry), stop.clone()));
        tasks.spawn(admission::watch(pressure.clone(), signals, stop.clone()));
        tasks.spawn(strain_listeners(pressure.subscribe(), strain, stop.clone()));
        let (status, source) = (keeper.handle.subscribe(), Arc::clone(&keeper.snapshot));
        tasks.spawn(follow_plan(listeners.clone(), status, source, pressure));
        let stop = stop.drop_guard();
        Ok(Self {
            keeper,
            listeners,
            admin,
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
        if name == ADMIN {
            return Some(self.admin.address());
        }
        self.listeners
            .iter()
            .find(|listener| listener.name().as_str() == name)
            .map(|listener| listener.address())
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
        self.listeners.iter().for_each(|listener| listener.close());
        self.end(Instant::now() + timeout, |_| None).await
    }

    /// Finishes what runs until `deadline`, on each listener as `leave` says, and ends.
    async fn end(self, deadline: Instant, leave: impl Fn(&Listener) -> Option<Leave>) -> usize {
        let draining = TaskTracker::new();
        let tasks: Vec<_> = self
            .listeners
            .iter()
            .map(|listener| {
                let (listener, leave) = (Arc::clone(listener), leave(listener));
                draining.spawn(async move {
                    match leave {
                        Some(leave) => listener.leave(deadline, leave).await,
                        None => listener.drain(deadline).await,
                    }
                })
            })
            .collect();
        let mut cut = 0_usize;
        for task in tasks {
            cut = cut.saturating_add(task.await.unwrap_or_default());
        }
        drop(self.stop);
        self.admin.drain(Instant::now() + ADMIN_DRAIN).await;
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
        }
    }
}

/// What is bound before anything is served.
struct Sockets {
    admin: Bound,
    data: Vec<Socket>,
}

/// One listener's socket, and how it is served.
struct Socket {
    plan: ListenerPlan,
    bound: Bound,
    tls: Option<Arc<rustls::ServerConfig>>,
}

// === impl Sockets ===

impl Sockets {
    fn bind(loaded: &Loaded, inherited: &mut Inherited) -> io::Result<Self> {
        let admin = ListenerName::from(ADMIN);
        let admin = Bound::inherit(&admin, loaded.plan.admin.bind, inherited);
        let data = loaded.plan.listeners.iter().map(|plan| {
            let bound =
                Bound::inherit(&plan.name, plan.bind, inherited).map_err(io::Error::other)?;
            let tls = loaded.files.listeners.get(&plan.name).cloned();
            Ok(Socket {
                plan: plan.clone(),
                bound,
                tls,
            })
        });
        let sockets = Self {
            admin: admin.map_err(io::Error::other)?,
            data: data.collect::<io::Result<_>>()?,
        };
        inherited.finish().map_err(io::Error::other)?;
        Ok(sockets)
    }
}

// === impl Socket ===

impl Socket {
    fn serve(self, entrance: &Arc<Entrance>, strain: &watch::Receiver<Strain>) -> Arc<Listener> {
        let service = GateService::new(Arc::clone(entrance));
        let wiring = Wiring {
            panicked: Panicked::new(Arc::clone(entrance)),
            refused: refused(entrance),
            handles: entrance.telemetry.listener(&self.plan.name),
            strain: strain.clone(),
        };
        Arc::new(Listener::start(
            self.plan, self.bound, self.tls, service, wiring,
        ))
    }
}

/// What opens the admin pages.
fn token_of(loaded: &Loaded) -> Option<Token> {
    let secret = loaded.files.admin_token.as_ref();
    secret.map(|secret| Token::new(secret.expose()))
}

/// A listener as the API shows it.
fn described(listener: &Listener) -> (String, SocketAddr, bool) {
    (
        listener.name().to_string(),
        listener.address(),
        listener.is_secure(),
    )
}

fn serve_admin(bound: Bound, pages: Admin, entrance: &Arc<Entrance>) -> Listener {
    let plan = admin_listener(bound.address());
    let wiring = Wiring {
        panicked: Panicked::new(Arc::clone(entrance)),
        refused: Arc::new(|_, _| {}), // the admin pages are no route's requests
        handles: entrance.telemetry.listener(&plan.name),
        // Nothing is asked of it: how the process is must be seen above all when it is ill.
        strain: watch::channel(Strain::None).1,
    };
    Listener::start(plan, bound, None, admin::router(Arc::new(pages)), wiring)
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

/// Gives listeners what a reload may change of them.
async fn follow_plan(
    listeners: Vec<Arc<Listener>>,
    mut status: watch::Receiver<reload::Status>,
    snapshot: Arc<arc_swap::ArcSwap<Snapshot>>,
    pressure: Arc<Pressure>,
) {
    while status.changed().await.is_ok() {
        let snapshot = snapshot.load_full();
        pressure.reshape(snapshot.plan.pressure);
        for listener in &listeners {
            if let Some(next) = snapshot
                .plan
                .listeners
                .iter()
                .find(|plan| plan.name == *listener.name())
            {
                let tls = snapshot.certificates.get(&next.name).cloned();
                listener.reshape(next.clone(), tls);
            }
        }
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

/// Tells of requests that HTTP itself refused.
fn refused(entrance: &Arc<Entrance>) -> Refused {
    let entrance = Arc::clone(entrance);
    Arc::new(move |connection, fault| proxy::refused(&entrance, connection, &fault))
}

/// The admin listener, as the plan of one.
fn admin_listener(bind: SocketAddr) -> ListenerPlan {
    ListenerPlan {
        name: ListenerName::from(ADMIN),
        bind,
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        tls: None,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(75),
        tunnel_idle_timeout: Duration::from_secs(60),
        max_header_bytes: ADMIN_MAX_HEADER,
        max_connections: NonZeroUsize::new(ADMIN_MAX_CONNECTIONS),
    }
}

/// Largest head of a request to the admin pages.
const ADMIN_MAX_HEADER: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
/// Most connections to the admin pages.
const ADMIN_MAX_CONNECTIONS: usize = 256;

fn access_log(plan: &LogPlan, telemetry: &Telemetry) -> io::Result<AccessLog> {
    let to = match &plan.access {
        AccessTarget::Stdout => AccessTo::Stdout,
        AccessTarget::Off => AccessTo::Off,
        AccessTarget::File(path) => AccessTo::File(path.clone()),
    };
    AccessLog::start(to, line_format(plan.format), telemetry).map_err(io::Error::other)
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
