//! The laws that are compared, by word, and the part of ours that can be left out.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tidegate::admission::{
    Aimd, Because, Bounds, Gradient2, Law, Posterior, Tuning, Vegas, Verdict, Window, WindowEnd,
};

use super::{bbr::Bbr, envoy::Envoy};

/// What stands for a limit in a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    Fixed(f64),
    /// Ours, with these numbers, from this limit.
    Adaptive(Box<Tuning>, f64),
    /// Ours without the time on test of requests still open.
    AdaptiveBlind,
    Aimd,
    Vegas,
    Gradient2,
    Envoy,
    Bbr,
}

/// Bounds of a limit that nobody configured.
pub(crate) const BOUNDS: Bounds = Bounds {
    min: 1.0,
    max: 4096.0,
    initial: 10.0,
};

/// Parts that `--without` knows.
pub(crate) const PARTS: [&str; 20] = [
    "probes",
    "discipline",
    "queue",
    "open",
    "temper",
    "drops",
    "quantile",
    "warm",
    "idle",
    "growth-bound",
    "met",
    "jumps",
    "drift",
    "slowness",
    "light",
    "fold",
    "search",
    "deep",
    "pace",
    "rest",
];

// === impl Choice ===

impl Choice {
    /// Sets a number of ours by name, as `NAME=VALUE`; `None` where there is none of that name.
    pub(crate) fn set(&mut self, pair: &str) -> Option<()> {
        let (name, value) = pair.split_once('=')?;
        match self {
            Self::Adaptive(_, start) if name == "start" => *start = value.parse().ok()?,
            Self::Adaptive(tuning, _) => return set(tuning, name, value.parse().ok()?),
            _ => {}
        }
        Some(())
    }

    /// By the word on the command line; `without` leaves a part of `adaptive` out.
    pub(crate) fn named(word: &str, without: Option<&str>) -> Option<Self> {
        Some(match word {
            "adaptive" if without == Some("open") => Self::AdaptiveBlind,
            "adaptive" => Self::Adaptive(Box::new(tuning(without)?), BOUNDS.initial),
            "aimd" => Self::Aimd,
            "vegas" => Self::Vegas,
            "gradient2" => Self::Gradient2,
            "envoy" => Self::Envoy,
            "bbr" => Self::Bbr,
            _ => return None,
        })
    }

    /// A new law; `slo` is when an answer is late.
    pub(crate) fn build(&self, slo: f64, seed: u64) -> Box<dyn Law> {
        let bounds = |min, initial, max| Bounds { min, max, initial };
        match self {
            Self::Fixed(limit) => Box::new(Fixed(*limit)),
            Self::Adaptive(tuning, initial) => {
                let bounds = bounds(BOUNDS.min, *initial, BOUNDS.max);
                Box::new(Posterior::with((**tuning).clone(), bounds))
            }
            Self::AdaptiveBlind => Box::new(Blind(Posterior::new(BOUNDS))),
            Self::Aimd => Box::new(Aimd::new(
                bounds(1.0, 20.0, 1000.0),
                Duration::from_secs_f64(slo),
            )),
            Self::Vegas => Box::new(Vegas::new(bounds(1.0, 20.0, 1000.0))),
            Self::Gradient2 => Box::new(Gradient2::new(bounds(20.0, 20.0, 200.0))),
            Self::Envoy => Box::new(Envoy::new(SmallRng::seed_from_u64(seed).random())),
            Self::Bbr => Box::new(Bbr::new()),
        }
    }
}

