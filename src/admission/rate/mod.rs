//! Token buckets: promises about a caller's rate, not protection of capacity.
//!
//! governor decides (GCRA, ITU-T I.371); what it decides over is ours: [`bucket`] can give a token back,
//! [`keyed`] bounds the number of buckets, and [`limit`] carries fills over when a limit changes.

mod asked;
mod bucket;
mod charge;
mod key;
mod keyed;
mod limit;
mod shape;
mod store;

pub use charge::{Charge, charge};
pub use key::{RateSubject, tenant_of};
pub use limit::{RateLimit, RateView};
