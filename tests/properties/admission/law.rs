//! Whatever windows a law is shown, these hold.

use std::time::Duration;

use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::SmallRng};
use tidegate::admission::{Aimd, Bounds, Cell, Gradient2, Law, Moment, Posterior, Vegas, Window};

/// One window, in a form that shrinks.
#[derive(Debug, Clone)]
struct Seen {
    millis: u64,
    /// Route, in flight at sending, milliseconds on test, answers.
    cells: Vec<(u16, u32, u64, u32)>,
    limited: bool,
    dropped: u32,
}

const BOUNDS: Bounds = Bounds {
    min: 2.0,
    max: 500.0,
    initial: 10.0,
};
/// What a step of the grid may hide.
const TOLERANCE: f64 = 1.02;

fn seen() -> impl Strategy<Value = Seen> {
    let cell = (0..3_u16, 1..400_u32, 1..2000_u64, 0..60_u32);
    let cells = proptest::collection::vec(cell, 0..8);
    (
        20..3000_u64,
        cells,
        any::<bool>(),
        prop_oneof![Just(0), 0..200_u32],
    )
        .prop_map(|(millis, mut cells, limited, dropped)| {
            cells.sort_by_key(|cell| (cell.0, bin(cell.1)));
            cells.dedup_by_key(|cell| (cell.0, bin(cell.1)));
            Seen {
                millis,
                cells,
                limited,
                dropped,
            }
        })
}

fn bin(in_flight: u32) -> u8 {
    (f64::from(in_flight).ln() * 10.0).round() as u8
}

impl Seen {
    fn show(&self, law: &mut dyn Law, at: &mut Moment) -> f64 {
        let cells: Vec<Cell> = self
            .cells
            .iter()
            .map(|(route, in_flight, millis, done)| Cell {
                route: *route,
                bin: bin(*in_flight),
                on_test: Duration::from_millis(*millis).as_secs_f64(),
                done: *done,
            })
            .collect();
        let done: u32 = cells.iter().map(|cell| cell.done).sum();
        let sends = done + self.dropped;
        let began = *at;
        *at = at.plus(Duration::from_millis(self.millis));
        let on_test: f64 = cells.iter().map(|cell| cell.on_test).sum();
        let window = Window {
            began,
            ended: *at,
            cells: &cells,
            sends,
            limited: if self.limited { sends } else { 0 },
            done,
            dropped: self.dropped,
            took: Duration::from_secs_f64(on_test),
        };
        law.on_window(&window, &mut SmallRng::seed_from_u64(1))
            .limit
    }

    /// The same from a service that some service could be: each answer took 15 to 30 ms.
    fn plausible(mut self) -> Self {
        for (_, _, millis, done) in &mut self.cells {
            *done = (*done).max(1);
            *millis = u64::from(*done) * (15 + *millis % 16);
        }
        self
    }

    /// The same with each route under another number.
    fn renamed(&self, name: impl Fn(u16) -> u16) -> Self {
        let mut cells = self.cells.clone();
        for cell in &mut cells {
            cell.0 = name(cell.0);
        }
        cells.sort_by_key(|cell| (cell.0, cell.1));
        Self {
            cells,
            ..self.clone()
        }
    }

    /// The same with all that happened shared out between each route and a twin of it.
    fn split(&self) -> Self {
        let mut cells = Vec::new();
        for (route, in_flight, millis, done) in &self.cells {
            for twin in [0, 10] {
                cells.push((route + twin, *in_flight, *millis, *done));
            }
        }
        cells.sort_by_key(|cell| (cell.0, cell.1));
        Self {
            cells,
            ..self.clone()
        }
    }

    /// The same with twice of everything.
    fn doubled(&self) -> Self {
        let mut cells = self.cells.clone();
        for cell in &mut cells {
            cell.2 *= 2;
            cell.3 *= 2;
        }
        Self {
            cells,
            ..self.clone()
        }
    }
}

/// A law that knows how long a request takes (20 ms), and that 16 are worked on at once.
fn taught() -> (Posterior, Moment) {
    let (mut law, mut at) = (Posterior::new(BOUNDS), Moment::ZERO);
    for _ in 0..40 {
        for in_flight in [8, 12, 16, 24] {
            let waits = f64::max(1.0, f64::from(in_flight) / 16.0);
            let usual = Seen {
                millis: 60,
                cells: vec![(0, in_flight, (20.0 * 48.0 * waits) as u64, 48)],
                limited: true,
                dropped: 0,
            };
            usual.show(&mut law, &mut at);
        }
    }
    (law, at)
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a <= b * tolerance && b <= a * tolerance
}

