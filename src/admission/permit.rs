//! A place in flight, and the request that holds it.

use std::{mem, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    concurrency::{Ended, Outcome, Sent},
    gate::Gate,
};

/// Leave to be in flight at an upstream, until it is dropped.
///
/// It is moved into the response's body, so that a slow body counts to its last byte. It ends once: by
/// [`end`](Self::end), or dropped unfinished, which counts as [`Outcome::Ignored`]. Either way its place is given
/// back, to the best of those who wait where someone does.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<E> {
    // Declared first: what it tells the limit is told before the place is given on.
    report: Report,
    endpoint: E,
    queued: Duration,
}

/// What the limit is told when the permit ends; then the place goes.
#[derive(Debug)]
struct Report {
    place: Place,
    sent: Option<Sent>,
    outcome: Outcome,
}

/// One of the gate's places, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Option<Arc<Gate>>);

// === impl Permit ===

impl<E> Permit<E> {
    pub(super) fn new(place: Place, endpoint: E, queued: Duration) -> Self {
        let report = Report {
            place,
            sent: None,
            outcome: Outcome::Ignored,
        };
        Self {
            report,
            endpoint,
            queued,
        }
    }

    /// Where the request goes.
    pub const fn endpoint(&self) -> &E {
        &self.endpoint
    }

    /// Another endpoint for another try; returns the one before.
    pub const fn replace_endpoint(&mut self, endpoint: E) -> E {
        mem::replace(&mut self.endpoint, endpoint)
    }

    /// How long the request waited for its place.
    #[must_use]
    pub const fn queued(&self) -> Duration {
        self.queued
    }

    /// The request was sent to its endpoint. Of several tries the last counts.
    pub fn sent(&mut self, now: Instant) {
        if let Some(gate) = &self.report.place.0 {
            self.report.sent = gate.sent(now);
        }
    }

    /// Ends it.
    pub fn end(mut self, outcome: Outcome) {
        self.report.outcome = outcome;
    }
}

// === impl Report ===

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(gate) = &self.place.0
            && gate.learns()
        {
            gate.ended(&Ended {
                at: Instant::now(),
                sent: self.sent,
                outcome: self.outcome,
            });
        }
    }
}

// === impl Place ===

impl Place {
    /// A place of `gate` that is already counted.
    pub(super) fn counted(gate: &Arc<Gate>) -> Self {
        Self(Some(Arc::clone(gate)))
    }

    /// Forgets the place without giving it back: it is counted for someone else.
    pub(super) fn pass_on(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.leave();
        }
    }
}
