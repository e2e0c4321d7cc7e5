//! HTTP on a new connection: what is agreed at its start, and the task that drives it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{classify, classify::Answer, connector::Connector, wire::Wire};
use crate::{
    fault::Fault,
    names::EndpointId,
    pool::{Allowance, Endpoint, Http1, KeepAlive, LaneRef, MAX_STREAMS, Rest, SendBody, Shared},
};

/// Largest head of an answer; over it the answer is refused. (HTTP/1: at most 100 fields, too.)
const MAX_HEAD: usize = 64 * 1024;
/// Most bytes read ahead of who reads the body, HTTP/1.
const MAX_BUFFER: usize = 2 * MAX_HEAD;
/// Most bytes of one stream that wait to be read, HTTP/2.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Enough for all streams, so that one that nobody reads does not stop the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS;
/// Most bytes of one stream that wait to be sent, HTTP/2.
const SEND_BUFFER: usize = 256 * 1024;
/// A shared connection with open streams is pinged each so often.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A ping unanswered for so long ends it.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts HTTP/1 on `wire`.
pub(super) async fn http1(
    connector: &Connector,
    lane: LaneRef<'_>,
    wire: Wire,
    endpoint: &Endpoint,
) -> Result<Http1, Fault> {
    let heard = wire.heard();
    let (sender, driver) = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(|error| classify::exchange(&error, Answer::Nothing))?;
    let now = Instant::now();
    let rest = Rest::new(now);
    let (resting, id) = (rest.clone(), endpoint.id.clone());
    let keep_alive = Arc::clone(endpoint.connections.keep_alive());
    endpoint.drivers().spawn(async move {
        if let Err(error) = driver.with_upgrades().await {
            tracing::debug!(%error, "connection to an endpoint ended");
        }
        let now = Instant::now();
        if let Some(rested) = resting.at(now) {
            closed(&keep_alive, &id, rested, now);
        }
    });
    Ok(Http1 {
        sender,
        lane: lane.to_lane(),
        retire_at: connector.retires(now),
        heard,
        rest,
        rested: Duration::ZERO,
    })
}

/// The endpoint closed a connection that had rested so long; tells where that says something new of it.
pub(super) fn closed(keep_alive: &KeepAlive, id: &EndpointId, rested: Duration, now: Instant) {
    if let Some(timeout) = keep_alive.closed(rested, now) {
        tracing::info!(
            endpoint = %id, keep_alive_ms = timeout.as_millis(),
            "the endpoint closes connections that rest: they are not used for quite as long any more"
        );
    }
}

/// Starts HTTP/2 on `wire`.
pub(super) async fn http2(
    connector: &Connector,
    lane: LaneRef<'_>,
    wire: Wire,
    drivers: &TaskTracker,
) -> Result<Arc<Shared>, Fault> {
    let (sender, connection) = http2::Builder::new(Tracked(drivers.clone()))
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(|error| classify::exchange(&error, Answer::Nothing))?;
    let allowed = Allowance::new();
    let driver = Http2Driver {
        connection,
        allowed: Arc::clone(&allowed),
    };
    drivers.spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "connection to an endpoint ended");
        }
    });
    let now = Instant::now();
    let retire_at = connector.retires(now);
    Ok(Shared::new(sender, lane.to_lane(), allowed, now, retire_at))
}

/// Drives an HTTP/2 connection, and publishes how many streams the endpoint allows each time it is woken: with
/// each request and with the first answer.
struct Http2Driver {
    connection: http2::Connection<TokioIo<Wire>, SendBody, Tracked>,
    allowed: Arc<Allowance>,
}

/// Spawns what HTTP/2 needs beside the driver, counted with it.
#[derive(Debug, Clone)]
struct Tracked(TaskTracker);

// === impl Http2Driver ===

impl Future for Http2Driver {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.connection).poll(cx);
        let allowed = self.connection.current_max_send_streams();
        self.allowed.see(allowed, cx);
        polled
    }
}

// === impl Tracked ===

impl<F> Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
