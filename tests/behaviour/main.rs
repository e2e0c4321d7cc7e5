//! The gateway in process, against scripted upstreams, over real sockets on port 0.

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

mod adaptive;
mod adoption;
mod certificates;
mod change;
mod checks;
mod doctor;
mod drain;
mod ejection;
mod events;
mod explain;
mod fallback;
mod files;
mod groups;
mod history;
mod incidents;
mod keep_alive;
mod limits;
mod listeners;
mod outlets;
mod overload;
mod pressure;
mod reload;
mod resolve;
mod retries;
mod road;
mod told;
mod upgrade;
