//! Requests that ended badly, kept for who asks later, and a few good ones to hold them against.
//!
//! Everything that fails is kept until the store is full ([`MOST_CASES`], [`MOST_BYTES`]). From then on each kind of
//! failure of each route is kept at a pace, and makes room at the cost of whatever there is most of: a flood of one
//! kind cannot push out the one case of another. Within the largest group who goes is drawn, so that what stays is a
//! sample of the whole time.

mod case;
mod store;

pub use case::{Case, Ill, Met, TimingsMs, Tried};
pub(super) use store::Pace;
pub use store::{Cases, Filter};

/// Most cases that are kept.
const MOST_CASES: usize = 8192;
/// Most bytes that they take, about.
const MOST_BYTES: usize = 8 << 20;
