//! Tunnels: what a 101 turns a connection into (RFC 9110 section 7.8).
//!
//! A tunnel opens only after a 101 that names the protocol the client asked for. Its permit comes back when it
//! opens: it may last for hours, and says nothing of how much the upstream can work on. It still counts as in
//! flight at its endpoint, so that balancing sees it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::trail::Trail;
use crate::fault::{Fault, Kind};

/// Whether the `Upgrade` of a 101 names (one of) the protocols that the client asked for.
pub(super) fn agrees(asked: Option<&HeaderValue>, answered: &HeaderMap) -> bool {
    let Some(asked) = asked.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut switched = answered.get_all(header::UPGRADE).into_iter();
    let Some(first) = switched.next().and_then(|value| value.to_str().ok()) else {
        return false;
    };
    switched.next().is_none()
        && asked
            .split(',')
            .any(|protocol| protocol.trim().eq_ignore_ascii_case(first.trim()))
}

/// Carries bytes both ways until both sides have ended, nothing moved for long, or the gateway stops.
///
/// `endpoint` is whatever has to live as long as the tunnel does. The trail is told at the end.
pub(super) fn open<E: Send + 'static>(
    client: OnUpgrade,
    upstream: OnUpgrade,
    endpoint: E,
    mut trail: Trail,
) {
    let connection = Arc::clone(&trail.connection);
    let stop = connection.stop_tunnels.clone();
    let idle = connection.tunnel_idle_timeout;
    connection.tunnels.spawn(async move {
        let ended = tokio::select! {
            biased; // stop wins: it comes once, at the drain's deadline
            () = stop.cancelled() => None,
            ended = carry(client, upstream, idle, &mut trail) => Some(ended),
        };
        match ended {
            Some(Err(fault)) => trail.tell_fault(&fault),
            Some(Ok(())) | None => trail.tell_success(),
        }
        drop(endpoint);
    });
}

async fn carry(
    client: OnUpgrade,
    upstream: OnUpgrade,
    idle: Duration,
    trail: &mut Trail,
) -> Result<(), Fault> {
    let failed = |error: hyper::Error| Fault::new(Kind::UpgradeFailed).detail(error.to_string());
    let (client, upstream) = tokio::try_join!(client, upstream).map_err(failed)?;
    let moved = Arc::new(Moved {
        began: Instant::now(),
        last_ms: AtomicU64::new(0),
    });
    let (mut client, mut upstream) = (Watched::new(client, &moved), Watched::new(upstream, &moved));
    let copied = {
        let copy = tokio::io::copy_bidirectional(&mut client, &mut upstream);
        tokio::select! {
            copied = copy => copied.map(|_| ()),
            () = moved.rested(idle) => Ok(()),
        }
    };
    trail.uploaded = Some(Arc::new(AtomicU64::new(client.read)));
    trail.downloaded = upstream.read;
    match copied {
        // A tunnel that one side resets has ended; whose fault it was is not ours to say.
        Ok(()) => Ok(()),
        Err(error) if is_ending(&error) => Ok(()),
        Err(error) => Err(Fault::new(Kind::ConnectionReset).detail(error.to_string())),
    }
}

fn is_ending(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// When anything moved last, in either direction.
#[derive(Debug)]
struct Moved {
    began: Instant,
    /// Milliseconds since `began`. Relaxed is enough: one task writes and reads it.
    last_ms: AtomicU64,
}

impl Moved {
    fn now(&self) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Ends once nothing has moved for `idle`. One timer, set again only when it fires.
    async fn rested(&self, idle: Duration) {
        loop {
            let last = self.began + Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let until = last + idle;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// One side of a tunnel, watched for movement.
struct Watched {
    io: TokioIo<hyper::upgrade::Upgraded>,
    moved: Arc<Moved>,
    read: u64,
}

impl Watched {
    fn new(io: hyper::upgrade::Upgraded, moved: &Arc<Moved>) -> Self {
        Self {
            io: TokioIo::new(io),
            moved: Arc::clone(moved),
            read: 0,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let more = buf.filled().len().saturating_sub(before);
        if more > 0 {
            self.read = self.read.saturating_add(more as u64);
            self.moved.now();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(1..)) = polled {
            self.moved.now();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::UPGRADE, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_a_protocol_that_was_asked_for_opens_a_tunnel() {
        let websocket = HeaderValue::from_static("websocket");
        assert!(agrees(Some(&websocket), &answered(&["WebSocket"])));
        assert!(!agrees(Some(&websocket), &answered(&["h2c"])));
        assert!(!agrees(Some(&websocket), &answered(&[])));
        assert!(!agrees(
            Some(&websocket),
            &answered(&["websocket", "websocket"])
        ));
        assert!(!agrees(None, &answered(&["websocket"])));
        assert!(agrees(
            Some(&HeaderValue::from_static("foo/2, bar")),
            &answered(&["bar"])
        ));
    }
}
