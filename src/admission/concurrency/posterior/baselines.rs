//! How long a request of each route takes where nothing waits.

use super::tuning::Teaching;
use crate::admission::concurrency::Cell;

/// A baseline is believed from so many answers on.
const BELIEVED: f64 = 2.0;

/// The baselines of the routes that were seen, and the mix of traffic. Grows with the number of routes only.
#[derive(Debug, Clone, Default)]
pub(super) struct Baselines {
    /// Ordered by route.
    routes: Vec<Known>,
    /// The mean baseline of the traffic, in seconds.
    mean: f64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    route: u16,
    /// Seconds on test, unloaded and at the usual speed, and the answers they belong to.
    taught: (f64, f64),
    /// Answers lately, of all loads.
    lately: f64,
}

/// What the law believed when the window began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Believed {
    /// How slow the service is.
    pub(super) slowness: f64,
    /// The lower of capacity and limit.
    pub(super) room: f64,
}

// === impl Baselines ===

impl Baselines {
    /// What was known before, each believed as much as a first lesson.
    pub(super) fn recall(known: &[(u16, f64)], teaching: &Teaching) -> Self {
        let answers = f64::from(teaching.first);
        let mut routes: Vec<_> = known
            .iter()
            .map(|(route, baseline)| Known {
                route: *route,
                taught: (baseline * answers, answers),
                lately: answers,
            })
            .collect();
        routes.sort_by_key(|known| known.route);
        routes.dedup_by_key(|known| known.route);
        let mut baselines = Self { routes, mean: 0.0 };
        baselines.forget(f64::from(teaching.mix));
        baselines
    }

    /// The baseline of a route, in seconds; `None` before it is known.
    pub(super) fn of(&self, route: u16) -> Option<f64> {
        let known = self.find(route).ok().and_then(|at| self.routes.get(at))?;
        known.baseline()
    }

    /// The mean baseline of the traffic, in seconds; 0 before anything is known.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// Whether nothing is known yet.
    pub(super) fn is_empty(&self) -> bool {
        self.mean <= 0.0
    }

    /// What is known of each route.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, f64)> {
        let routes = self.routes.iter();
        routes.filter_map(|known| Some((known.route, known.baseline()?)))
    }

    /// Learns from a window.
    pub(super) fn teach(&mut self, cells: &[Cell], believed: Believed, teaching: &Teaching) {
        let several = self.routes.len() > 1;
        for cell in cells {
            let Some(known) = self.entry(cell.route, cell.done) else {
                continue;
            };
            known.lately += f64::from(cell.done);
            let early = known.taught.1 < f64::from(teaching.first);
            let light = cell.in_flight() <= f64::from(teaching.light) * believed.room;
            if early || several && light {
                let slowness = if early { 1.0 } else { believed.slowness };
                known.learn(cell, slowness, f64::from(teaching.memory));
            }
        }
        self.forget(f64::from(teaching.mix));
    }

    /// What was `factor` times as slow is the usual from now on.
    pub(super) fn stretch(&mut self, factor: f64) {
        self.mean *= factor;
        for known in &mut self.routes {
            known.taught.0 *= factor;
        }
    }

    fn find(&self, route: u16) -> Result<usize, usize> {
        self.routes
            .binary_search_by_key(&route, |known| known.route)
    }

    /// The route's entry; a route without one gets it with its first answer.
    fn entry(&mut self, route: u16, done: u32) -> Option<&mut Known> {
        let at = match self.find(route) {
            Ok(at) => at,
            Err(_) if done == 0 => return None,
            Err(at) => {
                self.routes.insert(at, Known::new(route));
                at
            }
        };
        self.routes.get_mut(at)
    }

    /// Lets the mix fade beyond so many answers, and takes its mean.
    fn forget(&mut self, memory: f64) {
        let all: f64 = self.routes.iter().map(|known| known.lately).sum();
        let fade = if all > memory { memory / all } else { 1.0 };
        let (mut seconds, mut answers) = (0.0, 0.0);
        for known in &mut self.routes {
            known.lately *= fade;
            if let Some(baseline) = known.baseline() {
                seconds += known.lately * baseline;
                answers += known.lately;
            }
        }
        self.mean = if answers > 0.0 {
            seconds / answers
        } else {
            0.0
        };
    }
}

// === impl Known ===

impl Known {
    const fn new(route: u16) -> Self {
        Self {
            route,
            taught: (0.0, 0.0),
            lately: 0.0,
        }
    }

    fn baseline(&self) -> Option<f64> {
        let (seconds, answers) = self.taught;
        (answers >= BELIEVED && seconds > 0.0).then(|| seconds / answers)
    }

    fn learn(&mut self, cell: &Cell, slowness: f64, memory: f64) {
        let (seconds, answers) = &mut self.taught;
        *seconds += cell.on_test / slowness;
        *answers += f64::from(cell.done);
        if *answers > memory {
            *seconds *= memory / *answers;
            *answers = memory;
        }
    }
}
