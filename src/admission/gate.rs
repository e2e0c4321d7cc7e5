//! How many requests an upstream gets at once, and who waits for a place: the [`Core`] with tasks and clocks.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    concurrency::Outcome,
    core::{Arrived, Core, Pick, Place, Told},
    lane::{Lane, Moved},
    lanes::Lanes,
    line::{Ask, Position, RouteNumber},
    memory::{NamedBelief, Remembered},
    moment::Moment,
    permit::{Held, Permit},
    refuse::Denied,
    routes::Routes,
    ticket::Ticket,
};
use crate::{
    config::{ConcurrencyMode, ConcurrencyPlan},
    fault::{Refusal, ShedReason},
    names::{EndpointId, Priority, RouteName},
    telemetry::{Events, LoadEvent},
};

/// The concurrency limits of one upstream, with its queue. Lives as long as the upstream's name does.
pub struct Gate {
    events: Events,
    core: Core<Wake>,
    lanes: Mutex<Lanes>,
    routes: Mutex<Routes>,
    /// Moments count from here.
    epoch: Instant,
    /// Rings when some window is over.
    due: Notify,
    /// Whose windows those are; each once.
    over: Mutex<Vec<Arc<Lane>>>,
    /// When something was shed last. Relaxed: it decides about a retry.
    shed_us: AtomicU64,
}

/// What a request wants of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Its class.
    pub priority: Priority,
    /// Its route, as [`Gate::routes`] numbered it.
    pub route: RouteNumber,
    /// A hash of its tenant.
    pub tenant: u64,
    /// When its client gives up.
    pub deadline: Option<Instant>,
    /// Whether it is a second try, of ours or of the client.
    pub retry: bool,
}

/// How a gate stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateView {
    /// How many may be in flight over all endpoints; `None`: no limit of its own.
    pub limit: Option<u32>,
    /// How many are.
    pub in_flight: u32,
    /// How many wait.
    pub waiting: u32,
}

/// How one who waits is told.
pub(super) type Wake = oneshot::Sender<Result<Held, ShedReason>>;

/// No limit.
pub(super) const UNLIMITED: u32 = u32::MAX;
/// An upstream sheds while the last refusal is not older.
const SHEDDING: Duration = Duration::from_secs(1);

// === impl Gate ===

