//! Whether a verdict names what was done to a gateway, without having seen it.
//!
//! `recorded/` holds incidents: faults drawn at random were injected into a running gateway and its services, and one of
//! the requests that failed was picked, all before any verdict was asked. A file holds what a verdict sees, and beside it
//! what was injected. `TIDEGATE_EXPLAIN_SEED=N cargo test --test explain record` draws new ones.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and owns what it spawns; not every part of `support` is used here"
)]

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod crowd;
mod draft;
mod fault;
mod incident;
mod recorder;
mod server;
mod stage;

use std::path::PathBuf;

use incident::{Incident, Named};

/// Incidents that are recorded.
const RECORDED: usize = 40;
/// Of these, with two faults at once.
const DOUBLE: usize = 10;
/// Of these the verdict must name the fault.
const NAMED: usize = 36;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/explain/recorded")
}

/// Every recorded incident, by the number of its file.
fn recorded() -> Vec<(String, Incident)> {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("the recorded incidents")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let incident =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, incident)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn a_verdict_names_the_injected_fault_in_nine_of_ten_incidents() {
    let recorded = recorded();
    assert_eq!(recorded.len(), RECORDED);
    let double = recorded.iter().filter(|(_, one)| one.injected.len() > 1);
    assert_eq!(double.count(), DOUBLE);
    let (mut named, mut other) = (0, 0);
    for (name, incident) in &recorded {
        let judged = incident.judge();
        println!("{name}: {}", judged.line);
        named += usize::from(judged.named != Named::Nothing);
        other += usize::from(judged.named == Named::Both);
    }
    println!("named {named} of {RECORDED}; of {DOUBLE} with two, both {other}");
    assert!(named >= NAMED, "named {named} of {RECORDED}");
}

#[test]
fn a_verdict_is_wrong_where_the_evidence_is_another_incidents() {
    // What was injected elsewhere is not named here: the count above could not be had by always saying the same.
    let recorded = recorded();
    let mut named = 0;
    for (at, (_, incident)) in recorded.iter().enumerate() {
        let next = (at + 1..at + RECORDED).map(|other| &recorded[other % RECORDED].1);
        let mut others = next.filter(|other| !incident.shares_a_fault_with(other));
        let other = others.next().expect("an incident of another kind");
        let judged = incident.judged_as(&other.injected);
        named += usize::from(judged.named != Named::Nothing);
    }
    assert!(named <= RECORDED / 4, "named {named} that were not there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record() {
    match std::env::var("TIDEGATE_EXPLAIN_SEED") {
        Ok(seed) => recorder::record(seed.parse().expect("a number"), &folder()).await,
        Err(_) => {
            for fault in [fault::Fault::RefuseAll, fault::Fault::LimitLowered] {
                let incident = recorder::draw(7, &[fault]).await.expect("something fails");
                let judged = incident.judge();
                assert_eq!(judged.named, Named::One, "{}", judged.line);
            }
        }
    }
}
