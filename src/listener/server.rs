//! A listener as its owner sees it: started, closed, drained.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    sync::watch::Receiver,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tower::Service;
use tower_http::catch_panic::ResponseForPanic;

use super::{
    accept,
    bind::Bound,
    exchange,
    leave::{Backlog, Pace, Spread},
    shared::{Refused, Shared},
    strain::{self, Strain},
};
use crate::{config::ListenerPlan, names::ListenerName, telemetry::ListenerHandles};

/// How long tunnels and cut connections get to end once they were told that the drain is over.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Connections are accepted and served until this is closed, drained or dropped.
pub struct Listener {
    pub(super) shared: Arc<Shared>,
    address: SocketAddr,
    /// Gone when it is closed.
    socket: Weak<TcpListener>,
}

/// What a listener is connected to besides its service.
pub struct Wiring<P> {
    /// The answer to a request whose handling panicked.
    pub panicked: P,
    /// Told of each request that was refused before the service could see it: heads that HTTP does not
    /// allow, that are too large, or too slow.
    pub refused: Refused,
    /// What is counted.
    pub handles: Arc<ListenerHandles>,
    /// What is asked of it while the process is short of something; nothing where the sender is gone.
    pub strain: Receiver<Strain>,
}

// === impl Listener ===

impl Listener {
    /// Serves `bound` by `plan`: every request goes to `service` with an `Arc<ConnectionFacts>` in its
    /// extensions, over TLS where `tls` is given.
    ///
    /// The bounds are those of the plan: see [`ListenerPlan`]. At `max_connections` the newest is closed at
    /// once. At most half as many TLS handshakes run at a time; others wait, within `header_timeout`.
    #[must_use = "dropping it stops the listener"]
    pub fn start<S, P>(
        plan: ListenerPlan,
        bound: Bound,
        tls: Option<Arc<ServerConfig>>,
        service: S,
        wiring: Wiring<P>,
    ) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        P: ResponseForPanic<ResponseBody = Body> + Clone + Send + Sync + 'static,
    {
        let Wiring {
            panicked,
            refused,
            handles,
            strain,
        } = wiring;
        let router = exchange::router(service, panicked);
        let tls = tls.map(TlsAcceptor::from);
        let shared = Arc::new(Shared::new(plan, tls, router, handles, refused));
        let socket = Arc::downgrade(&bound.listener);
        let accepting = accept::run(bound.listener, Arc::clone(&shared), strain.clone());
        shared.connections.spawn(accepting);
        let following = strain::follow(strain, Arc::clone(&shared));
        shared.connections.spawn(following);
        Self {
            shared,
            address: bound.address,
            socket,
        }
    }

    /// Its name, which a reload may change.
    #[must_use]
    pub fn name(&self) -> ListenerName {
        self.shared.terms().plan.name.clone()
    }

    /// Where its config says that it binds: the port may be 0.
    #[must_use]
    pub fn bind(&self) -> SocketAddr {
        self.shared.terms().plan.bind
    }

    /// Its socket, until that is closed.
    pub(super) fn socket(&self) -> Option<Arc<TcpListener>> {
        self.socket.upgrade()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.shared.terms().tls.is_some()
    }

    /// Takes over what may change while it runs: every key of `plan` but its bind, and the certificates of `tls`.
    /// `handles` are those of the plan's name. Connections that are there keep what they came with; a lower
    /// `max_connections` closes none.
    pub fn reshape(
        &self,
        plan: ListenerPlan,
        tls: Option<Arc<ServerConfig>>,
        handles: Arc<ListenerHandles>,
    ) {
        self.shared
            .reshape(plan, tls.map(TlsAcceptor::from), handles);
    }

    /// How many connections there are, tunnels included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.live()
    }

    /// Stops accepting and closes the socket; connections go on, those in its backlog where it is taken. The first one
    /// who closes it says what becomes of that.
    pub fn close(&self, backlog: Backlog) {
        let _ = self.shared.backlog.set(backlog);
        self.shared.stop_accepting.cancel();
    }

    /// Ends every connection as soon as its requests have: GOAWAY, `Connection: close`; idle ones at once, or each in
    /// its turn where the `pace` says so. Closes first where that was not done. At `deadline` tunnels are told to end
    /// and connections are cut. Returns how many were cut. A second drain keeps the deadline and the
    /// turns of the first.
    ///
    /// # Cancel safety
    /// The drain goes on; only the count is lost.
    pub async fn drain(&self, deadline: Instant, pace: Pace) -> usize {
        let shared = &self.shared;
        self.close(Backlog::Taken);
        let cut_at = *shared.cut_at.get_or_init(|| deadline);
        match pace {
            Pace::AtOnce => shared.hurry.cancel(),
            Pace::Spread { within } => {
                let _ = shared.spread.set(Spread::new(within));
            }
        }
        shared.draining.cancel();
        shared.connections.close();
        shared.tunnels.close();
        let all_gone = async {
            shared.connections.wait().await;
            shared.tunnels.wait().await;
        };
        if timeout_at(cut_at, all_gone).await.is_ok() {
            return shared.cut.load(Relaxed);
        }
        let tunnels = shared.tunnels.len();
        shared.stop_tunnels.cancel();
        let last = async {
            shared.connections.wait().await;
            shared.tunnels.wait().await;
        };
        // Who does not end now ends with the process.
        let _ = timeout(LAST_MOMENT, last).await;
        shared.cut.load(Relaxed).saturating_add(tunnels)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close(Backlog::Taken);
    }
}