proptest! {
    #[test]
    fn every_law_keeps_its_bounds(windows in proptest::collection::vec(seen(), 1..40)) {
        let laws: [Box<dyn Law>; 4] = [
            Box::new(Posterior::new(BOUNDS)),
            Box::new(Aimd::new(BOUNDS, Duration::from_millis(200))),
            Box::new(Vegas::new(BOUNDS)),
            Box::new(Gradient2::new(BOUNDS)),
        ];
        for mut law in laws {
            let mut at = Moment::ZERO;
            for window in &windows {
                let limit = window.show(&mut *law, &mut at);
                prop_assert!(limit.is_finite() && (BOUNDS.min..=BOUNDS.max).contains(&limit), "{limit} {law:?}");
            }
        }
    }

    #[test]
    fn a_limit_that_is_not_met_never_grows(windows in proptest::collection::vec(seen(), 1..40)) {
        let (mut law, mut at, mut before) = (Posterior::new(BOUNDS), Moment::ZERO, BOUNDS.initial);
        for window in windows {
            // Without drops: a cap of theirs grows back to the limit, which does not.
            let idle = Seen { limited: false, dropped: 0, ..window };
            let limit = idle.show(&mut law, &mut at);
            prop_assert!(limit <= before, "from {before} to {limit}");
            before = limit;
        }
    }

    #[test]
    fn nothing_moves_without_samples(windows in proptest::collection::vec(seen(), 0..20), pauses in 1..50_usize) {
        let (mut law, mut at) = (Posterior::new(BOUNDS), Moment::ZERO);
        for window in windows {
            Seen { dropped: 0, ..window }.show(&mut law, &mut at);
        }
        let pause = Seen { millis: 1000, cells: Vec::new(), limited: false, dropped: 0 };
        let before = pause.show(&mut law, &mut at);
        for _ in 0..pauses {
            prop_assert!(near(pause.show(&mut law, &mut at), before, 1.001));
        }
    }

    /// From what was seen before: whatever contradicts all of it may move the limit either way.
    #[test]
    fn answers_that_took_longer_or_more_drops_never_raise_the_limit(
        in_flight in proptest::collection::vec(1..60_u32, 1..5),
        done in 4..60_u32,
        longer in 1.0..2.0_f64,
        dropped in 0..30_u32,
        more in 0..30_u32,
        limited in any::<bool>(),
    ) {
        let (law, at) = taught();
        let show = |stretch: f64, dropped: u32| {
            let mut cells: Vec<_> = in_flight
                .iter()
                .map(|n| (0, *n, (20.0 * f64::max(1.0, f64::from(*n) / 16.0) * f64::from(done) * stretch) as u64, done))
                .collect();
            cells.sort_unstable();
            cells.dedup_by_key(|cell| bin(cell.1));
            Seen { millis: 60, cells, limited, dropped }.show(&mut law.clone(), &mut { at })
        };
        let limit = show(1.0, dropped);
        prop_assert!(show(longer, dropped) <= limit * TOLERANCE, "longer");
        prop_assert!(show(1.0, dropped + more) <= limit * TOLERANCE, "more drops");
    }

    #[test]
    fn names_of_routes_mean_nothing(windows in proptest::collection::vec(seen(), 1..30), turn in 1..3_u16) {
        let (mut one, mut other) = (Posterior::new(BOUNDS), Posterior::new(BOUNDS));
        let (mut at, mut also_at) = (Moment::ZERO, Moment::ZERO);
        for window in windows {
            let limit = window.show(&mut one, &mut at);
            let renamed = window.renamed(|route| (route + turn) % 3).show(&mut other, &mut also_at);
            prop_assert!(near(limit, renamed, TOLERANCE), "{limit} and {renamed}");
        }
    }

    /// Once both have what a baseline needs (the first answers of each route teach it, whatever their load), and of a
    /// service that could be: what contradicts itself moves the baselines of one and of two by different steps.
    #[test]
    fn a_route_and_its_twin_are_as_good_as_one(windows in proptest::collection::vec(seen(), 1..30)) {
        let (mut one, mut twins) = (Posterior::new(BOUNDS), Posterior::new(BOUNDS));
        let (mut at, mut also_at) = (Moment::ZERO, Moment::ZERO);
        let first = Seen { millis: 500, cells: (0..3).map(|route| (route, 1, 48 * 20, 48)).collect(), limited: false, dropped: 0 };
        for window in std::iter::once(first).chain(windows.into_iter().map(Seen::plausible)) {
            let limit = window.doubled().show(&mut one, &mut at);
            let split = window.split().show(&mut twins, &mut also_at);
            prop_assert!(near(limit, split, 1.05), "{limit} and {split}");
        }
    }
}
