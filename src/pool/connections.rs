//! The connections of one endpoint: HTTP/1 ones that rest, HTTP/2 ones that are shared.
//!
//! Nothing here opens a connection, and no task belongs to a resting one: those that are too old go when
//! somebody asks for one, or when the owner of the endpoint calls [`Connections::sweep`]. A connection is only
//! handed to who wants exactly what it was made for, its [`Lane`].

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::{sync::watch, time::Instant};

use super::{Http1, Http2, KeepAlive, Rest, http2::Shared};
use crate::fault::Fault;

/// Most HTTP/1 connections that rest for one endpoint; at the bound the one that rests longest is closed.
pub const MAX_RESTING: usize = 256;
/// So many that have rested too long for the endpoint are left to it, so that their end shows whether it still closes them.
const MAX_WATCHED: usize = 2;

/// What a connection was made for. Connections are shared only among requests of equal lanes.
///
/// The address is the endpoint's. `transport` stands for the protocol and for what TLS trusts and shows, so a
/// changed certificate authority or client certificate is another lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The transport's number, from the connector.
    pub transport: u64,
    /// The name that was asked for and checked; `None` without TLS.
    pub name: Option<ServerName<'static>>,
}

/// A [`Lane`] as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct LaneRef<'a> {
    /// The transport's number.
    pub transport: u64,
    /// The name that is asked for and checked.
    pub name: Option<&'a ServerName<'static>>,
}

/// How the first of several that want a new shared connection at once fared.
pub type ConnectResult = Option<Result<(), Fault>>;

/// Whether to open a connection or to wait for somebody who does.
#[derive(Debug)]
pub enum Opening<'a> {
    /// Open one. Others may wait for the result.
    Lead(Lead<'a>),
    /// Somebody opens one now.
    Follow(watch::Receiver<ConnectResult>),
}

/// The right to open a shared connection while others wait. Dropped without a word it lets them try themselves.
#[derive(Debug)]
pub struct Lead<'a> {
    connections: &'a Connections,
    result: watch::Sender<ConnectResult>,
}

/// The connections of one endpoint.
#[derive(Debug)]
pub struct Connections {
    state: Mutex<State>,
    /// How long the endpoint lets them rest; shared with their drivers.
    keep_alive: Arc<KeepAlive>,
}

#[derive(Debug, Default)]
struct State {
    /// HTTP/1, the one used last at the back.
    resting: VecDeque<Resting>,
    shared: Vec<Arc<Shared>>,
    /// The one who opens a shared connection, and how many wait for it.
    opening: Option<(watch::Receiver<ConnectResult>, usize)>,
    /// How long connections may rest, as last said by who asked for one.
    idle_timeout: Duration,
    /// The endpoint was removed: nothing is kept any more.
    closed: bool,
}

#[derive(Debug)]
struct Resting {
    /// Before the connection, so that its driver never takes our own close for the endpoint's.
    mark: Mark,
    connection: Http1,
    since: Instant,
}

/// Lasts as long as a connection rests.
#[derive(Debug)]
struct Mark(Rest);

// === impl Lane ===

impl Lane {
    /// Whether this is what `asked` wants.
    #[must_use]
    pub fn is(&self, asked: LaneRef<'_>) -> bool {
        self.transport == asked.transport && self.name.as_ref() == asked.name
    }
}

impl LaneRef<'_> {
    /// The lane itself. Allocates where there is a name: once for a connection, never for a request.
    #[must_use]
    pub fn to_lane(self) -> Lane {
        Lane {
            transport: self.transport,
            name: self.name.cloned(),
        }
    }
}

