//! A listener as its owner sees it: started, closed, drained.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
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
    leave::{Leave, Leaving},
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
    /// Held by who accepts, so that it is closed with the accepting.
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
        let socket = Arc::new(bound.listener);
        let kept = Arc::downgrade(&socket);
        let accepting = accept::run(socket, Arc::clone(&shared), strain.clone());
        shared.connections.spawn(accepting);
        let following = strain::follow(strain, Arc::clone(&shared));
        shared.connections.spawn(following);
        Self {
            shared,
            address: bound.address,
            socket: kept,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ListenerName {
        &self.shared.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another handle of its socket, for another process; `None` once it is closed.
    ///
    /// # Errors
    /// Where descriptors are out.
    pub fn socket(&self) -> io::Result<Option<OwnedFd>> {
        let socket = self.socket.upgrade();
        socket
            .map(|socket| socket.as_fd().try_clone_to_owned())
            .transpose()
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.shared.terms().tls.is_some()
    }

    /// Takes over what may change while it runs: every key of `plan` but its name and bind, and the certificates
    /// of `tls`, which were read again. Connections that are there keep what they came with; a lower
    /// `max_connections` closes none.
    pub fn reshape(&self, plan: ListenerPlan, tls: Option<Arc<ServerConfig>>) {
        self.shared.reshape(plan, tls.map(TlsAcceptor::from));
    }

    /// How many connections there are, tunnels included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.live()
    }

    /// Stops accepting and closes the socket; connections go on.
    pub fn close(&self) {
        self.shared.stop_accepting.cancel();
    }

    /// As [`drain`](Self::drain), but gives connections the time of `leave` before idle ones are closed, as where
    /// another process takes over and nothing else is hurt by the wait.
    ///
    /// # Cancel safety
    /// The drain goes on; only the count is lost.
    pub async fn leave(&self, deadline: Instant, leave: Leave) -> usize {
        // A second one keeps the time of the first.
        let _ = self.shared.leaving.set(Leaving::new(leave));
        self.drain(deadline).await
    }

    /// Ends every connection as soon as its requests have: GOAWAY, `Connection: close`; idle ones at once.
    /// Closes first where that was not done. At `deadline` tunnels are told to end and connections are cut.
    /// Returns how many were cut.
    ///
    /// # Cancel safety
    /// The drain goes on; only the count is lost.
    pub async fn drain(&self, deadline: Instant) -> usize {
        let shared = &self.shared;
        self.close();
        // A second drain keeps the deadline of the first.
        let cut_at = *shared.cut_at.get_or_init(|| deadline);
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
        self.close();
    }
}
