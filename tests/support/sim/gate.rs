//! The admission code of production as a front: its core, lanes, laws, balancing and retry budget, with virtual
//! time and seeded dice.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tidegate::{
    admission::{
        self, Arrived, Bounds, Core, Lane, Law, LiveGuard, Load, Moment, Outcome, Pick, Picked,
        Place, Position, RetryBudget, RetryGuard, RouteNumber, Told,
    },
    balance::{self, Candidates, EndpointView, Turn},
    config::{BalancePolicy, QueuePlan, Stretch},
    names::EndpointId,
};

use super::front::{Ask, Front, How, Says};

/// The config's defaults.
const QUEUE: QueuePlan = QueuePlan {
    stretch: Stretch::WithDrain,
    max_waiting: 64,
    max_wait: Duration::from_millis(100),
};
/// A place whose client left is kept for so many times what its route usually takes.
const GHOST: u32 = 4;
/// An upstream sheds while the last refusal is not older.
const SHEDDING: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Production {
    core: Core<u32>,
    picks: Arc<Picks>,
    bounds: Bounds,
    reloads: u32,
    /// Those who wait, and when in vain.
    waiting: HashMap<u32, (Position, Moment)>,
    /// Those who were sent.
    sent: HashMap<u32, Sent>,
    /// What ends by time: those who wait in vain, and ghosts.
    due: BTreeSet<(Moment, u32)>,
    budget: Arc<RetryBudget>,
    /// The leave that the next second try goes by, and those of second tries that wait.
    leave: Option<RetryGuard>,
    leaves: HashMap<u32, RetryGuard>,
    shed_at: Option<Moment>,
    rng: SmallRng,
}

#[derive(Debug)]
struct Sent {
    place: Place,
    at: Moment,
    route: u16,
    _live: Option<LiveGuard>,
    _retry: Option<RetryGuard>,
}

/// The endpoints, chosen as production chooses.
#[derive(Debug)]
struct Picks {
    lanes: Vec<Arc<Lane>>,
    turn: Turn,
    rng: Mutex<SmallRng>,
}

struct Views<'a> {
    lanes: &'a [Arc<Lane>],
    free: &'a dyn Fn(&Lane, f32) -> bool,
}

/// Where in a second an endpoint is looked at: a hash of its address in production, and so the same for all
/// gateways that watch it.
fn slot(port: u16) -> Duration {
    Duration::from_millis((370 + 137 * u64::from(port)) % 1000)
}

// === impl Production ===

impl Production {
    pub(crate) fn new(
        endpoints: usize,
        bounds: Bounds,
        law: impl Fn() -> Box<dyn Law>,
        seed: u64,
    ) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut lane = |port: usize| {
            let port = u16::try_from(port).unwrap_or(u16::MAX);
            let id = EndpointId::new("up".into(), ([127, 0, 0, 1], port).into());
            let lane = Lane::new(id, slot(port), rng.random());
            lane.learn(law(), Moment::ZERO);
            Arc::new(lane)
        };
        let picks = Arc::new(Picks {
            lanes: (0..endpoints).map(&mut lane).collect(),
            turn: Turn::new(),
            rng: Mutex::new(SmallRng::from_rng(&mut rng)),
        });
        let core = Core::new(&QUEUE);
        core.follow(Arc::clone(&picks) as _, Moment::ZERO, &mut Told::new());
        Self {
            core,
            picks,
            bounds,
            reloads: 0,
            waiting: HashMap::new(),
            sent: HashMap::new(),
            due: BTreeSet::new(),
            budget: RetryBudget::new(),
            leave: None,
            leaves: HashMap::new(),
            shed_at: None,
            rng,
        }
    }

    fn send(&mut self, now: Moment, id: u32, mut place: Place, route: u16, says: &mut Vec<Says>) {
        place.sent(now);
        says.push(Says::Send {
            id,
            endpoint: place.seat,
        });
        let retry = self.leaves.remove(&id);
        let sent = Sent {
            place,
            at: now,
            route,
            _live: retry.is_none().then(|| self.budget.begin()),
            _retry: retry,
        };
        self.sent.insert(id, sent);
    }

    fn tell(&mut self, now: Moment, told: Told<u32>, says: &mut Vec<Says>) {
        for (id, answer) in told {
            if let Some((_, until)) = self.waiting.remove(&id) {
                self.due.remove(&(until, id));
            }
            match answer {
                Ok(place) => {
                    let route = place.route().number();
                    self.send(now, id, place, route, says);
                }
                Err(_) => self.refuse(now, id, says),
            }
        }
    }

    fn refuse(&mut self, now: Moment, id: u32, says: &mut Vec<Says>) {
        self.leaves.remove(&id);
        self.shed_at = Some(now);
        says.push(Says::Refuse { id });
    }

    /// A request no longer holds its place.
    fn leave(&mut self, now: Moment, place: Place, says: &mut Vec<Says>) {
        let mut told = Told::new();
        self.core.leave(place, now, &mut told);
        self.tell(now, told, says);
    }

    /// Ends the windows that are over, as the loop of production does.
    fn close(&mut self, now: Moment, says: &mut Vec<Says>) {
        for lane in &self.picks.lanes {
            lane.close(now);
        }
        let mut told = Told::new();
        self.core.pump(now, &mut told);
        self.tell(now, told, says);
    }
}

