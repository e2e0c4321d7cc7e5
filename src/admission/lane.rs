//! One endpoint, as admission sees it: how many requests it works on, and how many it may.
//!
//! Entering and leaving are a read-modify-write each. What the requests did goes to the [`Meter`]; the [`Law`]
//! reads it when a window ends, off the way of any request.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use rand::{SeedableRng, rngs::SmallRng};

use super::{
    concurrency::{Because, Belief, Beliefs, Bounds, Law, Outcome, Verdict, WindowEnd},
    counter::Counter,
    gate::UNLIMITED,
    meter::{Mark, Meter, Tag},
    moment::{Moment, micros},
    probing::Probing,
};
use crate::names::EndpointId;

/// See the module. It lives as long as the endpoint's identity is known, through reloads and DNS answers.
pub struct Lane {
    id: EndpointId,
    in_flight: Counter,
    /// A request tries whether the endpoint is well again. Relaxed: it admits or refuses, and guards no other memory.
    tried: AtomicBool,
    probing: Probing,
    meter: Meter,
    due: DueBy,
    learner: Mutex<Learner>,
}

/// When a window is over. `Relaxed`: a stale reading closes it a request earlier or later.
#[derive(Debug)]
struct DueBy {
    began_us: AtomicU64,
    ended: AtomicU32,
    ends: AtomicU32,
    at_least_us: AtomicU64,
    few: AtomicU32,
    at_most_us: AtomicU64,
    learns: AtomicU32,
    closed: AtomicU32,
    /// 1 once somebody was told that the window is over.
    told: AtomicU32,
}

/// The law, and what it needs besides.
#[derive(Debug)]
struct Learner {
    law: Option<Box<dyn Law>>,
    mark: Mark,
    rng: SmallRng,
    last: f64,
    told: f64,
}

/// A request was sent through a lane: what its end is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sending(Tag);

/// A request has entered a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entered {
    /// How many there are with it.
    pub(super) in_flight: u32,
    /// Whether it met the limit.
    pub(super) limited: bool,
    /// Whether it tries the endpoint: [`Lane::end_trial`] must be called once.
    pub(super) tries: bool,
}

/// A limit moved by more than a tenth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// From here, in requests at once.
    pub from: f64,
    /// To here.
    pub to: f64,
    /// Why.
    pub because: Because,
}

/// How a lane stands, to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneView {
    /// Most requests at once, as it holds now; `None`: no limit.
    pub limit: Option<u32>,
    /// Requests that it works on.
    pub in_flight: u32,
    /// How many looks above and below the limit there were.
    pub probes: u32,
    /// What the law believes.
    pub beliefs: Beliefs,
}

/// Smaller moves are not worth an event.
const WORTH_TELLING: f64 = 0.1;

// === impl Lane ===

