//! What is written to `[history] dir` while the gateway runs: the history, what limits have learned,
//! the requests that failed, and incidents.
//!
//! Two processes must never write there at once: before another one takes over, this one [pauses](Notes::pause), and
//! begins again only where nothing comes of it. A config may move it elsewhere: who writes at the new place begins when
//! who wrote at the old one has ended.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    Unprepared, casebook,
    folder::Folder,
    history::{History, store},
    memory,
};
use crate::{snapshot::Snapshot, telemetry::Telemetry};

/// See the module.
#[derive(Debug)]
pub(super) struct Notes {
    history: watch::Receiver<Arc<History>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    telemetry: Arc<Telemetry>,
    place: Mutex<Place>,
}

/// Where they are written.
#[derive(Debug)]
struct Place {
    dir: Option<PathBuf>,
    state: State,
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

/// A move to another folder, or to none, that cannot fail any more. Dropped, nothing has changed.
#[derive(Debug)]
pub(super) struct Move {
    to: Option<Folder>,
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
            history,
            snapshot: Arc::clone(snapshot),
            telemetry: Arc::clone(telemetry),
            place: Mutex::new(Place {
                dir,
                state: State::Blank,
            }),
        };
        notes.begin();
        notes
    }

    /// Writes from now on, where there is a folder. Needs a tokio runtime.
    pub(super) fn begin(&self) {
        self.begin_after(&mut self.place.lock(), &nobody());
    }

    /// Prepares to write to `dir`, where that is another one: the folder is there then, and can be written to.
    ///
    /// # Errors
    /// It cannot.
    ///
    /// # Cancel safety
    /// Nothing has changed, but that an empty folder may stay.
    pub(super) async fn prepare(&self, dir: Option<&Path>) -> Result<Option<Move>, Unprepared> {
        if self.place.lock().dir.as_deref() == dir {
            return Ok(None);
        }
        let Some(dir) = dir.map(Path::to_path_buf) else {
            return Ok(Some(Move { to: None }));
        };
        let path = dir.clone();
        let opened = tokio::task::spawn_blocking(move || Folder::open(&path)).await;
        match opened.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(folder) => Ok(Some(Move { to: Some(folder) })),
            Err(error) => Err(Unprepared(format!(
                "the history cannot be kept in {}: {error}",
                dir.display()
            ))),
        }
    }

    /// Writes where `there` says from now on, after the last words at the old place. Begins with what is in memory;
    /// what lies there already is replaced. Needs a tokio runtime.
    pub(super) fn move_to(&self, there: Move) {
        let mut place = self.place.lock();
        place.dir = there.to.map(Folder::keep);
        match std::mem::replace(&mut place.state, State::Blank) {
            State::Blank => self.begin_after(&mut place, &nobody()),
            State::Written { tasks, stop } => {
                drop(stop);
                tasks.close();
                self.begin_after(&mut place, &tasks);
            }
            State::Paused => place.state = State::Paused,
        }
    }

    /// Writes as soon as those `before` have ended.
    fn begin_after(&self, place: &mut Place, before: &TaskTracker) {
        if matches!(place.state, State::Written { .. }) {
            return;
        }
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        // Who comes after this one comes after those too, whether or not anything is written here.
        tasks.spawn(after(before.clone(), std::future::ready(())));
        if let Some(dir) = place.dir.clone() {
            let (history, snapshot) = (self.history.clone(), Arc::clone(&self.snapshot));
            let history = store::follow(dir.clone(), history, stop.clone());
            tasks.spawn(after(before.clone(), history));
            let limits = memory::remember(snapshot, dir.clone(), stop.clone());
            tasks.spawn(after(before.clone(), limits));
            let cases = casebook::follow(dir, Arc::clone(&self.telemetry), stop.clone());
            tasks.spawn(after(before.clone(), cases));
        }
        let stop = stop.drop_guard();
        place.state = State::Written { tasks, stop };
    }

    /// Writes once more, and then no more until [`begin`](Self::begin).
    ///
    /// # Cancel safety
    /// The last words are written, unawaited.
    pub(super) async fn pause(&self) {
        let state = std::mem::replace(&mut self.place.lock().state, State::Paused);
        if let State::Written { tasks, stop } = state {
            drop(stop);
            tasks.close();
            tasks.wait().await;
        }
    }

    /// Writes for the last time, unless another process does now.
    pub(super) async fn last(&self) {
        if !matches!(self.place.lock().state, State::Paused) {
            self.pause().await;
        }
    }
}

/// Those who have ended before anybody began.
fn nobody() -> TaskTracker {
    let nobody = TaskTracker::new();
    nobody.close();
    nobody
}

/// `work`, when those `before` have ended.
async fn after(before: TaskTracker, work: impl Future<Output = ()>) {
    before.wait().await;
    work.await;
}
