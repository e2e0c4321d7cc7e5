//! A run: clients, gateways, endpoints, one agenda.

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use super::{
    backend::{Backend, Later, work},
    clock::{Agenda, Nanos, moment, nanos, seconds},
    front::{Ask, Front, How, Says},
    gate::Production,
    laws::{BOUNDS, Choice},
    measure::{Counts, Fate, Tally, Tick},
    scenario::Scenario,
    steps::Steps,
};

/// After the last arrival, so many seconds for what is still under way.
const AFTER: f64 = 5.0;
/// How long an endpoint takes to turn a request away.
const TURN_AWAY: f64 = 0.001;
/// A client that tries again waits so many seconds: at least, and at most so many more.
const CLIENT_PAUSE: (f64, f64) = (0.005, 0.045);
/// A budget of retries: so many of the live requests, at least so many.
const RETRIES: (f64, f64) = (0.2, 3.0);
/// How often limit and load are looked at, in seconds.
const LOOK: f64 = 0.01;
/// Looks in a tick of the series.
const LOOKS_A_TICK: f64 = 10.0;

/// One run of a law in a scenario.
pub(crate) fn run(scenario: &Scenario, choice: &Choice, seed: u64) -> Tally {
    let mut world = World::new(scenario, choice, seed);
    world.begin();
    while let Some((at, event)) = world.agenda.next() {
        if at > world.end {
            break;
        }
        world.now = at;
        world.happen(event);
    }
    world.finish()
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Nanos,
    end: Nanos,
    agenda: Agenda<Event>,
    fronts: Vec<Gateway>,
    backends: Vec<Backend>,
    tries: Vec<Try>,
    says: Vec<Says>,
    later: Vec<(Nanos, Later)>,
    arrivals: SmallRng,
    clients: SmallRng,
    service: SmallRng,
    /// Requests that were sent once more and are not over.
    retrying: Vec<u32>,
    /// Requests that a gateway has and that are not over.
    live: i64,
    below_since: Option<f64>,
    tally: Tally,
}

struct Gateway {
    front: Box<dyn Front>,
    /// The next moment at which it is called, if that was asked for.
    alarm: Option<Nanos>,
}

/// A client's try to get an answer.
#[derive(Debug, Clone, Copy)]
struct Try {
    /// When its first try came, in seconds.
    came: f64,
    route: u16,
    class: u8,
    tenant: u16,
    gateway: u8,
    tries: u8,
    attempts: u8,
    endpoint: u16,
    /// The client still waits.
    wanted: bool,
    /// It is at an endpoint or on the way.
    out: bool,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    NextArrival,
    Arrive(u32),
    TimedOut(u32),
    Leaves(u32),
    Reaches(u32),
    Answer(u32, How),
    Backend(u16, Later),
    Change,
    Alarm(u8),
    Look,
    Reload,
    Shadow(bool),
}

