use std::num::NonZeroU32;

use super::*;
use crate::names::EjectionCause;

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn plan() -> EjectionPlan {
    EjectionPlan {
        consecutive_failures: count(5),
        consecutive_local_failures: count(5),
        interval: ms(10_000),
        success_rate: Some(SuccessRatePlan {
            minimum_requests: count(100),
            margin: 0.3,
        }),
        latency: Some(LatencyPlan {
            minimum_requests: count(50),
            factor: 3.0,
            margin: ms(10),
        }),
        base_time: ms(30_000),
        max_time: ms(300_000),
    }
}

/// Who stands out among endpoints with so many successes and failures.
fn by_failures(seen: &[(u32, u32)]) -> Vec<usize> {
    let seen: Vec<_> = seen
        .iter()
        .map(|(successes, failures)| Some(Seen::of(*successes, *failures, &[])))
        .collect();
    let found = outliers(&seen, &plan());
    found.into_iter().map(|(index, _)| index).collect()
}

/// Who stands out among endpoints that gave so many answers, each after so many milliseconds.
fn by_latency(seen: &[(u32, u64)]) -> Vec<usize> {
    let seen: Vec<_> = seen
        .iter()
        .map(|(answers, took)| Some(Seen::of(*answers, 0, &[(ms(*took), *answers)])))
        .collect();
    let found = outliers(&seen, &plan());
    found.into_iter().map(|(index, _)| index).collect()
}

#[test]
fn one_that_fails_far_more_than_the_others_stands_out_from_two_endpoints_on() {
    let well = (99, 1);
    let bad = (50, 50);
    let none: [usize; 0] = [];
    assert_eq!(by_failures(&[bad]), none, "nobody to compare with");
    assert_eq!(by_failures(&[well, bad]), [1]);
    assert_eq!(by_failures(&[bad, well, well]), [0]);
    assert_eq!(by_failures(&[well, well, bad, well]), [2]);
    assert_eq!(by_failures(&[well, well, well, well, bad]), [4]);
    assert_eq!(by_failures(&[(30, 70), well, (10, 90), well, well]), [2, 0]);
}

#[test]
fn what_fails_everywhere_stands_out_nowhere() {
    let none: [usize; 0] = [];
    assert_eq!(by_failures(&[(0, 500), (0, 500)]), none);
    assert_eq!(by_failures(&[(0, 500), (10, 490), (30, 400)]), none);
    assert_eq!(by_failures(&[(250, 250), (300, 200), (200, 300)]), none);
}

#[test]
fn a_difference_within_the_margin_is_chance() {
    let none: [usize; 0] = [];
    assert_eq!(by_failures(&[(71, 29), (100, 0)]), none);
    assert_eq!(by_failures(&[(70, 30), (100, 0)]), [0]);
    assert_eq!(by_failures(&[(55, 45), (85, 15)]), [0], "45 % against 15 %");
}

#[test]
fn few_requests_on_either_side_prove_nothing() {
    let none: [usize; 0] = [];
    assert_eq!(by_failures(&[(0, 99), (1000, 0)]), none);
    assert_eq!(by_failures(&[(0, 1000), (99, 0)]), none);
    assert_eq!(by_failures(&[(0, 1000), (60, 0), (60, 0)]), [0], "pooled");
}

#[test]
fn one_that_is_far_slower_than_the_others_stands_out_from_two_endpoints_on() {
    let none: [usize; 0] = [];
    assert_eq!(by_latency(&[(500, 200)]), none, "nobody to compare with");
    assert_eq!(by_latency(&[(500, 20), (60, 200)]), [1]);
    assert_eq!(by_latency(&[(60, 200), (500, 20), (500, 20)]), [0]);
    assert_eq!(
        by_latency(&[(60, 200), (60, 400), (500, 20)]),
        none,
        "two of three"
    );
    let two_of_five = [(60, 200), (500, 20), (60, 400), (500, 20), (500, 20)];
    assert_eq!(by_latency(&two_of_five), [2, 0], "the slowest first");
}

#[test]
fn all_that_are_slow_alike_stay() {
    let none: [usize; 0] = [];
    assert_eq!(by_latency(&[(500, 2000), (500, 2200), (500, 1900)]), none);
    assert_eq!(
        by_latency(&[(500, 20), (500, 50)]),
        none,
        "below the factor"
    );
    assert_eq!(by_latency(&[(500, 1), (500, 9)]), none, "below the margin");
}

#[test]
fn too_few_answers_or_too_few_peers_with_enough_prove_nothing() {
    let none: [usize; 0] = [];
    assert_eq!(by_latency(&[(49, 200), (500, 20)]), none);
    assert_eq!(by_latency(&[(60, 200), (49, 20)]), none);
    assert_eq!(
        by_latency(&[(60, 200), (60, 20), (9, 20), (9, 20)]),
        none,
        "one of three"
    );
    assert_eq!(
        by_latency(&[(60, 200), (60, 20), (60, 20), (9, 20)]),
        [0],
        "two of three"
    );
}

#[test]
fn one_that_is_not_compared_neither_stands_out_nor_counts_among_the_others() {
    let bad = Seen::of(0, 500, &[]);
    let well = Seen::of(500, 0, &[]);
    assert_eq!(outliers(&[Some(bad.clone()), None, None], &plan()), []);
    assert_eq!(
        outliers(&[None, Some(well.clone()), Some(well)], &plan()),
        []
    );
    assert_eq!(outliers(&[Some(bad), None], &plan()), []);
}

#[test]
fn failures_come_before_slowness_and_nothing_is_compared_that_is_off() {
    let slow = Seen::of(200, 0, &[(ms(900), 200)]);
    let failing = Seen::of(50, 150, &[(ms(20), 50)]);
    let well = Seen::of(300, 0, &[(ms(20), 300)]);
    let all = [Some(slow), Some(well.clone()), Some(failing), Some(well)];
    let causes = |plan: &EjectionPlan| -> Vec<_> {
        let found = outliers(&all, plan);
        found.iter().map(|(at, why)| (*at, why.cause())).collect()
    };
    assert_eq!(
        causes(&plan()),
        [(2, EjectionCause::SuccessRate), (0, EjectionCause::Latency)]
    );
    let off = EjectionPlan {
        success_rate: None,
        latency: None,
        ..plan()
    };
    assert_eq!(causes(&off), []);
}
