//! Listeners that come, change and go while the others run.
//!
//! A change is prepared first: every socket that it wants is bound, and nothing else has happened. Then it is made,
//! which cannot fail: listeners that stay take over their plans, new ones are opened, and those that go stop accepting
//! and drain. Dropped instead, it leaves nothing behind. A socket that stays is never touched.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    bind::{BindError, Bound},
    decision::{Seat, decide},
    inherited::Inherited,
    leave::{Backlog, Pace},
    server::Listener,
};
use crate::{
    config::ListenerPlan,
    names::ListenerName,
    telemetry::{ProcessEvent, Telemetry},
};

/// The share of the time of a drain in which the connections of a listener that goes have their turns. The rest is for
/// what still runs then.
const SPREAD: f64 = 0.75;

/// TLS of listeners, by their names.
pub type Certificates = BTreeMap<ListenerName, Arc<ServerConfig>>;

/// The listeners in force, and those that drain.
#[derive(Clone)]
pub struct Listeners {
    all: Arc<Mutex<All>>,
    telemetry: Arc<Telemetry>,
    drains: TaskTracker,
}

#[derive(Default)]
struct All {
    running: Vec<Arc<Listener>>,
    leaving: Vec<Arc<Listener>>,
    /// The first ones are open: who comes now is told.
    begun: bool,
    /// The end was asked for: none is opened any more.
    ended: bool,
}

/// A listener that is to be opened.
pub struct Fresh {
    /// What its config says.
    pub plan: ListenerPlan,
    /// Its socket, from which nothing is accepted yet.
    pub bound: Bound,
    /// How it speaks TLS, where it does.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A change of listeners that cannot fail any more. Dropped, nothing has changed.
#[must_use]
pub struct Change {
    /// In the order of the config.
    steps: Vec<Step>,
    goes: Vec<Arc<Listener>>,
}

enum Step {
    Stays {
        listener: Arc<Listener>,
        plan: ListenerPlan,
        tls: Option<Arc<ServerConfig>>,
    },
    Comes(Fresh),
}

/// A listener as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: ListenerName,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub secure: bool,
}

// === impl Listeners ===

