use rand::{SeedableRng, rngs::SmallRng};

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

const ALL: [BalancePolicy; 3] = [
    BalancePolicy::RoundRobin,
    BalancePolicy::LeastRequest,
    BalancePolicy::Random,
];

fn view(weight: f32, in_flight: u32) -> EndpointView {
    EndpointView {
        can_serve: true,
        weight,
        in_flight,
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
