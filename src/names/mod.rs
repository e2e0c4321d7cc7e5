//! Identities, and the few words that every room shares.
//!
//! An identity never contains a tunable: an endpoint is its upstream and its address, and its weight is
//! a fact *about* it. State that outlives a reload is keyed by the types in this room.

mod chance;
mod identity;
mod words;

pub use chance::Chance;
pub use identity::{EndpointId, LimitId, ListenerName, RouteName, UpstreamName};
pub use words::{EjectionCause, Priority, Protocol, TrafficClass};