impl Lane {
    /// Without a limit. `slot` is where in a second looks begin, counted from the gate's beginning.
    #[must_use]
    pub fn new(id: EndpointId, slot: Duration, seed: u64) -> Self {
        let slot_us = u64::from(slot.subsec_micros());
        Self {
            id,
            in_flight: Counter::new(),
            tried: AtomicBool::new(false),
            probing: Probing::new(slot_us),
            meter: Meter::new(),
            due: DueBy::never(),
            learner: Mutex::new(Learner {
                law: None,
                mark: Mark::default(),
                rng: SmallRng::seed_from_u64(seed),
                last: 0.0,
                told: 0.0,
            }),
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn id(&self) -> &EndpointId {
        &self.id
    }

    /// Requests that the endpoint works on.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Most requests at once, as it holds now; `None`: no limit.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        let limit = self.probing.limit();
        (limit != UNLIMITED).then_some(limit)
    }

    /// Most requests at once between looks above and below; `None`: no limit.
    pub(super) fn steady(&self) -> Option<u32> {
        let steady = self.probing.steady();
        (steady != UNLIMITED).then_some(steady)
    }

    /// Whether one more fits, where it gets `share` (0 to 1) of its limit. With a share of 0 the endpoint is on trial:
    /// one more fits while no other tries it, whoever is there from before.
    #[must_use]
    pub fn has_room(&self, share: f32) -> bool {
        if share > 0.0 {
            return self.in_flight() < scaled(self.probing.limit(), share);
        }
        !self.tried.load(Relaxed) && self.in_flight() < self.probing.limit()
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self) -> LaneView {
        let learner = self.learner.lock();
        LaneView {
            limit: self.limit(),
            in_flight: self.in_flight(),
            probes: self.probing.looks(),
            beliefs: learner
                .law
                .as_ref()
                .map(|law| law.beliefs())
                .unwrap_or_default(),
        }
    }

    /// Whether the `in_flight`-th has its place only for the moment of a look above the limit.
    pub(super) fn is_beyond(&self, in_flight: u32) -> bool {
        in_flight > self.probing.steady()
    }

    /// One more, as [`Self::has_room`] says; `None` where none fits.
    pub(super) fn try_enter(&self, share: f32) -> Option<Entered> {
        let tries = share <= 0.0;
        if tries && self.tried.swap(true, Relaxed) {
            return None;
        }
        let limit = self.probing.limit();
        let limit = if tries { limit } else { scaled(limit, share) };
        let Some(in_flight) = self.in_flight.try_enter(limit) else {
            if tries {
                self.end_trial();
            }
            return None;
        };
        let limited = in_flight >= limit;
        Some(Entered {
            in_flight,
            limited,
            tries,
        })
    }

    /// The request that tried the endpoint was answered, or will not be.
    pub(super) fn end_trial(&self) {
        self.tried.store(false, Relaxed);
    }

    /// One more, whatever the limit.
    pub(super) fn enter(&self) -> u32 {
        self.in_flight.enter()
    }

    /// One less.
    pub(super) fn leave(&self) {
        self.in_flight.leave();
    }

    /// A request is sent, the `in_flight`-th at the same time; `None` where nobody learns from it.
    pub(super) fn sent(
        &self,
        route: u16,
        in_flight: u32,
        limited: bool,
        now: Moment,
    ) -> Option<Sending> {
        if self.due.learns.load(Relaxed) == 0 {
            return None;
        }
        self.probing.sent(in_flight, limited, now);
        Some(Sending(self.meter.sent(route, in_flight, limited, now)))
    }

    /// It ended; whether a window is over with it.
    pub(super) fn ended(&self, sending: Sending, outcome: Outcome, now: Moment) -> bool {
        let began = self.due.began();
        self.meter.ended(sending.0, outcome, now, began);
        outcome != Outcome::Ignored && self.due.count(now)
    }

    /// Ends the window where one is over; what moved, where that is worth telling.
    pub fn close(&self, now: Moment) -> Option<Moved> {
        let mut learner = self.learner.lock();
        if !self.due.is_over(now) {
            self.due.told.store(0, Relaxed);
            return None; // another did, a moment ago
        }
        let Learner { law, mark, rng, .. } = &mut *learner;
        self.due.closed.fetch_add(1, Relaxed);
        let window = self.meter.window(mark, now);
        let verdict = law.as_mut()?.on_window(&window, rng);
        self.apply(&verdict, now);
        learner.moved(&verdict)
    }

    /// Follows another law, from where that one is; gives the one that it followed.
    pub fn learn(&self, law: Box<dyn Law>, now: Moment) -> Option<Box<dyn Law>> {
        let mut learner = self.learner.lock();
        let verdict = law.start();
        let before = learner.law.replace(law);
        learner.last = verdict.limit;
        learner.told = verdict.limit;
        let _ = self.meter.window(&mut learner.mark, now);
        self.due.learns.store(1, Relaxed);
        self.apply(&verdict, now);
        before
    }

    /// Other bounds.
    pub fn rebound(&self, bounds: Bounds, now: Moment) {
        let mut learner = self.learner.lock();
        if let Some(law) = &mut learner.law {
            let verdict = law.rebound(bounds);
            self.apply(&verdict, now);
            learner.last = verdict.limit;
        }
    }

    /// Learns nothing any more, and has no limit; gives the law that it followed.
    pub fn forget(&self) -> Option<Box<dyn Law>> {
        let mut learner = self.learner.lock();
        self.due.learns.store(0, Relaxed);
        self.probing.lift();
        learner.law.take()
    }

    /// How much was learned: windows closed. What was recalled from before a restart counts as one.
    #[must_use]
    pub fn windows(&self) -> u32 {
        self.due.closed.load(Relaxed)
    }

    /// Follows a law that goes on from before a restart, of which it has learned something already.
    pub(super) fn recall(&self, law: Box<dyn Law>, now: Moment) {
        self.learn(law, now);
        self.due.closed.fetch_max(1, Relaxed);
    }

    /// Where its limit is and what its law believes; `None` where it follows none or has learned nothing.
    pub(super) fn known(&self) -> Option<(f64, Option<Belief>)> {
        let learner = self.learner.lock();
        let belief = learner.law.as_ref()?.belief();
        let known = belief.is_some() || self.windows() > 0;
        known.then_some((learner.last, belief))
    }

    /// A law for an endpoint beside this one.
    pub(super) fn sibling(&self) -> Option<Box<dyn Law>> {
        self.learner.lock().law.as_ref()?.sibling()
    }

    fn apply(&self, verdict: &Verdict, now: Moment) {
        self.probing.apply(verdict, now);
        self.due.begin(&verdict.window, now);
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("id", &self.id)
            .field("in_flight", &self.in_flight())
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

// === impl Entered ===

impl Entered {
    /// The `in_flight`-th, whatever the limit.
    pub(super) const fn forced(in_flight: u32) -> Self {
        Self {
            in_flight,
            limited: true,
            tries: false,
        }
    }
}

// === impl Learner ===

impl Learner {
    fn moved(&mut self, verdict: &Verdict) -> Option<Moved> {
        self.last = verdict.limit;
        let from = self.told;
        let step = (verdict.limit - from).abs();
        if step < WORTH_TELLING * from || step < 1.0 {
            return None;
        }
        self.told = verdict.limit;
        Some(Moved {
            from,
            to: verdict.limit,
            because: verdict.because,
        })
    }
}

// === impl DueBy ===

impl DueBy {
    const fn never() -> Self {
        Self {
            began_us: AtomicU64::new(0),
            ended: AtomicU32::new(0),
            ends: AtomicU32::new(u32::MAX),
            at_least_us: AtomicU64::new(u64::MAX),
            few: AtomicU32::new(u32::MAX),
            at_most_us: AtomicU64::new(u64::MAX),
            learns: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            told: AtomicU32::new(0),
        }
    }

    fn began(&self) -> Moment {
        Moment::from_micros(self.began_us.load(Relaxed))
    }

    fn begin(&self, window: &WindowEnd, now: Moment) {
        self.ends.store(window.ends, Relaxed);
        self.few.store(window.few, Relaxed);
        self.at_least_us.store(micros(window.at_least), Relaxed);
        self.at_most_us.store(micros(window.at_most), Relaxed);
        self.ended.store(0, Relaxed);
        self.told.store(0, Relaxed);
        self.began_us.store(now.as_micros(), Relaxed);
    }

    /// One more end; whether it is the first to find the window over.
    fn count(&self, now: Moment) -> bool {
        self.ended.fetch_add(1, Relaxed);
        self.is_over(now) && self.told.swap(1, Relaxed) == 0
    }

    fn is_over(&self, now: Moment) -> bool {
        let ended = self.ended.load(Relaxed);
        let age = now.as_micros().saturating_sub(self.began_us.load(Relaxed));
        let many = ended >= self.ends.load(Relaxed) && age >= self.at_least_us.load(Relaxed);
        many || (ended >= self.few.load(Relaxed) && age > self.at_most_us.load(Relaxed))
    }
}

/// A limit of which `share` counts: at least one, where there is any.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a u32"
)]
fn scaled(limit: u32, share: f32) -> u32 {
    if share >= 1.0 || limit == UNLIMITED {
        return limit;
    }
    let part = (f64::from(limit) * f64::from(share.max(0.0))).ceil() as u32;
    part.max(1).min(limit)
}
