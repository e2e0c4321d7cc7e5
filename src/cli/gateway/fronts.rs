//! The sockets of a gateway and what they are connected to: data listeners and the admin listener.

use std::{
    fmt, io,
    net::SocketAddr,
    num::NonZeroUsize,
    os::fd::OwnedFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use super::super::run::announce;
use crate::{
    admin::{self, Admin, Doors, ListenerView, Token},
    config::{ListenerPlan, Loaded},
    listener::{
        Certificates, Change, Fresh, Inherited, Listener, Listeners, Pace, Refused, Seen, Strain,
        Wiring,
    },
    names::ListenerName,
    proxy::{self, Entrance, GateService, Panicked},
    telemetry::Telemetry,
};

/// The name under which the admin listener is known.
pub(super) const ADMIN: &str = "admin";
/// How long connections of the admin listener get to end: when it moves, and when the process ends.
const ADMIN_DRAIN: Duration = Duration::from_millis(200);

/// All sockets, shared by who serves, who reloads and who looks.
#[derive(Clone)]
pub(super) struct Fronts(Arc<Inner>);

struct Inner {
    data: Listeners,
    admin: Listeners,
    /// Set once, before anything is served.
    house: OnceLock<House>,
    /// The pages of the admin listener in force.
    pages: Mutex<Option<Arc<Admin>>>,
}

/// What new listeners are connected to.
pub(super) struct House {
    pub(super) entrance: Arc<Entrance>,
    pub(super) strain: watch::Receiver<Strain>,
    /// Makes the pages of an admin listener that is bound there.
    pub(super) pages: Box<dyn Fn(SocketAddr, Option<Token>) -> Admin + Send + Sync>,
}

/// A change of all of them.
pub(super) struct Move {
    fronts: Fronts,
    data: Change,
    admin: Change,
    token: Option<Token>,
    drain: Duration,
}

// === impl Fronts ===

impl Fronts {
    /// None yet.
    pub(super) fn new(telemetry: &Arc<Telemetry>) -> Self {
        Self(Arc::new(Inner {
            data: Listeners::new(Arc::clone(telemetry)),
            admin: Listeners::new(Arc::clone(telemetry)),
            house: OnceLock::new(),
            pages: Mutex::default(),
        }))
    }

    /// Inherits or binds what `loaded` wants and is not bound yet.
    pub(super) fn bind(&self, loaded: &Loaded, inherited: &mut Inherited) -> io::Result<Move> {
        let plan = &loaded.plan;
        let admin = [admin_listener(plan.admin.bind)];
        let token = loaded.files.admin_token.as_ref();
        let certificates = &loaded.files.listeners;
        let data = self
            .0
            .data
            .prepare(&plan.listeners, certificates, inherited)?;
        let admin = self
            .0
            .admin
            .prepare(&admin, &Certificates::new(), inherited)?;
        inherited.finish().map_err(io::Error::other)?;
        Ok(Move {
            fronts: self.clone(),
            data,
            admin,
            token: token.map(|secret| Token::new(secret.expose())),
            drain: plan.drain.timeout,
        })
    }

    /// Serves for the first time.
    pub(super) fn open(&self, house: House, first: Move) {
        // The first house stays: there is only one.
        let _ = self.0.house.set(house);
        first.settle();
    }

    /// Where the listener `name` is bound.
    pub(super) fn address(&self, name: &str) -> Option<SocketAddr> {
        let of = if name == ADMIN {
            &self.0.admin
        } else {
            &self.0.data
        };
        of.address(name)
    }

    /// Ends what data listeners have open. Returns how many connections and tunnels were cut.
    pub(super) async fn drain(&self, deadline: Instant) -> usize {
        self.0.data.drain(deadline, Pace::AtOnce).await
    }

    /// Other handles of all sockets, by the names of their listeners.
    pub(super) fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let mut sockets = self.0.data.sockets()?;
        sockets.extend(self.0.admin.sockets()?);
        let named = sockets.into_iter();
        Ok(named
            .map(|(name, socket)| (name.to_string(), socket))
            .collect())
    }

    /// Leaves the sockets named in `kept` to the process that serves on them, closes the others, and ends what is open,
    /// in turns `within` this time. The admin's ends beside; [`drain_admin`](Self::drain_admin) waits for it. Returns how
    /// many connections and tunnels of data listeners were cut.
    pub(super) async fn hand_over(
        &self,
        kept: &[String],
        deadline: Instant,
        within: Duration,
    ) -> usize {
        let pace = Pace::Spread { within };
        self.0.data.close(kept);
        self.0.admin.close(kept);
        let admin = self.0.admin.clone();
        let leaving = TaskTracker::new();
        leaving.spawn(async move { admin.drain(deadline + ADMIN_DRAIN, pace).await });
        self.0.data.drain(deadline, pace).await
    }

    /// Ends the admin listener, last of all.
    pub(super) async fn drain_admin(&self) {
        let deadline = Instant::now() + ADMIN_DRAIN;
        self.0.admin.drain(deadline, Pace::AtOnce).await;
    }
}

