//! Noticing that a file changed, however it was changed.
//!
//! Editors rename over it, Kubernetes swaps a symlink two directories up, a bind mount shows no event at all.
//! So every directory on the way to the file is watched, links resolved anew after each event; the content
//! decides whether anything changed; and a slow look at the file is the safety net.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::Trigger;

/// A burst of events has ended when none came for this long.
const QUIET: Duration = Duration::from_millis(25);
/// A burst that does not end is acted upon after this long.
const AT_MOST: Duration = Duration::from_millis(250);
/// How often the file is looked at where no event came.
const POLL: Duration = Duration::from_secs(5);
/// How many links are followed on the way to the file.
const MAX_LINKS: usize = 16;

/// Tells `out` whenever one of `files` may have changed, until `stop`.
pub(super) async fn follow(
    files: BTreeSet<PathBuf>,
    out: mpsc::Sender<Trigger>,
    stop: CancellationToken,
) {
    let (seen, mut events) = mpsc::channel(1);
    let mut watched = Watched::start(&files, seen);
    let mut poll = tokio::time::interval_at(Instant::now() + POLL, POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let trigger = tokio::select! {
            biased; // stop first; events before the poll, which is there for when they fail
            () = stop.cancelled() => return,
            Some(()) = events.recv() => {
                settle(&mut events).await;
                watched.follow_links(&files);
                Trigger::File
            }
            _ = poll.tick() => {
                watched.follow_links(&files);
                Trigger::Poll
            }
        };
        if out.send(trigger).await.is_err() {
            return;
        }
    }
}

/// Waits until no event came for [`QUIET`], at most [`AT_MOST`].
async fn settle(events: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + AT_MOST;
    loop {
        let quiet = (Instant::now() + QUIET).min(latest);
        match tokio::time::timeout_at(quiet, events.recv()).await {
            Ok(Some(())) if Instant::now() < latest => {}
            _ => return,
        }
    }
}

/// The directories that are watched now.
struct Watched {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    /// Those that should be and cannot be: told once, tried again at each look.
    unwatched: BTreeSet<PathBuf>,
}

impl Watched {
    /// Watches the way to `files`. Where the system gives no events, says so once and leaves it to the poll.
    fn start(files: &BTreeSet<PathBuf>, seen: mpsc::Sender<()>) -> Self {
        let notify = move |event: notify::Result<notify::Event>| {
            let matters = event.is_ok_and(|event| !event.kind.is_access()) || seen.is_closed();
            if matters {
                let _ = seen.try_send(()); // full: one is waiting already, and one is enough
            }
        };
        let watcher = notify::recommended_watcher(notify)
            .map_err(|error| tracing::warn!(%error, "no file events here: files are looked at every few seconds"))
            .ok();
        let mut watched = Self {
            watcher,
            directories: BTreeSet::new(),
            unwatched: BTreeSet::new(),
        };
        watched.follow_links(files);
        watched
    }

    /// Watches the directories that lead to `files` now, and no other.
    fn follow_links(&mut self, files: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let now: BTreeSet<_> = files.iter().flat_map(|file| way_to(file)).collect();
        for gone in self.directories.difference(&now) {
            let _ = watcher.unwatch(gone); // it may be gone itself
        }
        let (mut kept, mut unwatched) = (BTreeSet::new(), BTreeSet::new());
        for directory in now {
            // A directory that was replaced under the same name is another one: watch it anew.
            let fresh = !self.directories.contains(&directory);
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    kept.insert(directory);
                }
                Err(error) if fresh => {
                    if !self.unwatched.contains(&directory) {
                        tracing::warn!(
                            %error, directory = %directory.display(),
                            "cannot watch a directory on the way to a file: it is looked at every few seconds"
                        );
                    }
                    unwatched.insert(directory);
                }
                Err(_) => {} // it may be about to come back: the next look tells where it does not
            }
        }
        (self.directories, self.unwatched) = (kept, unwatched);
    }
}

/// Every directory in which a change can change what `file` is: its own, and that of each link on the way.
fn way_to(file: &Path) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    let mut next = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    for _ in 0..MAX_LINKS {
        for folder in next.ancestors().skip(1) {
            let is_link = folder.is_symlink();
            if is_link && let Some(parent) = folder.parent() {
                directories.insert(parent.to_path_buf());
            }
        }
        if let Some(parent) = next.parent() {
            directories.insert(parent.to_path_buf());
            if let Ok(real) = parent.canonicalize() {
                directories.insert(real);
            }
        }
        let Ok(target) = std::fs::read_link(&next) else {
            break;
        };
        next = next
            .parent()
            .map_or_else(|| target.clone(), |parent| parent.join(&target));
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_config_map_names_the_folder_of_its_links() {
        let root = tempfile::tempdir().expect("a folder");
        let real = root.path().canonicalize().expect("a path");
        std::fs::create_dir(real.join("..v1")).expect("a folder");
        std::fs::write(real.join("..v1/tidegate.toml"), "").expect("a file");
        std::os::unix::fs::symlink("..v1", real.join("..data")).expect("a link");
        std::os::unix::fs::symlink("..data/tidegate.toml", real.join("tidegate.toml"))
            .expect("a link");
        let way = way_to(&real.join("tidegate.toml"));
        assert!(way.contains(&real), "{way:?}");
        assert!(way.contains(&real.join("..v1")), "{way:?}");
    }
}
