//! Envoy's gradient, from its documentation: only for comparison.

use std::time::Duration;

use rand::{RngExt as _, rngs::SmallRng};
use tidegate::admission::{Because, Bounds, Law, Moment, Verdict, Window};

use super::bbr::EACH;

const PERCENTILE: f64 = 0.9;
const LEAST: f64 = 3.0;
const MOST: f64 = 1000.0;
const INTERVAL: Duration = Duration::from_millis(100);
const ANEW: Duration = Duration::from_secs(60);
const JITTER: f64 = 0.15;
const COUNT: usize = 50;
const BUFFER: f64 = 0.25;
/// So often at the least limit, and the ideal is measured anew.
const STUCK: u32 = 5;

/// `limit × ideal × (1 + buffer) / sampled + sqrt`, each 100 ms; each minute the limit is pinned to 3 until 50 answers
/// say what the ideal is.
#[derive(Debug)]
pub(crate) struct Envoy {
    limit: f64,
    /// What holds again after the ideal was measured.
    kept: f64,
    measuring: bool,
    samples: Vec<f64>,
    ideal: f64,
    /// Answers to what was sent before say nothing.
    since: Moment,
    next: Moment,
    anew: Moment,
    stuck: u32,
    jitter: f64,
}

// === impl Envoy ===

impl Envoy {
    pub(crate) const fn new(jitter: f64) -> Self {
        Self {
            limit: LEAST,
            kept: LEAST,
            measuring: true,
            samples: Vec::new(),
            ideal: 0.0,
            since: Moment::ZERO,
            next: Moment::ZERO,
            anew: Moment::ZERO,
            stuck: 0,
            jitter,
        }
    }

    fn measure(&mut self, now: Moment) {
        self.measuring = true;
        self.kept = self.limit;
        self.limit = LEAST;
        self.samples.clear();
        self.since = now;
        self.stuck = 0;
    }

    fn sampled(&mut self) -> f64 {
        self.samples.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (PERCENTILE * self.samples.len() as f64) as usize;
        let value = self.samples[rank.min(self.samples.len() - 1)];
        self.samples.clear();
        value
    }

    fn answered(&mut self, now: Moment, took: f64) {
        self.samples.push(took);
        if self.measuring {
            if self.samples.len() >= COUNT {
                self.ideal = self.sampled();
                self.measuring = false;
                self.limit = self.kept;
                self.anew = now.plus(ANEW.mul_f64(1.0 + JITTER * self.jitter));
                self.next = now.plus(INTERVAL);
            }
        } else if now >= self.anew {
            self.measure(now);
        } else if now >= self.next {
            self.step(now);
        }
    }

    fn step(&mut self, now: Moment) {
        let gradient = (self.ideal * (1.0 + BUFFER) / self.sampled()).clamp(0.5, 2.0);
        let wanted = self.limit * gradient;
        let limit = (wanted + wanted.sqrt()).floor().clamp(LEAST, MOST);
        let at_least = (limit - LEAST).abs() < 0.5;
        self.stuck = if at_least && (self.limit - LEAST).abs() < 0.5 {
            self.stuck + 1
        } else {
            0
        };
        self.limit = limit;
        self.next = now.plus(INTERVAL);
        if self.stuck >= STUCK {
            self.measure(now);
        }
    }

    const fn verdict(&self) -> Verdict {
        Verdict {
            limit: self.limit,
            window: EACH,
            probe: None,
            because: Because::Steady,
        }
    }
}

impl Law for Envoy {
    fn start(&self) -> Verdict {
        self.verdict()
    }

    fn on_window(&mut self, window: &Window<'_>, rng: &mut SmallRng) -> Verdict {
        self.jitter = rng.random();
        // An answer counts only if it was sent since; the window of one end holds one time.
        let sent = window.ended.since(Moment::ZERO).saturating_sub(window.took);
        if window.done > 0 && sent >= self.since.since(Moment::ZERO) {
            let mean = window.mean().unwrap_or_default().as_secs_f64();
            self.answered(window.ended, mean.max(1e-6));
        }
        self.verdict()
    }

    fn rebound(&mut self, _bounds: Bounds) -> Verdict {
        self.verdict()
    }
}