impl fmt::Debug for Fronts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fronts")
            .field("data", &self.0.data)
            .field("admin", &self.0.admin)
            .finish_non_exhaustive()
    }
}

impl Doors for Fronts {
    fn listeners(&self) -> Vec<ListenerView> {
        let seen = self.0.data.seen().into_iter();
        seen.map(|seen| ListenerView {
            name: seen.name.to_string(),
            address: seen.address,
            tls: seen.secure,
        })
        .collect()
    }

    fn connections(&self) -> Vec<(String, usize)> {
        let (data, admin) = (self.0.data.connections(), self.0.admin.connections());
        data.into_iter()
            .chain(admin)
            .map(|(name, count)| (name.to_string(), count))
            .collect()
    }
}

// === impl Move ===

impl Move {
    /// Makes the change, and says where something new listens.
    pub(super) fn settle_and_announce(self) {
        for seen in self.settle() {
            announce(seen.name.as_str(), seen.address);
        }
    }

    /// Makes the change; what listens under a name or at an address that is new.
    fn settle(self) -> Vec<Seen> {
        let Self {
            fronts,
            data,
            admin,
            token,
            drain,
        } = self;
        let Some(house) = fronts.0.house.get() else {
            return Vec::new();
        };
        let mut news = fronts.0.data.make(data, drain, |fresh| house.serve(fresh));
        let before = fronts.0.pages.lock().take();
        let opened = Mutex::new(None);
        let moved = fronts.0.admin.make(admin, ADMIN_DRAIN, |fresh| {
            let (pages, listener) = house.serve_admin(fresh, token.clone());
            *opened.lock() = Some(pages);
            listener
        });
        let opened = opened.into_inner();
        // The pages of a listener that leaves keep their token for who is connected to it.
        if let (Some(before), None) = (&before, &opened) {
            before.ask_for(token);
        }
        *fronts.0.pages.lock() = opened.or(before);
        news.extend(moved);
        news
    }
}

// === impl House ===

impl House {
    fn serve(&self, fresh: Fresh) -> Listener {
        let Fresh { plan, bound, tls } = fresh;
        let entrance = &self.entrance;
        let service = GateService::new(Arc::clone(entrance));
        let wiring = Wiring {
            panicked: Panicked::new(Arc::clone(entrance)),
            refused: refused(entrance),
            handles: entrance.telemetry.listener(&plan.name),
            strain: self.strain.clone(),
        };
        Listener::start(plan, bound, tls, service, wiring)
    }

    fn serve_admin(&self, fresh: Fresh, token: Option<Token>) -> (Arc<Admin>, Listener) {
        let Fresh { plan, bound, .. } = fresh;
        let entrance = &self.entrance;
        let wiring = Wiring {
            panicked: Panicked::new(Arc::clone(entrance)),
            refused: Arc::new(|_, _| {}), // the admin pages are no route's requests
            handles: entrance.telemetry.listener(&plan.name),
            // Nothing is asked of it: how the process is must be seen above all when it is ill.
            strain: watch::channel(Strain::None).1,
        };
        let pages = Arc::new((self.pages)(bound.address(), token));
        let router = admin::router(Arc::clone(&pages));
        (pages, Listener::start(plan, bound, None, router, wiring))
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
