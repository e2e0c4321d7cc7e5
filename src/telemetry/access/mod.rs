//! The access log: one line for each request, written by a thread of its own.
//!
//! A request formats its line into a buffer that it owns and hands it over; it never waits. Where the queue is full
//! ([`MAX_LINES`], [`MAX_BYTES`]) or the target fails, the line is lost and counted.

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

use metrics::Counter;
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
}

/// Takes the lines of requests. The thread ends, after writing what waits, when this is dropped.
#[derive(Debug)]
pub struct AccessLog {
    queue: Option<Queue>,
}

#[derive(Debug)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
    format: LineFormat,
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
        let target = match target {
            AccessTo::Off => return Ok(Self { queue: None }),
            AccessTo::Stdout => Target::stdout().map_err(AccessLogError::Stdout)?,
            AccessTo::File(path) => {
                Target::file(path.clone()).map_err(|error| AccessLogError::Open(path, error))?
            }
        };
        Self::start_on(target, format, telemetry)
    }

    fn start_on(
        target: Target,
        format: LineFormat,
        telemetry: &Telemetry,
    ) -> Result<Self, AccessLogError> {
        let (lines, incoming) = mpsc::sync_channel(MAX_LINES);
        let (done_sender, done) = watch::channel(0);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let dropped = telemetry.access_dropped();
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
        let sent = AtomicU64::new(0);
        let queue = Queue {
            lines,
            format,
            waiting_bytes,
            sent,
            done,
            dropped,
        };
        Ok(Self { queue: Some(queue) })
    }

    /// Hands a line over, or loses and counts it where too many wait. Never blocks.
    pub fn write(&self, line: &AccessLine<'_>) {
        let Some(queue) = &self.queue else { return };
        let mut text = Vec::with_capacity(512);
        line.append(queue.format, &mut text);
        queue.push(text);
    }

    /// Waits until every line handed over before is written or lost, at most for `within`; says whether they are.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the thread goes on.
    pub async fn flush(&self, within: Duration) -> bool {
        let Some(queue) = &self.queue else {
            return true;
        };
        let sent = queue.sent.load(Relaxed);
        let mut done = queue.done.clone();
        let reached = done.wait_for(|lines| *lines >= sent);
        matches!(tokio::time::timeout(within, reached).await, Ok(Ok(_)))
    }
}

// === impl Queue ===

impl Queue {
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
        }
    }
}

impl std::error::Error for AccessLogError {}

#[cfg(test)]
mod tests;