impl Listeners {
    /// None yet.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            all: Arc::default(),
            telemetry,
            drains: TaskTracker::new(),
        }
    }

    /// Prepares that exactly `plans` are served, with `certificates` where they speak TLS: what is not bound is
    /// `inherited`, or bound. Needs a tokio runtime.
    ///
    /// # Errors
    /// The first socket that cannot be bound. Nothing has changed then.
    pub fn prepare(
        &self,
        plans: &[ListenerPlan],
        certificates: &Certificates,
        inherited: &mut Inherited,
    ) -> Result<Change, BindError> {
        let running = self.all.lock().running.clone();
        let seats: Vec<_> = running.iter().map(|one| one.seat()).collect();
        let wanted: Vec<_> = plans.iter().map(Seat::of).collect();
        let decision = decide(&seats, &wanted);
        let goes: Vec<_> = decision
            .goes
            .iter()
            .filter_map(|index| running.get(*index).cloned())
            .collect();
        let sockets: Vec<_> = goes.iter().filter_map(|one| one.socket()).collect();
        let mut steps = Vec::new();
        for (plan, take) in plans.iter().zip(decision.takes) {
            let (plan, tls) = (plan.clone(), certificates.get(&plan.name).cloned());
            let taken = take.and_then(|index| running.get(index).cloned());
            steps.push(match taken {
                Some(listener) => Step::Stays {
                    listener,
                    plan,
                    tls,
                },
                None => Step::Comes(Fresh {
                    bound: Bound::inherit(&plan.name, plan.bind, inherited, &sockets)?,
                    plan,
                    tls,
                }),
            });
        }
        Ok(Change { steps, goes })
    }

    /// Makes the change: `open` starts a new listener. Those that go drain, for `drain` at most. Returns who listens
    /// under a name or at an address that is new.
    pub fn make(
        &self,
        change: Change,
        drain: Duration,
        open: impl Fn(Fresh) -> Listener,
    ) -> Vec<Seen> {
        let mut all = self.all.lock();
        if all.ended {
            return Vec::new();
        }
        let (mut running, mut news, mut came) = (Vec::new(), Vec::new(), Vec::new());
        for step in change.steps {
            match step {
                Step::Stays {
                    listener,
                    plan,
                    tls,
                } => {
                    let renamed = listener.name() != plan.name;
                    let handles = self.telemetry.listener(&plan.name);
                    listener.reshape(plan, tls, handles);
                    if renamed {
                        news.push(listener.seen());
                    }
                    running.push(listener);
                }
                Step::Comes(fresh) => {
                    let listener = Arc::new(open(fresh));
                    let seen = listener.seen();
                    came.push(seen.clone());
                    news.push(seen);
                    running.push(listener);
                }
            }
        }
        all.running = running;
        for listener in change.goes {
            listener.close(Backlog::Taken);
            all.leaving.push(Arc::clone(&listener));
            self.drains.spawn(self.clone().let_go(listener, drain));
        }
        let tells = std::mem::replace(&mut all.begun, true);
        drop(all);
        for Seen { name, address, .. } in came.into_iter().filter(|_| tells) {
            let listener = name;
            let opened = ProcessEvent::ListenerAdded { listener, address };
            self.telemetry.events().tell(opened);
        }
        news
    }

    /// Drains a listener that is not in the config any more, and forgets it.
    async fn let_go(self, listener: Arc<Listener>, drain: Duration) {
        let seen = listener.seen();
        self.telemetry.events().tell(ProcessEvent::ListenerRemoved {
            listener: seen.name.clone(),
            address: seen.address,
            connections: listener.connections(),
            within_ms: u64::try_from(drain.as_millis()).unwrap_or(u64::MAX),
        });
        let pace = Pace::Spread {
            within: drain.mul_f64(SPREAD),
        };
        let cut = listener.drain(Instant::now() + drain, pace).await;
        if cut > 0 {
            tracing::warn!(listener = %seen.name, address = %seen.address, cut, "the drain's time was over");
        }
        let mut all = self.all.lock();
        all.leaving.retain(|one| !Arc::ptr_eq(one, &listener));
    }

    /// Those in force, in the order of the config.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        let all = self.all.lock();
        all.running.iter().map(|listener| listener.seen()).collect()
    }

    /// Open connections by the names of listeners, of those that drain too.
    #[must_use]
    pub fn connections(&self) -> BTreeMap<ListenerName, usize> {
        let all = self.all.lock();
        let mut counts = BTreeMap::new();
        for listener in all.running.iter().chain(&all.leaving) {
            let count: &mut usize = counts.entry(listener.name()).or_default();
            *count = count.saturating_add(listener.connections());
        }
        counts
    }

    /// Where the listener `name` is bound.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        let seen = self.seen().into_iter();
        seen.filter(|seen| seen.name.as_str() == name)
            .map(|seen| seen.address)
            .next()
    }

    /// Other handles of the sockets in force, by the names of their listeners, for another process.
    ///
    /// # Errors
    /// Where descriptors are out.
    pub fn sockets(&self) -> io::Result<Vec<(ListenerName, OwnedFd)>> {
        let running = self.all.lock().running.clone();
        let mut sockets = Vec::new();
        for listener in running {
            if let Some(socket) = listener.socket() {
                sockets.push((listener.name(), socket.as_fd().try_clone_to_owned()?));
            }
        }
        Ok(sockets)
    }

    /// Closes every socket, and opens none from now on; connections go on. What waits at those that are `shared` with
    /// another process is left to it.
    pub fn close(&self, shared: &[String]) {
        let mut all = self.all.lock();
        all.ended = true;
        for listener in &all.running {
            let name = listener.name();
            let is_shared = shared.iter().any(|one| *one == *name.as_str());
            listener.close(if is_shared {
                Backlog::Left
            } else {
                Backlog::Taken
            });
        }
    }

    /// Closes all, and ends every connection as soon as its requests have, at this `pace`. Returns how many were cut at
    /// `deadline`; those that drained already have their own.
    ///
    /// # Cancel safety
    /// The drain goes on; only the count is lost.
    pub async fn drain(&self, deadline: Instant, pace: Pace) -> usize {
        self.close(&[]);
        let all: Vec<_> = {
            let all = self.all.lock();
            all.running.iter().chain(&all.leaving).cloned().collect()
        };
        let tasks: Vec<_> = all
            .into_iter()
            .map(|listener| {
                self.drains
                    .spawn(async move { listener.drain(deadline, pace).await })
            })
            .collect();
        let mut cut = 0_usize;
        for task in tasks {
            cut = cut.saturating_add(task.await.unwrap_or_default());
        }
        cut
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.seen()).finish()
    }
}

// === impl Listener ===

impl Listener {
    fn seat(&self) -> Seat {
        Seat {
            name: self.name(),
            bind: self.bind(),
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            name: self.name(),
            address: self.address(),
            secure: self.is_secure(),
        }
    }
}

// === impl Seat ===

impl Seat {
    fn of(plan: &ListenerPlan) -> Self {
        Self {
            name: plan.name.clone(),
            bind: plan.bind,
        }
    }
}
