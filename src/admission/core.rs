//! Admission without waking: who enters, who waits, who is refused. The same code decides in production, where
//! the [`Gate`](super::Gate) adds tasks and timers, and in the simulator, which adds virtual time.
//!
//! While nobody waits, entering and leaving are a few read-modify-writes, without lock or allocation.
//!
//! Why no wake-up is lost: who waits is counted first and looks for a place then; who leaves gives its place back
//! first and looks for waiters then (see [`Counter`]). Places are given to waiters under the line's lock only.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::Rng;

use super::{
    concurrency::Outcome,
    counter::Counter,
    gate::UNLIMITED,
    lane::{Entered, Lane, Sending},
    line::{self, Ask, Line, Next, Offer, Pace, Position, RouteNumber, Shares},
    moment::Moment,
    pace::Lately,
};
use crate::{config::QueuePlan, fault::ShedReason, names::Priority};

/// Chooses the endpoint that a request goes to. Implemented by who knows the endpoints.
pub trait Pick {
    /// The lane of one that can serve, and its number there; only one for which `free` holds. The second argument
    /// of `free` is the share of its limit that the endpoint gets now, 0 to 1 (slow start); 0 is one request at a time,
    /// for one that is on trial while others can serve. `None` where none is.
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>>;

    /// Whether any endpoint can serve at all.
    fn can_serve(&self) -> bool;

    /// The number here of the endpoint that `lane` belongs to; `None` where it is not among them any more.
    fn seat_of(&self, lane: &Lane) -> Option<usize>;
}

/// An endpoint that was chosen.
#[derive(Debug, Clone, Copy)]
pub struct Picked<'a> {
    /// How it stands.
    pub lane: &'a Arc<Lane>,
    /// Its number, for who chose it.
    pub seat: usize,
    /// The share of its limit that it gets now.
    pub share: f32,
}

/// A place in flight at one endpoint. It must be given back by [`Core::leave`].
#[derive(Debug)]
#[must_use = "a place that is not given back is lost"]
pub struct Place {
    lane: Arc<Lane>,
    /// The number of the endpoint, for whose pick chose it.
    pub seat: usize,
    route: RouteNumber,
    /// How it came in. It tries its endpoint until it is answered.
    entered: Entered,
    counted: bool,
    answered: bool,
    sending: Option<Sending>,
}

/// How it ended to arrive.
#[derive(Debug)]
pub enum Arrived {
    /// It may go on.
    Entered(Place),
    /// It may go on although it would have been refused: the limit is in shadow.
    Shadowed(Place, ShedReason),
    /// It waits.
    Waits(Waiting),
    /// There is no capacity for it.
    Refused(ShedReason),
    /// No endpoint can serve.
    NoEndpoint,
}

/// One who waits.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Where.
    pub position: Position,
    /// Then it waits in vain …
    pub until: Moment,
    /// … and is told this.
    pub reason: ShedReason,
    /// How long it will probably be.
    pub predicted: Duration,
}

/// What one who waited is told.
pub type Answer = Result<Place, ShedReason>;

/// Who is to be told what, once all locks are free.
pub type Told<T> = Vec<(T, Answer)>;

/// See the module. `T` is what a waiter is woken by.
pub struct Core<T> {
    /// Over all endpoints.
    in_flight: Counter,
    /// The most over all endpoints. Relaxed: a stale reading costs one entry by the old limit.
    total: AtomicU32,
    /// Written under the line's lock.
    waiting: Counter,
    /// Relaxed: as `total`.
    shadow: AtomicBool,
    shares: Shares,
    lately: Lately,
    line: Mutex<Served<T>>,
}

/// The line, and who chooses endpoints for those in it: the picks of the newest snapshot.
struct Served<T> {
    line: Line<T>,
    picks: Option<Arc<dyn Pick + Send + Sync>>,
}

/// A place that was taken and is nobody's yet: its share goes to the route of who gets it.
struct Taken<'a> {
    picked: Picked<'a>,
    entered: Entered,
}

/// Picks that came too late by so many others are not tried again.
const TRIES: u32 = 4;

// === impl Core ===

impl<T> Core<T> {
    /// Nobody in flight, no limit over all endpoints.
    #[must_use]
    pub fn new(queue: &QueuePlan) -> Self {
        Self {
            in_flight: Counter::new(),
            total: AtomicU32::new(UNLIMITED),
            waiting: Counter::new(),
            shadow: AtomicBool::new(false),
            shares: Shares::new(),
            lately: Lately::new(),
            line: Mutex::new(Served {
                line: Line::new(queue),
                picks: None,
            }),
        }
    }

