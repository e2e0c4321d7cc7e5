use std::{cmp::Reverse, collections::BinaryHeap};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::time::Instant;

use super::*;

struct Views(Vec<EndpointView>);

impl Candidates for Views {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        self.0[index]
    }
}

const ALL: [BalancePolicy; 4] = [
    BalancePolicy::RoundRobin,
    BalancePolicy::LeastRequest,
    BalancePolicy::PeakEwma,
    BalancePolicy::Random,
];

fn view(weight: f32, in_flight: u32) -> EndpointView {
    EndpointView {
        can_serve: true,
        weight,
        in_flight,
        limit: None,
        latency: None,
        peak: None,
    }
}

fn limited(in_flight: u32, limit: u32) -> EndpointView {
    EndpointView {
        limit: Some(limit),
        ..view(1.0, in_flight)
    }
}

fn taking(millis: u64, in_flight: u32) -> EndpointView {
    EndpointView {
        latency: Some(Duration::from_millis(millis)),
        peak: Some(Duration::from_millis(millis)),
        ..view(1.0, in_flight)
    }
}

fn views(weights: &[f32]) -> Views {
    Views(weights.iter().map(|weight| view(*weight, 0)).collect())
}

fn down(mut views: Views, index: usize) -> Views {
    views.0[index].can_serve = false;
    views
}

fn picks(policy: BalancePolicy, views: &Views, picks: usize) -> Vec<usize> {
    let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(11));
    let mut next = || pick(policy, &turn, views, &mut rng).unwrap();
    (0..picks).map(|_| next()).collect()
}

fn tally(policy: BalancePolicy, views: &Views, total: usize) -> Vec<usize> {
    let mut tally = vec![0; views.len()];
    for index in picks(policy, views, total) {
        tally[index] += 1;
    }
    tally
}

#[test]
fn equal_weights_are_served_in_strict_rotation() {
    let picks = picks(BalancePolicy::RoundRobin, &views(&[2.0; 3]), 7);
    assert_eq!(picks, [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn what_is_out_spreads_its_turns_over_all_others() {
    let views = down(views(&[1.0; 4]), 1);
    assert_eq!(
        tally(BalancePolicy::RoundRobin, &views, 300),
        [100, 0, 100, 100]
    );
}

#[test]
fn a_rotation_gives_weights_their_exact_shares() {
    let views = views(&[4.0, 2.0, 1.0, 1.0]);
    assert_eq!(
        tally(BalancePolicy::RoundRobin, &views, 800),
        [400, 200, 100, 100]
    );
}

#[test]
fn a_rotation_interleaves_the_light_with_the_heavy() {
    let picks = picks(BalancePolicy::RoundRobin, &views(&[3.0, 1.0]), 40);
    let runs: Vec<usize> = picks
        .split(|index| *index == 1)
        .map(<[usize]>::len)
        .collect();
    let inner = &runs[1..runs.len() - 1];
    assert!(inner.iter().all(|run| *run == 3), "{runs:?}");
}

#[test]
fn a_thousandth_gets_its_thousandth() {
    let tally = tally(BalancePolicy::RoundRobin, &views(&[1000.0, 1.0]), 10_010);
    assert!((9..=11).contains(&tally[1]), "{tally:?}");
}

#[test]
fn a_rotation_follows_when_the_heaviest_goes_and_comes() {
    let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(3));
    let both = views(&[500.0, 1.0, 1.0]);
    let light = down(views(&[500.0, 1.0, 1.0]), 0);
    for _ in 0..10 {
        pick(BalancePolicy::RoundRobin, &turn, &both, &mut rng);
    }
    let mut tally = [0_u32; 3];
    for _ in 0..400 {
        tally[pick(BalancePolicy::RoundRobin, &turn, &light, &mut rng).unwrap()] += 1;
    }
    assert_eq!(tally[0], 0);
    assert!(tally[1].abs_diff(tally[2]) <= 4, "{tally:?}");
}

#[test]
fn the_only_one_that_can_serve_is_found_among_many() {
    let mut candidates = views(&[1.0; 1000]);
    for (index, view) in candidates.0.iter_mut().enumerate() {
        view.can_serve = index == 777;
    }
    for policy in ALL {
        assert!(
            picks(policy, &candidates, 50)
                .iter()
                .all(|index| *index == 777),
            "{policy:?}"
        );
    }
}

#[test]
fn none_is_picked_where_none_can_serve() {
    let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(5));
    for policy in ALL {
        assert_eq!(pick(policy, &turn, &views(&[]), &mut rng), None);
        assert_eq!(pick(policy, &turn, &down(views(&[1.0]), 0), &mut rng), None);
    }
}

#[test]
fn of_two_the_less_busy_is_picked() {
    let views = Views(vec![view(1.0, 7), view(1.0, 6)]);
    assert_eq!(tally(BalancePolicy::LeastRequest, &views, 50), [0, 50]);
}

#[test]
fn busy_is_measured_against_weight() {
    let views = Views(vec![view(1.0, 6), view(4.0, 20)]);
    assert_eq!(tally(BalancePolicy::LeastRequest, &views, 50), [0, 50]);
}

#[test]
fn the_busiest_of_all_is_never_picked_while_another_is_drawn_with_it() {
    let views = Views(vec![view(1.0, 0), view(1.0, 9), view(1.0, 0), view(1.0, 0)]);
    assert_eq!(tally(BalancePolicy::LeastRequest, &views, 500)[1], 0);
}

#[test]
fn idle_endpoints_are_drawn_by_weight_under_least_request_too() {
    let tally = tally(BalancePolicy::LeastRequest, &views(&[3.0, 1.0]), 4000);
    assert!((2900..=3100).contains(&tally[0]), "{tally:?}");
}

#[test]
fn a_weight_that_is_no_number_or_none_breaks_nothing() {
    for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        for policy in ALL {
            assert_eq!(
                picks(policy, &views(&[weight, 1.0]), 40).len(),
                40,
                "{policy:?} {weight}"
            );
        }
    }
}