impl Front for Production {
    fn arrive(&mut self, now: Moment, ask: Ask, says: &mut Vec<Says>) {
        if let Some(leave) = self.leave.take() {
            self.leaves.insert(ask.id, leave);
        }
        let wants = admission::Ask {
            priority: ask.priority,
            retry: ask.attempt > 0,
            route: RouteNumber::new(ask.route, 0),
            tenant: u64::from(ask.tenant).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            deadline: None,
        };
        let mut told = Told::new();
        let picks = Arc::clone(&self.picks);
        match self.core.arrive(&wants, &*picks, now, || ask.id, &mut told) {
            Arrived::Entered(place) => self.send(now, ask.id, place, ask.route, says),
            Arrived::Shadowed(place, _) => {
                says.push(Says::WouldRefuse { id: ask.id });
                self.send(now, ask.id, place, ask.route, says);
            }
            Arrived::Waits(waiting) => {
                self.waiting
                    .insert(ask.id, (waiting.position, waiting.until));
                self.due.insert((waiting.until, ask.id));
            }
            Arrived::Refused(_) | Arrived::NoEndpoint => self.refuse(now, ask.id, says),
        }
        self.tell(now, told, says);
    }

    fn ended(&mut self, now: Moment, id: u32, how: How, says: &mut Vec<Says>) {
        let Some(mut sent) = self.sent.remove(&id) else {
            return; // a ghost that was given up
        };
        let outcome = match how {
            How::Answered => Outcome::Succeeded {
                took: now.since(sent.at),
            },
            How::Dropped => Outcome::Dropped,
        };
        let due = self.core.answered(&mut sent.place, outcome, now);
        self.leave(now, sent.place, says);
        if due {
            self.close(now, says);
        }
    }

    fn withdraw(&mut self, now: Moment, id: u32, _says: &mut Vec<Says>) {
        if let Some((position, until)) = self.waiting.remove(&id) {
            self.leaves.remove(&id);
            self.due.remove(&(until, id));
            self.core.withdraw(position);
        } else if let Some(sent) = self.sent.get(&id)
            && let Some(usual) = self.core.usual(RouteNumber::new(sent.route, 0))
        {
            self.due.insert((now.plus(usual * GHOST), id));
        }
    }

    fn due(&mut self, now: Moment, says: &mut Vec<Says>) {
        while let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id));
            if let Some((position, _)) = self.waiting.remove(&id) {
                if self.core.give_up(position, now).is_some() {
                    self.refuse(now, id, says);
                }
            } else if let Some(sent) = self.sent.remove(&id) {
                self.leave(now, sent.place, says);
            }
        }
    }

    fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    fn may_retry(&mut self, now: Moment) -> bool {
        let sheds = self.shed_at.is_some_and(|at| now.since(at) < SHEDDING);
        let load = if sheds {
            Load::Shedding
        } else {
            Load::Bearable
        };
        self.leave = self.budget.try_retry_at(load, now);
        self.leave.is_some()
    }

    fn reload(&mut self, now: Moment, says: &mut Vec<Says>) {
        self.reloads += 1;
        let max = self.bounds.max - f64::from(self.reloads % 2);
        for lane in &self.picks.lanes {
            lane.rebound(Bounds { max, ..self.bounds }, now);
        }
        let mut told = Told::new();
        self.core.reshape(&QUEUE, now, &mut told);
        self.core
            .follow(Arc::clone(&self.picks) as _, now, &mut told);
        self.tell(now, told, says);
    }

    fn shadow(&mut self, on: bool) {
        self.core.cap(None, on, Moment::ZERO, &mut Told::new());
    }

    fn limit(&self) -> f64 {
        self.picks
            .lanes
            .iter()
            .filter_map(|lane| lane.limit())
            .map(f64::from)
            .sum()
    }

    fn in_flight(&self) -> usize {
        self.core.in_flight() as usize
    }
}

// === impl Picks ===

impl Pick for Picks {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        let views = Views {
            lanes: &self.lanes,
            free,
        };
        let mut rng = self.rng.lock();
        let seat = balance::pick(BalancePolicy::LeastRequest, &self.turn, &views, &mut *rng)?;
        Some(Picked {
            lane: self.lanes.get(seat)?,
            seat,
            share: 1.0,
        })
    }

    fn can_serve(&self) -> bool {
        true
    }

    fn seat_of(&self, lane: &Lane) -> Option<usize> {
        self.lanes.iter().position(|own| own.id() == lane.id())
    }
}

impl Candidates for Views<'_> {
    fn len(&self) -> usize {
        self.lanes.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        let lane = &self.lanes[index];
        EndpointView {
            can_serve: (self.free)(lane, 1.0),
            weight: 1.0,
            in_flight: lane.in_flight(),
            limit: lane.limit(),
            latency: None,
            peak: None,
        }
    }
}
