//! How long an endpoint lets a connection rest, and so how long one may rest to be used again.
//!
//! A request that meets an endpoint just as it closes the connection is lost, and may not be sent again where it is not
//! idempotent (RFC 9112 section 9.3.1). An endpoint tells its time-out in a `Keep-Alive` field, or shows it: what rests
//! is closed at about the same age again and again. [`KeepAlive`] knows both; `Learned` is pure.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use tokio::time::Instant;

/// So many closes after about the same rest are believed.
const BELIEVED: usize = 3;
/// Two rests are about the same where the longer one is at most so many times the other.
const ALIKE: f64 = 1.25;
/// A close after less says nothing: no endpoint waits so short a time.
const LEAST_REST: Duration = Duration::from_millis(100);
/// Closes nearer to each other are one: a process that ends closes all that rests, whatever its age.
const ONE_MOMENT: Duration = Duration::from_millis(50);
/// A connection is used no more when this part of the time-out is left …
const MARGIN: f64 = 0.1;
/// … or this much, where that is less; the way there and back must fit in.
const MOST_MARGIN: Duration = Duration::from_secs(1);
/// Whatever is known, one that has rested less than this is used.
const LEAST_USABLE: Duration = Duration::from_millis(50);
/// A longer time-out is as good as none.
const MOST_TOLD: Duration = Duration::from_secs(24 * 3600);
/// So many connections that outlived what is believed, without one that did not, end the belief.
const DISPROVED: u32 = 3;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What is known of how long one endpoint lets a connection rest.
#[derive(Debug)]
pub struct KeepAlive {
    /// The longest rest after which a connection is used, in milliseconds; `u64::MAX` where nothing is known. Relaxed:
    /// who reads it late takes the risk that it took before.
    usable_ms: AtomicU64,
    /// What the last new connection was told, in milliseconds; 0: nothing. Relaxed: it only says whether there is
    /// anything new, and is written under the lock.
    told_ms: AtomicU64,
    learned: Mutex<Learned>,
}

/// What closes showed.
#[derive(Debug)]
struct Learned {
    /// The last rests that ended with a close, the latest at the end.
    rests: [Option<Duration>; BELIEVED],
    last: Option<Instant>,
    timeout: Option<Duration>,
    /// Connections since the last close that outlived it.
    outlived: u32,
}

// === impl KeepAlive ===

impl KeepAlive {
    pub(super) const fn new() -> Self {
        Self {
            usable_ms: AtomicU64::new(u64::MAX),
            told_ms: AtomicU64::new(0),
            learned: Mutex::new(Learned::new()),
        }
    }

    /// The longest rest after which a connection should be used.
    pub(super) fn usable(&self) -> Duration {
        Duration::from_millis(self.usable_ms.load(Relaxed))
    }

    /// How long the endpoint lets a connection rest; `None` where it is not known.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let learned = self.learned.lock().timeout;
        let told = self.told_ms.load(Relaxed);
        let told = (told > 0).then(|| Duration::from_millis(told));
        told.into_iter().chain(learned).min()
    }

    /// The first answer on a new connection came with these fields. Returns what it tells where that is new.
    pub fn told(&self, headers: &HeaderMap) -> Option<Duration> {
        let told = timeout_in(headers);
        let told_ms = told.map_or(0, millis);
        if self.told_ms.load(Relaxed) == told_ms {
            return None;
        }
        let learned = self.learned.lock();
        self.told_ms.store(told_ms, Relaxed);
        self.publish(learned.timeout);
        told
    }

    /// The endpoint closed a connection that had rested so long. Returns what is known by that where it is new.
    pub fn closed(&self, rested: Duration, now: Instant) -> Option<Duration> {
        let mut learned = self.learned.lock();
        let before = learned.timeout;
        learned.closed(rested, now);
        self.publish(learned.timeout);
        let is_new = |after: &Duration| before.is_none_or(|before| !alike(before, *after));
        learned.timeout.filter(is_new)
    }

    /// A connection that had rested so long was still open when it was given up.
    pub(super) fn outlived(&self, rested: Duration) {
        if rested <= self.usable() {
            return;
        }
        let mut learned = self.learned.lock();
        learned.outlived(rested);
        self.publish(learned.timeout);
    }

    /// To be called under the lock.
    fn publish(&self, learned: Option<Duration>) {
        let told = self.told_ms.load(Relaxed);
        let told = (told > 0).then(|| Duration::from_millis(told));
        let timeout = told.into_iter().chain(learned).min();
        let usable = timeout.map_or(u64::MAX, |timeout| millis(usable_of(timeout)));
        self.usable_ms.store(usable, Relaxed);
    }
}

// === impl Learned ===

impl Learned {
    const fn new() -> Self {
        Self {
            rests: [None; BELIEVED],
            last: None,
            timeout: None,
            outlived: 0,
        }
    }

    fn closed(&mut self, rested: Duration, now: Instant) {
        let at_once = |last| now.saturating_duration_since(last) < ONE_MOMENT;
        if rested < LEAST_REST || self.last.replace(now).is_some_and(at_once) {
            return;
        }
        self.rests.rotate_left(1);
        if let Some(latest) = self.rests.last_mut() {
            *latest = Some(rested);
        }
        let seen = || self.rests.iter().flatten().copied();
        let (least, most) = (seen().min(), seen().max());
        if let (Some(least), Some(most)) = (least, most)
            && seen().count() == BELIEVED
            && alike(least, most)
        {
            self.timeout = Some(least);
            self.outlived = 0;
        }
    }