impl Gate {
    /// A gate with nobody in flight. Its limits are learned only while [`Self::learn`] runs.
    #[must_use]
    pub fn new(plan: &ConcurrencyPlan, events: Events) -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let gate = Self {
            events,
            core: Core::new(&plan.queue),
            lanes: Mutex::new(Lanes::new(plan.mode, wall)),
            routes: Mutex::default(),
            epoch: Instant::now(),
            due: Notify::new(),
            over: Mutex::default(),
            shed_us: AtomicU64::new(0),
        };
        gate.cap(plan);
        gate
    }

    /// Leave to be in flight, at an endpoint that `picks` chooses.
    ///
    /// Waits where no place is free: at most `max_wait` of the plan and never past the deadline, behind all of
    /// higher priority and those of its own tenant that came before.
    ///
    /// # Errors
    /// [`Denied::DeadlinePast`] where the deadline is over on arrival. [`Denied::Refused`] without a place:
    /// `concurrency_exceeded` where nobody may wait; `queue_full` where the wait would be too long, the queue is
    /// full, or a higher class took its place there; `queue_timeout` after `max_wait`; `deadline_unmeetable` where
    /// the deadline would come first. [`Denied::NoEndpoint`] where none can serve.
    ///
    /// # Cancel safety
    /// Dropped at any point, it leaves the queue at once, and a place that it was just given goes to the next.
    pub async fn admit<P: Pick + Sync>(
        self: &Arc<Self>,
        wish: &Wish,
        picks: &P,
    ) -> Result<Permit, Denied> {
        let came = Instant::now();
        if wish.deadline.is_some_and(|deadline| deadline <= came) {
            return Err(Denied::DeadlinePast);
        }
        let ask = self.ask(wish);
        let mut told = Told::new();
        let mut answer = None;
        let arrived = self.core.arrive(
            &ask,
            picks,
            self.moment(came),
            || {
                let (wake, woken) = oneshot::channel();
                answer = Some(woken);
                wake
            },
            &mut told,
        );
        self.tell(told);
        match arrived {
            Arrived::Entered(place) => Ok(Permit::new(Held::new(self, place))),
            Arrived::Shadowed(place, reason) => {
                Ok(Permit::new(Held::new(self, place)).shadowed(reason))
            }
            Arrived::NoEndpoint => Err(Denied::NoEndpoint),
            Arrived::Refused(reason) => Err(self.refuse(reason, &ask)),
            Arrived::Waits(waiting) => {
                let Some(answer) = answer else {
                    return Err(self.refuse(ShedReason::QueueFull, &ask)); // it waits with what it made
                };
                let ticket = Ticket::new(self, waiting, answer);
                let held = ticket
                    .settle()
                    .await
                    .map_err(|reason| self.refuse(reason, &ask))?;
                let queued = came.elapsed();
                let held = self.seat(held, picks, wish.route)?;
                Ok(Permit::new(held).waited(queued, waiting.predicted))
            }
        }
    }

    /// Leave to be in flight at once, where a place is free and nobody waits for it.
    #[must_use]
    pub fn try_admit<P: Pick + Sync>(self: &Arc<Self>, wish: &Wish, picks: &P) -> Option<Permit> {
        let place = self.core.try_enter(wish.route, picks)?;
        Some(Permit::new(Held::new(self, place)))
    }

    /// Takes another plan, in place. Who is in flight stays so; who waits may wait as long as it was told.
    ///
    /// A larger limit lets those in who wait; a smaller one cancels nobody, and lets nobody in until it is met
    /// again. A smaller queue refuses the newest beyond it, of the lowest class first, with `queue_full`.
    pub fn reshape(self: &Arc<Self>, plan: &ConcurrencyPlan) {
        let now = self.now();
        self.lanes.lock().follow(plan.mode, now);
        let mut told = Told::new();
        self.core.reshape(&plan.queue, now, &mut told);
        let (total, shadow) = capped(plan);
        self.core.cap(total, shadow, now, &mut told);
        self.tell(told);
    }

    /// The deadline of a route's requests shrank to `timeout` after they came. Who waits of it and cannot make that is
    /// refused with `deadline_unmeetable`, at once or at its turn.
    pub fn hurry(self: &Arc<Self>, route: RouteNumber, timeout: Duration) {
        let mut told = Told::new();
        self.core.hurry(route, timeout, self.now(), &mut told);
        self.tell(told);
    }

    /// The lane of an endpoint: the same for the same id.
    #[must_use]
    pub fn lane(&self, id: &EndpointId) -> Arc<Lane> {
        self.lanes.lock().get_or_new(id, self.now())
    }

    /// Numbers for all routes that use this upstream, in that order; with each its share of the places, in
    /// thousandths, where it has one.
    #[must_use]
    pub fn routes(&self, named: &[(RouteName, Option<u32>)]) -> Vec<RouteNumber> {
        let (numbers, parts) = self.routes.lock().number(named);
        self.core.share(&parts);
        numbers
    }

    /// The routes that it numbered, by number.
    #[must_use]
    pub fn route_names(&self) -> Vec<(u16, RouteName)> {
        self.routes.lock().names()
    }

    /// Endpoints that are not named yet begin with what was learned of them `ago`, before a restart.
    pub fn recall(&self, remembered: &[Remembered], ago: Duration) {
        let mut routes = self.routes.lock();
        let known = remembered.iter().map(|one| {
            let belief = one.belief.as_ref();
            let belief = belief
                .map(|belief| belief.numbered(|name| routes.number_of(&RouteName::from(name))));
            (one.id(), (one.limit, belief))
        });
        self.lanes.lock().recall(known.collect(), ago, self.now());
    }

    /// What was learned of its endpoints, to go on from after a restart.
    #[must_use]
    pub fn remember(&self) -> Vec<Remembered> {
        let names = self.route_names();
        let name = |number| {
            let named = names.iter().find(|(of, _)| *of == number);
            named.map(|(_, name)| name.to_string())
        };
        let lanes = self.lanes.lock();
        let known = lanes.known().map(|(id, (limit, belief))| Remembered {
            upstream: id.upstream.to_string(),
            address: id.address,
            limit,
            belief: belief.map(|belief| NamedBelief::named(&belief, name)),
        });
        known.collect()
    }

    /// Sets who chooses endpoints for those who wait, and which endpoints there are.
    pub fn follow(
        self: &Arc<Self>,
        picks: Arc<dyn Pick + Send + Sync>,
        named: &HashSet<&EndpointId>,
    ) {
        let now = self.now();
        self.lanes.lock().retain(named, now);
        let mut told = Told::new();
        self.core.follow(picks, now, &mut told);
        self.tell(told);
    }

    /// Ends windows as they are over, until `stop`. The laws run here, not on a request's way.
    pub async fn learn(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased; // stop first
                () = stop.cancelled() => return,
                () = self.due.notified() => self.close_windows(),
            }
        }
    }

    /// Ends the windows that are over, and lets in those who then have a place.
    pub fn close_windows(self: &Arc<Self>) {
        let now = self.now();
        let over = std::mem::take(&mut *self.over.lock());
        for lane in over {
            if let Some(moved) = lane.close(now) {
                self.events.tell(told(lane.id(), &moved));
            }
        }
        self.pump();
    }

    /// Lets in those who wait where there are places that nobody told of: an endpoint came back.
    pub fn pump(self: &Arc<Self>) {
        let mut told = Told::new();
        self.core.pump(self.now(), &mut told);
        self.tell(told);
    }

    /// Whether something was shed a moment ago.
    #[must_use]
    pub fn is_shedding(&self) -> bool {
        let last = self.shed_us.load(Relaxed);
        last > 0 && self.now().since(Moment::from_micros(last)) < SHEDDING
    }

    /// How long a request of this route usually takes; `None` while nothing is known.
    #[must_use]
    pub fn usual(&self, route: RouteNumber) -> Option<Duration> {
        self.core.usual(route)
    }

    pub(super) fn usual_whole(&self, route: RouteNumber) -> Option<Duration> {
        self.core.usual_whole(route)
    }

    pub(super) fn streamed(&self, route: RouteNumber, took: Duration) {
        self.core.streamed(route, took);
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self) -> GateView {
        GateView {
            limit: self.core.total(),
            in_flight: self.core.in_flight(),
            waiting: self.core.waiting(),
        }
    }
}

