//! Charging all the limits of a route, or none.

use std::{array, sync::Arc};

use tokio::time::Instant;

use super::{key::RateSubject, limit::RateLimit, store::Seat};
use crate::fault::{Refusal, ShedReason};

/// How many limits a route may have before a charge allocates.
const INLINE: usize = 4;

/// Tokens that were taken for one request, one a limit. Dropped, they stay taken.
#[derive(Debug)]
#[must_use = "a charge that is not kept cannot be given back"]
pub struct Charge<'a> {
    limits: &'a [Arc<RateLimit>],
    first: [Option<Seat>; INLINE],
    rest: Vec<Option<Seat>>,
}

/// Takes a token from each of `limits` for `subject`, or from none.
///
/// Keyed buckets are asked first, those for all after them: one client over its own limit uses up nothing that
/// others share. What was taken is given back where a later one refuses. A shadow limit never refuses: where it
/// would, it is handed to `on_shadow`, and keeps its token.
///
/// # Errors
/// The refusal of the first limit that has no token; its `retry_after` is when that limit will have one.
pub fn charge<'a>(
    limits: &'a [Arc<RateLimit>],
    subject: &RateSubject<'_>,
    now: Instant,
    mut on_shadow: impl FnMut(&RateLimit),
) -> Result<Charge<'a>, Refusal> {
    let mut charge = Charge::none(limits);
    for keyed in [true, false] {
        let pass = limits.iter().enumerate();
        for (index, limit) in pass.filter(|(_, limit)| limit.is_keyed() == keyed) {
            match limit.take(subject, now) {
                Ok(seat) => charge.note(index, seat),
                Err(_) if limit.is_shadow() => on_shadow(limit),
                Err(retry_after) => {
                    charge.refund();
                    return Err(Refusal {
                        reason: ShedReason::RateExceeded,
                        retry_after,
                        bucket: Some(Arc::clone(limit.facts())),
                    });
                }
            }
        }
    }
    Ok(charge)
}

// === impl Charge ===

impl<'a> Charge<'a> {
    fn none(limits: &'a [Arc<RateLimit>]) -> Self {
        let more = limits.len().saturating_sub(INLINE);
        Self {
            limits,
            first: array::from_fn(|_| None),
            rest: vec![None; more],
        }
    }

    fn note(&mut self, index: usize, seat: Seat) {
        let mut seats = self.first.iter_mut().chain(&mut self.rest);
        if let Some(slot) = seats.nth(index) {
            *slot = Some(seat);
        }
    }

    /// Gives every token back: the request was refused elsewhere.
    pub fn refund(self) {
        let seats = self.first.iter().chain(&self.rest);
        for (limit, seat) in self.limits.iter().zip(seats) {
            if let Some(seat) = seat {
                limit.give_back(*seat);
            }
        }
    }
}

#[cfg(test)]
mod tests;
