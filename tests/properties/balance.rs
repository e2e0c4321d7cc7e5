//! Never one that cannot serve, and shares as the weights say.

use std::{iter, time::Duration};

use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use tidegate::{
    balance::{Candidates, EndpointView, Turn, in_panic, pick},
    config::BalancePolicy,
};

const ALL: [BalancePolicy; 4] = [
    BalancePolicy::RoundRobin,
    BalancePolicy::LeastRequest,
    BalancePolicy::PeakEwma,
    BalancePolicy::Random,
];

struct Views(Vec<EndpointView>);

impl Candidates for Views {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        self.0[index]
    }
}

fn view() -> impl Strategy<Value = EndpointView> {
    let weight = prop_oneof![Just(1.0_f32), 0.001..1000.0_f32, 1.0..10.0_f32];
    (any::<bool>(), weight, 0..100_u32).prop_map(|(can_serve, weight, in_flight)| EndpointView {
        can_serve,
        weight,
        in_flight,
        limit: None,
        latency: None,
        peak: None,
    })
}

/// As [`view`], with a limit and times or without.
fn known() -> impl Strategy<Value = EndpointView> {
    let limit = proptest::option::of(0..20_u32);
    let times = proptest::option::of((0..3_000_u64, 0..3_000_u64));
    (view(), limit, times).prop_map(|(view, limit, times)| EndpointView {
        in_flight: view.in_flight % 20,
        limit,
        latency: times.map(|(mean, _)| Duration::from_millis(mean)),
        peak: times.map(|(_, peak)| Duration::from_millis(peak)),
        ..view
    })
}

/// How often each was picked.
fn tally(policy: BalancePolicy, views: &Views, picks: u32, seed: u64) -> Vec<u32> {
    let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(seed));
    let mut tally = vec![0; views.len()];
    for _ in 0..picks {
        tally[pick(policy, &turn, views, &mut rng).unwrap()] += 1;
    }
    tally
}

fn share(views: &Views, index: usize) -> f64 {
    let sum: f64 = views
        .0
        .iter()
        .filter(|view| view.can_serve)
        .map(|view| f64::from(view.weight))
        .sum();
    let view = views.0[index];
    if view.can_serve {
        f64::from(view.weight) / sum
    } else {
        0.0
    }
}

