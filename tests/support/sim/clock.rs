//! Virtual time, and what is due when.

use std::{cmp::Reverse, collections::BinaryHeap};

use tidegate::admission::Moment;

/// Nanoseconds of virtual time.
pub(crate) type Nanos = u64;

const SECOND: f64 = 1e9;

pub(crate) fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / SECOND
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "virtual time begins at 0 and is short"
)]
pub(crate) fn nanos(seconds: f64) -> Nanos {
    (seconds * SECOND).round() as Nanos
}

pub(crate) const fn moment(nanos: Nanos) -> Moment {
    Moment::from_micros(nanos / 1000)
}

/// Events in order of time, and of their making where that is the same.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    due: BinaryHeap<Reverse<Due<E>>>,
    made: u64,
}

#[derive(Debug)]
struct Due<E> {
    at: Nanos,
    made: u64,
    event: E,
}

// === impl Agenda ===

impl<E> Agenda<E> {
    pub(crate) const fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
            made: 0,
        }
    }

    pub(crate) fn at(&mut self, at: Nanos, event: E) {
        self.made += 1;
        let made = self.made;
        self.due.push(Reverse(Due { at, made, event }));
    }

    pub(crate) fn next(&mut self) -> Option<(Nanos, E)> {
        let Reverse(due) = self.due.pop()?;
        Some((due.at, due.event))
    }
}

// === impl Due ===

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.made) == (other.at, other.made)
    }
}

impl<E> Eq for Due<E> {}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.made).cmp(&(other.at, other.made))
    }
}
