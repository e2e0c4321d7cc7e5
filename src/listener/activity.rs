//! The record of one connection: what is open, and since when it waits for its client.
//!
//! It is written as bytes and requests pass, by the connection's task and (HTTP/2) by those of its streams,
//! and read by the one timer of the connection. All atomics are relaxed: each tells its own story, the reader
//! acts on it no earlier than milliseconds later, and no other memory is published through them.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{classify::Standing, shared::Patience};

/// How long the rest of an unread body, or of what a refused client still sends, is listened to.
pub(super) const LEFTOVER_TIME: Duration = Duration::from_secs(1);
/// How much of it.
pub(super) const LEFTOVER_BYTES: u64 = 64 * 1024;
/// How long a connection may rest between requests while idle ones are closed: a client in the midst of several
/// requests keeps it, and spares us a handshake.
pub(super) const STRAINED_IDLE: Duration = Duration::from_secs(1);

/// The record of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    born: Instant,
    patience: Patience,
    http2: AtomicBool,
    /// Request bodies and responses that are not over.
    open: AtomicU32,
    /// Request bodies among them.
    uploads: AtomicU32,
    /// A request was seen.
    used: AtomicBool,
    /// The connection is a tunnel now: none of this holds any more.
    tunnel: AtomicBool,
    /// The socket failed.
    failed: AtomicBool,
    /// A request body was given up before its end: more of it may come.
    unread: AtomicBool,
    /// Idle connections are closed soon.
    strained: AtomicBool,
    /// The next answer is the last.
    last: AtomicBool,
    /// When `open` last fell to 0.
    quiet: Mark,
    /// The first byte of a head that is not whole yet.
    head: Mark,
    /// The client takes no bytes since then.
    blocked: Mark,
    /// The rest of an unread body is awaited since then.
    leftover: Mark,
    /// We closed our side and wait for the client to close its own.
    lingering: Mark,
    /// It was idle for too long and was asked to close.
    leaving: Mark,
}

/// A moment in the life of a connection, or none.
#[derive(Debug, Default)]
struct Mark(AtomicU64);

/// What a connection has waited for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A request's head is not whole.
    Head,
    /// No first request came.
    First,
    /// No next request came.
    Idle,
    /// The client takes no bytes.
    Write,
    /// The rest of an unread body did not come.
    Leftover,
    /// The client did not close after we did, or after it was asked to.
    Closing,
}

// === impl Activity ===

impl Activity {
    pub(super) fn new(patience: Patience, http2: bool) -> Self {
        Self {
            born: Instant::now(),
            patience,
            http2: AtomicBool::new(http2),
            open: AtomicU32::new(0),
            uploads: AtomicU32::new(0),
            used: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            strained: AtomicBool::new(false),
            last: AtomicBool::new(false),
            quiet: Mark::default(),
            head: Mark::default(),
            blocked: Mark::default(),
            leftover: Mark::default(),
            lingering: Mark::default(),
            leaving: Mark::default(),
        }
    }

    /// How long it may rest between requests.
    pub(super) fn idle(&self) -> Duration {
        if self.is_strained() {
            self.patience.idle.min(STRAINED_IDLE)
        } else {
            self.patience.idle
        }
    }

    /// When it was accepted.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Whether no request was seen yet.
    pub(super) fn is_new(&self) -> bool {
        !self.used.load(Relaxed)
    }

    /// Whether idle connections are closed soon.
    pub(super) fn is_strained(&self) -> bool {
        self.strained.load(Relaxed)
    }

    /// Takes over whether they are.
    pub(super) fn strains(&self, strained: bool) {
        if self.is_strained() != strained {
            self.strained.store(strained, Relaxed);
        }
    }

    /// The next answer on it is its last.
    pub(super) fn nears_its_end(&self) {
        self.last.store(true, Relaxed);
    }

    /// Whether the next answer is its last, and must say so. HTTP/2 is told by its own means.
    pub(super) fn must_say_last(&self) -> bool {
        self.last.load(Relaxed) && !self.is_http2()
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    pub(super) fn becomes_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    /// The head of a request is whole; its response is open from now on.
    pub(super) fn request(&self) {
        self.used.store(true, Relaxed);
        self.head.clear();
        self.opens();
    }

    /// A request has a body: it is open from now on.
    pub(super) fn upload(&self) {
        self.uploads.fetch_add(1, Relaxed);
        self.opens();
    }

    /// A request body is over, or given up.
    pub(super) fn upload_ended(&self) {
        self.uploads.fetch_sub(1, Relaxed);
        self.closes();
    }

    fn opens(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    /// A response is over (or a request body).
    pub(super) fn closes(&self) {
        // Marked before the count falls, so that who sees 0 sees the new mark: hence AcqRel.
        self.quiet.set(self.born);
        self.open.fetch_sub(1, AcqRel);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.open.load(Relaxed) == 0
    }

    /// The socket failed.
    pub(super) fn fails(&self) {
        self.failed.store(true, Relaxed);
    }

    /// How things stand, for who tells the connection's end.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            in_head: self.in_head() && self.is_quiet(),
            io_failed: self.failed.load(Relaxed),
        }
    }

    /// Whether a request body is not over.
    pub(super) fn uploads(&self) -> bool {
        self.uploads.load(Relaxed) > 0
    }

    /// The response switches protocols.
    pub(super) fn becomes_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// Bytes came. Where nothing is open they begin a head.
    pub(super) fn received(&self) {
        if self.is_quiet() && !self.is_http2() && !self.is_tunnel() {
            self.head.set_first(self.born);
        }
    }

