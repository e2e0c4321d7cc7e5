//! The access log: one line for each request, written by a thread of its own.
//!
//! A request formats its line into a buffer that it owns and hands it over; it never waits. Where the queue is full
//! ([`MAX_LINES`], [`MAX_BYTES`]) or the target fails, the line is lost and counted. A target has a thread of its own, so
//! that one that stands still can be turned away from.

mod line;
mod target;
mod tries;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, SyncSender},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use metrics::Counter;
use parking_lot::Mutex;
use tokio::sync::watch;

pub(super) use line::escaped;
#[cfg(test)]
pub(super) use line::tests::line as a_line;
pub use line::{AccessLine, Timings};

use super::{LineFormat, Telemetry};
use target::Target;

/// Most lines that wait for the thread.
const MAX_LINES: usize = 32_768;
/// Most bytes that wait for the thread.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most former targets whose threads still write: each may hold that much.
pub const MOST_FORMER: usize = 4;

/// Where access lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTo {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// A file, appended to; made anew where it was moved away or deleted.
    File(PathBuf),
}

/// Why the access log could not begin.
#[derive(Debug)]
pub enum AccessLogError {
    /// Its file cannot be opened.
    Open(PathBuf, io::Error),
    /// Standard output cannot be used.
    Stdout(io::Error),
    /// No thread for it.
    Thread(io::Error),
    /// Too many targets that it had before stand still.
    Stuck,
}

/// Takes the lines of requests, and turns to another target while they come. The thread of a target ends, after writing
/// what waits, when the log turned away from it or is dropped.
#[derive(Debug)]
pub struct AccessLog {
    /// `None`: off. Loaded once for each line.
    queue: ArcSwapOption<Queue>,
    outlet: Mutex<Outlet>,
    dropped: Counter,
}

/// Where lines go now, and went before.
#[derive(Debug)]
struct Outlet {
    to: AccessTo,
    /// What threads of former targets are done with: closed when they have ended.
    former: Vec<watch::Receiver<u64>>,
}

/// A change of an access log that cannot fail any more. Dropped, nothing has changed.
#[derive(Debug)]
pub struct Turn {
    to: AccessTo,
    queue: Option<Arc<Queue>>,
}

/// The way to a target, and how lines look there.
#[derive(Debug)]
struct Queue {
    way: Arc<Way>,
    format: LineFormat,
}

#[derive(Debug)]
struct Way {
    lines: SyncSender<Vec<u8>>,
    /// Bytes that wait. Relaxed: it bounds memory and guards none.
    waiting_bytes: Arc<AtomicUsize>,
    /// Lines handed over. Relaxed: read only by [`AccessLog::flush`].
    sent: AtomicU64,
    /// Lines that the thread is done with, written or lost.
    done: watch::Receiver<u64>,
    dropped: Counter,
}

// === impl AccessLog ===

impl AccessLog {
    /// Opens `target` and starts the thread.
    ///
    /// # Errors
    ///
    /// The target cannot be opened, or no thread can be started.
    pub fn start(
        target: AccessTo,
        format: LineFormat,
        telemetry: &Telemetry,
    ) -> Result<Self, AccessLogError> {
        let log = Self::off(telemetry);
        let turn = log.prepare(target, format)?;
        log.turn(turn);
        Ok(log)
    }

    fn off(telemetry: &Telemetry) -> Self {
        Self {
            queue: ArcSwapOption::empty(),
            outlet: Mutex::new(Outlet {
                to: AccessTo::Off,
                former: Vec::new(),
            }),
            dropped: telemetry.access_dropped(),
        }
    }

    /// Opens `target`, where it is another one than now.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and where [`MOST_FORMER`] former targets are not done with their lines.
    pub fn prepare(&self, target: AccessTo, format: LineFormat) -> Result<Turn, AccessLogError> {
        let mut outlet = self.outlet.lock();
        let way = if outlet.to == target {
            self.queue.load().as_ref().map(|queue| queue.way.clone())
        } else {
            outlet.former.retain(|done| done.has_changed().is_ok());
            if outlet.former.len() >= MOST_FORMER {
                return Err(AccessLogError::Stuck);
            }
            self.open(&target)?
        };
        let queue = way.map(|way| Arc::new(Queue { way, format }));
        Ok(Turn { to: target, queue })
    }

