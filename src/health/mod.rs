//! Whether an endpoint may serve: active checks, passive ejection, slow start.
//!
//! Two things take an endpoint out, and neither can undo the other. Checks mark it down and up again by
//! thresholds. Ejection takes it out for a time because its traffic failed; only time brings it back.
//!
//! `machine.rs` is pure: events and the clock go in, a [`Change`] comes out. [`Health`] wraps it: readers
//! touch atomics, writers hold a short lock. [`watch`] is the loop of active checks over a [`Probe`] that
//! the caller brings. `standstill.rs` tells what a check that failed proves, `consensus.rs` what it means when the
//! checks of all endpoints fail at once.

mod change;
mod check;
mod consensus;
mod failure;
mod live;
mod machine;
mod outcome;
mod standstill;

pub use change::{Change, announce};
pub use check::{Probe, Watched, watch};
pub use consensus::Consensus;
pub use failure::{CheckFailure, Passed, Serving};
pub use live::Health;
pub use machine::{Checked, HealthView, Peers};
pub use outcome::{Outcome, outcome_of_status};
pub use standstill::StandstillNotice;