    /// Whether a head has begun and is not whole.
    pub(super) fn in_head(&self) -> bool {
        self.head.at(self.born).is_some()
    }

    /// The socket took no bytes.
    pub(super) fn blocked(&self) {
        self.blocked.set_first(self.born);
    }

    /// The socket took some.
    pub(super) fn wrote(&self) {
        self.blocked.clear();
    }

    /// A request body was given up before its end.
    pub(super) fn left_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Its rest is awaited.
    pub(super) fn awaits_leftover(&self) {
        self.leftover.set_first(self.born);
    }

    /// The rest came (`whole`), or is not awaited any more.
    pub(super) fn leftover_ended(&self, whole: bool) {
        self.leftover.clear();
        self.head.clear();
        self.unread.store(!whole, Relaxed);
        self.quiet.set(self.born);
    }

    /// Whether the client may still be sending what nobody wants: closing at once would make its system
    /// throw our answer away (RFC 9112 section 9.6).
    pub(super) fn must_linger(&self) -> bool {
        !self.is_http2() && !self.is_tunnel() && (self.unread.load(Relaxed) || self.in_head())
    }

    pub(super) fn lingers(&self) {
        self.lingering.set_first(self.born);
    }

    /// It was asked to close.
    pub(super) fn leaves(&self) {
        self.leaving.set_first(self.born);
    }

    /// What comes due next, and when; `None` while all that is awaited is our own answer.
    pub(super) fn due(&self) -> Option<(Instant, Due)> {
        let (Patience { header, body, .. }, idle) = (self.patience, self.idle());
        let after = |mark: &Mark, wait: Duration, due| Some((mark.at(self.born)? + wait, due));
        [
            after(&self.lingering, LEFTOVER_TIME, Due::Closing),
            after(&self.leftover, LEFTOVER_TIME, Due::Leftover),
            after(&self.blocked, body, Due::Write),
            after(&self.leaving, body, Due::Closing),
            self.rest_due(header, idle),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// What comes due where no request is open.
    fn rest_due(&self, header: Duration, idle: Duration) -> Option<(Instant, Due)> {
        let closing = self.leaving.is_set() || self.lingering.is_set() || self.leftover.is_set();
        if closing || self.open.load(Acquire) > 0 {
            return None;
        }
        if let Some(head) = self.head.at(self.born) {
            return Some((head + header, Due::Head));
        }
        if !self.used.load(Relaxed) {
            return Some((self.born + header, Due::First));
        }
        let quiet = self.quiet.at(self.born).unwrap_or(self.born);
        Some((quiet + idle, Due::Idle))
    }
}

// === impl Mark ===

impl Mark {
    fn set(&self, born: Instant) {
        let micros = u64::try_from(born.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros.max(1), Relaxed);
    }

    fn set_first(&self, born: Instant) {
        if !self.is_set() {
            self.set(born);
        }
    }

    fn clear(&self) {
        if self.is_set() {
            self.0.store(0, Relaxed);
        }
    }

    fn is_set(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    fn at(&self, born: Instant) -> Option<Instant> {
        let micros = self.0.load(Relaxed);
        (micros != 0).then(|| born + Duration::from_micros(micros))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);
    const BODY: Duration = Duration::from_secs(30);

    fn activity() -> (Activity, Instant) {
        let patience = Patience {
            header: HEADER,
            idle: IDLE,
            body: BODY,
        };
        (Activity::new(patience, false), Instant::now())
    }

    fn due(activity: &Activity) -> (Instant, Due) {
        activity.due().expect("something is due")
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_timed_from_its_first_byte_and_the_first_from_the_start() {
        let (activity, start) = activity();
        assert_eq!(due(&activity), (start + HEADER, Due::First));
        advance(Duration::from_secs(3)).await;
        activity.received();
        advance(Duration::from_secs(3)).await;
        activity.received();
        let head = start + Duration::from_secs(3) + HEADER;
        assert_eq!(due(&activity), (head, Due::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_due_while_our_answer_is_awaited_and_idle_begins_with_its_end() {
        let (activity, start) = activity();
        activity.received();
        activity.request();
        assert_eq!(activity.due(), None);
        advance(Duration::from_secs(5)).await;
        activity.closes();
        let quiet = start + Duration::from_secs(5);
        assert_eq!(due(&activity), (quiet + IDLE, Due::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_bytes_is_due_although_a_request_is_open() {
        let (activity, start) = activity();
        activity.request();
        advance(Duration::from_secs(1)).await;
        activity.blocked();
        advance(Duration::from_secs(1)).await;
        activity.blocked();
        let blocked = start + Duration::from_secs(1) + BODY;
        assert_eq!(due(&activity), (blocked, Due::Write));
        activity.wrote();
        assert_eq!(activity.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn under_strain_a_rest_is_short_and_nothing_else_is() {
        let (activity, start) = activity();
        activity.strains(true);
        assert_eq!(due(&activity), (start + HEADER, Due::First));
        activity.request();
        assert_eq!(activity.due(), None);
        advance(Duration::from_secs(5)).await;
        activity.closes();
        let quiet = start + Duration::from_secs(5);
        assert_eq!(due(&activity), (quiet + STRAINED_IDLE, Due::Idle));
        activity.strains(false);
        assert_eq!(due(&activity), (quiet + IDLE, Due::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_an_idle_http2_connection_begin_no_head() {
        let (activity, start) = activity();
        activity.becomes_http2();
        activity.request();
        activity.closes();
        advance(Duration::from_secs(1)).await;
        activity.received();
        assert_eq!(due(&activity).1, Due::Idle);
        assert!(due(&activity).0 <= start + IDLE + Duration::from_millis(1));
    }
}