    /// Turns: lines handed over before go where they went, those to come to the new target, in its format.
    pub fn turn(&self, turn: Turn) {
        let mut outlet = self.outlet.lock();
        let before = self.queue.swap(turn.queue.clone());
        outlet.to = turn.to;
        let same = |next: &Queue, before: &Queue| Arc::ptr_eq(&next.way, &before.way);
        if let Some(before) = before
            && !turn.queue.is_some_and(|next| same(&next, &before))
        {
            outlet.former.push(before.way.done.clone());
        }
    }

    fn open(&self, target: &AccessTo) -> Result<Option<Arc<Way>>, AccessLogError> {
        let target = match target {
            AccessTo::Off => return Ok(None),
            AccessTo::Stdout => Target::stdout().map_err(AccessLogError::Stdout)?,
            AccessTo::File(path) => Target::file(path.clone())
                .map_err(|error| AccessLogError::Open(path.clone(), error))?,
        };
        Way::start(target, self.dropped.clone()).map(|way| Some(Arc::new(way)))
    }

    /// Hands a line over, or loses and counts it where too many wait. Never blocks.
    pub fn write(&self, line: &AccessLine<'_>) {
        let queue = self.queue.load();
        let Some(queue) = &*queue else { return };
        let mut text = Vec::with_capacity(512);
        line.append(queue.format, &mut text);
        queue.way.push(text);
    }

    /// Waits until every line handed over before is written or lost, at most for `within`; says whether they are.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the threads go on.
    pub async fn flush(&self, within: Duration) -> bool {
        let now = self.queue.load_full();
        let former = self.outlet.lock().former.clone();
        let before = async {
            for mut done in former {
                while done.changed().await.is_ok() {}
            }
        };
        let now = async {
            let Some(queue) = now else { return true };
            let sent = queue.way.sent.load(Relaxed);
            let mut done = queue.way.done.clone();
            done.wait_for(|lines| *lines >= sent).await.is_ok()
        };
        let all = tokio::time::timeout(within, async { tokio::join!(before, now) });
        all.await.is_ok_and(|((), now)| now)
    }
}

// === impl Way ===

impl Way {
    fn start(target: Target, dropped: Counter) -> Result<Self, AccessLogError> {
        let (lines, incoming) = mpsc::sync_channel(MAX_LINES);
        let (done_sender, done) = watch::channel(0);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let writer = writer::Writer::new(
            target,
            incoming,
            waiting_bytes.clone(),
            done_sender,
            dropped.clone(),
        );
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())
            .map_err(AccessLogError::Thread)?;
        Ok(Self {
            lines,
            waiting_bytes,
            sent: AtomicU64::new(0),
            done,
            dropped,
        })
    }

    fn push(&self, text: Vec<u8>) {
        let length = text.len();
        let before = self.waiting_bytes.fetch_add(length, Relaxed);
        if before + length <= MAX_BYTES && self.lines.try_send(text).is_ok() {
            self.sent.fetch_add(1, Relaxed);
        } else {
            self.waiting_bytes.fetch_sub(length, Relaxed);
            self.dropped.increment(1);
        }
    }
}

// === impl AccessLogError ===

impl std::fmt::Display for AccessLogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(path, error) => {
                write!(f, "cannot open the access log {}: {error}", path.display())
            }
            Self::Stdout(error) => {
                write!(f, "cannot write the access log to standard output: {error}")
            }
            Self::Thread(error) => write!(f, "cannot start the thread of the access log: {error}"),
            Self::Stuck => write!(
                f,
                "cannot turn to another access log: {MOST_FORMER} former ones stand still, with lines that wait"
            ),
        }
    }
}

impl std::error::Error for AccessLogError {}

#[cfg(test)]
mod tests;
