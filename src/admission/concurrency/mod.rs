//! Where a concurrency limit comes from.
//!
//! A [`Law`] is pure: it is told what happened in a window and says how many requests may be in flight. It counts
//! nothing itself and knows no lock; the [`Lane`](super::Lane) of an endpoint counts, and knows no algorithm.

mod aimd;
mod bounded;
mod gradient2;
mod law;
mod posterior;
#[cfg(test)]
mod sample;
mod vegas;

use std::{num::NonZeroU32, time::Duration};

pub use aimd::Aimd;
pub use gradient2::Gradient2;
pub use law::{Because, Belief, Beliefs, Bounds, Cell, Law, Probe, Verdict, Window, WindowEnd};
pub use posterior::{Caution, Deep, Looks, Posterior, Teaching, Tuning};
pub use vegas::Vegas;

use crate::config::{LawWord, LimitBounds};

/// What the end of a request says of its endpoint's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It was answered.
    Succeeded {
        /// From sending to the head of the answer.
        took: Duration,
    },
    /// It was not answered in time: its time counts, its end does not.
    TimedOut,
    /// A reset, or the endpoint said that it is overloaded.
    Dropped,
    /// Nothing: the client left, or the endpoint is not to blame.
    #[default]
    Ignored,
}

/// A law that learns, by the word for it.
#[must_use]
pub fn learned(law: LawWord, bounds: LimitBounds) -> Box<dyn Law> {
    let bounds = Bounds::from(bounds);
    match law {
        LawWord::Adaptive => Box::new(Posterior::new(bounds)),
        LawWord::Aimd => Box::new(Aimd::new(bounds, Aimd::SLOW)),
        LawWord::Vegas => Box::new(Vegas::new(bounds)),
        LawWord::Gradient2 => Box::new(Gradient2::new(bounds)),
    }
}

/// The same, going on from where one was `ago`, at this limit and with this belief.
///
/// A law that knows nothing but its limit begins there.
#[must_use]
pub(super) fn recalled(
    law: LawWord,
    bounds: LimitBounds,
    (limit, belief): (f64, Option<&Belief>),
    ago: Duration,
) -> Box<dyn Law> {
    if let (LawWord::Adaptive, Some(belief)) = (law, belief) {
        return Box::new(Posterior::recall(bounds.into(), limit, belief, ago));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is beyond a u32 is beyond the bounds"
    )]
    let limit = NonZeroU32::new(limit.round() as u32).unwrap_or(bounds.min);
    let initial = limit.clamp(bounds.min, bounds.max);
    learned(law, LimitBounds { initial, ..bounds })
}

impl From<LimitBounds> for Bounds {
    fn from(bounds: LimitBounds) -> Self {
        Self {
            min: f64::from(bounds.min.get()),
            max: f64::from(bounds.max.get()),
            initial: f64::from(bounds.initial.get()),
        }
    }
}
