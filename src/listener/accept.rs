//! The loop that takes connections.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch::Receiver,
    time::sleep,
};

use super::{
    bind::BACKLOG,
    connection,
    leave::Backlog,
    shared::Shared,
    strain::{self, Strain},
};

/// The first pause after an error that says that this process is short of something.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What an error of accept asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// That one connection is lost: take the next.
    Continue,
    /// Descriptors or memory are out, or the socket is in trouble: asking again at once would spin.
    Pause,
}

/// Accepts until told to stop, and then who waits in the backlog, where nobody else will: closing the socket would reset
/// them. It is closed when this returns.
///
/// At `max_connections` the connection is closed at once and counted as `limit`, as Envoy does: a client
/// that waits in the kernel's backlog would only learn later, and from nobody.
///
/// While `strain` asks for it nothing is taken: who comes waits in the backlog, for the pause is meant to be short.
pub(super) async fn run(
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    mut strain: Receiver<Strain>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased; // stop first: a flood of connections must not delay the drain
            () = shared.stop_accepting.cancelled() => return take_waiting(&listener, &shared),
            accepted = next(&listener, &mut strain) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                begin(&shared, stream, peer);
            }
            Err(error) if after(&error) == Next::Continue => {}
            Err(error) => {
                let terms = shared.terms();
                terms.handles.rejected("descriptors");
                tracing::warn!(listener = %terms.plan.name, %error, pause_ms = pause.as_millis(), "accept failed");
                tokio::select! {
                    biased;
                    () = shared.stop_accepting.cancelled() => return take_waiting(&listener, &shared),
                    () = sleep(pause) => {}
                }
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn begin(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    match shared.take_slot() {
        Some(slot) => {
            let task = connection::serve(Arc::clone(shared), stream, peer, slot);
            shared.connections.spawn(task);
        }
        None => shared.terms().handles.rejected("limit"),
    }
}

/// Takes the connections that the kernel has made for us already, at most [`BACKLOG`], unless they are left to another
/// process. Asks the kernel itself: what tokio knows may be older.
fn take_waiting(listener: &TcpListener, shared: &Arc<Shared>) {
    if shared.backlog.get() == Some(&Backlog::Left) {
        return;
    }
    for _ in 0..BACKLOG {
        let accepted = SockRef::from(listener).accept();
        match accepted {
            Ok((socket, peer)) => {
                let stream = socket
                    .set_nonblocking(true)
                    .and_then(|()| TcpStream::from_std(socket.into()));
                if let (Ok(stream), Some(peer)) = (stream, peer.as_socket()) {
                    begin(shared, stream, peer);
                }
            }
            Err(error) if after(&error) == Next::Continue => {}
            Err(_) => return,
        }
    }
}

/// The next connection, taken while that is allowed.
///
/// # Cancel safety
/// No connection is lost.
async fn next(
    listener: &TcpListener,
    strain: &mut Receiver<Strain>,
) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        strain::until(strain, Strain::accepts).await;
        tokio::select! {
            biased; // the pause first: a flood of connections must not delay it
            () = strain::until(strain, |strain| !strain.accepts()) => {}
            accepted = listener.accept() => return accepted,
        }
    }
}

/// accept(2): errors of the new connection are passed on as if they were the call's own.
fn after(error: &io::Error) -> Next {
    const OF_THE_CONNECTION: [Errno; 12] = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::CONNREFUSED,
        Errno::INTR,
        Errno::PROTO,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NOPROTOOPT,
        Errno::TIMEDOUT,
    ];
    let one_connection =
        Errno::from_io_error(error).is_some_and(|errno| OF_THE_CONNECTION.contains(&errno));
    if one_connection {
        Next::Continue
    } else {
        Next::Pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_one_connection_continue_at_once() {
        for errno in [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::PROTO,
            Errno::PERM,
        ] {
            assert_eq!(after(&errno.into()), Next::Continue, "{errno}");
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::BADF,
        ] {
            assert_eq!(after(&errno.into()), Next::Pause, "{errno}");
        }
        assert_eq!(after(&io::Error::other("unknown")), Next::Pause);
    }
}
