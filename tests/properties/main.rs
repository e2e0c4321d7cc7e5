//! Properties: whatever the input, these hold.

#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and owns what it spawns"
)]

mod admission;
mod balance;
mod ejection;
#[path = "../support/only.rs"]
mod only;
mod route;
