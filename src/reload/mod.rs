//! Changing the config while it runs: watch, read, compile, adopt, swap.
//!
//! All or nothing: a file that does not compile leaves the running one in force, and is told with its line.
//! One task ([`Keeper`]) owns the live state and makes every snapshot, so that none is ever half of two.

mod keeper;
mod restart;
mod status;
mod system;
mod watch;

pub use keeper::{Handle, Keeper, Running};
pub use restart::needs_restart;
pub use status::{LastReload, Status, Trigger, Verdict};
