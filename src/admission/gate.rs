//! How many requests an upstream gets at once, and who waits for a place.
//!
//! The gate counts and knows no algorithm; the number comes from a [`Limit`](super::Limit). While nobody waits,
//! entering and leaving are one read-modify-write each, without lock or allocation.
//!
//! Why no wake-up is lost: whenever the queue's lock is free, `waiting` in the word is the queue's length, and
//! while someone waits the limit is met. Who leaves decides in one step whether someone waits; if so the place
//! stays counted and is handed on under the lock, where limit and queue hold still. A place on its way to a
//! waiter is a value: if the waiter is gone, dropping the value hands it to the next.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::{
    concurrency::{Ended, Sent},
    occupancy::{Entry, Occupancy},
    permit::{Permit, Place},
    queue::{Arrival, Position, Queue},
    refuse::Denied,
    source::Source,
    ticket::Ticket,
};
use crate::{config::ConcurrencyPlan, fault::ShedReason, names::Priority};

/// Chooses the endpoint that a permit is for. Implemented by who knows the endpoints.
pub trait Pick {
    /// What a permit carries.
    type Endpoint;

    /// One that can serve and that `free` says has a place; `None` where none can.
    ///
    /// Where the limit counts the whole upstream, `free` always says yes.
    fn pick(&self, free: &dyn Fn(&Self::Endpoint) -> bool) -> Option<Self::Endpoint>;
}

/// The concurrency limit of one upstream, with its queue. Lives as long as the upstream's name does.
pub struct Gate {
    occupancy: Occupancy,
    /// [`UNLIMITED`] where there is no limit. Written under the queue's lock, read also without: Relaxed, since a
    /// stale reading costs one entry by the old limit, or a look under the lock.
    limit: AtomicU32,
    /// How many may wait. Relaxed: as `limit`.
    max_waiting: AtomicU32,
    /// Whether the source is told of sends and ends. Relaxed: a stale reading loses a sample.
    learns: AtomicBool,
    queue: Mutex<Waiting>,
    /// Locked before `queue`, never after it, so that of two limits the later one stands.
    source: Mutex<Source>,
}

/// How a gate stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateView {
    /// How many may be in flight; `None`: no limit.
    pub limit: Option<u32>,
    /// How many are.
    pub in_flight: u32,
    /// How many wait.
    pub waiting: u32,
    /// How many may wait.
    pub max_waiting: u32,
}

/// No limit.
pub(super) const UNLIMITED: u32 = u32::MAX;

/// Who waits, and how long one may.
#[derive(Debug)]
struct Waiting {
    queue: Queue<oneshot::Sender<Answer>>,
    max_wait: Duration,
}

/// What one who waits is told: the place it got, or why it got none.
pub(super) type Answer = Result<Place, ShedReason>;

/// How it ended to come to a gate that had no place at first sight.
pub(super) enum Joined {
    /// There was one after all.
    Entered(Place),
    /// It waits.
    Waits {
        position: Position,
        answer: oneshot::Receiver<Answer>,
        max_wait: Duration,
    },
}

// === impl Gate ===

impl Gate {
    /// A gate with nobody in flight.
    #[must_use]
    pub fn new(plan: &ConcurrencyPlan) -> Self {
        Self::over(Source::of(plan.mode, Instant::now()), plan)
    }

    pub(super) fn over(source: Source, plan: &ConcurrencyPlan) -> Self {
        let waiting = Waiting {
            queue: Queue::new(length(plan.queue.max_waiting)),
            max_wait: plan.queue.max_wait,
        };
        Self {
            occupancy: Occupancy::default(),
            limit: AtomicU32::new(source.limit()),
            max_waiting: AtomicU32::new(plan.queue.max_waiting),
            learns: AtomicBool::new(source.learns()),
            queue: Mutex::new(waiting),
            source: Mutex::new(source),
        }
    }

    /// Leave to be in flight, at the endpoint that `pick` chooses.
    ///
    /// Waits where no place is free: at most `max_wait` of the plan and never past `deadline`, behind all of
    /// higher priority and those of its own that came before.
    ///
    /// # Errors
    /// [`Denied::DeadlinePast`] where the deadline is over on arrival. [`Denied::Refused`] without a place:
    /// `concurrency_exceeded` where nobody may wait, `queue_full` where the queue is full or a higher class took
    /// its place there, `queue_timeout` after `max_wait`, `deadline_unmeetable` where the deadline came first.
    /// [`Denied::NoEndpoint`] where `pick` finds none; the place is given back.
    ///
    /// # Cancel safety
    /// Dropped at any point, it leaves the queue at once, and a place that it was just given goes to the next.
    pub async fn admit<P: Pick>(
        self: &Arc<Self>,
        priority: Priority,
        deadline: Option<Instant>,
        pick: &P,
    ) -> Result<Permit<P::Endpoint>, Denied> {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Denied::DeadlinePast);
        }
        let (place, queued) = match self.enter() {
            Some(place) => (place, Duration::ZERO),
            None => Ticket::wait(self, priority, deadline).await?,
        };
        let endpoint = pick.pick(&|_| true).ok_or(Denied::NoEndpoint)?;
        Ok(Permit::new(place, endpoint, queued))
    }

    /// Takes another plan, in place. Who is in flight stays so; who waits may wait as long as it was told.
    ///
    /// A larger limit lets those in who wait; a smaller one cancels nobody, and lets nobody in until it is met
    /// again. A smaller queue refuses the newest beyond it, of the lowest class first, with `queue_full`.
    pub fn reshape(self: &Arc<Self>, plan: &ConcurrencyPlan) {
        let mut source = self.source.lock();
        source.become_of(plan.mode, Instant::now());
        self.learns.store(source.learns(), Relaxed);
        self.resize(source.limit());
        self.shorten(plan.queue.max_waiting, plan.queue.max_wait);
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self) -> GateView {
        let counts = self.occupancy.counts();
        let limit = self.limit.load(Relaxed);
        GateView {
            limit: (limit != UNLIMITED).then_some(limit),
            in_flight: counts.in_flight,
            waiting: counts.waiting,
            max_waiting: self.max_waiting.load(Relaxed),
        }
    }
}