    /// One arrives. It waits with `token`, which is made only then. Others may be let in or put out at the same
    /// time: tell them.
    pub fn arrive(
        &self,
        ask: &Ask,
        picks: &dyn Pick,
        now: Moment,
        token: impl FnOnce() -> T,
        told: &mut Told<T>,
    ) -> Arrived {
        let hopeless = self.is_hopeless(ask, now);
        if self.waiting.get() == 0
            && !hopeless
            && let Some(taken) = self.take(picks)
        {
            return Arrived::Entered(self.give(&taken, ask.route));
        }
        if !picks.can_serve() {
            return Arrived::NoEndpoint;
        }
        if self.shadow.load(Relaxed) {
            return self.pretend(ask, hopeless, picks, now);
        }
        if hopeless {
            return Arrived::Refused(ShedReason::DeadlineUnmeetable);
        }
        self.join(ask, picks, now, token, told)
    }

    /// A place, where one is free and nobody waits.
    pub fn try_enter(&self, route: RouteNumber, picks: &dyn Pick) -> Option<Place> {
        if self.waiting.get() > 0 {
            return None;
        }
        Some(self.give(&self.take(picks)?, route))
    }

    /// The head of the answer is there, or there will be none. True where the window of its endpoint is over:
    /// somebody should call [`Lane::close`] soon, and [`Self::pump`] then. A second call says nothing.
    pub fn answered(&self, place: &mut Place, outcome: Outcome, now: Moment) -> bool {
        if std::mem::replace(&mut place.answered, true) {
            return false;
        }
        place.end_trial();
        if let Outcome::Succeeded { took } = outcome {
            self.lately.answered(place.route.number, took);
        }
        match place.sending.take() {
            Some(sending) => place.lane.ended(sending, outcome, now),
            None => false,
        }
    }

    /// Gives a place back, and lets in who waits for one. What was not answered says nothing.
    pub fn leave(&self, mut place: Place, now: Moment, told: &mut Told<T>) {
        self.answered(&mut place, Outcome::Ignored, now);
        if place.counted {
            place.lane.leave();
            self.in_flight.leave();
            self.shares.leave(place.route.group);
            if self.waiting.get() > 0 {
                let guess = self.guess();
                let mut served = self.line.lock();
                served.line.freed(now, guess);
                self.serve_all(&mut served, now, told);
            }
        }
    }

    /// Lets in those who wait, as far as there are places: after a limit grew, or an endpoint came back.
    pub fn pump(&self, now: Moment, told: &mut Told<T>) {
        if self.waiting.get() > 0 {
            self.serve_all(&mut self.line.lock(), now, told);
        }
    }

    /// Takes one out of the line that went away. `None`: it has left the line, and was or will be told.
    pub fn withdraw(&self, position: Position) -> Option<T> {
        self.with_line(|line| line.remove(position))
    }

    /// The same, of one whose time was up.
    pub fn give_up(&self, position: Position, now: Moment) -> Option<T> {
        self.with_line(|line| line.give_up(position, now))
    }

    /// Sets who chooses endpoints for those who wait, and lets in whom it finds places for.
    pub fn follow(&self, picks: Arc<dyn Pick + Send + Sync>, now: Moment, told: &mut Told<T>) {
        self.line.lock().picks = Some(picks);
        self.pump(now, told);
    }

    /// Sets the bounds of the line; who is beyond them is refused.
    pub fn reshape(&self, queue: &QueuePlan, now: Moment, told: &mut Told<T>) {
        self.with_line(|line| {
            while let Some(token) = line.bound(queue, now) {
                told.push((token, Err(ShedReason::QueueFull)));
            }
        });
    }

    /// The deadline of a route's requests shrank to `timeout` after they came. Who waits of it and cannot make that is
    /// refused, at once or at its turn.
    pub fn hurry(&self, route: RouteNumber, timeout: Duration, now: Moment, told: &mut Told<T>) {
        self.with_line(|line| {
            let late = line.hurry(route.number(), timeout, now).into_iter();
            told.extend(late.map(|token| (token, Err(ShedReason::DeadlineUnmeetable))));
        });
    }

    /// Sets the most over all endpoints (`None`: no limit), and whether limits only count.
    pub fn cap(&self, total: Option<u32>, shadow: bool, now: Moment, told: &mut Told<T>) {
        self.total.store(total.unwrap_or(UNLIMITED), Relaxed);
        self.shadow.store(shadow, Relaxed);
        self.pump(now, told);
    }