// === impl World ===

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, choice: &Choice, seed: u64) -> Self {
        let front = |gateway: u64| {
            let law = || choice.build(scenario.slo, seed);
            let front = Production::new(
                scenario.endpoints.len(),
                BOUNDS,
                law,
                seed ^ (gateway << 32),
            );
            Gateway {
                front: Box::new(front),
                alarm: None,
            }
        };
        Self {
            scenario,
            now: 0,
            end: nanos(scenario.seconds + AFTER),
            agenda: Agenda::new(),
            fronts: (0..scenario.gateways as u64).map(front).collect(),
            backends: scenario
                .endpoints
                .iter()
                .map(|e| Backend::new(*e))
                .collect(),
            tries: Vec::new(),
            says: Vec::new(),
            later: Vec::new(),
            arrivals: SmallRng::seed_from_u64(seed.wrapping_mul(3)),
            clients: SmallRng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(1)),
            service: SmallRng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(2)),
            retrying: Vec::new(),
            live: 0,
            below_since: None,
            tally: Tally {
                span: scenario.measure.1 - scenario.measure.0,
                tenants: vec![Counts::default(); scenario.tenants.len()],
                gateways: vec![Counts::default(); scenario.gateways],
                limits: (f64::INFINITY, 0.0),
                ..Tally::default()
            },
        }
    }

    fn begin(&mut self) {
        let changes: Vec<f64> = self.scenario.changes().collect();
        for at in changes {
            self.agenda.at(nanos(at), Event::Change);
        }
        let shadows: Vec<f64> = self.scenario.shadow.seconds().collect();
        for at in shadows {
            let on = self.scenario.shadow.at(at) > 0.5;
            self.agenda.at(nanos(at), Event::Shadow(on));
        }
        if let Some(every) = self.scenario.reload {
            self.agenda.at(nanos(every), Event::Reload);
        }
        self.agenda.at(0, Event::Look);
        self.next_arrival();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::NextArrival => self.comes(),
            Event::Arrive(id) => self.arrive(id),
            Event::TimedOut(id) => self.given_up(id, Fate::TimedOut),
            Event::Leaves(id) => self.given_up(id, Fate::Left),
            Event::Reaches(id) => self.reaches(id),
            Event::Answer(id, how) => self.answer(id, how),
            Event::Backend(endpoint, later) => self.backend(endpoint, later),
            Event::Change => {
                for endpoint in 0..self.backends.len() {
                    self.backends[endpoint].changed(self.scenario, self.now, &mut self.later);
                    self.schedule(endpoint);
                }
            }
            Event::Alarm(gateway) => self.alarm(gateway),
            Event::Look => self.look(),
            Event::Reload => self.reload(),
            Event::Shadow(on) => self.fronts.iter_mut().for_each(|g| g.front.shadow(on)),
        }
    }

    // --- clients ---

    /// Poisson, thinned to the rate of the moment.
    fn next_arrival(&mut self) {
        let most = self.scenario.rate.most();
        let mut at = seconds(self.now);
        while most > 0.0 && at <= self.scenario.seconds {
            at -= (1.0 - self.arrivals.random::<f64>()).ln() / most;
            if self.arrivals.random::<f64>() * most <= self.scenario.rate.at(at) {
                if at <= self.scenario.seconds {
                    self.agenda.at(nanos(at), Event::NextArrival);
                }
                return;
            }
        }
    }

    fn comes(&mut self) {
        let second = seconds(self.now);
        let scenario = self.scenario;
        let routes = scenario.routes.iter().map(|route| &route.share);
        let classes = scenario.classes.iter().map(|class| &class.share);
        let (class, route) = (
            draw(classes, second, &mut self.arrivals),
            draw(routes, second, &mut self.arrivals),
        );
        let tenant = draw(scenario.tenants.iter(), second, &mut self.arrivals);
        let gateway = self.arrivals.random_range(0..scenario.gateways);
        let leaves = scenario.leave.0 > 0.0 && self.arrivals.random::<f64>() < scenario.leave.0;
        let id = self.try_again(Try {
            came: second,
            route: narrow(route),
            class: u8::try_from(class).unwrap_or(0),
            tenant: narrow(tenant),
            gateway: u8::try_from(gateway).unwrap_or(0),
            tries: 0,
            attempts: 0,
            endpoint: 0,
            wanted: true,
            out: false,
        });
        if leaves {
            self.agenda
                .at(self.now + nanos(scenario.leave.1), Event::Leaves(id));
        }
        self.arrive(id);
        self.next_arrival();
    }

    fn try_again(&mut self, next: Try) -> u32 {
        self.tries.push(next);
        u32::try_from(self.tries.len() - 1).unwrap_or(u32::MAX)
    }

    fn arrive(&mut self, id: u32) {
        self.live += 1;
        self.agenda.at(
            self.now + nanos(self.scenario.client_timeout),
            Event::TimedOut(id),
        );
        self.ask(id);
    }

    /// At the gateway, for the first time or after it was dropped.
    fn ask(&mut self, id: u32) {
        let asking = self.tries[id as usize];
        let ask = Ask {
            id,
            route: asking.route,
            priority: self.scenario.classes[usize::from(asking.class)].priority,
            tenant: u32::from(asking.tenant),
            attempt: u32::from(asking.attempts),
        };
        self.front(asking.gateway, |front, now, says| {
            front.arrive(now, ask, says);
        });
    }

    fn given_up(&mut self, id: u32, fate: Fate) {
        let asking = self.tries[id as usize];
        if asking.wanted {
            self.over(id, fate);
            self.front(asking.gateway, |front, now, says| {
                front.withdraw(now, id, says);
            });
        }
    }

    /// What its client sees of a try.
    fn over(&mut self, id: u32, fate: Fate) {
        let over = &mut self.tries[id as usize];
        over.wanted = false;
        let over = *over;
        self.live -= 1;
        let again = matches!(fate, Fate::Shed | Fate::Failed | Fate::TimedOut);
        if again && u32::from(over.tries) < self.scenario.client_retries {
            let pause = CLIENT_PAUSE.0 + CLIENT_PAUSE.1 * self.clients.random::<f64>();
            let next = self.try_again(Try {
                tries: over.tries + 1,
                attempts: 0,
                wanted: true,
                out: false,
                ..over
            });
            self.agenda.at(self.now + nanos(pause), Event::Arrive(next));
            return;
        }
        self.count(&over, fate);
    }

    // --- gateways ---

    fn front(
        &mut self,
        gateway: u8,
        tell: impl FnOnce(&mut dyn Front, tidegate::admission::Moment, &mut Vec<Says>),
    ) {
        let now = moment(self.now);
        let mut says = std::mem::take(&mut self.says);
        tell(
            &mut *self.fronts[usize::from(gateway)].front,
            now,
            &mut says,
        );
        for said in says.drain(..) {
            match said {
                Says::Send { id, endpoint } => self.send(id, endpoint),
                Says::Refuse { id } if self.tries[id as usize].wanted => self.over(id, Fate::Shed),
                Says::Refuse { .. } => {}
                Says::WouldRefuse { id } => {
                    let counted = self.measured(self.tries[id as usize].came);
                    self.tally.would_shed += u64::from(counted);
                }
            }
        }
        self.says = says;
        self.set_alarm(gateway);
    }

    /// One event for the earliest moment asked for; a later wish waits for that event.
    fn set_alarm(&mut self, gateway: u8) {
        let gate = &mut self.fronts[usize::from(gateway)];
        let Some(due) = gate.front.next_due() else {
            return;
        };
        let due = (due.as_micros() * 1000).max(self.now);
        if gate.alarm.is_none_or(|set| due < set) {
            gate.alarm = Some(due);
            self.agenda.at(due, Event::Alarm(gateway));
        }
    }

    fn alarm(&mut self, gateway: u8) {
        let gate = &mut self.fronts[usize::from(gateway)];
        if gate.alarm.is_some_and(|set| set <= self.now) {
            gate.alarm = None;
            self.front(gateway, |front, now, says| front.due(now, says));
        }
    }

    fn reload(&mut self) {
        for gateway in 0..self.fronts.len() {
            let gateway = u8::try_from(gateway).unwrap_or(0);
            self.front(gateway, |front, now, says| front.reload(now, says));
        }
        if let Some(every) = self.scenario.reload {
            self.agenda.at(self.now + nanos(every), Event::Reload);
        }
    }

    fn send(&mut self, id: u32, endpoint: usize) {
        let second = seconds(self.now);
        let sending = &mut self.tries[id as usize];
        sending.endpoint = narrow(endpoint);
        sending.out = true;
        let sending = *sending;
        if self.measured(second) {
            let highest = self
                .scenario
                .classes
                .iter()
                .map(|class| class.priority)
                .min();
            let priority = self.scenario.classes[usize::from(sending.class)].priority;
            self.tally.sends += 1;
            self.tally.other_sends += u64::from(Some(priority) != highest);
        }
        let fails = self.scenario.fail.at(second);
        let network = self.scenario.network;
        if fails > 0.0 && self.service.random::<f64>() < fails {
            let at = self.now + nanos(TURN_AWAY + network);
            self.agenda.at(at, Event::Answer(id, How::Dropped));
        } else if network > 0.0 {
            self.agenda
                .at(self.now + nanos(network / 2.0), Event::Reaches(id));
        } else {
            self.reaches(id);
        }
    }

    // --- endpoints ---

    fn reaches(&mut self, id: u32) {
        let here = self.tries[id as usize];
        let endpoint = usize::from(here.endpoint);
        let most = self.scenario.max_concurrent;
        if most > 0 && self.backends[endpoint].present >= most {
            let at = self.now + nanos(TURN_AWAY + self.scenario.network / 2.0);
            self.agenda.at(at, Event::Answer(id, How::Dropped));
            return;
        }
        let mean = self.scenario.routes[usize::from(here.route)].mean;
        let work = work(self.scenario.distribution, mean, &mut self.service);
        self.backends[endpoint].offer(self.scenario, self.now, id, work, &mut self.later);
        self.schedule(endpoint);
    }

    fn schedule(&mut self, endpoint: usize) {
        for (at, later) in self.later.drain(..) {
            self.agenda.at(at, Event::Backend(narrow(endpoint), later));
        }
    }

    fn backend(&mut self, endpoint: u16, later: Later) {
        let backend = &mut self.backends[usize::from(endpoint)];
        let served = match later {
            Later::Served(id) => {
                backend.served(self.scenario, self.now, &mut self.later);
                Some(id)
            }
            Later::Mark(plan) => backend.mark(self.scenario, self.now, plan, &mut self.later),
        };
        self.schedule(usize::from(endpoint));
        if let Some(id) = served {
            let network = self.scenario.network;
            if network > 0.0 {
                let at = self.now + nanos(network / 2.0);
                self.agenda.at(at, Event::Answer(id, How::Answered));
            } else {
                self.answer(id, How::Answered);
            }
        }
    }

    /// An answer reaches the gateway.
    fn answer(&mut self, id: u32, how: How) {
        let answered = &mut self.tries[id as usize];
        answered.out = false;
        let Try {
            gateway,
            attempts,
            wanted,
            ..
        } = *answered;
        let retry = how == How::Dropped
            && wanted
            && u32::from(attempts) < self.scenario.gateway_retries
            && self.fronts[usize::from(gateway)]
                .front
                .may_retry(moment(self.now));
        if wanted && !retry {
            let fate = if how == How::Answered {
                Fate::Answered
            } else {
                Fate::Failed
            };
            self.over(id, fate);
        }
        self.front(gateway, |front, now, says| front.ended(now, id, how, says));
        if retry {
            self.tries[id as usize].attempts += 1;
            self.retrying.push(id);
            self.over_budget();
            self.ask(id);
        }
    }

    /// How far the retries under way are beyond their budget.
    fn over_budget(&mut self) {
        let tries = &self.tries;
        self.retrying.retain(|id| {
            let one = &tries[*id as usize];
            one.attempts > 0 && (one.wanted || one.out)
        });
        let live = self.live.max(0) as f64;
        let over = self.retrying.len() as f64 - (RETRIES.0 * live).max(RETRIES.1);
        self.tally.over_budget = self.tally.over_budget.max(over);
    }

    // --- books ---

    fn measured(&self, second: f64) -> bool {
        second >= self.scenario.measure.0 && second < self.scenario.measure.1
    }

    fn count(&mut self, over: &Try, fate: Fate) {
        let took = seconds(self.now) - over.came;
        let good = fate == Fate::Answered && took <= self.scenario.slo;
        self.count_tick(over.came, took, fate, good);
        // Who left on its own has no claim on an answer.
        if fate == Fate::Left || !self.measured(over.came) {
            return;
        }
        let priority = self.scenario.classes[usize::from(over.class)].priority;
        let class = self.tally.classes.entry(priority).or_default();
        let tenant = self.tally.tenants.get_mut(usize::from(over.tenant));
        let gateway = self.tally.gateways.get_mut(usize::from(over.gateway));
        for counts in [Some(class), tenant, gateway].into_iter().flatten() {
            counts.sent += 1;
            counts.good += u64::from(good);
            counts.shed += u64::from(fate == Fate::Shed);
            counts.timed_out += u64::from(fate == Fate::TimedOut);
        }
        if fate == Fate::Answered {
            #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
            self.tally.answers.push(took as f32);
        }
        let third = 3.0 * (over.came - self.scenario.measure.0) / self.tally.span;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 2"
        )]
        let third = (third as usize).min(2);
        self.tally.thirds[third] += u64::from(good);
    }

    fn tick(&mut self, second: f64) -> &mut Tick {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "tenths of a second"
        )]
        let at = (second / (LOOK * LOOKS_A_TICK) + 1e-6) as usize;
        if self.tally.series.len() <= at {
            self.tally.series.resize(at + 1, Tick::default());
        }
        &mut self.tally.series[at]
    }

    fn count_tick(&mut self, came: f64, took: f64, fate: Fate, good: bool) {
        let tick = self.tick(came);
        tick.good += u32::from(good);
        tick.shed += u32::from(fate == Fate::Shed);
        tick.late += u32::from(!good && matches!(fate, Fate::Answered | Fate::TimedOut));
        if fate == Fate::Answered {
            tick.took += took;
        }
    }

    fn look(&mut self) {
        let second = seconds(self.now);
        let limit: f64 = self.fronts.iter().map(|gate| gate.front.limit()).sum();
        self.tick(second).limit += limit / LOOKS_A_TICK;
        if self.measured(second) {
            let (low, high) = self.tally.limits;
            self.tally.limits = (low.min(limit), high.max(limit));
            let present: usize = self.backends.iter().map(|backend| backend.present).sum();
            self.tally.at_backend += present as f64;
            self.tally.limit += limit;
            let capacity = self.scenario.capacity(second);
            self.tally.capacity += capacity * LOOK;
            self.tally.possible += capacity.min(self.scenario.rate.at(second)) * LOOK;
            if limit < self.scenario.floor {
                let since = *self.below_since.get_or_insert(second);
                self.tally.below_floor = self.tally.below_floor.max(second - since + LOOK);
            } else {
                self.below_since = None;
            }
        }
        if second + LOOK < self.scenario.seconds {
            self.agenda.at(self.now + nanos(LOOK), Event::Look);
        }
    }

    fn finish(mut self) -> Tally {
        let out = self.tries.iter().filter(|asking| asking.out).count();
        let held: usize = self.fronts.iter().map(|gate| gate.front.in_flight()).sum();
        self.tally.lost_permits = held.saturating_sub(out);
        self.tally
    }
}

/// One of these, by share.
fn draw<'a>(
    shares: impl Iterator<Item = &'a Steps> + Clone,
    second: f64,
    rng: &mut SmallRng,
) -> usize {
    let shares = shares.map(|share| share.at(second));
    let count = shares.clone().count();
    if count < 2 {
        return 0;
    }
    let mut left = rng.random::<f64>() * shares.clone().sum::<f64>();
    for (at, share) in shares.enumerate() {
        if left < share {
            return at;
        }
        left -= share;
    }
    count - 1
}

fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