/// What permits and tickets ask of it.
impl Gate {
    pub(super) fn sent(&self, place: &mut Place) {
        place.sent(self.now());
    }

    pub(super) fn answered(&self, place: &mut Place, outcome: Outcome) {
        if self.core.answered(place, outcome, self.now()) {
            self.over.lock().push(Arc::clone(place.lane()));
            self.due.notify_one();
        }
    }

    pub(super) fn leave(self: &Arc<Self>, place: Place) {
        let mut told = Told::new();
        self.core.leave(place, self.now(), &mut told);
        self.tell(told);
    }

    pub(super) fn withdraw(&self, position: Position) -> bool {
        self.core.withdraw(position).is_some()
    }

    pub(super) fn give_up(&self, position: Position) -> bool {
        self.core.give_up(position, self.now()).is_some()
    }

    pub(super) fn instant(&self, moment: Moment) -> Instant {
        let since = Duration::from_micros(moment.as_micros());
        self.epoch.checked_add(since).unwrap_or(self.epoch)
    }

    fn cap(&self, plan: &ConcurrencyPlan) {
        let (total, shadow) = capped(plan);
        self.core.cap(total, shadow, Moment::ZERO, &mut Told::new()); // nobody waits yet
    }

    /// The place that one who waited was given, as its own picks number it. Where they don't know the endpoint
    /// (another config came meanwhile) it goes where they say, limits or not: it was promised a place.
    fn seat<P: Pick>(
        self: &Arc<Self>,
        mut held: Held,
        picks: &P,
        route: RouteNumber,
    ) -> Result<Held, Denied> {
        if let Some(place) = held.place_mut()
            && let Some(seat) = picks.seat_of(place.lane())
        {
            place.seat = seat;
            return Ok(held);
        }
        drop(held);
        let well = picks.pick(&|_, share| share > 0.0);
        let picked = well.or_else(|| picks.pick(&|_, _| true));
        let picked = picked.ok_or(Denied::NoEndpoint)?;
        let place = self.core.force(picked.lane, picked.seat, route);
        Ok(Held::new(self, place))
    }

    fn tell(self: &Arc<Self>, told: Told<Wake>) {
        for (wake, answer) in told {
            if answer.is_err() {
                self.note_shed();
            }
            // Where it is gone, the place that comes back is dropped, and so handed on.
            drop(wake.send(answer.map(|place| Held::new(self, place))));
        }
    }

    fn refuse(&self, reason: ShedReason, ask: &Ask) -> Denied {
        self.note_shed();
        Denied::Refused(Refusal {
            reason,
            retry_after: self.core.retry_after(ask, &mut rand::rng()),
            bucket: None,
        })
    }

    fn note_shed(&self) {
        self.shed_us.store(self.now().as_micros().max(1), Relaxed);
    }

    fn ask(&self, wish: &Wish) -> Ask {
        Ask {
            priority: wish.priority,
            retry: wish.retry,
            route: wish.route,
            tenant: wish.tenant,
            deadline: wish.deadline.map(|deadline| self.moment(deadline)),
        }
    }

    fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    fn moment(&self, at: Instant) -> Moment {
        Moment::after_start(at.saturating_duration_since(self.epoch))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// The most over all endpoints, and whether limits only count.
const fn capped(plan: &ConcurrencyPlan) -> (Option<u32>, bool) {
    let total = match plan.mode {
        ConcurrencyMode::Off => None,
        ConcurrencyMode::Fixed(limit) => Some(limit.get()),
        ConcurrencyMode::Learned { total, .. } => match total {
            Some(total) => Some(total.get()),
            None => None,
        },
    };
    (total, plan.shadow)
}

/// A move as it is told.
fn told(endpoint: &EndpointId, moved: &Moved) -> LoadEvent {
    LoadEvent::LimitMoved {
        endpoint: endpoint.clone(),
        from: moved.from,
        to: moved.to,
        because: moved.because.as_str(),
    }
}

#[cfg(test)]
mod tests;
