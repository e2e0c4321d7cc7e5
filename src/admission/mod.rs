//! Whether work may start.
//!
//! Two questions, in this order: does the caller keep to its rate ([`charge`] over a route's [`RateLimit`]s),
//! and has the upstream a free place ([`Gate::admit`], which waits in a bounded queue). What the first took is
//! given back ([`Charge::refund`]) where the second says no, so that a refusal costs its caller nothing.
//! [`RetryBudget`] keeps second tries from finishing off an upstream that is ill.
//!
//! How much an upstream can do at once is learned: a [`Lane`] for each endpoint counts, and its [`Law`] says how
//! many may be in flight. [`Core`] decides who enters, waits and is refused, without tasks and clocks, so that
//! the simulator runs the same code as the gateway.
//!
//! Nothing here knows a request's body, a connection or a metric; time is handed in or read from tokio's clock.

mod budget;
mod concurrency;
mod core;
mod counter;
mod failed_keys;
mod gate;
mod lane;
mod lanes;
mod line;
mod memory;
mod meter;
mod moment;
mod pace;
mod permit;
mod pressure;
mod probing;
mod rate;
mod recommend;
mod refuse;
mod routes;
mod sync;
mod ticket;

pub use self::core::{Answer, Arrived, Core, Pick, Picked, Place, Told, Waiting};
pub use budget::{LiveGuard, Load, RetryBudget, RetryGuard};
pub use concurrency::{
    Aimd, Because, Belief, Beliefs, Bounds, Caution, Cell, Deep, Gradient2, Law, Looks, Outcome,
    Posterior, Probe, Teaching, Tuning, Vegas, Verdict, Window, WindowEnd, learned,
};
pub use failed_keys::{FailedKeys, KeyMark};
pub use gate::{Gate, GateView, Wish};
pub use lane::{Lane, LaneView, Moved};
pub use line::{Ask, Position, RouteNumber};
pub use memory::{FORGOTTEN, NamedBelief, Remembered};
pub use moment::Moment;
pub use permit::Permit;
pub use pressure::{
    HOLD, LOG_ONE_IN, Level, Limits, Machine, Pressure, Readings, Signal, Signals, Step,
    SystemSignals, watch,
};
pub use rate::{Charge, RateLimit, RateSubject, RateView, charge, tenant_of};
pub use recommend::{
    Demand, KeyedDemand, REFUSED_SHARE, REMEMBERED, Rate, limit_of, limit_to_toml, rate_to_text,
};
pub use refuse::{Denied, pressed};
