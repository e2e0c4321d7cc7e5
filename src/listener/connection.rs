//! One connection from its first byte to its last.

use std::{
    future::{pending, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::{Builder, UpgradeableConnection},
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    activity::{Activity, Due},
    body::Leftover,
    classify::{self, End},
    clock::Clock,
    exchange::Exchange,
    leave,
    proxy_header::{self, Ends, HeaderError},
    shared::{Shared, Slot, Terms},
    socket::Watched,
    streams::{Newborn, Streams},
    tls::{self, TlsError},
    wire::Wire,
};
use crate::{
    fault::{Fault, Kind, Stage},
    proxy::{ConnectionFacts, HopOnce, Reading},
};

/// Room for the request target beside `max_header`: hyper refuses a target of 64 KiB itself, and what is
/// shorter reaches the service, which answers 414 or 431 in our own words.
const TARGET_BYTES: usize = 64 * 1024;
/// Streams at a time of one HTTP/2 connection.
const MOST_STREAMS: u32 = 256;
/// Bytes of a response that HTTP/2 holds for one stream.
const STREAM_SEND_BYTES: usize = 64 * 1024;

/// How the driving of a connection ended.
enum Ended {
    /// HTTP is done with it: closed, failed, or a tunnel now.
    Http(Result<(), Box<dyn std::error::Error + Send + Sync>>),
    /// The client was too slow.
    Late(Due),
    /// The drain's deadline.
    Cut,
}

/// Serves one connection to its end. A panic in it ends this connection alone.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
    let terms = shared.terms();
    let deadline = Instant::now() + terms.plan.header_timeout;
    let opened = tokio::select! {
        biased; // a drain waits for handshakes for a moment only
        () = leave::too_late(&shared) => return,
        opened = timeout_at(deadline, open(&shared, &terms, stream, peer)) => opened,
    };
    match opened {
        Ok(Some((wire, facts))) => talk(&shared, &terms, wire, facts, slot).await,
        Ok(None) => {}
        Err(_) => terms.handles.timed_out("handshake"),
    }
}

/// PROXY header and TLS. `None`: turned away, counted and closed.
async fn open(
    shared: &Shared,
    terms: &Terms,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<(Wire, ConnectionFacts)> {
    // Without it a small answer may wait for an acknowledgement; the connection works all the same.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok()?;
    let ends = if terms.plan.proxy_protocol {
        told_ends(terms, &stream, peer).await?
    } else {
        None
    };
    let ends = ends.unwrap_or(Ends {
        source: peer,
        destination: local,
    });
    let facts = facts(shared, terms, ends);
    let Some(acceptor) = &terms.tls else {
        return Some((Wire::Plain(stream), facts));
    };
    let permit = shared.handshakes.acquire().await.ok()?;
    let accepted = tls::accept(acceptor, stream).await;
    drop(permit);
    match accepted {
        Ok(stream) => Some((Wire::Tls(Box::new(stream)), facts)),
        Err(error) => {
            no_tls(shared, terms, &facts, error).await;
            None
        }
    }
}

async fn no_tls(shared: &Shared, terms: &Terms, facts: &ConnectionFacts, error: TlsError) {
    match error {
        TlsError::Empty => {}
        TlsError::PlainHttp(stream) => {
            let fault = Fault::new(Kind::FramingInvalid).at(Stage::Tls);
            (shared.refused)(facts, fault.detail("plain HTTP on a TLS port"));
            terms.handles.rejected("protocol");
            tls::refuse_plain_http(stream).await;
        }
        TlsError::Noise => terms.handles.rejected("protocol"),
        TlsError::Handshake(error) => {
            terms.handles.rejected("tls");
            tracing::debug!(listener = %facts.listener, peer = %facts.peer, %error, "no TLS");
        }
    }
}

/// The addresses of the PROXY header. The outer `None`: turned away.
async fn told_ends(terms: &Terms, stream: &TcpStream, peer: SocketAddr) -> Option<Option<Ends>> {
    if !terms.plan.trusts(peer.ip()) {
        terms.handles.rejected("untrusted");
        return None;
    }
    match proxy_header::read(stream).await {
        Ok(ends) => Some(ends),
        Err(HeaderError::Empty) => None,
        Err(error) => {
            terms.handles.rejected("proxy_protocol");
            tracing::debug!(listener = %terms.plan.name, %peer, %error, "no PROXY header");
            None
        }
    }
}

fn facts(shared: &Shared, terms: &Terms, ends: Ends) -> ConnectionFacts {
    let plan = &terms.plan;
    let peer = canonical(ends.source);
    ConnectionFacts {
        listener: plan.name.clone(),
        peer,
        local: canonical(ends.destination),
        secure: terms.tls.is_some(),
        trusted: plan.trusts(peer.ip()),
        body_timeout: plan.body_timeout,
        tunnel_idle_timeout: plan.tunnel_idle_timeout,
        max_header_bytes: plan.max_header_bytes.get(),
        tunnels: shared.tunnels.clone(),
        stop_tunnels: shared.stop_tunnels.clone(),
        trusted_proxies: Arc::clone(&terms.trusted_proxies),
        hop: HopOnce::default(),
        reading: Reading::default(),
    }
}

/// An IPv4-mapped IPv6 address as its IPv4 form.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Speaks HTTP until one side is done.
async fn talk(shared: &Shared, terms: &Terms, wire: Wire, facts: ConnectionFacts, slot: Slot) {
    let facts = Arc::new(facts);
    let http2 = matches!(&wire, Wire::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"));
    let activity = Arc::new(Activity::new(terms.patience(), http2));
    let leftover = Arc::new(Leftover::default());
    let newborn = Arc::new(Newborn::default());
    let socket = Watched::new(wire, Arc::clone(&activity), slot);
    let exchange = Exchange::new(
        shared.router.clone(),
        Arc::clone(&facts),
        Arc::clone(&activity),
        Arc::clone(&leftover),
        shared.connections.clone(),
        Arc::clone(&newborn),
    );
    let http = http(shared, terms, newborn, facts.reading.clone());
    let connection = http.serve_connection_with_upgrades(TokioIo::new(socket), exchange);
    let ended = drive(
        shared,
        terms,
        connection,
        &activity,
        &leftover,
        &facts.reading,
    )
    .await;
    tell(shared, terms, &facts, &activity, ended);
}

/// HTTP as this listener speaks it. What is not set is hyper's and h2's own default, above all their caps on
/// reset streams.
fn http(
    shared: &Shared,
    terms: &Terms,
    newborn: Arc<Newborn>,
    reading: Reading,
) -> Builder<Streams> {
    let plan = &terms.plan;
    let head = plan.max_header_bytes.get();
    let mut http = Builder::new(Streams::new(
        shared.connections.clone(),
        plan.body_timeout,
        Arc::clone(&terms.handles),
        newborn,
        reading,
    ));
    http.http1()
        .half_close(false) // who closes its side before its answer is out has left, as for nginx and Envoy
        .pipeline_flush(false)
        .max_buf_size(head.saturating_add(TARGET_BYTES))
        .header_read_timeout(None); // ours tells an idle connection from a slow head
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(None)
        .max_concurrent_streams(MOST_STREAMS)
        .max_send_buf_size(STREAM_SEND_BYTES)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX));
    http
}