#[test]
fn panic_begins_below_the_threshold() {
    assert!(in_panic(1, 4, 0.5));
    assert!(!in_panic(2, 4, 0.5));
    assert!(in_panic(0, 4, 0.5));
    assert!(!in_panic(0, 4, 0.0));
    assert!(!in_panic(0, 0, 0.5));
}

/// Which of two is always picked; `None` where both are.
fn always(policy: BalancePolicy, left: EndpointView, right: EndpointView) -> Option<usize> {
    let tally = tally(policy, &Views(vec![left, right]), 60);
    tally.iter().position(|count| *count == 60)
}

#[test]
fn with_limits_busy_is_a_share_of_the_limit() {
    let table = [
        ((9, 10), (9, 100), Some(1)),
        ((1, 10), (50, 100), Some(0)),
        ((4, 10), (4, 10), None),
        ((3, 4), (9, 16), Some(1)),
        ((0, 0), (15, 16), Some(1)),
    ];
    for (left, right, expected) in table {
        let found = always(
            BalancePolicy::LeastRequest,
            limited(left.0, left.1),
            limited(right.0, right.1),
        );
        assert_eq!(found, expected, "{left:?} against {right:?}");
    }
}

#[test]
fn a_hot_one_is_passed_over_by_every_policy_while_a_cold_one_exists() {
    let mut views = Views(vec![limited(8, 8); 100]);
    views.0[63] = EndpointView {
        weight: 0.01,
        ..limited(7, 8)
    };
    for policy in ALL {
        let tally = tally(policy, &views, 100);
        assert_eq!(tally[63], 100, "{policy:?}");
    }
}

#[test]
fn where_all_are_hot_one_is_still_picked() {
    let views = Views(vec![limited(8, 8), limited(9, 8)]);
    for policy in ALL {
        assert_eq!(picks(policy, &views, 20).len(), 20, "{policy:?}");
    }
}

#[test]
fn times_decide_least_request_only_where_they_are_far_apart() {
    let table = [
        (taking(20, 0), taking(70, 0), None),
        (taking(20, 0), taking(80, 0), Some(0)),
        (taking(20, 2), taking(70, 0), Some(1)),
        (taking(20, 5), taking(1_000, 0), Some(0)),
        (taking(20, 60), taking(1_000, 0), Some(1)),
        (taking(1, 0), taking(9, 0), None),
        (taking(20, 0), view(1.0, 0), None),
    ];
    for (left, right, expected) in table {
        let found = always(BalancePolicy::LeastRequest, left, right);
        assert_eq!(found, expected, "{left:?} against {right:?}");
    }
}

