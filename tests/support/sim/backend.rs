//! What serves: workers behind one queue, or a processor that all share.
//!
//! Work goes on when its client has left. Service slows by `collapse` for each worker's share of those who wait, up
//! to eight times.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use rand::{RngExt as _, rngs::SmallRng};

use super::{
    clock::{Nanos, nanos, seconds},
    scenario::{Discipline, Distribution, Endpoint, Scenario},
};

/// The slowest that a queue can make it.
const SLOWEST: f64 = 8.0;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Backend {
    endpoint: Endpoint,
    /// At it and not yet served.
    pub(crate) present: usize,
    waiting: VecDeque<(u32, f64)>,
    busy: usize,
    shared: Processor,
}

/// All get the same share of it: a request ends when a clock that runs at each one's speed passes its mark.
#[derive(Debug, Default)]
struct Processor {
    marks: BinaryHeap<Reverse<(Nanos, u32)>>,
    clock: f64,
    speed: f64,
    at: Nanos,
    /// Counts plans: an older one's event is void.
    plan: u32,
}

/// What a backend wants to be told later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Later {
    /// This request was worked on to its end.
    Served(u32),
    /// The first mark is reached, if this is still the plan.
    Mark(u32),
}

// === impl Backend ===

impl Backend {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            present: 0,
            waiting: VecDeque::new(),
            busy: 0,
            shared: Processor::default(),
        }
    }

    /// A request with so many seconds of work at scale 1 is here.
    pub(crate) fn offer(
        &mut self,
        scenario: &Scenario,
        now: Nanos,
        id: u32,
        work: f64,
        later: &mut Vec<(Nanos, Later)>,
    ) {
        self.present += 1;
        match scenario.discipline {
            Discipline::Queue => self.waiting.push_back((id, work)),
            Discipline::Shared => {
                self.shared.advance(now);
                let work = work * self.scale(scenario, now);
                self.shared.add(id, work);
            }
        }
        self.changed(scenario, now, later);
    }

    /// A worker is done with a request.
    pub(crate) fn served(
        &mut self,
        scenario: &Scenario,
        now: Nanos,
        later: &mut Vec<(Nanos, Later)>,
    ) {
        self.present -= 1;
        self.busy -= 1;
        self.changed(scenario, now, later);
    }

    /// The request whose mark was reached by this plan, if it still holds.
    pub(crate) fn mark(
        &mut self,
        scenario: &Scenario,
        now: Nanos,
        plan: u32,
        later: &mut Vec<(Nanos, Later)>,
    ) -> Option<u32> {
        if plan != self.shared.plan {
            return None;
        }
        self.shared.advance(now);
        let Reverse((_, id)) = self.shared.marks.pop()?;
        self.present -= 1;
        self.changed(scenario, now, later);
        Some(id)
    }

    /// Workers, scale or the requests here changed: starts what can start.
    pub(crate) fn changed(
        &mut self,
        scenario: &Scenario,
        now: Nanos,
        later: &mut Vec<(Nanos, Later)>,
    ) {
        let workers = (scenario.workers.at(seconds(now)) * self.endpoint.workers).round();
        if scenario.discipline == Discipline::Shared {
            self.shared.advance(now);
            later.extend(self.shared.plan(now, workers, scenario.collapse));
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "workers are few"
        )]
        while self.busy < workers as usize {
            let Some((id, work)) = self.waiting.pop_front() else {
                return;
            };
            self.busy += 1;
            let slow = slowed(scenario.collapse, self.waiting.len() as f64, workers);
            let takes = work * self.scale(scenario, now) * slow;
            later.push((now + nanos(takes), Later::Served(id)));
        }
    }

    fn scale(&self, scenario: &Scenario, now: Nanos) -> f64 {
        scenario.scale.at(seconds(now)) * self.endpoint.scale
    }
}

/// How many times as long a request of this mean takes.
pub(crate) fn work(distribution: Distribution, mean: f64, rng: &mut SmallRng) -> f64 {
    let uniform: f64 = rng.random();
    let times = match distribution {
        Distribution::Exponential => -(1.0 - uniform).ln(),
        Distribution::Fixed => 1.0,
        Distribution::Bimodal if uniform < 0.1 => 5.5,
        Distribution::Bimodal => 0.5,
        Distribution::LogNormal => {
            let angle: f64 = rng.random_range(0.0..std::f64::consts::TAU);
            let normal = (-2.0 * (1.0 - uniform).ln()).sqrt() * angle.cos();
            (normal - 0.5).exp()
        }
    };
    mean * times
}

fn slowed(collapse: f64, waiting: f64, workers: f64) -> f64 {
    (1.0 + collapse * waiting / workers.max(1.0)).min(SLOWEST)
}

// === impl Processor ===

impl Processor {
    fn advance(&mut self, now: Nanos) {
        self.clock += seconds(now - self.at) * self.speed;
        self.at = now;
    }

    fn add(&mut self, id: u32, work: f64) {
        self.marks.push(Reverse((nanos(self.clock + work), id)));
    }

    /// Sets the speed by how many share it, and says when the first mark is reached.
    fn plan(&mut self, now: Nanos, workers: f64, collapse: f64) -> Option<(Nanos, Later)> {
        self.plan = self.plan.wrapping_add(1);
        let sharing = self.marks.len() as f64;
        let slow = slowed(collapse, (sharing - workers).max(0.0), workers);
        self.speed = (workers / sharing.max(1.0)).min(1.0) / slow;
        let Reverse((mark, _)) = self.marks.peek()?;
        let left = (seconds(*mark) - self.clock).max(0.0);
        (self.speed > 0.0).then(|| (now + nanos(left / self.speed), Later::Mark(self.plan)))
    }
}
