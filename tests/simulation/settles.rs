//! From any start the law finds the place and stays there.

use crate::sim::{contest::runs, laws::Choice, scenario::Scenario};

/// What a scenario says of the service besides.
const USUAL: &str = "";
const PATIENT: &str = "collapse = 0\nslo = \"20s\"\nclient_timeout = \"60s\"";

/// Ticks of a tenth of a second.
const SETTLED: usize = 100;
/// Looks above and below are part of a tick: the median of so many ticks is without them.
const TICKS: usize = 30;

#[test]
fn from_a_low_start_the_limit_is_near_capacity_within_ten_seconds_and_stays() {
    for workers in [4, 16] {
        settles(workers, &[1.0, 10.0], USUAL, 1.25);
    }
}

/// Behind a service that a longer line does not slow down: fifty times its capacity would stop any other for longer
/// than a test looks. There a limit that is too high costs nothing but time, and may stay a little higher.
#[test]
fn from_fifty_times_capacity_the_limit_comes_down_within_ten_seconds() {
    settles(16, &[800.0], PATIENT, 1.4);
    settles(64, &[3200.0], PATIENT, 1.4);
}

/// Two hundred answers a second tell less: from far above, such a pool comes to rest a little higher at first.
#[test]
fn a_small_pool_comes_down_from_ten_times_its_capacity() {
    settles(4, &[40.0], PATIENT, 1.5);
}

#[test]
fn a_limit_stays_for_ten_thousand_seconds() {
    let text = "seconds = 10000\nmeasure = [10, 10000]\nrate = 60\nworkers = 8\nroutes = [{ mean = \"200ms\" }]\nslo = \"2s\"\nclient_timeout = \"10s\"";
    let scenario = Scenario::parse(text, "stays").expect("a scenario");
    let choice = Choice::Adaptive(Box::default(), 10.0);
    for tally in &runs(&scenario, &[choice], &[1], 1)[0] {
        let limits: Vec<f64> = tally.series.iter().map(|tick| tick.limit).collect();
        assert!(limits.len() >= 100_000, "{} ticks", limits.len());
        for (at, ticks) in limits.chunks(1000).enumerate().skip(1) {
            let median = median(ticks);
            assert!(
                (0.9 * 8.0..=1.25 * 8.0).contains(&median),
                "{median} after {} s",
                at * 100
            );
        }
    }
}

fn settles(workers: u32, starts: &[f64], service: &str, most: f64) {
    let rate = workers * 150;
    let text =
        format!("seconds = 40\nmeasure = [10, 40]\nrate = {rate}\nworkers = {workers}\n{service}");
    let scenario = Scenario::parse(&text, "settles").expect("a scenario");
    let choices = starts
        .iter()
        .map(|start| Choice::Adaptive(Box::default(), *start));
    let choices: Vec<Choice> = choices.collect();
    let range = 0.9 * f64::from(workers)..=most * f64::from(workers);
    for (start, tallies) in starts.iter().zip(runs(&scenario, &choices, &[1, 2], 1)) {
        for tally in tallies {
            let limits: Vec<f64> = tally.series.iter().map(|tick| tick.limit).collect();
            for (at, ticks) in limits[SETTLED..].chunks(TICKS).enumerate() {
                let median = median(ticks);
                assert!(
                    range.contains(&median),
                    "{workers} workers from {start}: {median} after {} s",
                    10 + at * TICKS / 10
                );
            }
        }
    }
}

fn median(ticks: &[f64]) -> f64 {
    let mut ticks = ticks.to_vec();
    ticks.sort_by(f64::total_cmp);
    ticks[ticks.len() / 2]
}
