//! Files beside the config that are watched: those of the system that say how names are resolved, and those that the
//! config names.

use std::{collections::BTreeSet, path::PathBuf};

use tokio::sync::mpsc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{Trigger, watch};

/// A watch of files other than the config.
#[derive(Debug)]
pub(super) struct Beside {
    files: BTreeSet<PathBuf>,
    changed: mpsc::Sender<Trigger>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the watch that runs.
    running: Option<DropGuard>,
}

// === impl Beside ===

impl Beside {
    /// Watches nothing yet. The receiver is told when a file may have changed.
    pub(super) fn new(
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> (Self, mpsc::Receiver<Trigger>) {
        let (changed, told) = mpsc::channel(1);
        let watches = Self {
            files: BTreeSet::new(),
            changed,
            tasks,
            stop,
            running: None,
        };
        (watches, told)
    }

    /// Watches `files` from now on, and no other.
    pub(super) fn follow(&mut self, files: BTreeSet<PathBuf>) {
        if files == self.files {
            return;
        }
        let stop = self.stop.child_token();
        if !files.is_empty() {
            let watch = watch::follow(files.clone(), self.changed.clone(), stop.clone());
            self.tasks.spawn(watch);
        }
        self.running = Some(stop.drop_guard());
        self.files = files;
    }
}