    fn outlived(&mut self, rested: Duration) {
        let Some(timeout) = self.timeout else { return };
        if rested <= timeout || alike(timeout, rested) {
            return;
        }
        self.outlived += 1;
        if self.outlived >= DISPROVED {
            *self = Self::new();
        }
    }
}

/// What the `Keep-Alive` field says: `timeout=5, max=100`, in seconds.
fn timeout_in(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.trim().parse::<u64>().ok())?
    })?;
    let told = Duration::from_secs(seconds);
    (seconds > 0 && told <= MOST_TOLD).then_some(told)
}

fn alike(a: Duration, b: Duration) -> bool {
    a.max(b) <= a.min(b).mul_f64(ALIKE)
}

fn usable_of(timeout: Duration) -> Duration {
    let margin = timeout.mul_f64(MARGIN).min(MOST_MARGIN);
    timeout.saturating_sub(margin).max(LEAST_USABLE)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Closes after these rests, in milliseconds, one each second.
    fn after(rests: &[u32]) -> KeepAlive {
        let keep_alive = KeepAlive::new();
        let mut now = Instant::now();
        for rest in rests {
            now += SECOND;
            keep_alive.closed(MS * *rest, now);
        }
        keep_alive
    }

    fn fields(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(KEEP_ALIVE, http::HeaderValue::from_static(text))])
    }

    #[test]
    fn three_closes_at_about_one_age_are_believed_and_fewer_are_not() {
        assert_eq!(after(&[300, 310]).timeout(), None);
        let known = after(&[310, 300, 320]);
        assert_eq!(known.timeout(), Some(MS * 300));
        assert_eq!(known.usable(), MS * 270);
        assert_eq!(after(&[300, 5_000, 310]).timeout(), None);
    }

    #[test]
    fn a_close_at_another_age_changes_nothing_until_it_is_the_rule() {
        let known = after(&[300, 300, 300, 9_000, 300]);
        assert_eq!(known.timeout(), Some(MS * 300));
        let longer = after(&[300, 300, 300, 9_000, 9_000, 9_100]);
        assert_eq!(longer.timeout(), Some(MS * 9_000));
    }

    #[test]
    fn what_is_new_is_told_once() {
        let keep_alive = KeepAlive::new();
        let start = Instant::now();
        let told: Vec<_> = (1..=5)
            .map(|second| keep_alive.closed(MS * 300, start + SECOND * second))
            .collect();
        assert_eq!(told, [None, None, Some(MS * 300), None, None]);
        assert_eq!(keep_alive.told(&fields("timeout=5")), Some(SECOND * 5));
        assert_eq!(keep_alive.told(&fields("timeout=5")), None);
    }

    #[test]
    fn what_is_closed_at_one_moment_is_one_close_and_busy_ones_say_nothing() {
        let keep_alive = KeepAlive::new();
        let now = Instant::now();
        for _ in 0..10 {
            keep_alive.closed(SECOND, now); // a process that ends
        }
        assert_eq!(keep_alive.timeout(), None);
        assert_eq!(after(&[20, 20, 20, 20]).timeout(), None);
    }

    #[test]
    fn the_field_is_read_and_the_shorter_of_both_counts() {
        for (text, seconds) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 15", Some(15)),
            ("timeout=0", None),
            ("timeout=-1", None),
            ("timeout=99999999999999999999", None),
            ("timeout=999999", None),
            ("300", None),
        ] {
            let told = timeout_in(&fields(text));
            assert_eq!(told, seconds.map(Duration::from_secs), "{text}");
        }
        let known = after(&[3_000, 3_000, 3_000]);
        known.told(&fields("timeout=60"));
        assert_eq!(known.timeout(), Some(SECOND * 3));
        known.told(&fields("timeout=2"));
        assert_eq!(known.timeout(), Some(SECOND * 2));
        known.told(&HeaderMap::new());
        assert_eq!(known.timeout(), Some(SECOND * 3));
    }

    #[test]
    fn the_margin_is_a_tenth_and_at_most_a_second_and_leaves_something() {
        for (timeout, usable) in [(100, 90), (5_000, 4_500), (10_000, 9_000), (60_000, 59_000)] {
            assert_eq!(usable_of(MS * timeout), MS * usable);
        }
        assert_eq!(usable_of(MS), LEAST_USABLE);
        assert_eq!(KeepAlive::new().usable(), Duration::from_millis(u64::MAX));
    }

    #[test]
    fn connections_that_outlive_what_is_believed_end_the_belief() {
        let known = after(&[300, 300, 300]);
        for _ in 0..10 {
            known.outlived(MS * 320); // about that age
        }
        known.outlived(SECOND);
        known.outlived(SECOND);
        assert_eq!(known.timeout(), Some(MS * 300));
        known.closed(MS * 300, Instant::now() + SECOND * 60);
        known.outlived(SECOND);
        known.outlived(SECOND);
        assert_eq!(known.timeout(), Some(MS * 300), "a close begins anew");
        known.outlived(SECOND);
        assert_eq!(known.timeout(), None);
        assert_eq!(known.usable(), Duration::from_millis(u64::MAX));
    }
}
