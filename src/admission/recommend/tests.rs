use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

fn demand(counts: &[u32]) -> Demand {
    let mut demand = Demand::new();
    for (second, count) in (1_000_u64..).zip(counts) {
        demand.record(second, *count);
    }
    demand
}

/// How many of the requests a bucket refuses that fills bit by bit; those of each second come at `offset` of it,
/// later ones of the second a little later.
fn refused(counts: &[u32], rate: &Rate, offset: impl Fn(usize) -> f64) -> u64 {
    let (mut tokens, mut at, mut refused) = (f64::from(rate.burst.get()), 0.0, 0);
    for (second, count) in counts.iter().enumerate() {
        let start = f64::from(u32::try_from(second).unwrap());
        let now = start + offset(second);
        tokens = (tokens + (now - at) * rate.per_second()).min(rate.burst.get().into());
        at = now;
        for _ in 0..*count {
            // Sums of parts of tokens are off by a hair.
            if tokens + 1e-6 >= 1.0 {
                tokens -= 1.0;
            } else {
                refused += 1;
            }
        }
    }
    refused
}

fn total(counts: &[u32]) -> u64 {
    counts.iter().copied().map(u64::from).sum()
}

#[test]
fn nothing_asked_for_is_nothing_proposed() {
    assert_eq!(Demand::new().propose(REFUSED_SHARE), None);
    assert_eq!(demand(&[0, 0, 0]).propose(REFUSED_SHARE), None);
    assert_eq!(KeyedDemand::new().propose(REFUSED_SHARE), None);
}

#[test]
fn steady_traffic_gets_its_rate() {
    let rate = demand(&[100; 600]).propose(0.0).unwrap();
    assert!((99.0..=101.0).contains(&rate.per_second()), "{rate:?}");
    assert_eq!(rate.seen, 60_000);
    assert!(rate.refused.abs() < f64::EPSILON);
}

#[test]
fn a_peak_of_a_second_becomes_burst_and_not_rate() {
    let mut counts = vec![10; 3_600];
    counts[1_800] = 60;
    let rate = demand(&counts).propose(0.0).unwrap();
    assert!(rate.per_second() < 14.0, "{rate:?}");
    assert!(rate.burst.get() >= 60, "{rate:?}");
}

#[test]
fn a_minute_of_peak_becomes_rate() {
    let mut counts = vec![10; 3_600];
    counts[1_000..1_060].fill(200);
    let rate = demand(&counts).propose(0.0).unwrap();
    assert!(rate.per_second() > 180.0, "{rate:?}");
}

#[test]
fn an_attack_smaller_than_the_share_is_left_out() {
    let mut counts = vec![100; 3_600];
    counts[7] = 450;
    let (all, most) = (demand(&counts).propose(0.0), demand(&counts).propose(0.01));
    assert!(most.unwrap().per_second() < all.unwrap().per_second());
}

#[test]
fn slow_traffic_gets_a_rate_in_a_longer_unit() {
    let mut counts = vec![0; 3_600];
    counts.iter_mut().step_by(60).for_each(|count| *count = 1);
    let rate = demand(&counts).propose(0.0).unwrap();
    let hour = rate.per.as_secs();
    assert_eq!(hour, 3_600, "{rate:?}");
    assert!(rate.count.get() <= 60, "{rate:?}");
}

#[test]
fn only_the_last_hour_is_remembered() {
    let mut demand = Demand::new();
    demand.record(10, 1_000_000);
    for second in 11..=4_000 {
        demand.record(second, 5);
    }
    assert_eq!(demand.seconds().count(), REMEMBERED);
    assert_eq!(demand.total(), 5 * 3_600);
    demand.record(4_000 - 3_600, 9); // too late
    assert_eq!(demand.total(), 5 * 3_600);
    demand.record(1_000_000, 1); // days later
    assert_eq!((demand.total(), demand.seconds().count()), (1, REMEMBERED));
}

#[test]
fn seconds_may_be_recorded_in_parts_and_out_of_order() {
    let mut demand = Demand::new();
    for (second, requests) in [(50, 1), (52, 2), (50, 3), (49, 7), (52, 5)] {
        demand.record(second, requests);
    }
    assert_eq!(demand.seconds().collect::<Vec<_>>(), [7, 4, 0, 7]);
}

#[test]
fn the_lines_to_paste_are_toml_that_the_config_takes() {
    let rate = demand(&[100; 600]).propose(REFUSED_SHARE).unwrap();
    let text = format!(
        "[[listeners]]\nbind = \"127.0.0.1:0\"\n[upstreams.shop]\nendpoints = [{{ address = \"127.0.0.1:9\" }}]\n\
         {}[[routes]]\nupstream = \"shop\"\n[[routes.rate_limits]]\n{}",
        limit_to_toml("shop", NonZeroU32::new(18).unwrap()),
        rate.to_toml()
    );
    let parsed = crate::config::parse(&text, std::path::Path::new("t.toml"));
    let plan = parsed
        .unwrap_or_else(|error| panic!("{error:?}\n{text}"))
        .plan;
    let limit = &plan.routes[0].rate_limits[0];
    assert_eq!((limit.count, limit.per), (rate.count, rate.per));
    assert_eq!(limit.burst, rate.burst);
}

