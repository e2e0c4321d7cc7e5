//! Faults that belong together, as one incident: where, since when, how much of the traffic is hit, why, and what ended
//! it.
//!
//! Requests only count what they meet. Once a second whoever owns the gateway takes the counts
//! ([`Telemetry::look_for_incidents`](super::Telemetry::look_for_incidents)), and [`machine`] decides: pure, with the
//! time handed in. What is about one upstream at one time is one incident, whatever the routes and kinds. What callers
//! do themselves is none, unless it is most of what comes.
//!
//! At most [`MOST_OPEN`] are open and [`MOST_KEPT`] kept.

mod counts;
mod ending;
mod evidence;
mod happening;
mod incident;
mod machine;
mod open;
mod rules;
mod store;
mod window;

pub use happening::Happening;
pub use incident::{Ended, Hit, Incident, Scope, Severity};
pub use rules::Rules;
pub use store::{Incidents, Turn};

pub(super) use counts::{Count, Pair};
pub(super) use ending::Ending;

/// Most incidents that are open at a time. One more is begun when another has ended, if it goes on.
pub const MOST_OPEN: usize = 32;
/// Most incidents that are kept, those that are open among them; the oldest that has ended goes first.
pub const MOST_KEPT: usize = 256;
