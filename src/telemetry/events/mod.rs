//! What happened to the gateway as a whole: reloads, DNS changes, ejections, limit moves, pressure, incidents.
//!
//! [`Events::tell`] is the one place for it: it writes the log line, counts, keeps the record and wakes who listens. A
//! request that ends badly is no event, it is a case; what happens around it is.
//!
//! Nothing here grows without a bound: [`MOST_EVENTS`] and [`MOST_BYTES`] bound what is kept, and room is made at the
//! cost of the kind there is most of, so that a flood of one cannot push out the rest. Nobody who tells ever waits for
//! somebody who listens.

mod bus;
mod config;
mod endpoints;
mod event;
mod incidents;
mod kind;
mod load;
mod names;
mod pace;
mod process;
mod ring;
mod upstreams;
mod what;

pub use bus::{Events, Next, Subscription};
pub use config::{ConfigEvent, TouchedRoutes};
pub use endpoints::{EndpointChange, EndpointEvent};
pub use event::{Event, Severity, Subject};
pub use incidents::{IncidentEvent, IncidentTold};
pub use kind::EventKind;
pub use load::LoadEvent;
pub use names::{Few, NameChange, NameEvent};
pub use process::ProcessEvent;
pub use upstreams::UpstreamEvent;
pub use what::What;

/// Most events that are kept.
const MOST_EVENTS: usize = 4096;
/// Most bytes that they take, about.
const MOST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