#[test]
fn a_rate_reads_as_it_would_be_typed() {
    let rate = Rate {
        count: NonZeroU32::new(30).unwrap(),
        per: std::time::Duration::from_secs(60),
        burst: NonZeroU32::new(7).unwrap(),
        refused: 0.0005,
        seen: 12_000,
    };
    let lines = "# of 12000 requests seen, at most 0.050 % would have been refused\n\
                 rate = \"30/m\"\nburst = 7\n";
    assert_eq!(rate.to_toml(), lines);
}

#[test]
fn a_fixed_limit_is_the_highest_that_was_found() {
    let limit = |found: &[f64]| limit_of(found.iter().copied()).map(NonZeroU32::get);
    assert_eq!(limit(&[]), None);
    assert_eq!(limit(&[12.2, 17.4, 9.0]), Some(18));
    assert_eq!(limit(&[17.0]), Some(17));
    assert_eq!(limit(&[0.3]), Some(1));
    assert_eq!(limit(&[f64::NAN, f64::INFINITY, -3.0]), None);
}

#[test]
fn an_upstream_of_any_name_is_quoted_as_toml_wants_it() {
    let limit = NonZeroU32::MIN;
    assert!(
        limit_to_toml("a.b \"c\"", limit)
            .starts_with("[upstreams.\"a.b \\\"c\\\"\".concurrency]\n")
    );
    assert!(limit_to_toml("shop-2", limit).starts_with("[upstreams.shop-2.concurrency]\n"));
}

#[test]
fn each_key_gets_room_for_the_busiest_and_not_for_the_sum() {
    let mut demand = KeyedDemand::new();
    for second in 0..600 {
        for key in 0..20 {
            demand.record(key, second, 5);
        }
    }
    let rate = demand.propose(REFUSED_SHARE).unwrap();
    assert!((2.5..=10.0).contains(&rate.per_second()), "{rate:?}");
}

#[test]
fn one_key_that_overdoes_it_is_left_out_where_the_share_allows() {
    let mut demand = KeyedDemand::new();
    for second in 0..600 {
        for key in 1..50 {
            demand.record(key, second, 2);
        }
    }
    demand.record(0, 300, 500);
    let (none, some) = (demand.propose(0.0).unwrap(), demand.propose(0.01).unwrap());
    assert!(none.burst.get() >= 500, "{none:?}");
    assert!(some.burst.get() < 50, "{some:?}");
}

#[test]
fn a_busy_key_that_comes_late_among_thousands_is_found() {
    let mut demand = KeyedDemand::new();
    for second in 0..300 {
        for stranger in 0..500 {
            demand.record(1_000 + second * 500 + stranger, second, 1);
        }
        if second >= 100 {
            demand.record(7, second, 40);
        }
    }
    let rate = demand.propose(0.0).unwrap();
    assert!(rate.burst.get() >= 40, "{rate:?}");
}

#[test]
fn what_a_key_did_an_hour_ago_is_forgotten() {
    let mut demand = KeyedDemand::new();
    demand.record(1, 0, 10_000);
    for second in 3_600..4_000 {
        demand.record(2, second, 1);
    }
    assert!(demand.propose(0.0).unwrap().burst.get() < 20);
    assert_eq!(demand.total(), 400);
}

/// Traffic with lulls and peaks.
fn counts() -> impl Strategy<Value = Vec<u32>> {
    let second = prop_oneof![6 => 0..20_u32, 2 => Just(0_u32), 1 => 50..300_u32];
    proptest::collection::vec(second, 1..200)
}

proptest! {
    #[test]
    fn replayed_the_proposal_refuses_at_most_the_share(
        counts in counts(),
        share in prop_oneof![Just(0.0), Just(REFUSED_SHARE), 0.0..0.2_f64],
        offsets in proptest::collection::vec(0.0..1.0_f64, 200),
    ) {
        prop_assume!(total(&counts) > 0);
        let rate = demand(&counts).propose(share).unwrap();
        let most = share * total(&counts) as f64;
        prop_assert!(rate.refused <= share + 1e-9);
        let early = refused(&counts, &rate, |_| 0.0);
        let any = refused(&counts, &rate, |second| offsets[second]);
        let edges = refused(&counts, &rate, |second| if second % 2 == 0 { 0.999 } else { 0.0 });
        for refused in [early, any, edges] {
            prop_assert!(refused as f64 <= most + 1e-9, "{} of {}: {:?}", refused, total(&counts), rate);
        }
    }

    #[test]
    fn replayed_for_each_key_the_proposal_refuses_at_most_the_share(
        keys in proptest::collection::vec(counts(), 1..12),
        share in prop_oneof![Just(0.0), 0.0..0.2_f64],
    ) {
        let all: u64 = keys.iter().map(|counts| total(counts)).sum();
        prop_assume!(all > 0);
        let mut demand = KeyedDemand::new();
        for second in 0..200 {
            for (key, counts) in (0..).zip(&keys) {
                if let Some(count) = counts.get(second) {
                    demand.record(key, second as u64, *count);
                }
            }
        }
        let rate = demand.propose(share).unwrap();
        let edges = |second: usize| if second.is_multiple_of(2) { 0.999 } else { 0.0 };
        let refused: u64 = keys.iter().map(|counts| refused(counts, &rate, edges)).sum();
        prop_assert!(refused as f64 <= share * all as f64 + 1e-9, "{} of {}: {:?}", refused, all, rate);
    }
}