// === impl Connections ===

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            keep_alive: Arc::new(KeepAlive::new()),
        }
    }

    /// What is known of how long the endpoint lets them rest.
    #[must_use]
    pub fn keep_alive(&self) -> &Arc<KeepAlive> {
        &self.keep_alive
    }

    /// The HTTP/1 connection of `lane` that rests shortest and can be used. Those found closed or too old on
    /// the way are dropped, and so are most that the endpoint may be about to close.
    #[must_use]
    pub fn take_http1(
        &self,
        lane: LaneRef<'_>,
        idle_timeout: Duration,
        now: Instant,
    ) -> Option<Http1> {
        let mut state = self.state.lock();
        state.idle_timeout = idle_timeout;
        let usable = self.keep_alive.usable();
        let mut watched = 0;
        let mut index = state.resting.len();
        while index > 0 {
            index -= 1;
            let resting = state.resting.get(index)?;
            if resting.is_over(idle_timeout, now) {
                let over = state.resting.remove(index);
                self.gave_up(over, now);
            } else if resting.rested(now) >= usable {
                watched += 1;
                if watched > MAX_WATCHED {
                    let over = state.resting.remove(index);
                    self.gave_up(over, now);
                }
            } else if resting.connection.lane.is(lane) && resting.connection.is_ready() {
                return state.resting.remove(index).map(|resting| resting.take(now));
            }
        }
        None
    }

    /// Keeps a connection whose answer was fully read and whose request was fully sent. Nobody else may call
    /// this: bytes left of one exchange would be taken for the next.
    pub fn keep_http1(&self, connection: Http1, now: Instant) {
        let mut state = self.state.lock();
        if state.closed || connection.is_closed() {
            return;
        }
        if state.resting.len() >= MAX_RESTING {
            state.resting.pop_front();
        }
        state.resting.push_back(Resting::begin(connection, now));
    }

    /// A stream on an HTTP/2 connection of `lane` that has room.
    #[must_use]
    pub fn take_http2(
        &self,
        lane: LaneRef<'_>,
        idle_timeout: Duration,
        now: Instant,
    ) -> Option<Http2> {
        let mut state = self.state.lock();
        state.idle_timeout = idle_timeout;
        state
            .shared
            .retain(|shared| !shared.is_over(idle_timeout, now));
        state
            .shared
            .iter()
            .filter(|shared| shared.lane.is(lane))
            .find_map(Shared::stream)
    }

    /// Shares a new HTTP/2 connection, and takes its first stream.
    #[must_use]
    pub fn share_http2(&self, shared: Arc<Shared>) -> Option<Http2> {
        let first = Shared::stream(&shared);
        let mut state = self.state.lock();
        if !state.closed {
            state.shared.push(shared);
        }
        first
    }

    /// Whether to open a shared connection, or to wait for one that is being opened. No more wait than one
    /// connection has room for.
    #[must_use]
    pub fn opening(&self) -> Opening<'_> {
        let mut state = self.state.lock();
        if let Some((opening, waiting)) = &mut state.opening
            && *waiting < super::http2::MAX_STREAMS as usize
        {
            *waiting += 1;
            return Opening::Follow(opening.clone());
        }
        let (result, opening) = watch::channel(None);
        state.opening = Some((opening, 1));
        Opening::Lead(Lead {
            connections: self,
            result,
        })
    }

    /// Closes what rests and what is too old, and returns how many that were.
    pub fn sweep(&self, now: Instant) -> usize {
        let mut state = self.state.lock();
        let idle_timeout = state.idle_timeout;
        let before = state.resting.len() + state.shared.len();
        state.resting.retain(|resting| {
            let over = resting.is_over(idle_timeout, now);
            if over && !resting.connection.is_closed() {
                self.keep_alive.outlived(resting.rested(now));
            }
            !over
        });
        state
            .shared
            .retain(|shared| !shared.is_over(idle_timeout, now));
        before - state.resting.len() - state.shared.len()
    }

    /// Lets go of every connection: resting ones close now, others when their last request ends. New ones
    /// may come.
    pub fn flush(&self) {
        let mut state = self.state.lock();
        state.resting.clear();
        state.shared.clear();
    }

    /// As [`Self::flush`], and keeps none from now on.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.flush();
    }

    /// Keeps connections again after [`Self::close`].
    pub fn reopen(&self) {
        self.state.lock().closed = false;
    }

    /// How many HTTP/1 connections rest, and how many HTTP/2 connections are open.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.resting.len(), state.shared.len())
    }

    /// One is not used any more. Where the endpoint has not closed it, that is told of it.
    fn gave_up(&self, over: Option<Resting>, now: Instant) {
        if let Some(over) = over.filter(|over| !over.connection.is_closed()) {
            self.keep_alive.outlived(over.rested(now));
        }
    }
}

// === impl Resting ===

impl Resting {
    fn begin(connection: Http1, now: Instant) -> Self {
        connection.rest.begin(now);
        Self {
            mark: Mark(connection.rest.clone()),
            connection,
            since: now,
        }
    }

    /// For an exchange.
    fn take(self, now: Instant) -> Http1 {
        let rested = self.rested(now);
        drop(self.mark);
        Http1 {
            rested,
            ..self.connection
        }
    }

    fn rested(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    fn is_over(&self, idle_timeout: Duration, now: Instant) -> bool {
        self.connection.is_closed()
            || self.connection.retire_at <= now
            || self.rested(now) >= idle_timeout
    }
}

// === impl Mark ===

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.end();
    }
}

// === impl Lead ===

impl Lead<'_> {
    /// Tells those who wait.
    pub fn end(self, result: Result<(), Fault>) {
        self.result.send_replace(Some(result));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.connections.state.lock();
        // Where more waited than one connection has room for, somebody else leads by now.
        if let Some((opening, _)) = &state.opening
            && opening.same_channel(&self.result.subscribe())
        {
            state.opening = None;
        }
    }
}
