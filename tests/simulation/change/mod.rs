//! Reload, DNS and health together, on virtual time, against random sequences of events.
//!
//! Real are the keeper with its file, the ground, its lookup and check loops, admission, the picks, and health. Not
//! real are the clock, the name servers, and what hosts answer to requests. The seed says what happens; so a seed that
//! fails is one to keep. `TIDEGATE_CHANGE_SEED=7 cargo test --test simulation change` runs one alone,
//! `TIDEGATE_CHANGE_SEEDS=1000` so many.
//!
//! What must hold, looked at after each event and by each request:
//!
//! - Who waits or runs through a change is served, or refused for a reason of its own.
//! - No bucket gives more than its rates and bursts allow since it began, nor less.
//! - No endpoint that is out is chosen while another can serve; at most max(1, a third) are ejected, never the last.
//! - An error empties no set of addresses before its time, and one answer does not take most of a set away.
//! - Whatever two configs both name is the same and knows what it knew.
//! - Permits add up, at all times; at the end nobody holds or waits for one.
//! - What nothing names any more is gone after its time.

mod buckets;
mod draft;
mod event;
mod faults;
mod hosts;
mod kept;
mod names;
mod request;
mod tally;
mod world;

use std::{
    env,
    fmt::Display,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

/// Names the one seed to run.
const SEED: &str = "TIDEGATE_CHANGE_SEED";
/// Says how many seeds to run, from 0.
const SEEDS: &str = "TIDEGATE_CHANGE_SEEDS";
/// How many seeds run where nothing is said.
const USUAL: u64 = 64;
/// Seeds that found something once, in the gateway or in what watches it, and what.
const KEPT: &[(u64, &str)] = &[
    (
        0,
        "checks went on by old settings beside the new ones, and kept their endpoints alive",
    ),
    (
        117,
        "a request of an earlier snapshot ejected the only endpoint that was left",
    ),
    (
        230,
        "requests of an earlier snapshot ejected half of the four endpoints that were left",
    ),
    (
        325,
        "the count of who is out did not know of what happened in the same instant",
    ),
    (
        423,
        "the count of tokens gave back before a change what was given back after it",
    ),
    (
        680,
        "the count of ejections took one that had left the set for one of it",
    ),
];

#[test]
fn nothing_is_lost_by_any_change() {
    let seeds: Vec<u64> = match (said(SEED), said(SEEDS)) {
        (Some(one), _) => vec![one],
        (None, many) => (0..many.unwrap_or(USUAL)).collect(),
    };
    none_fails(&seeds);
}

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, found) in KEPT {
        if let Err(fault) = run(*seed) {
            panic!("seed {seed} ({SEED}={seed}), which found once that {found}: {fault}");
        }
    }
}

fn said<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    let value = text.parse();
    Some(value.unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Runs all seeds, as many at once as there are processors.
fn none_fails(seeds: &[u64]) {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) =
                    seeds.get(usize::try_from(next.fetch_add(1, Relaxed)).expect("few"))
                {
                    if let Err(fault) = run(*seed) {
                        failed.lock().push((*seed, fault));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    let told: Vec<String> = failed
        .iter()
        .map(|(seed, fault)| {
            format!("seed {seed} ({SEED}={seed} cargo test --test simulation change): {fault}")
        })
        .collect();
    assert!(
        told.is_empty(),
        "{} of {} seeds fail:\n{}",
        told.len(),
        seeds.len(),
        told.join("\n\n")
    );
}

fn run(seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(world::run(seed))
}
