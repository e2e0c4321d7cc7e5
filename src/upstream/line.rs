//! A connection for one exchange: one of the pool's, or a new one.

use std::time::Duration;

use http::{Request, header::UPGRADE};
use tokio::time::{Instant, timeout_at};

use super::{
    classify,
    connector::{Connector, Speech},
    speak,
};
use crate::{
    config::UpstreamProtocol,
    fault::{Fault, Kind, Stage},
    pool::{Http1, Http2, Opening, Seat},
};

/// A connection, or a place on a shared one.
#[derive(Debug)]
pub(super) enum Line {
    /// HTTP/1, for one request at a time.
    Http1(Http1),
    /// A stream of HTTP/2.
    Http2(Http2),
}

/// A line, and how it was come by.
#[derive(Debug)]
pub(super) struct Obtained {
    pub(super) line: Line,
    /// How long connecting took; `None` where the line comes from the pool.
    pub(super) connect: Option<Duration>,
    /// How much of it the TLS handshake took, where there was one.
    pub(super) handshake: Option<Duration>,
}

/// Whether a connection of the pool will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// One that rests is taken first.
    Allowed,
    /// A new one is made: the last try met one that the endpoint had closed.
    Never,
}

/// What is wanted: where, how, until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) connector: &'a Connector,
    pub(super) seat: &'a Seat,
    pub(super) speech: Speech,
    pub(super) deadline: Option<Instant>,
}

// === impl Speech ===

impl Speech {
    /// What a request needs. One that upgrades needs HTTP/1.1, which an upstream of `h2` does not speak.
    pub(super) fn of<B>(request: &Request<B>, protocol: UpstreamProtocol) -> Result<Self, Fault> {
        if protocol == UpstreamProtocol::Http1 || !request.headers().contains_key(UPGRADE) {
            return Ok(Self::Any);
        }
        if protocol == UpstreamProtocol::Auto {
            return Ok(Self::Http1);
        }
        Err(Fault::new(Kind::UpgradeFailed)
            .detail("the upstream speaks HTTP/2, which has no Upgrade"))
    }
}

// === impl Wanted ===

impl Wanted<'_> {
    /// A line of the pool, else a new one.
    ///
    /// # Cancel safety
    /// Dropping the future gives a connection up that is being made; those who wait for it make their own.
    pub(super) async fn obtain(self, reuse: Reuse) -> Result<Obtained, Fault> {
        if reuse == Reuse::Allowed
            && let Some(line) = self.pooled()
        {
            return Ok(Obtained {
                line,
                connect: None,
                handshake: None,
            });
        }
        let obtained = if self.may_share() {
            self.shared().await
        } else {
            self.fresh().await
        };
        // What answers with a wrong certificate now may be somebody else: old connections go too.
        if obtained
            .as_ref()
            .is_err_and(|fault| classify::is_of_a_certificate(fault.kind))
        {
            self.seat.endpoint.connections.flush();
        }
        obtained
    }

    /// Whether a new connection may turn out to be HTTP/2.
    fn may_share(self) -> bool {
        self.speech == Speech::Any
            && match self.connector.protocol {
                UpstreamProtocol::Http1 => false,
                UpstreamProtocol::H2 => true,
                UpstreamProtocol::Auto => self.connector.is_secure(),
            }
    }

    fn pooled(self) -> Option<Line> {
        let connections = &self.seat.endpoint.connections;
        let lane = self.connector.lane(self.seat);
        let (idle_timeout, now) = (self.connector.idle_timeout, Instant::now());
        if self.may_share()
            && let Some(stream) = connections.take_http2(lane, idle_timeout, now)
        {
            return Some(Line::Http2(stream));
        }
        if self.connector.protocol == UpstreamProtocol::H2 {
            return None;
        }
        connections
            .take_http1(lane, idle_timeout, now)
            .map(Line::Http1)
    }

    /// A new connection that many may share: the first who wants it makes it, the others wait for it.
    async fn shared(self) -> Result<Obtained, Fault> {
        loop {
            let mut opening = match self.seat.endpoint.connections.opening() {
                Opening::Lead(lead) => {
                    let made = self.fresh().await;
                    lead.end(made.as_ref().map(|_| ()).map_err(Clone::clone));
                    return made;
                }
                Opening::Follow(opening) => opening,
            };
            let ended = opening.wait_for(Option::is_some);
            let ended = match self.deadline {
                Some(deadline) => timeout_at(deadline, ended)
                    .await
                    .map_err(|_| Fault::new(Kind::RequestTimeout).at(Stage::Connect))?,
                None => ended.await,
            };
            let ended = ended.map(|result| result.clone());
            match ended {
                Ok(Some(Err(fault))) => return Err(fault),
                Ok(_) => break,
                Err(_) => {} // whoever made it left: the next one does
            }
        }
        match self.pooled() {
            Some(line) => Ok(Obtained {
                line,
                connect: None,
                handshake: None,
            }),
            None => self.fresh().await, // HTTP/1 after all, or no room left
        }
    }

    async fn fresh(self) -> Result<Obtained, Fault> {
        let began = Instant::now();
        let wire = self
            .connector
            .open(self.seat, self.speech, self.deadline)
            .await?;
        let (took, handshake) = (began.elapsed(), wire.handshake);
        let http2 = self.connector.speaks_http2(&wire)?;
        self.connector.handles.connected(took, handshake);
        let lane = self.connector.lane(self.seat);
        let endpoint = &self.seat.endpoint;
        let line = if http2 {
            let shared = speak::http2(self.connector, lane, wire, endpoint.drivers()).await?;
            let stream = endpoint.connections.share_http2(shared);
            Line::Http2(stream.ok_or_else(|| Fault::new(Kind::StreamRefused))?)
        } else {
            Line::Http1(speak::http1(self.connector, lane, wire, endpoint).await?)
        };
        Ok(Obtained {
            line,
            connect: Some(took),
            handshake,
        })
    }
}
