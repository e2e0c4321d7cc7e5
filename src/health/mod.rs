//! Whether an endpoint may serve: active checks, passive ejection, slow start.
//!
//! Two things take an endpoint out, and neither can undo the other. Checks mark it down and up again by
//! thresholds. Ejection takes it out for a time because its traffic failed, by itself (`streak.rs`) or against that of
//! the others (`window.rs`, `compare.rs`); then it is on trial until a request succeeds.
//!
//! `machine.rs` is pure: events and the clock go in, a [`Change`] comes out. [`Health`] wraps it: readers
//! touch atomics, writers hold a short lock. [`watch`] is the loop of active checks over a [`Probe`] that
//! the caller brings. `standstill.rs` tells what a check that failed proves, `consensus.rs` what it means when the
//! checks of all endpoints fail at once.

mod change;
mod check;
mod compare;
mod consensus;
mod failure;
mod grounds;
mod live;
mod machine;
mod outcome;
mod peers;
mod sentence;
mod standstill;
mod streak;
mod window;

pub use change::{Change, announce};
pub use check::{Probe, Watched, watch};
pub use compare::outliers;
pub use consensus::Consensus;
pub use failure::{CheckFailure, Passed, Serving};
pub use grounds::Grounds;
pub use live::{Beside, Health};
pub use machine::{Checked, HealthView};
pub use outcome::{Ended, Failed, Outcome, outcome_of_status};
pub use peers::Peers;
pub use sentence::Sentence;
pub use standstill::StandstillNotice;
pub use window::Seen;
