//! What is written to `[history] dir` while the gateway runs: the history, what limits have learned,
//! the requests that failed, and incidents.
//!
//! Two processes must never write there at once: before another one takes over, this one [pauses](Notes::pause), and
//! begins again only where nothing comes of it.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    casebook,
    history::{History, store},
    memory,
};
use crate::{snapshot::Snapshot, telemetry::Telemetry};

/// See the module.
#[derive(Debug)]
pub(super) struct Notes {
    dir: Option<PathBuf>,
    history: watch::Receiver<Arc<History>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
}

/// Whether they are written.
#[derive(Debug)]
enum State {
    /// Not yet.
    Blank,
    /// By these tasks.
    Written { tasks: TaskTracker, stop: DropGuard },
    /// By another process, as far as is known here.
    Paused,
}

// === impl Notes ===

impl Notes {
    /// Written from now on, where there is a folder. Needs a tokio runtime.
    pub(super) fn begun(
        dir: Option<PathBuf>,
        history: watch::Receiver<Arc<History>>,
        snapshot: &Arc<ArcSwap<Snapshot>>,
        telemetry: &Arc<Telemetry>,
    ) -> Self {
        let notes = Self {
            dir,
            history,
            snapshot: Arc::clone(snapshot),
            telemetry: Arc::clone(telemetry),
            state: Mutex::new(State::Blank),
        };
        notes.begin();
        notes
    }

    /// Writes from now on, where there is a folder. Needs a tokio runtime.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock();
        let (Some(dir), false) = (&self.dir, matches!(*state, State::Written { .. })) else {
            return;
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (history, snapshot) = (self.history.clone(), Arc::clone(&self.snapshot));
        tasks.spawn(store::follow(dir.clone(), history, stop.clone()));
        tasks.spawn(memory::remember(snapshot, dir.clone(), stop.clone()));
        let telemetry = Arc::clone(&self.telemetry);
        tasks.spawn(casebook::follow(dir.clone(), telemetry, stop.clone()));
        let stop = stop.drop_guard();
        *state = State::Written { tasks, stop };
    }

    /// Writes once more, and then no more until [`begin`](Self::begin).
    ///
    /// # Cancel safety
    /// The last words are written, unawaited.
    pub(super) async fn pause(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Paused);
        if let State::Written { tasks, stop } = state {
            drop(stop);
            tasks.close();
            tasks.wait().await;
        }
    }

    /// Writes for the last time, unless another process does now.
    pub(super) async fn last(&self) {
        if !matches!(*self.state.lock(), State::Paused) {
            self.pause().await;
        }
    }
}