proptest! {
    #[test]
    fn one_that_can_serve_is_found_and_no_other(
        rounds in proptest::collection::vec(proptest::collection::vec(known(), 0..20), 1..20),
        seed in any::<u64>(),
    ) {
        for policy in ALL {
            let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(seed));
            // The same turn over candidates that come, go and change.
            for views in rounds.iter().cloned().map(Views) {
                let picked = pick(policy, &turn, &views, &mut rng);
                let any = views.0.iter().any(|view| view.can_serve);
                prop_assert_eq!(picked.is_some(), any);
                prop_assert!(picked.is_none_or(|index| views.0[index].can_serve));
            }
        }
    }

    #[test]
    fn a_rotation_is_never_off_by_more_than_a_few_turns(
        mut views in proptest::collection::vec(view(), 1..12),
        weights in proptest::collection::vec(1..20_u32, 12),
    ) {
        for (view, weight) in views.iter_mut().zip(weights) {
            view.weight = f32::from(u16::try_from(weight).unwrap());
        }
        views[0].can_serve = true;
        let views = Views(views);
        for picks in [100, 1000] {
            let tally = tally(BalancePolicy::RoundRobin, &views, picks, 0);
            for (index, count) in tally.iter().enumerate() {
                let expected = share(&views, index) * f64::from(picks);
                let slack = 2.0 + f64::from(u8::try_from(views.len()).unwrap());
                prop_assert!((f64::from(*count) - expected).abs() <= slack,
                    "{} of {} picks, expected {}", count, picks, expected);
            }
        }
    }

    #[test]
    fn less_busy_of_two_never_prefers_the_busier_of_two_alike(
        left in 0..1000_u32,
        right in 0..1000_u32,
        weight in 0.1..100.0_f32,
        seed in any::<u64>(),
    ) {
        let view = |in_flight| EndpointView {
            can_serve: true, weight, in_flight, limit: None, latency: None, peak: None,
        };
        let views = Views(vec![view(left), view(right)]);
        let tally = tally(BalancePolicy::LeastRequest, &views, 20, seed);
        prop_assert!(left <= right || tally[0] == 0);
        prop_assert!(right <= left || tally[1] == 0);
    }

    #[test]
    fn no_hot_one_is_picked_while_a_cold_one_can_serve(
        views in proptest::collection::vec(known(), 1..20),
        seed in any::<u64>(),
    ) {
        let views = Views(views);
        let serving = || views.0.iter().filter(|view| view.can_serve);
        prop_assume!(serving().next().is_some());
        for policy in ALL {
            let picked = tally(policy, &views, 10, seed);
            let hot = views.0.iter().zip(&picked).any(|(view, count)| *count > 0 && view.is_hot());
            prop_assert!(!hot || serving().all(EndpointView::is_hot), "{:?} {:?}", policy, picked);
        }
    }

    #[test]
    fn of_two_alike_but_in_time_the_slower_is_never_preferred(
        left in 1..5_000_u64,
        right in 1..5_000_u64,
        in_flight in 0..50_u32,
        limit in proptest::option::of(51..60_u32),
        seed in any::<u64>(),
    ) {
        let view = |millis| EndpointView {
            can_serve: true,
            weight: 1.0,
            in_flight,
            limit,
            latency: Some(Duration::from_millis(millis)),
            peak: Some(Duration::from_millis(millis)),
        };
        let views = Views(vec![view(left), view(right)]);
        let peak = tally(BalancePolicy::PeakEwma, &views, 20, seed);
        prop_assert!(left <= right || peak[0] == 0);
        prop_assert!(right <= left || peak[1] == 0);
        let least = tally(BalancePolicy::LeastRequest, &views, 20, seed);
        prop_assert!(left < right.max(10) * 4 || least[0] == 0);
        prop_assert!(right < left.max(10) * 4 || least[1] == 0);
    }

    #[test]
    fn panic_is_a_matter_of_the_share(healthy in 0..50_usize, sick in 0..50_usize) {
        let total = healthy + sick;
        prop_assert!(!in_panic(healthy, total, 0.0));
        prop_assert!(!in_panic(total, total, 1.0));
        prop_assert_eq!(in_panic(healthy, total, 0.5), healthy < sick);
    }
}

/// Seeds are fixed: what is within three sigma here stays so.
#[test]
fn shares_are_within_three_sigma_of_the_weights() {
    const PICKS: u32 = 20_000;
    let cases: [(&[f32], usize); 6] = [
        (&[1.0, 1.0, 1.0], 0),
        (&[1.0, 2.0, 3.0, 4.0], 1),
        (&[1.0, 2.0, 3.0, 4.0], 60),
        (&[1000.0, 1.0, 10.0], 1),
        (&[0.1, 1.0, 0.5, 0.5, 1.0], 1),
        (&[5.0; 6], 50),
    ];
    for (seed, (weights, out)) in (1..).zip(cases) {
        for policy in ALL {
            let view = |weight: &f32| EndpointView {
                can_serve: true,
                weight: *weight,
                in_flight: 0,
                limit: None,
                latency: None,
                peak: None,
            };
            let mut views = Views(weights.iter().map(view).collect());
            let cannot = EndpointView {
                can_serve: false,
                ..view(&9.0)
            };
            views.0.extend(iter::repeat_n(cannot, out));
            for (index, count) in tally(policy, &views, PICKS, seed).iter().enumerate() {
                let share = share(&views, index);
                let expected = share * f64::from(PICKS);
                let sigma = (expected * (1.0 - share)).sqrt();
                let off = (f64::from(*count) - expected).abs();
                assert!(
                    off <= 3.0 * sigma + 1e-9,
                    "{policy:?} {weights:?}: {index} got {count}, not {expected}"
                );
            }
        }
    }
}
