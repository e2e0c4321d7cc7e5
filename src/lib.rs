#![doc = include_str!("ARCHITECTURE.md")]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::expect_used,
        clippy::float_cmp,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stdout,
        clippy::unwrap_used,
        reason = "a test fails by panicking, and owns what it spawns"
    )
)]

pub mod admin;
pub mod admission;
pub mod balance;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod fault;
pub mod health;
pub mod listener;
pub mod names;
pub mod pool;
pub mod proxy;
pub mod reload;
pub mod resolve;
pub mod respond;
pub mod route;
pub mod snapshot;
pub mod telemetry;
pub mod upstream;
