//! From a start at ten or below the law finds the place and stays there. (From far above a small pool it does not
//! within ten seconds: its first baselines were learned behind a queue.)

use crate::sim::{contest::runs, laws::Choice, scenario::Scenario};

/// Ticks of a tenth of a second.
const SETTLED: usize = 100;
/// Looks above and below are part of a tick's mean: the median of so many ticks is without them.
const TICKS: usize = 30;

#[test]
fn from_a_low_start_the_limit_is_near_capacity_within_ten_seconds_and_stays() {
    for (workers, starts) in [(4, [1.0, 10.0]), (16, [1.0, 10.0])] {
        let rate = workers * 150;
        let text = format!("seconds = 40\nmeasure = [10, 40]\nrate = {rate}\nworkers = {workers}");
        let scenario = Scenario::parse(&text, "settles").expect("a scenario");
        let choice = |start| Choice::Adaptive(Box::default(), start);
        let choices: Vec<Choice> = starts.map(choice).into();
        for (start, tallies) in starts.iter().zip(runs(&scenario, &choices, &[1, 2], 1)) {
            for tally in tallies {
                check(
                    f64::from(workers),
                    *start,
                    tally.series.iter().map(|tick| tick.limit),
                );
            }
        }
    }
}

fn check(workers: f64, start: f64, limits: impl Iterator<Item = f64>) {
    let limits: Vec<f64> = limits.take(400).skip(SETTLED).collect();
    for (at, ticks) in limits.chunks(TICKS).enumerate() {
        let mut ticks = ticks.to_vec();
        ticks.sort_by(f64::total_cmp);
        let median = ticks[ticks.len() / 2];
        assert!(
            (0.9 * workers..=1.25 * workers).contains(&median),
            "{workers} workers from {start}: {median} after {} s",
            10 + at * TICKS / 10
        );
    }
}
