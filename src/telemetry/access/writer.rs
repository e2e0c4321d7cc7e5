//! The thread of the access log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use metrics::Counter;
use tokio::{sync::watch, time::Instant};

use super::target::Target;

/// How often it is checked whether the file was moved away.
const REOPEN_EVERY: Duration = Duration::from_secs(1);
/// Lines are gathered up to this many bytes for one write.
const BATCH_BYTES: usize = 64 * 1024;

/// Writes lines until the last sender is gone. A target that fails costs lines, never the thread.
pub(super) struct Writer {
    target: Target,
    incoming: Receiver<Vec<u8>>,
    waiting_bytes: Arc<AtomicUsize>,
    done: watch::Sender<u64>,
    dropped: Counter,
    batch: Vec<u8>,
    batch_lines: u64,
    checked: Instant,
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        target: Target,
        incoming: Receiver<Vec<u8>>,
        waiting_bytes: Arc<AtomicUsize>,
        done: watch::Sender<u64>,
        dropped: Counter,
    ) -> Self {
        Self {
            target,
            incoming,
            waiting_bytes,
            done,
            dropped,
            batch: Vec::with_capacity(BATCH_BYTES),
            batch_lines: 0,
            checked: Instant::now(),
            failing: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            match self.incoming.recv_timeout(REOPEN_EVERY) {
                Ok(line) => self.gather(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.checked.elapsed() >= REOPEN_EVERY {
                self.follow_the_path();
            }
            self.write_batch();
        }
    }

    fn gather(&mut self, first: Vec<u8>) {
        let mut next = Some(first);
        while let Some(line) = next {
            self.waiting_bytes.fetch_sub(line.len(), Relaxed);
            self.batch.extend_from_slice(&line);
            self.batch_lines += 1;
            next = (self.batch.len() < BATCH_BYTES)
                .then(|| self.incoming.try_recv().ok())
                .flatten();
        }
    }

    fn write_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.target.write(&self.batch) {
            Ok(()) => self.works_again(),
            Err(error) => {
                self.dropped.increment(self.batch_lines);
                self.fails(&error);
            }
        }
        self.batch.clear();
        let lines = std::mem::take(&mut self.batch_lines);
        self.done.send_modify(|done| *done += lines);
    }

    fn follow_the_path(&mut self) {
        self.checked = Instant::now();
        match self.target.reopen_if_moved() {
            Ok(true) => self.works_again(),
            Ok(false) => {}
            Err(error) => self.fails(&error),
        }
    }

    /// Said once, not for each line.
    fn fails(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "the access log loses lines");
        }
    }

    fn works_again(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("the access log is written again");
        }
    }
}