/// The gate's side of the queue.
impl Gate {
    /// A place, where one is free and nobody waits for it.
    fn enter(self: &Arc<Self>) -> Option<Place> {
        let entered = self.occupancy.enter(self.limit.load(Relaxed));
        entered.then(|| Place::counted(self))
    }

    /// A place in the queue, or one in flight where one came free meanwhile.
    pub(super) fn join(self: &Arc<Self>, priority: Priority) -> Result<Joined, ShedReason> {
        if self.max_waiting.load(Relaxed) == 0 {
            return Err(ShedReason::ConcurrencyExceeded);
        }
        let mut waiting = self.queue.lock();
        if waiting.queue.refuses(priority) {
            return Err(ShedReason::QueueFull);
        }
        let (sender, answer) = oneshot::channel();
        let (position, displaced) = match waiting.queue.push(priority, sender) {
            Arrival::Refused => return Err(ShedReason::QueueFull),
            Arrival::Displaces(position, displaced) => (position, Some(displaced)),
            Arrival::Waits(position) => {
                let limit = self.limit.load(Relaxed);
                if self.occupancy.enter_or_wait(limit) == Entry::Entered {
                    waiting.queue.remove(position);
                    return Ok(Joined::Entered(Place::counted(self)));
                }
                (position, None)
            }
        };
        let max_wait = waiting.max_wait;
        drop(waiting);
        if let Some(displaced) = displaced {
            refuse(displaced);
        }
        Ok(Joined::Waits {
            position,
            answer,
            max_wait,
        })
    }

    /// Takes one out of the queue that no longer waits. False: it has left the queue, and its answer is there or
    /// about to come.
    pub(super) fn withdraw(&self, position: Position) -> bool {
        let mut waiting = self.queue.lock();
        let sender = waiting.queue.remove(position);
        if sender.is_some() {
            self.occupancy.stop_waiting();
        }
        drop(waiting);
        sender.is_some()
    }

    /// Gives a place back: to the best of those who wait, where someone does.
    pub(super) fn leave(self: &Arc<Self>) {
        if self.occupancy.leave_unclaimed() {
            return;
        }
        while let Some(next) = self.claim() {
            match next.send(Ok(Place::counted(self))) {
                // It went away in this instant: the place is still counted, for whoever is next.
                Err(Ok(place)) => place.pass_on(),
                Ok(()) | Err(Err(_)) => return,
            }
        }
    }

    /// Who gets the place of one who leaves. Nobody, and the place is gone: the queue is empty, or more are in
    /// flight than the limit says.
    fn claim(&self) -> Option<oneshot::Sender<Answer>> {
        let mut waiting = self.queue.lock();
        let beyond = self.occupancy.counts().in_flight > self.limit.load(Relaxed);
        let next = if beyond { None } else { waiting.queue.pop() };
        if next.is_some() {
            self.occupancy.stop_waiting();
        } else {
            self.occupancy.leave();
        }
        next
    }

    /// Sets the limit, and lets in those who wait and now fit.
    fn resize(self: &Arc<Self>, limit: u32) {
        let mut fitting = Vec::new();
        {
            let mut waiting = self.queue.lock();
            self.limit.store(limit, Relaxed);
            while self.occupancy.enter_from_queue(limit) {
                fitting.extend(waiting.queue.pop());
            }
        }
        for next in fitting {
            // Where it is gone, the place that comes back is dropped, and so handed on.
            drop(next.send(Ok(Place::counted(self))));
        }
    }

    /// Sets how many may wait; who is beyond that is refused.
    fn shorten(&self, max_waiting: u32, max_wait: Duration) {
        let mut beyond = Vec::new();
        {
            let mut waiting = self.queue.lock();
            self.max_waiting.store(max_waiting, Relaxed);
            waiting.max_wait = max_wait;
            while let Some(last) = waiting.queue.bound(length(max_waiting)) {
                self.occupancy.stop_waiting();
                beyond.push(last);
            }
        }
        beyond.into_iter().for_each(refuse);
    }
}

/// The gate's side of the limit's source. Takes no lock where the source learns nothing.
impl Gate {
    pub(super) fn learns(&self) -> bool {
        self.learns.load(Relaxed)
    }

    /// A request that holds a place was sent; `None` where nobody wants to know.
    pub(super) fn sent(&self, at: Instant) -> Option<Sent> {
        if !self.learns() {
            return None;
        }
        let in_flight = self.occupancy.counts().in_flight;
        let sent = Sent { at, in_flight };
        self.source.lock().sent(&sent);
        Some(sent)
    }

    /// A request that holds a place ends.
    pub(super) fn ended(self: &Arc<Self>, ended: &Ended) {
        let mut source = self.source.lock();
        if let Some(limit) = source.ended(ended) {
            self.resize(limit);
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// Tells one who waited that it does so no longer. Where it is gone, it knows.
fn refuse(waiter: oneshot::Sender<Answer>) {
    drop(waiter.send(Err(ShedReason::QueueFull)));
}

fn length(max_waiting: u32) -> usize {
    usize::try_from(max_waiting).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