/// Polls HTTP, and beside it the drain, the rest of unread bodies and the clock.
async fn drive(
    shared: &Shared,
    terms: &Terms,
    connection: UpgradeableConnection<'_, TokioIo<Watched>, Exchange, Streams>,
    activity: &Activity,
    leftover: &Leftover,
    reading: &Reading,
) -> Ended {
    let mut connection = pin!(connection);
    let mut clock = Clock::new(activity);
    // A token of its own: polling a shared one would be a lock shared by all connections.
    let draining = shared.draining.child_token();
    let mut drained = pin!(draining.cancelled());
    let mut cut = pin!(cut(shared));
    let mut alarmed = pin!(shared.alarm().cancelled_owned());
    let mut asked = pin!(leave::asked(shared, activity));
    let (mut is_draining, mut has_left, mut read) = (false, false, 0);
    loop {
        let due = tokio::select! {
            biased; // the end first; HTTP before the clock, which reads what HTTP has done
            () = &mut cut, if is_draining => return Ended::Cut,
            () = &mut drained, if !is_draining => {
                is_draining = true;
                continue;
            }
            () = &mut asked, if is_draining && !has_left => {
                has_left = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
            () = &mut alarmed => {
                alarmed.set(shared.alarm().cancelled_owned());
                continue;
            }
            result = connection.as_mut() => return Ended::Http(result),
            due = poll_fn(|cx| {
                activity.strains(shared.closes_idle());
                leftover.poll_read(cx, activity, &mut read);
                clock.poll_due(cx, activity)
            }) => due,
        };
        match due {
            Due::Leftover => leftover.give_up(activity, &mut read),
            Due::Idle => {
                terms.handles.timed_out("idle");
                activity.leaves();
                connection.as_mut().graceful_shutdown();
            }
            Due::Write => {
                reading.stopped(); // before the connection drops its answers
                return Ended::Late(due);
            }
            Due::Head | Due::First | Due::Closing => return Ended::Late(due),
        }
    }
}

/// The deadline of the drain; polled only once there is one.
async fn cut(shared: &Shared) {
    match shared.cut_at.get() {
        Some(at) => sleep_until(*at).await,
        None => pending().await,
    }
}

/// Counts and reports how a connection ended, where that was nobody's wish.
fn tell(
    shared: &Shared,
    terms: &Terms,
    facts: &ConnectionFacts,
    activity: &Activity,
    ended: Ended,
) {
    match ended {
        Ended::Http(Ok(())) | Ended::Late(Due::Closing | Due::Idle | Due::Leftover) => {}
        Ended::Http(Err(error)) => match classify::of_error(error.as_ref(), activity.standing()) {
            End::Closed => {}
            End::Refused(fault) => (shared.refused)(facts, fault),
            End::Protocol => {
                terms.handles.rejected("protocol");
                tracing::debug!(listener = %facts.listener, peer = %facts.peer, %error, "HTTP/2 broken off");
            }
        },
        Ended::Late(Due::First) => terms.handles.timed_out("header"),
        Ended::Late(Due::Head) => {
            terms.handles.timed_out("header");
            (shared.refused)(facts, Fault::new(Kind::HeadTimeout));
        }
        Ended::Late(Due::Write) => terms.handles.timed_out("write"),
        Ended::Cut => {
            shared.cut.fetch_add(1, Relaxed);
        }
    }
}
