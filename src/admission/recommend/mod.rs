//! What limits the traffic of the last hour would have fitted into.
//!
//! [`Demand`] keeps what was asked for under one bucket, [`KeyedDemand`] what the busiest keys of a limit with a
//! bucket for each asked for; both propose a [`Rate`]. [`limit_of`] proposes a fixed concurrency limit from what a
//! learned one found. Pure: seconds are handed in, of any clock that only goes on.
//!
//! A proposal holds however the requests of a second were spread over it. It is what the past would have needed:
//! room for growth is the operator's to add.

mod demand;
mod keyed;
mod proposal;

pub use demand::Demand;
pub use keyed::KeyedDemand;
pub use proposal::{Rate, limit_of, limit_to_toml, rate_to_text};

/// Share of the requests that a proposal may refuse, unless another is asked for: one in a thousand.
pub const REFUSED_SHARE: f64 = 0.001;
/// Seconds that are remembered.
pub const REMEMBERED: usize = 3_600;

/// The largest burst that is proposed, in seconds of the rate: who needs more gets a higher rate instead.
const BURST_SECONDS: f64 = 5.0;

#[cfg(test)]
mod tests;