    /// Sets which share of the places belongs to which group of routes, in thousandths, from group 1 on.
    pub fn share(&self, parts: &[u32]) {
        self.shares.set(parts);
    }

    /// When one that was refused should come back.
    pub fn retry_after(&self, ask: &Ask, rng: &mut impl Rng) -> Duration {
        self.line.lock().line.retry_after(ask, rng)
    }

    /// Requests in flight, over all endpoints.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.get()
    }

    /// How many of one class wait.
    #[must_use]
    pub fn waiting_of(&self, priority: Priority) -> u32 {
        self.line.lock().line.waiting(priority)
    }

    /// The most over all endpoints; `None`: no limit of its own.
    #[must_use]
    pub fn total(&self) -> Option<u32> {
        let total = self.total.load(Relaxed);
        (total != UNLIMITED).then_some(total)
    }

    /// How long a request of a route usually takes; `None` while nothing is known.
    #[must_use]
    pub fn usual(&self, route: RouteNumber) -> Option<Duration> {
        self.lately.of(route.number)
    }

    /// The body of an answer of this route ended well, `took` after its head.
    pub fn streamed(&self, route: RouteNumber, took: Duration) {
        self.lately.streamed(route.number, took);
    }

    /// How long an answer of a route usually takes to its last byte; `None` while nothing is known.
    #[must_use]
    pub fn usual_whole(&self, route: RouteNumber) -> Option<Duration> {
        self.lately.whole(route.number)
    }

    /// A place at `lane` whatever the limits, for one that was promised one elsewhere.
    pub fn force(&self, lane: &Arc<Lane>, seat: usize, route: RouteNumber) -> Place {
        self.in_flight.enter();
        self.shares.enter(route.group);
        let in_flight = lane.enter();
        Place::new(lane, seat, route, Entered::forced(in_flight))
    }
}

/// The parts of the above.
impl<T> Core<T> {
    /// Whether not even half of what it usually takes is left of its time.
    fn is_hopeless(&self, ask: &Ask, now: Moment) -> bool {
        let Some(deadline) = ask.deadline else {
            return false;
        };
        let usual = self.lately.of(ask.route.number).unwrap_or_default();
        deadline.since(now).saturating_mul(2) < usual
    }

