//! The work behind the backend's socket: some workers, and one line in order of arrival for all of them.
//!
//! Nobody is turned away and nobody leaves: what has come in is worked on, whether its client still waits or not.
//! The longer the line, the slower the work, up to [`SLOWEST`] times.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::Duration,
};

use rand::RngExt;
use serde::Deserialize;
use tokio::sync::oneshot;

/// The most by which a long line slows the work.
const SLOWEST: f64 = 8.0;

/// How service times are spread about their mean.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spread {
    /// Memoryless.
    Exponential,
    /// All alike.
    Fixed,
    /// Nine of ten take half the mean, one takes 5.5 means.
    Bimodal,
    /// Sigma 1.
    LogNormal,
}

/// What can be changed while it works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How many are worked on at once; more than that finish what they have begun.
    pub workers: usize,
    /// By what all service times are multiplied.
    pub scale: f64,
    /// Share answered 503 after a millisecond, without work.
    pub fail: f64,
}

/// What has been done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub arrived: u64,
    pub done: u64,
}

/// The workers and their line.
#[derive(Debug)]
pub(crate) struct Shop {
    pub rules: Cell<Rules>,
    pub counts: Cell<Counts>,
    spread: Spread,
    collapse: f64,
    busy: Cell<usize>,
    line: RefCell<VecDeque<Job>>,
}

#[derive(Debug)]
struct Job {
    mean: Duration,
    done: oneshot::Sender<()>,
}

// === impl Shop ===

impl Shop {
    /// An empty one, in which a line as long as the workers are many slows them by the share `collapse`.
    pub(crate) fn new(rules: Rules, spread: Spread, collapse: f64) -> Rc<Self> {
        Rc::new(Self {
            rules: Cell::new(rules),
            counts: Cell::default(),
            spread,
            collapse,
            busy: Cell::new(0),
            line: RefCell::default(),
        })
    }

    /// Puts a piece of work of this mean in line; the answer comes when it is done.
    pub(crate) fn enter(self: &Rc<Self>, mean: Duration) -> oneshot::Receiver<()> {
        let (done, finished) = oneshot::channel();
        let counts = self.counts.get();
        self.counts.set(Counts {
            arrived: counts.arrived + 1,
            ..counts
        });
        self.line.borrow_mut().push_back(Job { mean, done });
        self.fill();
        finished
    }

    /// How many wait, and how many are worked on.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.line.borrow().len(), self.busy.get())
    }

    /// Gives each idle worker the next in line.
    pub(crate) fn fill(self: &Rc<Self>) {
        while self.busy.get() < self.rules.get().workers {
            let Some(job) = self.line.borrow_mut().pop_front() else {
                return;
            };
            self.busy.set(self.busy.get() + 1);
            let (shop, takes) = (Rc::clone(self), self.takes(job.mean));
            tokio::task::spawn_local(async move {
                tokio::time::sleep(takes).await;
                shop.finish(job);
            });
        }
    }

    fn finish(self: &Rc<Self>, job: Job) {
        self.busy.set(self.busy.get().saturating_sub(1));
        let counts = self.counts.get();
        self.counts.set(Counts {
            done: counts.done + 1,
            ..counts
        });
        let _ = job.done.send(()); // its client may have left
        self.fill();
    }

    fn takes(&self, mean: Duration) -> Duration {
        let rules = self.rules.get();
        let waiting = self.line.borrow().len() as f64 / rules.workers.max(1) as f64;
        let crowded = (1.0 + self.collapse * waiting).min(SLOWEST);
        mean.mul_f64(self.spread.draw() * rules.scale * crowded)
    }
}

// === impl Spread ===

impl Spread {
    /// A factor with mean 1.
    fn draw(self) -> f64 {
        let mut rng = rand::rng();
        let unit: f64 = 1.0 - rng.random::<f64>(); // above 0, up to 1
        match self {
            Self::Exponential => -unit.ln(),
            Self::Fixed => 1.0,
            Self::Bimodal if unit <= 0.1 => 5.5,
            Self::Bimodal => 0.5,
            Self::LogNormal => {
                let turn = std::f64::consts::TAU * rng.random::<f64>();
                let normal = (-2.0 * unit.ln()).sqrt() * turn.cos(); // Box and Muller
                (normal - 0.5).exp()
            }
        }
    }
}
