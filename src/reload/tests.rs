//! A keeper that pauses while another process takes over.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;

use super::{Keeper, Prepared, Refused, Running, Sockets, Trigger, Try, Unprepared};
use crate::{
    config::{self, Loaded},
    telemetry::Telemetry,
};

const CONFIG: &str = "[history]\ndir = \"kept\"\n[[listeners]]\nbind = \"127.0.0.1:0\"\n[[routes]]\nrespond = { status = 200 }\n";
const CAP: Duration = Duration::from_secs(20);

/// Whoever has no sockets, and takes every change.
#[derive(Debug)]
struct NoSockets;

impl Sockets for NoSockets {
    fn prepare(&self, _: &Loaded) -> Result<Box<dyn Prepared>, Unprepared> {
        Ok(Box::new(Self))
    }
}

impl Prepared for NoSockets {
    fn make(self: Box<Self>) {}
}

/// A keeper of [`CONFIG`], which follows `file` where there is one.
fn started(dir: &Path, file: Option<PathBuf>) -> Running {
    let loaded = config::parse(CONFIG, &dir.join("tidegate.toml")).unwrap();
    Keeper::prepare(loaded, file, Telemetry::new()).keep(Arc::new(NoSockets))
}

fn written(dir: &Path) -> bool {
    dir.join("kept/history.json").exists() && dir.join("kept/limits.json").exists()
}

#[tokio::test]
async fn a_pause_writes_once_more_and_then_nothing_until_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let running = started(dir, None);
    running.pause().await;
    assert!(written(dir), "the last words before the pause");
    std::fs::remove_dir_all(dir.join("kept")).unwrap();
    running.pause().await;
    assert!(!written(dir), "a paused one writes nothing");
    running.resume();
    running.resume();
    running.stop().await;
    assert!(written(dir), "it went on");
}

#[tokio::test]
async fn who_ends_while_paused_leaves_the_folder_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let running = started(dir, None);
    running.pause().await;
    std::fs::remove_dir_all(dir.join("kept")).unwrap();
    timeout(CAP, running.stop()).await.unwrap();
    assert!(!written(dir));
}

#[tokio::test]
async fn what_changes_during_a_pause_is_put_off_and_orders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let running = started(folder.path(), Some(file.clone()));
    running.pause().await;
    let next = CONFIG.replace("200", "204");
    std::fs::write(&file, &next).unwrap();
    running.handle.reload(Trigger::Signal);
    // The second one would be answered after the reload.
    for _ in 0..2 {
        let order = running.handle.apply(next.as_str().into(), None, Try::Dry);
        let answer = timeout(CAP, order).await.unwrap();
        assert!(matches!(answer, Err(Refused::Busy)), "{answer:?}");
    }
    assert_eq!(running.snapshot.load().config.revision, 1);
    let mut status = running.handle.subscribe();
    running.resume();
    let told = timeout(CAP, status.wait_for(|status| status.config.revision == 2));
    assert!(told.await.unwrap().is_ok());
    running.stop().await;
}
