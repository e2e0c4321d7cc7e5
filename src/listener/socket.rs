//! A connection's bytes, watched: each read and write is told to its [`Activity`].

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    activity::{Activity, LEFTOVER_BYTES},
    preface::Preface,
    shared::Slot,
    wire::Wire,
};

/// What HTTP reads from and writes to.
pub(super) struct Watched {
    wire: Wire,
    activity: Arc<Activity>,
    preface: Preface,
    /// The client closed its side.
    ended: bool,
    /// We closed ours.
    closed: bool,
    /// Bytes thrown away since.
    discarded: u64,
    /// Given back when the socket is closed, as a tunnel too.
    _slot: Slot,
}

impl Watched {
    pub(super) fn new(wire: Wire, activity: Arc<Activity>, slot: Slot) -> Self {
        Self {
            wire,
            activity,
            preface: Preface::NOTHING_YET,
            ended: false,
            closed: false,
            discarded: 0,
            _slot: slot,
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        if let Preface::Matching(_) = self.preface {
            self.preface = self.preface.follow(bytes);
            if self.preface == (Preface::Known { http2: true }) {
                self.activity.becomes_http2();
            }
        }
        self.activity.received();
    }

    /// Tells the record whether the client takes bytes.
    fn wrote<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &result {
            Poll::Pending => self.activity.blocked(),
            Poll::Ready(Ok(_)) => self.activity.wrote(),
            Poll::Ready(Err(_)) => self.activity.fails(),
        }
        result
    }

    /// Throws away what the client still sends, to its end or to [`LEFTOVER_BYTES`]. The timer bounds it too.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.activity.lingers();
        let mut scratch = [0_u8; 4096];
        while !self.ended && self.discarded < LEFTOVER_BYTES {
            let mut buf = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.wire).poll_read(cx, &mut buf));
            let count = buf.filled().len();
            self.ended = read.is_err() || count == 0;
            self.discarded = self
                .discarded
                .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.wire).poll_read(cx, buf))
            .inspect_err(|_| this.activity.fails())?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            this.ended = buf.remaining() > 0;
        } else {
            this.received(fresh);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.wire).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.wire).poll_write_vectored(cx, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.wire).poll_flush(cx);
        self.wrote(result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            let result = Pin::new(&mut this.wire).poll_shutdown(cx);
            ready!(this.wrote(result))?;
            this.closed = true;
        }
        if this.activity.must_linger() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
