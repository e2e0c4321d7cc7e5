//! Whether work may start.
//!
//! Two questions, in this order: does the caller keep to its rate ([`charge`] over a route's [`RateLimit`]s),
//! and has the upstream a free place ([`Gate::admit`], which waits in a bounded queue). What the first took is
//! given back ([`Charge::refund`]) where the second says no, so that a refusal costs its caller nothing.
//! [`RetryBudget`] keeps second tries from finishing off an upstream that is ill.
//!
//! Nothing here knows a request's body, a connection or a metric; time is handed in or read from tokio's clock.

mod budget;
mod concurrency;
mod gate;
mod occupancy;
mod permit;
mod queue;
mod rate;
mod refuse;
mod source;
mod ticket;

pub use budget::{LiveGuard, RetryBudget, RetryGuard};
pub use concurrency::{Ended, Fixed, Limit, Outcome, Sent, build};
pub use gate::{Gate, GateView, Pick};
pub use permit::Permit;
pub use rate::{Charge, RateLimit, RateSubject, RateView, charge};
pub use refuse::Denied;
