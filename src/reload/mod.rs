//! Changing the config while it runs: watch, read, compile, prepare sockets, adopt, swap; and taking it back.
//!
//! All or nothing: a file that does not compile leaves the running one in force, and is told with its line.
//! One task ([`Keeper`]) owns the live state and makes every snapshot, so that none is ever half of two.

mod beside;
mod casebook;
mod disk;
mod expiry;
mod folder;
mod guard;
mod handle;
mod history;
mod hold;
mod keeper;
mod memory;
mod notes;
mod order;
mod sockets;
mod status;
mod traffic;
mod watch;

pub use guard::{Finding, Suspect, judge};
pub use handle::{Compared, Handle, NotCompared};
pub use history::{Entry, History, MOST_ENTRIES, Outcome};
pub use keeper::{Keeper, Ready, Running};
pub use memory::Learned;
pub use order::{Answer, Refused, Try};
pub use sockets::{Prepared, Sockets, Unprepared};
pub use status::{LastReload, Status, Trigger, Verdict};
pub use traffic::{Counts, Traffic};

#[cfg(test)]
mod tests;
