//! How connections leave when another process has taken over: each is told by its next answer, and none is closed
//! while its client may be about to write.

use std::{net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until},
};

use super::{activity::Activity, shared::Shared};

/// How the connections of a listener leave, where they are given time.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// How long a connection without requests may stay. HTTP/1 is told by `Connection: close` with its next answer;
    /// one that asks for nothing is closed in the second half of this. HTTP/2 is told by GOAWAY, at any moment of it.
    pub within: Duration,
    /// What becomes of connections that nobody has accepted yet.
    pub backlog: Backlog,
}

/// What becomes of connections that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Another process accepts from the same socket.
    Left,
    /// Nobody else will: they are accepted before the socket is closed.
    Taken,
}

/// A [`Leave`] that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    began: Instant,
    leave: Leave,
}

/// The most connections that are taken from a backlog: more never wait there.
const MOST_WAITING: usize = 4096;

// === impl Leaving ===

impl Leaving {
    pub(super) fn new(leave: Leave) -> Self {
        Self {
            began: Instant::now(),
            leave,
        }
    }

    /// When a connection that asks for nothing is closed; `share` from 0 to 1 spreads them.
    fn moment(&self, http2: bool, share: f64) -> Instant {
        let share = if http2 {
            share
        } else {
            f64::midpoint(1.0, share)
        };
        self.began + self.leave.within.mul_f64(share.clamp(0.0, 1.0))
    }
}

/// Ends when handshakes are waited for no more.
pub(super) async fn hurried(shared: &Shared) {
    shared.draining.cancelled().await;
    if let Some(leaving) = shared.leaving.get() {
        sleep_until(leaving.began + leaving.leave.within).await;
    }
}

/// Ends when a connection is to end as soon as its requests have. From the beginning of the drain on, each answer on it
/// is its last.
pub(super) async fn asked(shared: &Shared, activity: &Activity) {
    // A token of its own: polling a shared one would be a lock shared by all connections.
    shared.draining.child_token().cancelled_owned().await;
    if let Some(leaving) = shared.leaving.get() {
        activity.nears_its_end();
        sleep_until(leaving.moment(activity.is_http2(), rand::random())).await;
    }
}

/// The connections that wait in the backlog of a socket that is about to be closed, where nobody else takes them.
pub(super) fn last_ones(
    listener: &TcpListener,
    shared: &Shared,
) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let taken = |leaving: &Leaving| leaving.leave.backlog == Backlog::Taken;
    let most = if shared.leaving.get().is_some_and(taken) {
        MOST_WAITING
    } else {
        0
    };
    std::iter::from_fn(move || {
        // Not by way of the runtime, which may not have been told of the last ones.
        let (socket, peer) = SockRef::from(listener).accept().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(socket.into()).ok()?, peer.as_socket()?))
    })
    .take(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_in_the_second_half_and_http2_at_any_moment() {
        let leaving = Leaving::new(Leave {
            within: Duration::from_secs(4),
            backlog: Backlog::Left,
        });
        let after = |http2, share| (leaving.moment(http2, share) - Instant::now()).as_secs();
        assert_eq!([after(false, 0.0), after(false, 1.0)], [2, 4]);
        assert_eq!([after(true, 0.0), after(true, 1.0)], [0, 4]);
    }
}
