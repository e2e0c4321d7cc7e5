//! Where a concurrency limit comes from.
//!
//! A [`Limit`] is pure: it is told what happened and says how many requests may be in flight. It counts nothing
//! itself and knows no lock; [`Gate`](super::Gate) counts, and knows no algorithm.

mod fixed;

use std::{num::NonZeroU32, time::Duration};

pub use fixed::Fixed;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::config::ConcurrencyMode;

/// Where a limit goes. Pure: the same events, clock and seed give the same limit.
pub trait Limit: Send {
    /// Whether it learns from what happens. One that does not is never told of sends and ends, so that they
    /// take no lock.
    fn learns(&self) -> bool {
        true
    }

    /// A request was sent; `in_flight` counts it. Cheap: two sums.
    fn on_send(&mut self, sent: &Sent);

    /// It ended, or its client left. A fast refusal is no proof of health: only `Succeeded` carries a time.
    fn on_end(&mut self, ended: &Ended);

    /// At the end of a window: the limit from now on, and when the next window ends at the latest.
    fn on_window(&mut self, now: Instant, rng: &mut SmallRng) -> (NonZeroU32, Instant);
}

/// A request was sent to its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// How many were in flight then, this one included.
    pub in_flight: u32,
}

/// A request that held a place ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// When and among how many it was sent; `None` where it never was.
    pub sent: Option<Sent>,
    /// How.
    pub outcome: Outcome,
}

/// What the end of a request says of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It was answered.
    Succeeded {
        /// From sending to the head of the answer.
        took: Duration,
    },
    /// A time-out, a reset, or the endpoint said that it is overloaded.
    Dropped,
    /// Nothing: the client left, or the endpoint is not to blame.
    #[default]
    Ignored,
}

/// The limit of a mode; `None` where there is none.
#[must_use]
pub fn build(mode: ConcurrencyMode) -> Option<Box<dyn Limit>> {
    match mode {
        ConcurrencyMode::Off => None,
        ConcurrencyMode::Fixed(limit) => Some(Box::new(Fixed::new(limit))),
    }
}
