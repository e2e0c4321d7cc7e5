//! Every interleaving of those who come to a gate and those who leave it: no place is lost, no waiter forgotten.
//!
//! The counter is production's own file over loom's atomics. What stands around it here (a queue behind a lock,
//! counted under the lock) is the order of steps that `admission/core.rs` keeps.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../../src/admission/counter.rs"]
mod counter;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU32, Ordering, fence};
}

use std::collections::VecDeque;

use counter::Counter;
use loom::sync::{Arc, Mutex};

struct Gate {
    in_flight: Counter,
    waiting: Counter,
    /// Who waits, by number.
    queue: Mutex<VecDeque<usize>>,
    /// Who was woken with a place.
    woken: Mutex<Vec<usize>>,
}

const LIMIT: u32 = 1;

// === impl Gate ===

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            in_flight: Counter::new(),
            waiting: Counter::new(),
            queue: Mutex::new(VecDeque::new()),
            woken: Mutex::new(Vec::new()),
        })
    }

    /// True: it is in. False: it waits.
    fn arrive(&self, who: usize) -> bool {
        if self.waiting.get() == 0 && self.in_flight.try_enter(LIMIT).is_some() {
            return true;
        }
        let mut queue = self.queue.lock().unwrap();
        queue.push_back(who);
        self.waiting.set(u32::try_from(queue.len()).unwrap());
        self.serve(&mut queue);
        false
    }

    fn leave(&self) {
        self.in_flight.leave();
        if self.waiting.get() > 0 {
            self.serve(&mut self.queue.lock().unwrap());
        }
    }

    fn withdraw(&self, who: usize) -> bool {
        let mut queue = self.queue.lock().unwrap();
        let before = queue.len();
        queue.retain(|other| *other != who);
        self.waiting.set(u32::try_from(queue.len()).unwrap());
        queue.len() < before
    }

    fn serve(&self, queue: &mut VecDeque<usize>) {
        while !queue.is_empty() && self.in_flight.try_enter(LIMIT).is_some() {
            let next = queue.pop_front().unwrap();
            self.woken.lock().unwrap().push(next);
        }
        self.waiting.set(u32::try_from(queue.len()).unwrap());
    }

    /// At the end: a place is free only where nobody waits.
    fn check(&self, in_flight: u32) {
        let waiting = self.queue.lock().unwrap().len();
        assert_eq!(self.in_flight.get(), in_flight);
        assert_eq!(self.waiting.get() as usize, waiting);
        assert!(waiting == 0 || in_flight >= LIMIT, "waits for nothing");
    }
}

#[test]
fn who_comes_while_another_leaves_gets_the_place_or_is_woken() {
    loom::model(|| {
        let gate = Gate::new();
        assert!(gate.arrive(0));
        let leaver = Arc::clone(&gate);
        let leaving = loom::thread::spawn(move || leaver.leave());
        let entered = gate.arrive(1);
        leaving.join().unwrap();
        let woken = gate.woken.lock().unwrap().clone();
        assert!(entered != (woken == [1]), "{entered} {woken:?}");
        gate.check(1);
    });
}

#[test]
fn two_who_come_while_one_leaves_leave_one_waiting_and_none_forgotten() {
    loom::model(|| {
        let gate = Gate::new();
        assert_eq!(gate.in_flight.enter(), 1); // as one that was promised its place elsewhere
        let (first, second) = (Arc::clone(&gate), Arc::clone(&gate));
        let coming = loom::thread::spawn(move || first.arrive(1));
        let leaving = loom::thread::spawn(move || second.leave());
        let entered = gate.arrive(2);
        let other = coming.join().unwrap();
        leaving.join().unwrap();
        let woken = gate.woken.lock().unwrap().len();
        assert_eq!(usize::from(entered) + usize::from(other) + woken, 1);
        gate.check(1);
    });
}

#[test]
fn a_place_that_meets_one_who_withdraws_is_not_lost() {
    loom::model(|| {
        let gate = Gate::new();
        assert!(gate.arrive(0));
        assert!(!gate.arrive(1));
        let leaver = Arc::clone(&gate);
        let leaving = loom::thread::spawn(move || leaver.leave());
        let withdrew = gate.withdraw(1);
        leaving.join().unwrap();
        if !withdrew {
            gate.leave(); // it was given the place, and gives it back
        }
        gate.check(0);
    });
}
