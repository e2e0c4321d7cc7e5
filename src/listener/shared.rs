//! What all connections of one listener share, and the slot that each of them holds.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::Router;
use ipnet::IpNet;
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::{sync::Semaphore, time::Instant};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::leave::{Backlog, Spread};
use crate::{
    config::ListenerPlan, fault::Fault, proxy::ConnectionFacts, telemetry::ListenerHandles,
};

/// Told of each request that was refused before the service could see it.
pub type Refused = Arc<dyn Fn(&ConnectionFacts, Fault) + Send + Sync>;

/// What all connections of one listener share.
pub(super) struct Shared {
    /// Loaded once by each connection, which keeps what it loaded.
    terms: ArcSwap<Terms>,
    pub(super) router: Router,
    pub(super) refused: Refused,
    pub(super) handshakes: Semaphore,
    /// Connection tasks and the streams of HTTP/2.
    pub(super) connections: TaskTracker,
    pub(super) tunnels: TaskTracker,
    pub(super) stop_tunnels: CancellationToken,
    /// No more accepts.
    pub(super) stop_accepting: CancellationToken,
    /// Set before `stop_accepting` is cancelled.
    pub(super) backlog: OnceLock<Backlog>,
    /// Connections are asked to end, each in its turn, as soon as their requests have.
    pub(super) draining: CancellationToken,
    /// Set before `draining` is cancelled, where connections have turns.
    pub(super) spread: OnceLock<Spread>,
    /// Cancelled where nobody waits for a turn.
    pub(super) hurry: CancellationToken,
    /// Set before `draining` is cancelled: when connections are cut.
    pub(super) cut_at: OnceLock<Instant>,
    /// Connections that a drain's deadline cut.
    pub(super) cut: AtomicUsize,
    /// Whether idle connections are closed soon. Relaxed: connections that run see it within a poll, and those that
    /// rest are woken by the `alarm`, whose lock is taken after it was set.
    closes_idle: AtomicBool,
    /// Cancelled when idle connections begin to be closed, and replaced by the next one before.
    alarm: Mutex<CancellationToken>,
    slots: Arc<Slots>,
}

/// What a reload may change of a listener, for the connections that come then.
pub(super) struct Terms {
    pub(super) plan: ListenerPlan,
    pub(super) trusted_proxies: Arc<[IpNet]>,
    pub(super) tls: Option<TlsAcceptor>,
    /// What is counted, under the name of the plan.
    pub(super) handles: Arc<ListenerHandles>,
}

/// How many connections there are, and may be.
struct Slots {
    /// Relaxed is enough: the count admits or refuses and guards no other memory.
    live: AtomicUsize,
    /// Relaxed too: a new cap counts from some connection on.
    most: AtomicUsize,
}

/// A place among `max_connections`; given back when the socket is closed.
pub(super) struct Slot(Arc<Slots>);

/// The times of a plan that the record of a connection reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a request's head, from its first byte.
    pub(super) header: Duration,
    /// Between requests.
    pub(super) idle: Duration,
    /// For a client that stops reading.
    pub(super) body: Duration,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        plan: ListenerPlan,
        tls: Option<TlsAcceptor>,
        router: Router,
        handles: Arc<ListenerHandles>,
        refused: Refused,
    ) -> Self {
        let most = most_of(&plan);
        let slots = Arc::new(Slots {
            live: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
        });
        Self {
            terms: ArcSwap::from_pointee(Terms::new(plan, tls, handles)),
            router,
            refused,
            handshakes: Semaphore::new((most / 2).clamp(1, Semaphore::MAX_PERMITS)),
            connections: TaskTracker::new(),
            tunnels: TaskTracker::new(),
            stop_tunnels: CancellationToken::new(),
            stop_accepting: CancellationToken::new(),
            backlog: OnceLock::new(),
            draining: CancellationToken::new(),
            spread: OnceLock::new(),
            hurry: CancellationToken::new(),
            cut_at: OnceLock::new(),
            cut: AtomicUsize::new(0),
            closes_idle: AtomicBool::new(false),
            alarm: Mutex::default(),
            slots,
        }
    }

    /// A slot for one more connection; `None` at `max_connections`.
    pub(super) fn take_slot(&self) -> Option<Slot> {
        let slots = &self.slots;
        slots
            .live
            .fetch_update(Relaxed, Relaxed, |live| {
                (live < slots.most.load(Relaxed)).then_some(live.saturating_add(1))
            })
            .ok()?;
        Some(Slot(Arc::clone(slots)))
    }

    /// How many connections hold a slot.
    pub(super) fn live(&self) -> usize {
        self.slots.live.load(Relaxed)
    }

    /// From now on idle connections are closed soon, or stay for their whole time again.
    pub(super) fn close_idle(&self, soon: bool) {
        let rose = !self.closes_idle.swap(soon, Relaxed) && soon;
        if rose {
            let rung = std::mem::take(&mut *self.alarm.lock());
            rung.cancel();
        }
    }

    /// Whether idle connections are closed soon.
    pub(super) fn closes_idle(&self) -> bool {
        self.closes_idle.load(Relaxed)
    }

    /// Rings when idle connections begin to be closed the next time. Of the caller alone: to poll a token that all
    /// connections share would be a lock between them.
    pub(super) fn alarm(&self) -> CancellationToken {
        self.alarm.lock().child_token()
    }

    /// What holds for a connection that comes now.
    pub(super) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// From now on `plan` holds for new connections; its cap for all.
    pub(super) fn reshape(
        &self,
        plan: ListenerPlan,
        tls: Option<TlsAcceptor>,
        handles: Arc<ListenerHandles>,
    ) {
        self.slots.most.store(most_of(&plan), Relaxed);
        self.terms.store(Arc::new(Terms::new(plan, tls, handles)));
    }
}

// === impl Terms ===

impl Terms {
    fn new(plan: ListenerPlan, tls: Option<TlsAcceptor>, handles: Arc<ListenerHandles>) -> Self {
        Self {
            trusted_proxies: plan.trusted_proxies.clone().into(),
            plan,
            tls,
            handles,
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            header: self.plan.header_timeout,
            idle: self.plan.idle_timeout,
            body: self.plan.body_timeout,
        }
    }
}

/// The most connections at a time of the listener of `plan`, by the descriptor limit of this process where the plan says
/// nothing.
#[must_use]
pub fn most_of(plan: &ListenerPlan) -> usize {
    plan.max_connections.map_or_else(
        || most_connections(getrlimit(Resource::Nofile).current),
        std::num::NonZeroUsize::get,
    )
}

/// `max_connections` where the plan has none: 80 % of the descriptor limit, halved, since each request may
/// need another descriptor towards its upstream. Without a limit, [`MOST_WITHOUT_LIMIT`].
fn most_connections(descriptors: Option<u64>) -> usize {
    descriptors
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(MOST_WITHOUT_LIMIT, |limit| limit / 5 * 2)
        .clamp(1, MOST_WITHOUT_LIMIT)
}

/// The default of `max_connections` where descriptors have no limit.
const MOST_WITHOUT_LIMIT: usize = 1_000_000;

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_cap_is_two_fifths_of_the_descriptors_and_never_zero() {
        assert_eq!(most_connections(Some(1024)), 408);
        assert_eq!(most_connections(Some(3)), 1);
        assert_eq!(most_connections(Some(u64::MAX)), MOST_WITHOUT_LIMIT);
        assert_eq!(most_connections(None), MOST_WITHOUT_LIMIT);
    }
}
