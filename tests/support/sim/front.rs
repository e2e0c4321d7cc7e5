//! What stands in front of the endpoints: the admission code that a scenario is run over.

use tidegate::{admission::Moment, names::Priority};

/// Decides who is sent when. Pure: it is told the time, and answers with what to do.
pub(crate) trait Front {
    /// A request comes.
    fn arrive(&mut self, now: Moment, ask: Ask, says: &mut Vec<Says>);

    /// A request that was sent is answered, or turned away by its endpoint.
    fn ended(&mut self, now: Moment, id: u32, how: How, says: &mut Vec<Says>);

    /// The client of a request left; the endpoint may go on with it, and then still says when it ends.
    fn withdraw(&mut self, now: Moment, id: u32, says: &mut Vec<Says>);

    /// Time has come that [`Self::next_due`] asked for.
    fn due(&mut self, now: Moment, says: &mut Vec<Says>);

    /// When it wants to be called at the latest, if nothing happens before.
    fn next_due(&self) -> Option<Moment>;

    /// Whether a request that was dropped may be sent once more; it then arrives again.
    fn may_retry(&mut self, now: Moment) -> bool;

    /// The same config comes again, with bounds moved by a hair and back in turn.
    fn reload(&mut self, now: Moment, says: &mut Vec<Says>);

    /// From now on it decides, counts and admits; or enforces.
    fn shadow(&mut self, on: bool);

    /// How many may be in flight, over all endpoints, without looks above and below.
    fn limit(&self) -> f64;

    /// How many are, by its own books.
    fn in_flight(&self) -> usize;
}

/// A request that wants a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) id: u32,
    pub(crate) route: u16,
    pub(crate) priority: Priority,
    pub(crate) tenant: u32,
    /// 0 for the first.
    pub(crate) attempt: u32,
}

/// How a request that was sent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Answered,
    Dropped,
}

/// What the front decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Send {
        id: u32,
        endpoint: usize,
    },
    Refuse {
        id: u32,
    },
    /// In shadow: it would have been refused. It is sent too.
    WouldRefuse {
        id: u32,
    },
}
