//! The laboratory: each kind of fault is made to happen on real sockets, and what is told of it is read in every place.
//!
//! A scene makes one kind happen; its row says in literals what must be seen. `LAB_ONLY=Kind cargo test --test faults`
//! plays one scene alone.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and owns what it spawns; not every part of `support` is used here"
)]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod besides;
mod checks;
mod origin;
mod proxy_status;
mod scene;
mod scenes;

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use tidegate::fault::Kind;

use crate::{
    apart::Apart,
    scene::{Place, Scene},
};

/// Scenes that are played at the same time.
const AT_ONCE: usize = 6;
/// Longer than any scene takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn there_is_a_scene_for_each_kind_and_none_besides() {
    let names = |kinds: &mut dyn Iterator<Item = Kind>| -> BTreeSet<String> {
        kinds.map(|kind| format!("{kind:?}")).collect()
    };
    let played = names(&mut scenes::all().iter().map(|scene| scene.kind));
    assert_eq!(played, names(&mut Kind::ALL.iter().copied()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_happens_and_is_told_of_everywhere() {
    let only = std::env::var(apart::ONLY).ok();
    let chosen = scenes::all().into_iter().filter(|scene| {
        only.as_ref()
            .is_none_or(|only| *only == format!("{:?}", scene.kind))
    });
    let alone = only.is_some();
    let ends: Vec<_> = stream::iter(chosen.map(|scene| end(scene, alone)))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert!(!ends.is_empty(), "no scene is called so");
    let mut failed = Vec::new();
    for end in ends {
        match end {
            End::Seen => {}
            End::NotHere(why) => eprintln!("not made to happen here: {why}"),
            End::Failed(why) => failed.push(why),
        }
    }
    assert!(failed.is_empty(), "\n{}\n", failed.join("\n"));
}

/// How a scene ended.
enum End {
    Seen,
    /// The system does not allow it.
    NotHere(String),
    Failed(String),
}

async fn end(scene: Scene, alone: bool) -> End {
    let kind = scene.kind;
    if scene.place != Place::Here && !alone {
        return match apart::play(&scene).await {
            Apart::Seen => End::Seen,
            Apart::NotHere(why) => End::NotHere(format!("{kind:?}: {why}")),
            Apart::Failed(why) => End::Failed(format!("{kind:?}, in a process of its own:\n{why}")),
        };
    }
    let playing =
        tokio::task::spawn(async move { checks::check(&scene, (scene.play)().await).await });
    match tokio::time::timeout(PATIENCE, playing).await {
        Ok(Ok(())) => End::Seen,
        Ok(Err(panic)) => End::Failed(format!("{kind:?}: {}", text(panic))),
        Err(_) => End::Failed(format!("{kind:?}: it took too long")),
    }
}

fn text(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "it was cancelled".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}
