//! The immutable whole that a request reads, and how the next one comes to be.
//!
//! A [`Snapshot`] joins a plan to live state. The live state itself (buckets, in-flight counts, health,
//! connections, DNS answers) is kept by identity in a [`Ground`] and outlives every snapshot:
//! [`Ground::adopt`] hands the same handles to the next one.

mod adopt;
mod checks;
mod fallback;
mod found;
mod gates;
mod lookups;
mod named;
mod roster;
mod services;
mod spill;
mod standing;
mod whole;

pub use crate::admission::{FORGOTTEN, Remembered};
pub use adopt::Ground;
pub use fallback::{FallbackLive, FallsTo};
pub use found::Found;
pub use named::{NameLive, Named};
pub use roster::{Besides, Roster};
pub use spill::Spill;
pub use whole::{ConfigFacts, RouteLive, Snapshot, Target, UpstreamLive};
