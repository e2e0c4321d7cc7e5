//! The road to upstreams, looked at from where the gateway stands: `tidegate doctor`.
//!
//! [`Practice`] is what is gone by: a plan and its connectors, of a gateway that runs or of a file alone. [`Practice::visit`]
//! says which upstreams a target means, and [`examine`] goes the road to each of their addresses (name, way, connection,
//! TLS, answer, rest), bounded in time and number. What was found is judged in `judge`, which is pure, and told as a
//! [`Report`]. Nothing here takes part in traffic: every connection is its own, and no endpoint's health is touched.

mod certificate;
mod endpoint;
mod examine;
mod hops;
mod judge;
mod kernel;
mod names;
mod practice;
mod report;
mod ways;

pub use examine::{Asked, Bounds, MOST_IDLE, Progress, WITHIN, examine};
pub use practice::{NoSuchTarget, Practice, Visit};
pub use report::{Code, Finding, Mark, Report, Section, Stage};