#[test]
fn peak_ewma_goes_where_the_answer_is_likely_to_come_first() {
    let heavy = EndpointView {
        weight: 4.0,
        ..taking(20, 8)
    };
    let table = [
        (taking(20, 0), taking(21, 0), Some(0)),
        (taking(20, 1), taking(30, 0), Some(1)),
        (taking(20, 2), taking(61, 0), Some(0)),
        (taking(20, 3), taking(20, 3), None),
        (taking(20, 4), heavy, Some(1)),
        (taking(20, 7), view(1.0, 6), Some(1)),
    ];
    for (left, right, expected) in table {
        let found = always(BalancePolicy::PeakEwma, left, right);
        assert_eq!(found, expected, "{left:?} against {right:?}");
    }
}

#[test]
fn idle_endpoints_that_take_alike_are_drawn_by_weight_under_peak_ewma_too() {
    let weighing = |weight| EndpointView {
        weight,
        ..taking(20, 0)
    };
    let views = Views(vec![weighing(3.0), weighing(1.0)]);
    let tally = tally(BalancePolicy::PeakEwma, &views, 4000);
    assert!((2900..=3100).contains(&tally[0]), "{tally:?}");
}

/// An endpoint of the little world below: how long each request takes it, and whether it fails them.
#[derive(Clone, Copy)]
struct Server {
    millis: f64,
    fails: bool,
}

/// The share of 20 s of requests, 400 a second at random times, that each server gets.
fn shares(policy: BalancePolicy, servers: &[Server]) -> Vec<f64> {
    let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(17));
    let start = Instant::now();
    let mut views = Views(vec![view(1.0, 0); servers.len()]);
    let mut known = vec![(Ewma::default(), PeakEwma::default()); servers.len()];
    let mut counts = vec![0_u32; servers.len()];
    let mut ends: BinaryHeap<Reverse<(Instant, usize, Duration)>> = BinaryHeap::new();
    let exponential = |mean: f64, rng: &mut SmallRng| {
        Duration::from_secs_f64(-mean * (1.0 - rng.random::<f64>()).ln())
    };
    let mut now = start;
    while now < start + Duration::from_secs(20) {
        now += exponential(1.0 / 400.0, &mut rng);
        while let Some(Reverse((at, index, took))) =
            ends.peek().copied().filter(|end| end.0.0 <= now)
        {
            ends.pop();
            views.0[index].in_flight -= 1;
            let seen = if servers[index].fails {
                Duration::from_secs(1)
            } else {
                took
            };
            known[index].0.observe(seen, at);
            known[index].1.observe(seen, at);
        }
        for (view, (mean, peak)) in views.0.iter_mut().zip(&known) {
            (view.latency, view.peak) = (mean.get(now), peak.get(now));
        }
        let index = pick(policy, &turn, &views, &mut rng).unwrap();
        let took = exponential(servers[index].millis / 1e3, &mut rng);
        views.0[index].in_flight += 1;
        counts[index] += 1;
        ends.push(Reverse((now + took, index, took)));
    }
    let total: u32 = counts.iter().sum();
    counts
        .iter()
        .map(|count| f64::from(*count) / f64::from(total))
        .collect()
}

const GOOD: Server = Server {
    millis: 20.0,
    fails: false,
};

#[test]
fn an_endpoint_that_fails_fast_draws_no_load() {
    let fails = Server {
        millis: 1.0,
        fails: true,
    };
    for policy in [BalancePolicy::LeastRequest, BalancePolicy::PeakEwma] {
        let shares = shares(policy, &[GOOD, GOOD, GOOD, fails]);
        assert!(shares[3] < 0.03, "{policy:?}: {shares:?}");
    }
}

#[test]
fn endpoints_alike_get_alike_and_a_slow_one_less() {
    let slow = Server {
        millis: 200.0,
        fails: false,
    };
    for policy in [BalancePolicy::LeastRequest, BalancePolicy::PeakEwma] {
        let alike = shares(policy, &[GOOD; 4]);
        assert!(
            alike.iter().all(|share| (0.20..0.30).contains(share)),
            "{policy:?}: {alike:?}"
        );
        let mut servers = vec![GOOD; 9];
        servers.push(slow);
        let shares = shares(policy, &servers);
        assert!(shares[9] < 0.03, "{policy:?}: {shares:?}");
    }
}
