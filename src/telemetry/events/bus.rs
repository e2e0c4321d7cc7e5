//! Who tells, and who listens.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use metrics::Counter;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Event, EventKind, What, pace::Pace, ring::Ring};
use crate::telemetry::{catalog, recorder::Recorder};

/// A listener takes so many out of the past at a time.
const AT_A_TIME: usize = 64;

/// The events of one gateway. Clones are handles of the same.
#[derive(Clone)]
pub struct Events(Arc<Bus>);

struct Bus {
    book: Mutex<Book>,
    /// Rings after each event. It carries nothing: who listens reads the ring.
    rings: watch::Sender<()>,
    counters: Vec<Counter>,
}

#[derive(Default)]
struct Book {
    ring: Ring,
    pace: Pace,
    /// The id before the first.
    start: u64,
    /// The newest id, or the one before the first.
    last: u64,
}

/// Listens, at its own pace: who is slow misses what the ring no longer has, and is told how many.
#[derive(Debug)]
pub struct Subscription {
    events: Events,
    bell: watch::Receiver<()>,
    /// The last id that was handed out, or looked past.
    last: u64,
    ready: VecDeque<Arc<Event>>,
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub struct Next {
    /// The next event.
    pub event: Arc<Event>,
    /// So many before it are lost.
    pub missed: u64,
}

// === impl Events ===

impl Events {
    /// Nothing yet; each event is counted in `recorder`.
    pub(in crate::telemetry) fn new(recorder: &Recorder) -> Self {
        let counter = |kind: &EventKind| recorder.counter(&catalog::EVENTS, [kind.as_str()]);
        Self::with(EventKind::ALL.iter().map(counter).collect())
    }

    fn with(counters: Vec<Counter>) -> Self {
        // Ids grow over a restart, so that who reconnects asks for nothing that was: there are less than a million a
        // second. JSON numbers hold them exactly until the year 2255.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let last = u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or_default();
        let book = Book {
            start: last,
            last,
            ..Book::default()
        };
        Self(Arc::new(Bus {
            book: Mutex::new(book),
            rings: watch::Sender::new(()),
            counters,
        }))
    }

    /// Something happened: writes the log line, and keeps the record where it says something new. Never waits for who
    /// listens.
    pub fn tell(&self, what: impl Into<What>) {
        let what = what.into();
        what.log();
        self.keep(what);
    }

    /// All of that but the log line.
    pub(super) fn keep(&self, what: impl Into<What>) {
        let what = what.into();
        let mut book = self.0.book.lock();
        if !book.pace.lets(&what) {
            return;
        }
        book.last = book.last.saturating_add(1);
        let event = Arc::new(Event::new(book.last, SystemTime::now(), what));
        if let Some(counter) = self.0.counters.get(event.kind as usize) {
            counter.increment(1);
        }
        book.ring.push(event);
        drop(book);
        self.0.rings.send_replace(());
    }

    /// The newest `most` of those after the event `id`, oldest first; 0 asks for all that is kept.
    #[must_use]
    pub fn since(&self, id: u64, most: usize) -> Vec<Arc<Event>> {
        self.select(id, most, |_| true)
    }

    /// The newest `most` of those after the event `id` that are `wanted`, oldest first. `wanted` is called under a lock.
    #[must_use]
    pub fn select(&self, id: u64, most: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Arc<Event>> {
        let book = self.0.book.lock();
        let newest = book.ring.after(id).rev().filter(|event| wanted(event));
        let mut found: Vec<_> = newest.take(most).cloned().collect();
        found.reverse();
        found
    }

    /// The newest `most` of those that happened from `from` to `to`, both included, oldest first.
    #[must_use]
    pub fn between(&self, from: SystemTime, to: SystemTime, most: usize) -> Vec<Arc<Event>> {
        let millis = |at: SystemTime| {
            at.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis()
        };
        let span = millis(from)..=millis(to);
        self.select(0, most, |event| span.contains(&u128::from(event.at_ms)))
    }

    /// The id of the newest event, or the one before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.book.lock().last
    }

    /// Listens to what comes from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.subscribe_after(self.last())
    }

    /// Listens to what came after the event `id`, as far as it is kept, and to what comes. An id of an earlier run of
    /// the program asks for all.
    #[must_use]
    pub fn subscribe_after(&self, id: u64) -> Subscription {
        let book = self.0.book.lock();
        let last = id.clamp(book.start, book.last);
        drop(book);
        Subscription {
            events: self.clone(),
            bell: self.0.rings.subscribe(),
            last,
            ready: VecDeque::new(),
        }
    }
}

impl Default for Events {
    /// Events of their own, which nothing counts.
    fn default() -> Self {
        Self::with(Vec::new())
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("last", &self.last())
            .finish_non_exhaustive()
    }
}

// === impl Subscription ===

impl Subscription {
    /// The next event.
    ///
    /// # Cancel safety
    /// None is lost.
    pub async fn next(&mut self) -> Next {
        loop {
            self.bell.mark_unchanged(); // before the look: what comes after it rings again
            if let Some(next) = self.try_next() {
                return next;
            }
            if self.bell.changed().await.is_err() {
                std::future::pending::<()>().await; // not while a handle of the events is held here
            }
        }
    }

    /// The id of the last event that was heard, or after which it listens.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The next event, where there is one already.
    pub fn try_next(&mut self) -> Option<Next> {
        if self.ready.is_empty() {
            let book = self.events.0.book.lock();
            self.ready = book
                .ring
                .after(self.last)
                .take(AT_A_TIME)
                .cloned()
                .collect();
        }
        let event = self.ready.pop_front()?;
        let missed = event.id.saturating_sub(self.last.saturating_add(1));
        self.last = event.id;
        Some(Next { event, missed })
    }
}
