//! Who waits for a place, and who goes first. Pure: no lock, no clock, no waking.

use std::collections::BTreeMap;

use crate::names::Priority;

/// A queue bounded in number.
///
/// Strictly the higher class first; inside a class in the order of arrival. At the bound, who arrives with a
/// higher class pushes out the youngest of the lowest class; who does not is refused. A bound of 0: no queue.
///
/// Every operation is O(log n). A place costs about 60 bytes here, besides what waits in it.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The best first: ordered by class, then by arrival.
    waiting: BTreeMap<Position, T>,
    arrivals: u64,
    most: usize,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Declared from the most to the least important, so the best is the least.
    priority: Priority,
    arrival: u64,
}

/// What became of one who arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival<T> {
    /// It waits.
    Waits(Position),
    /// It waits, and another no longer does.
    Displaces(Position, T),
    /// The queue is full, and nobody in it is worth less.
    Refused,
}

// === impl Queue ===

impl<T> Queue<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            arrivals: 0,
            most,
        }
    }

    /// Whether one of this class would be refused.
    pub(super) fn refuses(&self, priority: Priority) -> bool {
        let worst = self.waiting.last_key_value();
        self.is_full() && worst.is_none_or(|(worst, _)| worst.priority <= priority)
    }

    pub(super) fn push(&mut self, priority: Priority, waiter: T) -> Arrival<T> {
        if self.refuses(priority) {
            return Arrival::Refused;
        }
        let displaced = self.is_full().then(|| self.waiting.pop_last()).flatten();
        let position = Position {
            priority,
            arrival: self.arrivals,
        };
        self.arrivals = self.arrivals.wrapping_add(1);
        self.waiting.insert(position, waiter);
        match displaced {
            Some((_, displaced)) => Arrival::Displaces(position, displaced),
            None => Arrival::Waits(position),
        }
    }

    /// Who goes next.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.waiting.pop_first().map(|(_, waiter)| waiter)
    }

    /// Takes one out who no longer waits; `None` where it is not in the queue any more.
    pub(super) fn remove(&mut self, position: Position) -> Option<T> {
        self.waiting.remove(&position)
    }

    /// Sets the bound; returns one who is beyond it, the youngest of the lowest class. Call until `None`.
    pub(super) fn bound(&mut self, most: usize) -> Option<T> {
        self.most = most;
        if self.waiting.len() <= most {
            return None;
        }
        self.waiting.pop_last().map(|(_, waiter)| waiter)
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(most: usize, waiting: &[(Priority, u32)]) -> Queue<u32> {
        let mut queue = Queue::new(most);
        for (priority, waiter) in waiting {
            assert_ne!(queue.push(*priority, *waiter), Arrival::Refused);
        }
        queue
    }

    fn drain(mut queue: Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn the_higher_class_goes_first_and_inside_it_the_older() {
        use Priority::{Critical, High, Low, Normal};
        let queue = queue(
            9,
            &[
                (Low, 1),
                (Normal, 2),
                (Critical, 3),
                (Normal, 4),
                (High, 5),
                (Critical, 6),
            ],
        );
        assert_eq!(drain(queue), [3, 6, 5, 2, 4, 1]);
    }

    #[test]
    fn a_full_queue_gives_up_the_youngest_of_the_lowest_class_for_a_higher_one() {
        let mut queue = queue(
            3,
            &[
                (Priority::Low, 1),
                (Priority::Low, 2),
                (Priority::Normal, 3),
            ],
        );
        assert!(matches!(
            queue.push(Priority::High, 4),
            Arrival::Displaces(_, 2)
        ));
        assert_eq!(drain(queue), [4, 3, 1]);
    }

    #[test]
    fn a_full_queue_refuses_who_is_worth_no_more_than_the_worst() {
        let mut queue = queue(2, &[(Priority::Normal, 1), (Priority::Low, 2)]);
        assert_eq!(queue.push(Priority::Low, 3), Arrival::Refused);
        assert_eq!(drain(queue), [1, 2]);
    }

    #[test]
    fn a_bound_of_none_refuses_everyone() {
        let mut queue = Queue::new(0);
        assert_eq!(queue.push(Priority::Critical, 1), Arrival::Refused);
    }

    #[test]
    fn who_is_taken_out_is_gone_and_only_once() {
        let mut queue = queue(2, &[(Priority::Normal, 1)]);
        let Arrival::Waits(position) = queue.push(Priority::Normal, 2) else {
            panic!("refused");
        };
        assert_eq!(queue.remove(position), Some(2));
        assert_eq!(queue.remove(position), None);
        assert_eq!(drain(queue), [1]);
    }

    #[test]
    fn a_smaller_bound_puts_the_newest_of_the_lowest_class_out() {
        let mut queue = queue(
            4,
            &[
                (Priority::Low, 1),
                (Priority::High, 2),
                (Priority::Low, 3),
                (Priority::High, 4),
            ],
        );
        assert_eq!(queue.bound(1), Some(3));
        assert_eq!(queue.bound(1), Some(1));
        assert_eq!(queue.bound(1), Some(4));
        assert_eq!(queue.bound(1), None);
        assert_eq!(drain(queue), [2]);
    }
}
