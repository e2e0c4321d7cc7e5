//! The two ends of the laboratory that `benches/overload/run` sets up: a fragile backend and an open-loop driver.
//!
//! The script runs this program as `backend PLAN` and as `drive PLAN`, with the plan as JSON. Each is a process of
//! its own with one thread, so that neither has a gateway's work in its way but by the machine's cores.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark prints, and fails by panicking"
)]

mod arrivals;
mod backend;
mod drive;
mod shop;
mod tally;
mod wire;

use serde::de::DeserializeOwned;
use tokio::{runtime::Builder, task::LocalSet};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [end, plan] if end == "backend" => alone(backend::run(read(plan))),
        [end, plan] if end == "drive" => alone(drive::run(read(plan))),
        _ => println!("two ends of a laboratory; benches/overload/run puts a gateway between them"),
    }
}

fn read<P: DeserializeOwned>(plan: &str) -> P {
    serde_json::from_str(plan).expect("a plan as benches/overload/run writes it")
}

/// Runs one end on this thread alone.
fn alone(end: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, end);
}