/// Sets a number of the law by name; `None` where there is none of that name.
fn set(tuning: &mut Tuning, name: &str, value: f64) -> Option<()> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "some numbers of the law are f32"
    )]
    let short = value as f32;
    let looks = tuning.looks.as_mut();
    match name {
        "temper" => tuning.temper = short,
        "capacity_jump" => tuning.capacity_jump.0 = short,
        "capacity_jump_far" => tuning.capacity_jump.1 = short,
        "capacity_drift" => tuning.capacity_drift = short,
        "slowness_jump" => tuning.slowness_jump.0 = short,
        "slowness_jump_far" => tuning.slowness_jump.1 = short,
        "slowness_drift" => tuning.slowness_drift = short,
        "discipline_flip" => tuning.discipline_flip = short,
        "capacity_spread" => tuning.capacity_spread = short,
        "slowness_spread" => tuning.slowness_spread = short,
        "quantile" => tuning.quantile = short,
        "idle_quantile" => tuning.idle_quantile = short,
        "pace" => tuning.pace = Duration::from_secs_f64(value),
        "grow" => tuning.grow = value,
        "grow_from" => tuning.grow_from = value,
        "near" => tuning.near = value,
        "used_from" => tuning.used_from = value,
        "ends" => tuning.ends = value as u32,
        "warm_ends" => tuning.warm_ends = value as u32,
        "warm_for" => tuning.warm_for = value as u64,
        "light" => tuning.teaching.light = short,
        "first" => tuning.teaching.first = short,
        "up" => looks?.up = value,
        "down" => looks?.down = value,
        "deep_below" => looks?.deep.as_mut()?.below = value,
        "deep_least" => looks?.deep.as_mut()?.least = value,
        "up_n" => looks?.up_sends.0 = value,
        "up_each" => looks?.up_sends.1 = value,
        "down_n" => looks?.down_sends.0 = value,
        "down_each" => looks?.down_sends.1 = value,
        "every" => looks?.every = Duration::from_secs_f64(value),
        "rest" => looks?.rest = value as u32,
        "at_first" => looks?.at_first.1 = value as u64,
        "again" => looks?.again = Duration::from_secs_f64(value),
        "room" => looks?.room = short,
        "likely" => looks?.likely = short,
        _ => return None,
    }
    Some(())
}

fn tuning(without: Option<&str>) -> Option<Tuning> {
    let mut tuning = Tuning::default();
    let Some(part) = without else {
        return Some(tuning);
    };
    match part {
        "probes" => tuning.looks = None,
        "discipline" => tuning.shared_at_first = 0.0,
        "queue" => tuning.shared_at_first = 1.0,
        "temper" => tuning.temper = 1.0,
        "drops" => tuning.drops = None,
        "quantile" => tuning.quantile = 0.5,
        "warm" => tuning.warm_for = 0,
        "idle" => tuning.idle_quantile = tuning.quantile,
        "growth-bound" => tuning.grow = f64::INFINITY,
        "met" => tuning.grow_from = 0.0,
        "jumps" => tuning.capacity_jump.0 = 0.0,
        "drift" => tuning.capacity_drift = 0.0,
        "slowness" => (tuning.slowness_jump.0, tuning.slowness_drift) = (0.0, 0.0),
        "light" => tuning.teaching.light = 0.0,
        "pace" => tuning.pace = Duration::MAX,
        "rest" => tuning.looks.iter_mut().for_each(|looks| looks.rest = 0),
        "fold" => tuning.fold = false,
        "deep" => tuning.looks.iter_mut().for_each(|looks| looks.deep = None),
        "search" => tuning
            .looks
            .iter_mut()
            .for_each(|looks| looks.again = looks.every),
        _ => return None,
    }
    Some(tuning)
}

/// Always the same.
#[derive(Debug)]
struct Fixed(f64);

impl Law for Fixed {
    fn start(&self) -> Verdict {
        Verdict {
            limit: self.0,
            window: WindowEnd {
                ends: u32::MAX,
                at_least: Duration::MAX,
                few: u32::MAX,
                at_most: Duration::MAX,
            },
            probe: None,
            because: Because::Steady,
        }
    }

    fn on_window(&mut self, _window: &Window<'_>, _rng: &mut SmallRng) -> Verdict {
        self.start()
    }

    fn rebound(&mut self, _bounds: Bounds) -> Verdict {
        self.start()
    }
}

/// Shows only as much time on test as those took that were answered.
#[derive(Debug)]
struct Blind(Posterior);

impl Law for Blind {
    fn start(&self) -> Verdict {
        self.0.start()
    }

    fn on_window(&mut self, window: &Window<'_>, rng: &mut SmallRng) -> Verdict {
        let on_test: f64 = window.cells.iter().map(|cell| cell.on_test).sum();
        let share = window.took.as_secs_f64() / on_test.max(f64::MIN_POSITIVE);
        let mut cells = window.cells.to_vec();
        for cell in &mut cells {
            cell.on_test *= share;
        }
        let blind = Window {
            cells: &cells,
            ..*window
        };
        self.0.on_window(&blind, rng)
    }

    fn rebound(&mut self, bounds: Bounds) -> Verdict {
        self.0.rebound(bounds)
    }
}
