use rand::{SeedableRng as _, rngs::SmallRng};

use super::*;
use crate::admission::{
    concurrency::{Cell, Law as _, Window},
    moment::Moment,
};

const BOUNDS: Bounds = Bounds {
    min: 1.0,
    max: 4096.0,
    initial: 10.0,
};
const WORKERS: f64 = 40.0;
const SERVICE: f64 = 0.02;

/// Windows of a second of an endpoint with [`WORKERS`] workers and one queue, kept at its limit.
fn taught(law: &mut Posterior, windows: u64) {
    let mut dice = SmallRng::seed_from_u64(1);
    for second in 0..windows {
        let limit = law.start().limit;
        let cells = [0.8, 1.0, 1.6].map(|at| cell(limit * at));
        let done: u32 = cells.iter().map(|cell| cell.done).sum();
        let window = Window {
            began: Moment::after_start(Duration::from_secs(second)),
            ended: Moment::after_start(Duration::from_secs(second + 1)),
            cells: &cells,
            sends: done,
            limited: done,
            done,
            dropped: 0,
            took: Duration::ZERO,
        };
        law.on_window(&window, &mut dice);
    }
}

fn cell(in_flight: f64) -> Cell {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a hundred or so"
    )]
    let (bin, done) = ((10.0 * in_flight.ln()).round() as u8, 100);
    Cell {
        route: 3,
        bin,
        on_test: f64::from(done) * SERVICE * (in_flight / WORKERS).max(1.0),
        done,
    }
}

fn learned() -> Posterior {
    let mut law = Posterior::new(BOUNDS);
    taught(&mut law, 60);
    law
}

fn recalled(law: &Posterior, bounds: Bounds, ago: Duration) -> Posterior {
    let belief = law.to_belief().unwrap();
    Posterior::recall(bounds, law.start().limit, &belief, ago)
}

#[test]
fn a_law_that_has_seen_nothing_has_nothing_to_write_down() {
    assert_eq!(Posterior::new(BOUNDS).to_belief(), None);
}

#[test]
fn a_recalled_law_begins_at_the_limit_it_had_and_not_at_the_initial_one() {
    let law = learned();
    let limit = law.start().limit;
    assert!((30.0..60.0).contains(&limit), "{limit}");
    let again = recalled(&law, BOUNDS, Duration::from_secs(5));
    assert_eq!(again.start().limit.to_bits(), limit.to_bits());
}

#[test]
fn bounds_clamp_what_is_recalled() {
    let law = learned();
    let at = |min, max| {
        let bounds = Bounds {
            min,
            max,
            initial: min,
        };
        recalled(&law, bounds, Duration::ZERO).start().limit
    };
    assert!((at(1.0, 20.0) - 20.0).abs() < f64::EPSILON);
    assert!((at(100.0, 200.0) - 100.0).abs() < f64::EPSILON);
}

#[test]
fn the_longer_ago_the_wider_is_the_belief_and_never_wider_than_a_start() {
    let law = learned();
    let spread = |ago| {
        let again = recalled(&law, BOUNDS, Duration::from_secs(ago));
        again.to_belief().unwrap().ln_capacity.1
    };
    let before = law.to_belief().unwrap().ln_capacity.1;
    let start = {
        let grid = &Posterior::new(BOUNDS).grid;
        let capacities = grid.capacities();
        super::spread(&capacities, ln_capacities(), ln_capacity(&capacities))
    };
    let widths = [0, 60, 600, 3600].map(spread);
    assert!(before < widths[0], "{before} {widths:?}");
    assert!(widths.is_sorted(), "{widths:?}");
    assert!(widths[3] < 1.3 * start, "{widths:?} {start}");
}

#[test]
fn what_is_written_down_survives_being_recalled() {
    let belief = learned().to_belief().unwrap();
    let again = recalled(&learned(), BOUNDS, Duration::ZERO)
        .to_belief()
        .unwrap();
    assert!(
        (belief.ln_capacity.0 - again.ln_capacity.0).abs() < 0.15,
        "{belief:?} {again:?}"
    );
    assert!((belief.ln_slowness.0 - again.ln_slowness.0).abs() < 0.15);
    assert_eq!(again.baselines.len(), 1);
    let [(route, seconds)] = again.baselines[..] else {
        panic!("one route")
    };
    assert_eq!(route, 3);
    assert!((seconds - belief.baselines[0].1).abs() < 1e-9);
}

#[test]
fn a_recalled_law_stays_near_its_limit_as_it_learns_on() {
    let law = learned();
    let mut again = recalled(&law, BOUNDS, Duration::from_secs(60));
    taught(&mut again, 10);
    let (before, after) = (law.start().limit, again.start().limit);
    assert!(
        (0.75 * before..1.4 * before).contains(&after),
        "{before} became {after}"
    );
}
