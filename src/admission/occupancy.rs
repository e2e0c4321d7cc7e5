//! How many requests are in flight and how many wait, in one atomic word.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// In flight in the lower half, waiting in the upper.
///
/// One word, so that "leave" and "someone waits" are decided together: who leaves either sees the waiter, or
/// the waiter sees the place. Relaxed is enough: the counts guard no other memory, exactness comes from the
/// read-modify-write, and the waiters themselves are behind the queue's lock. `waiting` only changes under that
/// lock; `in_flight` also without.
#[derive(Debug, Default)]
pub(super) struct Occupancy(AtomicU64);

/// What the word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) in_flight: u32,
    pub(super) waiting: u32,
}

/// What became of one who would rather enter than wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Entered,
    Waits,
}

// === impl Occupancy ===

impl Occupancy {
    /// Enters where a place is free and nobody waits for it.
    pub(super) fn enter(&self, limit: u32) -> bool {
        self.change(|counts| counts.may_enter(limit).then(|| counts.entered()))
    }

    /// Enters as [`Self::enter`] does, else is counted as waiting. Under the queue's lock.
    pub(super) fn enter_or_wait(&self, limit: u32) -> Entry {
        let mut entry = Entry::Waits;
        self.change(|counts| {
            if counts.may_enter(limit) {
                entry = Entry::Entered;
                Some(counts.entered())
            } else {
                entry = Entry::Waits;
                Some(counts.waiting(1))
            }
        });
        entry
    }

    /// Leaves where nobody waits for the place.
    pub(super) fn leave_unclaimed(&self) -> bool {
        self.change(|counts| (counts.waiting == 0).then(|| counts.left()))
    }

    /// Leaves. Under the queue's lock, where those who wait may not have the place.
    pub(super) fn leave(&self) {
        self.change(|counts| Some(counts.left()));
    }

    /// One who waited has stopped: it has been given a place that is already counted, or none. Under the lock.
    pub(super) fn stop_waiting(&self) {
        self.change(|counts| Some(counts.waiting(-1)));
    }

    /// One who waited enters, where a place is free. Under the lock.
    pub(super) fn enter_from_queue(&self, limit: u32) -> bool {
        self.change(|counts| {
            let free = counts.waiting > 0 && counts.in_flight < limit;
            free.then(|| counts.waiting(-1).entered())
        })
    }

    pub(super) fn counts(&self) -> Counts {
        Counts::unpack(self.0.load(Relaxed))
    }

    /// One decision: false where `next` wants no change.
    fn change(&self, mut next: impl FnMut(Counts) -> Option<Counts>) -> bool {
        self.0
            .fetch_update(Relaxed, Relaxed, |word| {
                next(Counts::unpack(word)).map(Counts::pack)
            })
            .is_ok()
    }
}

// === impl Counts ===

impl Counts {
    const fn may_enter(self, limit: u32) -> bool {
        self.waiting == 0 && self.in_flight < limit
    }

    const fn entered(self) -> Self {
        Self {
            in_flight: self.in_flight.saturating_add(1),
            ..self
        }
    }

    const fn left(self) -> Self {
        Self {
            in_flight: self.in_flight.saturating_sub(1),
            ..self
        }
    }

    const fn waiting(self, more: i32) -> Self {
        Self {
            waiting: self.waiting.saturating_add_signed(more),
            ..self
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the word"
    )]
    const fn unpack(word: u64) -> Self {
        Self {
            in_flight: word as u32,
            waiting: (word >> 32) as u32,
        }
    }

    const fn pack(self) -> u64 {
        ((self.waiting as u64) << 32) | self.in_flight as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(in_flight: u32, waiting: u32) -> Counts {
        Counts { in_flight, waiting }
    }

    #[test]
    fn nobody_enters_past_those_who_wait() {
        let occupancy = Occupancy::default();
        assert_eq!(occupancy.enter_or_wait(1), Entry::Entered);
        assert_eq!(occupancy.enter_or_wait(1), Entry::Waits);
        assert!(!occupancy.enter(9));
        assert_eq!(occupancy.counts(), counts(1, 1));
    }

    #[test]
    fn a_place_that_is_waited_for_is_not_left_silently() {
        let occupancy = Occupancy::default();
        assert!(occupancy.enter(1));
        assert_eq!(occupancy.enter_or_wait(1), Entry::Waits);
        assert!(!occupancy.leave_unclaimed());
        occupancy.stop_waiting();
        assert_eq!(occupancy.counts(), counts(1, 0));
        assert!(occupancy.leave_unclaimed());
        assert_eq!(occupancy.counts(), counts(0, 0));
    }

    #[test]
    fn from_the_queue_one_enters_only_where_a_place_is_free() {
        let occupancy = Occupancy::default();
        assert!(occupancy.enter(1));
        assert_eq!(occupancy.enter_or_wait(1), Entry::Waits);
        assert!(!occupancy.enter_from_queue(1));
        assert!(occupancy.enter_from_queue(2));
        assert_eq!(occupancy.counts(), counts(2, 0));
        assert!(!occupancy.enter_from_queue(3));
    }

    #[test]
    fn the_halves_of_the_word_do_not_touch() {
        let full = counts(u32::MAX, 7);
        assert_eq!(Counts::unpack(full.pack()), full);
        assert_eq!(full.entered(), full);
        assert_eq!(counts(0, 3).left(), counts(0, 3));
    }
}