    /// A place, where one is free; the line is not asked.
    fn take<'a>(&self, picks: &'a dyn Pick) -> Option<Taken<'a>> {
        let total = self.total.load(Relaxed);
        let last = self.in_flight.try_enter(total)? >= total;
        for _ in 0..TRIES {
            let Some(picked) = picks.pick(&Lane::has_room) else {
                break;
            };
            if let Some(mut entered) = picked.lane.try_enter(picked.share) {
                entered.limited |= last;
                return Some(Taken { picked, entered });
            }
        }
        self.in_flight.leave();
        None
    }

    /// Gives what was taken to a request of `route`.
    fn give(&self, taken: &Taken<'_>, route: RouteNumber) -> Place {
        self.shares.enter(route.group);
        let Picked { lane, seat, .. } = taken.picked;
        Place::new(lane, seat, route, taken.entered)
    }

    fn join(
        &self,
        ask: &Ask,
        picks: &dyn Pick,
        now: Moment,
        token: impl FnOnce() -> T,
        told: &mut Told<T>,
    ) -> Arrived {
        let mut served = self.line.lock();
        let line = &mut served.line;
        if line.len() == 0
            && let Some(taken) = self.take(picks)
        {
            line.let_in(ask, now);
            return Arrived::Entered(self.give(&taken, ask.route));
        }
        let pace = self.pace(line, ask.route, now);
        let (waiting, displaced) = match line.offer(ask, &pace, now, token) {
            Offer::Refused(reason) => return Arrived::Refused(reason),
            Offer::Waits {
                position,
                until,
                reason,
                predicted,
                displaced,
            } => {
                let waiting = Waiting {
                    position,
                    until,
                    reason,
                    predicted,
                };
                (waiting, displaced)
            }
        };
        told.extend(displaced.map(|token| (token, Err(ShedReason::QueueFull))));
        self.waiting.set(line.len());
        self.serve(line, picks, now, told);
        Arrived::Waits(waiting)
    }

    fn serve_all(&self, served: &mut Served<T>, now: Moment, told: &mut Told<T>) {
        if let Some(picks) = served.picks.clone() {
            self.serve(&mut served.line, &*picks, now, told);
        }
    }

    /// Gives free places to those who wait.
    fn serve(&self, line: &mut Line<T>, picks: &dyn Pick, now: Moment, told: &mut Told<T>) {
        while line.len() > 0 {
            let Some(mut taken) = self.take(picks) else {
                break;
            };
            let Some(next) = self.next(line, taken.kind(), now, told) else {
                self.put_back(&taken);
                break;
            };
            taken.entered.limited = true; // who waited met the limit
            told.push((next.token, Ok(self.give(&taken, next.route))));
        }
        self.waiting.set(line.len());
    }

    /// Who of those who wait gets a place of this kind. Who waited in vain is told so.
    fn next(
        &self,
        line: &mut Line<T>,
        kind: line::Place,
        now: Moment,
        told: &mut Told<T>,
    ) -> Option<Next<T>> {
        loop {
            let next = line.pop(&self.shares, self.in_flight(), kind, now)?;
            let Some(reason) = next.expired else {
                return Some(next);
            };
            told.push((next.token, Err(reason)));
        }
    }

    /// In shadow: what would happen is only counted. Those in flight beyond the limit stand for a line.
    fn pretend(&self, ask: &Ask, hopeless: bool, picks: &dyn Pick, now: Moment) -> Arrived {
        let Some(picked) = picks.pick(&|_, share| share > 0.0) else {
            return Arrived::NoEndpoint;
        };
        let here = picked.lane.limit().unwrap_or(UNLIMITED);
        let beyond_all = self.in_flight().saturating_sub(self.total.load(Relaxed));
        let beyond = picked.lane.in_flight().saturating_sub(here).max(beyond_all);
        let served = self.line.lock();
        let pace = self.pace(&served.line, ask.route, now);
        let refused = served.line.pretend(ask, beyond, &pace, now);
        drop(served);
        match refused.or(hopeless.then_some(ShedReason::DeadlineUnmeetable)) {
            None => Arrived::Entered(self.force(picked.lane, picked.seat, ask.route)),
            Some(reason) => {
                let mut place = Place::new(picked.lane, picked.seat, ask.route, Entered::forced(0));
                place.counted = false;
                Arrived::Shadowed(place, reason)
            }
        }
    }

    /// What was taken is free again.
    fn put_back(&self, taken: &Taken<'_>) {
        if taken.entered.tries {
            taken.picked.lane.end_trial();
        }
        taken.picked.lane.leave();
        self.in_flight.leave();
    }

    /// How fast places come free and how long a request takes, as far as is known.
    fn pace(&self, line: &Line<T>, route: RouteNumber, now: Moment) -> Pace {
        Pace {
            drain: line.drain(now).or_else(|| self.guess()),
            usual: self.lately.of(route.number).unwrap_or_default(),
        }
    }

    /// How many places come free in a second: those that are taken, over how long one is (Little's law).
    fn guess(&self) -> Option<f64> {
        let taken = f64::from(self.in_flight().max(1));
        let mean = self.lately.all()?;
        Some(taken / mean.as_secs_f64().max(1e-6))
    }

    fn with_line<R>(&self, change: impl FnOnce(&mut Line<T>) -> R) -> R {
        let mut served = self.line.lock();
        let result = change(&mut served.line);
        self.waiting.set(served.line.len());
        result
    }
}

impl<T> fmt::Debug for Core<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("in_flight", &self.in_flight())
            .field("total", &self.total())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

// === impl Taken ===

impl Taken<'_> {
    /// Whether it is there to stay, or only for the moment of a look above the limit.
    fn kind(&self) -> line::Place {
        if self.picked.lane.is_beyond(self.entered.in_flight) {
            line::Place::Spare
        } else {
            line::Place::Steady
        }
    }
}

// === impl Place ===

impl Place {
    fn new(lane: &Arc<Lane>, seat: usize, route: RouteNumber, entered: Entered) -> Self {
        Self {
            lane: Arc::clone(lane),
            seat,
            route,
            entered,
            counted: true,
            answered: false,
            sending: None,
        }
    }

    /// The endpoint may be tried by another; once.
    fn end_trial(&mut self) {
        if std::mem::take(&mut self.entered.tries) {
            self.lane.end_trial();
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Whose it is.
    #[must_use]
    pub const fn route(&self) -> RouteNumber {
        self.route
    }

    /// The request was sent to its endpoint.
    pub fn sent(&mut self, now: Moment) {
        if self.sending.is_none() && self.counted {
            let Entered {
                in_flight, limited, ..
            } = self.entered;
            self.sending = self.lane.sent(self.route.number, in_flight, limited, now);
        }
    }

    /// Whether it was sent, and a law learns from its end.
    #[must_use]
    pub const fn is_on_test(&self) -> bool {
        self.sending.is_some()
    }
}
