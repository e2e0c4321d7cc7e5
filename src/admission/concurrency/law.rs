//! What a law of concurrency is told, and what it says.
//!
//! A law is pure: the same windows and dice give the same limits. It counts nothing itself and knows no lock and
//! no clock; the lane of an endpoint counts, closes windows and applies the verdict.

use std::{fmt, time::Duration};

use rand::rngs::SmallRng;

use crate::admission::moment::Moment;

/// How many requests an endpoint should work on at once, found from what it did.
pub trait Law: Send + fmt::Debug {
    /// What holds before the first window.
    fn start(&self) -> Verdict;

    /// A window ended: what holds from now on.
    fn on_window(&mut self, window: &Window<'_>, rng: &mut SmallRng) -> Verdict;

    /// Other bounds, by a reload. What was learned stays, clamped.
    fn rebound(&mut self, bounds: Bounds) -> Verdict;

    /// What there is to see of it.
    fn beliefs(&self) -> Beliefs {
        Beliefs::default()
    }

    /// What it has learned, to go on from after a restart; `None` where that is nothing, or nothing but its limit.
    fn belief(&self) -> Option<Belief> {
        None
    }

    /// For an endpoint that is new beside this one: the same, less sure of itself; `None` where nothing is worth
    /// handing on.
    fn sibling(&self) -> Option<Box<dyn Law>> {
        None
    }
}

/// The least and the most that a law may say, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// At least 1.
    pub min: f64,
    /// At least `min`.
    pub max: f64,
    /// Between both.
    pub initial: f64,
}

/// What happened at one endpoint between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// When it began.
    pub began: Moment,
    /// When it ended.
    pub ended: Moment,
    /// The kinds of requests that were in flight in it, each route and in-flight count at most once.
    pub cells: &'a [Cell],
    /// Requests sent.
    pub sends: u32,
    /// Those of them that met the limit: they took its last place, or had waited for one.
    pub limited: u32,
    /// Requests answered.
    pub done: u32,
    /// Requests that ended in a time-out, a reset, or the endpoint's word that it is overloaded.
    pub dropped: u32,
    /// The sum of the times of those answered, each from sending to the head of the answer.
    pub took: Duration,
}

/// Requests of one route that were sent while about as many were in flight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The route, as a small number that is the same in every window.
    pub route: u16,
    /// `round(10 ln n)` of the number in flight at their sending, they included.
    pub bin: u8,
    /// Seconds that they spent in flight within the window, finished or not.
    pub on_test: f64,
    /// How many were answered in it.
    pub done: u32,
}

/// What holds until the next window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// How many requests at once, within the bounds; the lane rounds it.
    pub limit: f64,
    /// When the next window ends.
    pub window: WindowEnd,
    /// Looking above and below the limit, while it is met.
    pub probe: Option<Probe>,
    /// Why the limit moved, in words for people.
    pub because: Because,
}

/// A window ends with the first request that ends after either condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowEnd {
    /// So many ends (answers and drops) …
    pub ends: u32,
    /// … and so much time.
    pub at_least: Duration,
    /// Or so many ends …
    pub few: u32,
    /// … and so much time.
    pub at_most: Duration,
}

/// A short look at what more requests at once would do, then at what fewer would.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// The limit while looking up, as a multiple of the limit.
    pub up: f64,
    /// How many requests are sent above the limit.
    pub up_sends: u32,
    /// The limit while looking down.
    pub down: f64,
    /// How many requests are sent at it or below.
    pub down_sends: u32,
    /// From the end of one look to the next. Whole seconds are placed by the wall clock, so that several
    /// gateways look at the same time.
    pub every: Duration,
    /// A look ends after so long, however few were sent.
    pub patience: Duration,
}

/// Why a limit moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Because {
    /// It did not, or hardly.
    #[default]
    Steady,
    /// Nothing is known yet.
    Starting,
    /// More at once were answered as fast: there is room.
    Room,
    /// Answers take longer the more are in flight: work queues up in the endpoint.
    Queueing,
    /// The endpoint said no, or did not answer.
    Drops,
    /// It is not used, and is known to be too high.
    Idle,
    /// The operator set other bounds.
    Bounds,
}

/// What a law believes, to look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beliefs {
    /// The 5 %, 25 %, 50 %, 75 % and 95 % quantiles of the capacity, in requests at once.
    pub capacity: Option<[f64; 5]>,
    /// How slow the endpoint is against its baselines; 1: as usual.
    pub slowness: Option<f64>,
    /// How likely it is that all requests are stretched alike (a shared processor), and not queued before workers.
    pub shared: Option<f64>,
    /// The time that a request of each route takes where nothing waits, in seconds.
    pub baselines: Vec<(u16, f64)>,
}

/// What a law believes, in few enough numbers to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    /// Mean and deviation of ln capacity.
    pub ln_capacity: (f64, f64),
    /// Mean and deviation of ln slowness.
    pub ln_slowness: (f64, f64),
    /// How likely it is that all requests are stretched alike.
    pub shared: f64,
    /// The time that a request of each route takes where nothing waits, in seconds.
    pub baselines: Vec<(u16, f64)>,
}

// === impl Because ===

impl Because {
    /// The reason as a clause.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Starting => "nothing is known yet",
            Self::Room => "more at once were answered as fast",
            Self::Queueing => "answers take longer the more are in flight",
            Self::Drops => "the endpoint refuses or does not answer",
            Self::Idle => "it is not used and known to be too high",
            Self::Bounds => "the config sets other bounds",
        }
    }
}

// === impl Window ===

impl Window<'_> {
    /// How long it lasted.
    #[must_use]
    pub const fn length(&self) -> Duration {
        self.ended.since(self.began)
    }

    /// Answers and drops.
    #[must_use]
    pub const fn ends(&self) -> u32 {
        self.done.saturating_add(self.dropped)
    }

    /// The mean time of those answered; `None` where none was.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.took.checked_div(self.done)
    }

    /// How many were answered that were sent while at least `in_flight` were.
    #[must_use]
    pub fn done_at(&self, in_flight: f64) -> u32 {
        self.cells
            .iter()
            .filter(|cell| cell.in_flight() >= in_flight)
            .map(|cell| cell.done)
            .sum()
    }

    /// The most that were in flight at the sending of one that was answered.
    #[must_use]
    pub fn peak(&self) -> f64 {
        let answered = self.cells.iter().filter(|cell| cell.done > 0);
        answered.map(Cell::in_flight).fold(0.0, f64::max)
    }
}

// === impl Cell ===

impl Cell {
    /// How many were in flight, in steps of a tenth.
    #[must_use]
    pub fn in_flight(&self) -> f64 {
        (f64::from(self.bin) / 10.0).exp()
    }
}
