//! The bytes to and from an endpoint: TCP, or TLS over it.
//!
//! Two habits differ from a bare socket. It marks that a byte came, which tells a connection closed before any
//! answer from one closed within it. And a write that fails is not an error yet: an endpoint that answers early
//! and closes makes our writes fail while its answer waits to be read (RFC 9112 section 9.5). So what is written
//! from then on is thrown away, and the error comes out where reading comes to the end.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::pool::Heard;

/// A connection to an endpoint.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Socket,
    /// How long the TLS handshake took, where there was one.
    pub(super) handshake: Option<Duration>,
    heard: Heard,
    /// The first write that failed; from then on nothing is written.
    broken: Option<io::Error>,
    deaf: bool,
}

/// What is under the wire.
#[derive(Debug)]
pub(super) enum Socket {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Wire ===

impl Wire {
    pub(super) fn new(socket: Socket, handshake: Option<Duration>) -> Self {
        Self {
            socket,
            handshake,
            heard: Heard::default(),
            broken: None,
            deaf: false,
        }
    }

    /// Whether a byte came, to keep beside the connection.
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Whether the handshake agreed on HTTP/2.
    pub(super) fn agreed_on_h2(&self) -> bool {
        match &self.socket {
            Socket::Plain(_) => false,
            Socket::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Turns a failed write into one that went nowhere.
    fn swallow(&mut self, written: io::Result<usize>, offered: usize) -> io::Result<usize> {
        match written {
            Err(error) if ends_writing(&error) => {
                self.broken = Some(error);
                self.deaf = true;
                Ok(offered)
            }
            other => other,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        ready!(read)?;
        if buf.filled().len() > before {
            this.heard.mark();
        } else if let Some(error) = this.broken.take() {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        Poll::Ready(this.swallow(ready!(written), buf.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let offered = || bufs.iter().map(|buf| buf.len()).sum();
        if this.deaf {
            return Poll::Ready(Ok(offered()));
        }
        let written = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        Poll::Ready(this.swallow(ready!(written), offered()))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Ready(Ok(()));
        }
        let flushed = match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        Poll::Ready(this.swallow(ready!(flushed).map(|()| 0), 0).map(|_| ()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The other side reads no more; what it wrote before may still be there.
fn ends_writing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}
