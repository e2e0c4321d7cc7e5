//! Where waiters are kept: numbered slots, linked into lists by number.
//!
//! Nothing is allocated for a waiter but its slot, and slots are used again. Whoever holds a [`Position`] takes
//! its waiter out in O(1), wherever it stands; a position that is over finds nobody.

use std::time::Duration;

use crate::{admission::moment::Moment, fault::ShedReason};

/// Slots, linked into doubly linked lists.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// Towards the older; in a free slot, the next free one.
    older: u32,
    /// Towards the newer.
    newer: u32,
    waiter: Option<Waiter<T>>,
}

/// Who waits.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) token: T,
    pub(super) place: Standing,
    pub(super) arrived: Moment,
    /// How long it was thought to wait at most when it came.
    pub(super) bound: Duration,
    /// After that it waits in vain.
    pub(super) until: Moment,
    /// What it is told then.
    pub(super) reason: ShedReason,
    pub(super) route: u16,
}

/// In which list a waiter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) rank: u8,
    pub(super) group: u8,
    pub(super) flow: u16,
}

/// A waiter's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    slot: u32,
    generation: u32,
}

/// A list of slots: its oldest and its newest.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    oldest: u32,
    newest: u32,
    pub(super) len: u32,
}

/// Which end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Oldest,
    Newest,
}

/// No slot.
const NONE: u32 = u32::MAX;

// === impl Slots ===

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
        }
    }

    /// Puts a waiter at the newest end of `list`; `None` where there are as many as a number can count.
    pub(super) fn push(&mut self, list: &mut List, waiter: Waiter<T>) -> Option<Position> {
        let at = self.vacant()?;
        let slot = self.slots.get_mut(at as usize)?;
        slot.waiter = Some(waiter);
        slot.older = list.newest;
        slot.newer = NONE;
        let generation = slot.generation;
        match self.slots.get_mut(list.newest as usize) {
            Some(newest) => newest.newer = at,
            None => list.oldest = at,
        }
        list.newest = at;
        list.len = list.len.saturating_add(1);
        Some(Position {
            slot: at,
            generation,
        })
    }

    /// Takes the waiter at one end of `list` out.
    pub(super) fn pop(&mut self, list: &mut List, end: End) -> Option<Waiter<T>> {
        self.take(list, list.at(end))
    }

    /// The waiter at one end of `list`.
    pub(super) fn peek(&self, list: &List, end: End) -> Option<&Waiter<T>> {
        self.slots.get(list.at(end) as usize)?.waiter.as_ref()
    }

    /// Where the waiter at `position` stands; `None` where it left.
    pub(super) fn find(&self, position: Position) -> Option<&Waiter<T>> {
        let slot = self.slots.get(position.slot as usize)?;
        (slot.generation == position.generation).then_some(slot.waiter.as_ref()?)
    }

    /// Everybody, each with its position.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = (Position, &mut Waiter<T>)> {
        self.slots.iter_mut().zip(0..).filter_map(|(slot, at)| {
            let generation = slot.generation;
            let position = Position {
                slot: at,
                generation,
            };
            Some((position, slot.waiter.as_mut()?))
        })
    }

    /// Takes the waiter at `position` out of `list`, in which it stands.
    pub(super) fn remove(&mut self, list: &mut List, position: Position) -> Option<Waiter<T>> {
        self.find(position)?;
        self.take(list, position.slot)
    }

    fn take(&mut self, list: &mut List, at: u32) -> Option<Waiter<T>> {
        let slot = self.slots.get_mut(at as usize)?;
        let waiter = slot.waiter.take()?;
        let (older, newer) = (slot.older, slot.newer);
        slot.generation = slot.generation.wrapping_add(1);
        slot.older = self.free;
        self.free = at;
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => list.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => list.newest = older,
        }
        list.len = list.len.saturating_sub(1);
        Some(waiter)
    }

    fn vacant(&mut self) -> Option<u32> {
        if let Some(slot) = self.slots.get(self.free as usize) {
            let at = self.free;
            self.free = slot.older;
            return Some(at);
        }
        let at = u32::try_from(self.slots.len())
            .ok()
            .filter(|at| *at != NONE)?;
        self.slots.push(Slot {
            generation: 0,
            older: NONE,
            newer: NONE,
            waiter: None,
        });
        Some(at)
    }
}

// === impl List ===

impl List {
    pub(super) const EMPTY: Self = Self {
        oldest: NONE,
        newest: NONE,
        len: 0,
    };

    const fn at(&self, end: End) -> u32 {
        match end {
            End::Oldest => self.oldest,
            End::Newest => self.newest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(token: u32) -> Waiter<u32> {
        Waiter {
            token,
            place: Standing {
                rank: 0,
                group: 0,
                flow: 0,
            },
            arrived: Moment::ZERO,
            bound: Duration::ZERO,
            until: Moment::ZERO,
            reason: ShedReason::QueueTimeout,
            route: 0,
        }
    }

    fn filled(tokens: &[u32]) -> (Slots<u32>, List, Vec<Position>) {
        let (mut slots, mut list) = (Slots::new(), List::EMPTY);
        let positions = tokens
            .iter()
            .map(|token| slots.push(&mut list, waiter(*token)).unwrap())
            .collect();
        (slots, list, positions)
    }

    fn drain(slots: &mut Slots<u32>, list: &mut List, end: End) -> Vec<u32> {
        std::iter::from_fn(|| slots.pop(list, end).map(|waiter| waiter.token)).collect()
    }

    #[test]
    fn a_list_is_read_from_either_end() {
        let (mut slots, mut list, _) = filled(&[1, 2, 3]);
        assert_eq!(slots.pop(&mut list, End::Newest).unwrap().token, 3);
        assert_eq!(drain(&mut slots, &mut list, End::Oldest), [1, 2]);
        assert_eq!(list.len, 0);
    }

    #[test]
    fn one_is_taken_out_of_the_middle_and_only_once() {
        let (mut slots, mut list, positions) = filled(&[1, 2, 3]);
        assert_eq!(slots.remove(&mut list, positions[1]).unwrap().token, 2);
        assert!(slots.remove(&mut list, positions[1]).is_none());
        assert_eq!(drain(&mut slots, &mut list, End::Newest), [3, 1]);
    }

    #[test]
    fn a_position_does_not_find_who_came_into_its_slot_later() {
        let (mut slots, mut list, positions) = filled(&[1]);
        slots.remove(&mut list, positions[0]);
        slots.push(&mut list, waiter(2));
        assert!(slots.find(positions[0]).is_none());
        assert_eq!(slots.slots.len(), 1, "the slot is used again");
    }
}
