//! The BBR-like law of aegis and kratos without its CPU gate: only for comparison.

use std::{collections::VecDeque, time::Duration};

use rand::rngs::SmallRng;
use tidegate::admission::{Because, Bounds, Law, Verdict, Window, WindowEnd};

const BUCKET: f64 = 0.1;
const BUCKETS: u64 = 100;
const INITIAL: f64 = 100.0;

/// Each end by itself.
pub(crate) const EACH: WindowEnd = WindowEnd {
    ends: 1,
    at_least: Duration::ZERO,
    few: 1,
    at_most: Duration::ZERO,
};

/// The most answers of a tenth of a second, times the least mean time of one, over the last ten seconds.
#[derive(Debug)]
pub(crate) struct Bbr {
    limit: f64,
    buckets: VecDeque<Bucket>,
    current: Bucket,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    number: u64,
    answers: f64,
    seconds: f64,
}

// === impl Bbr ===

impl Bbr {
    pub(crate) fn new() -> Self {
        Self {
            limit: INITIAL,
            buckets: VecDeque::new(),
            current: Bucket::default(),
        }
    }

    fn turn(&mut self, number: u64) {
        self.buckets.push_back(self.current);
        self.current = Bucket {
            number,
            ..Bucket::default()
        };
        while self
            .buckets
            .front()
            .is_some_and(|b| b.number + BUCKETS < number)
        {
            self.buckets.pop_front();
        }
        let seen = || self.buckets.iter().filter(|bucket| bucket.answers > 0.0);
        let most = seen().map(|bucket| bucket.answers).fold(0.0, f64::max);
        let least = seen()
            .map(|bucket| bucket.seconds / bucket.answers)
            .fold(1.0, f64::min);
        self.limit = (most / BUCKET * least).round().max(1.0);
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

impl Law for Bbr {
    fn start(&self) -> Verdict {
        self.verdict()
    }

    fn on_window(&mut self, window: &Window<'_>, _rng: &mut SmallRng) -> Verdict {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of tenths of seconds"
        )]
        let number = (window.ended.as_secs_f64() / BUCKET) as u64;
        if number != self.current.number {
            self.turn(number);
        }
        self.current.answers += f64::from(window.done);
        self.current.seconds += window.took.as_secs_f64();
        self.verdict()
    }

    fn rebound(&mut self, _bounds: Bounds) -> Verdict {
        self.verdict()
    }
}
