//! A place in flight, and the request that holds it.

use std::{sync::Arc, time::Duration};

use super::{RouteNumber, concurrency::Outcome, core::Place, gate::Gate};
use crate::fault::ShedReason;

/// Leave to be in flight at an upstream, until it is dropped.
///
/// It is moved into the response's body, so that a slow body counts to its last byte. What the law learns from it
/// ends earlier, with the head of the answer: [`Self::answered`]. Dropped unanswered, it says nothing
/// ([`Outcome::Ignored`]). Either way its place is given back once, to the best of those who wait.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit {
    held: Held,
    queued: Duration,
    predicted: Option<Duration>,
    shadowed: Option<ShedReason>,
    /// Whose request it is; `None` once nothing is to be learned of its body.
    route: Option<RouteNumber>,
}

/// How long after its head an answer that still streams keeps its place under a learned limit, in times of what
/// answers of its route usually take to their last byte. Streams that last for hours (server-sent events, long
/// downloads) would else fill a limit that was learned from quick answers, and with nothing answered any more it could
/// never grow. What a slow body costs the endpoint shows in the answers of others. Under a fixed limit, which says what
/// the operator counted, the place is kept to the last byte.
const LINGERS: u32 = 4;
/// At least so long.
const SHORTEST: Duration = Duration::from_millis(50);
/// At most so long; what lasts longer says nothing of what is usual.
const LONGEST: Duration = Duration::from_secs(5);

/// One of the gate's places, given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    gate: Arc<Gate>,
    place: Option<Place>,
}

// === impl Permit ===

impl Permit {
    pub(super) fn new(held: Held) -> Self {
        Self {
            route: held.place.as_ref().map(Place::route),
            held,
            queued: Duration::ZERO,
            predicted: None,
            shadowed: None,
        }
    }

    pub(super) const fn waited(mut self, queued: Duration, predicted: Duration) -> Self {
        self.queued = queued;
        self.predicted = Some(predicted);
        self
    }

    pub(super) const fn shadowed(mut self, reason: ShedReason) -> Self {
        self.shadowed = Some(reason);
        self
    }

    /// The number of the endpoint that the request goes to, as the picks that it was admitted with have it.
    #[must_use]
    pub fn seat(&self) -> usize {
        self.held.place.as_ref().map_or(0, |place| place.seat)
    }

    /// How long the request waited for its place.
    #[must_use]
    pub const fn queued(&self) -> Duration {
        self.queued
    }

    /// How long it was thought to wait; `None` where it did not.
    #[must_use]
    pub const fn predicted(&self) -> Option<Duration> {
        self.predicted
    }

    /// Why it would have been refused, were the limit not in shadow.
    #[must_use]
    pub const fn shadow(&self) -> Option<ShedReason> {
        self.shadowed
    }

    /// The request was sent to its endpoint. A second call says nothing.
    pub fn sent(&mut self) {
        if let Some(place) = &mut self.held.place {
            self.held.gate.sent(place);
        }
    }

    /// Whether it was sent, a law learns from its end, and that end has not come.
    #[must_use]
    pub fn is_on_test(&self) -> bool {
        self.held.place.as_ref().is_some_and(Place::is_on_test)
    }

    /// How long its place is to be kept after the head of the answer, while the body still runs; `None`: to the
    /// body's end, since the limit is not learned.
    #[must_use]
    pub fn lingers(&self) -> Option<Duration> {
        let place = self.held.place.as_ref()?;
        place.lane().limit()?;
        let usual = self.held.gate.usual_whole(place.route());
        let lingers = usual.map_or(LONGEST, |usual| usual.saturating_mul(LINGERS));
        Some(lingers.clamp(SHORTEST, LONGEST))
    }

    /// Gives the place back while the body goes on.
    pub fn give_place_back(&mut self) {
        self.held.leave();
    }

    /// The body of the answer ended well, `took` after its head.
    pub fn streamed(&mut self, took: Duration) {
        if let Some(route) = self.route.take().filter(|_| took <= LONGEST) {
            self.held.gate.streamed(route, took);
        }
    }

    /// The head of the answer is there, or there will be none. A second call says nothing.
    pub fn answered(&mut self, outcome: Outcome) {
        if let Some(place) = &mut self.held.place {
            self.held.gate.answered(place, outcome);
        }
    }

    /// Ends it.
    pub fn end(mut self, outcome: Outcome) {
        self.answered(outcome);
    }
}

// === impl Held ===

impl Held {
    pub(super) fn new(gate: &Arc<Gate>, place: Place) -> Self {
        Self {
            gate: Arc::clone(gate),
            place: Some(place),
        }
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.gate.leave(place);
        }
    }

    pub(super) const fn place_mut(&mut self) -> Option<&mut Place> {
        self.place.as_mut()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leave();
    }
}
