mod groups;

use std::num::NonZeroU32;

use super::*;
use crate::{
    config::{CheckPlan, HealthPlan},
    health::{CheckFailure, Passed},
    names::EndpointId,
    pool::Registry,
};

const SLOW_START: Duration = Duration::from_secs(10);

fn plan() -> EjectionPlan {
    EjectionPlan {
        consecutive_failures: NonZeroU32::new(2).unwrap(),
        base_time: Duration::from_secs(30),
        max_time: Duration::from_secs(300),
    }
}

fn seats(registry: &Registry, count: u16, panic_threshold: f64) -> Seats {
    let seats = (1..=count).map(|port| {
        let id = EndpointId::new("shop".into(), ([10, 0, 0, 1], port).into());
        Seat::new(registry.get_or_new(&id), NonZeroU32::new(2).unwrap(), None)
    });
    Seats::new(seats, panic_threshold, SLOW_START)
}

fn fail(seats: &Seats, index: usize, now: Instant) -> Option<Change> {
    let endpoint = &seats.get(index).unwrap().endpoint;
    let plan = plan();
    seats.report(endpoint, Outcome::Failure, Some(&plan), now);
    seats.report(endpoint, Outcome::Failure, Some(&plan), now)
}

#[tokio::test(start_paused = true)]
async fn failures_eject_an_endpoint_but_never_more_than_a_third() {
    let registry = Registry::new();
    let seats = seats(&registry, 3, 0.0);
    let now = Instant::now();
    assert!(matches!(fail(&seats, 0, now), Some(Change::Ejected { .. })));
    assert!(!seats.at(now).view(0).can_serve);
    assert_eq!(fail(&seats, 1, now), None);
    assert!(seats.at(now).view(1).can_serve);
}

#[tokio::test(start_paused = true)]
async fn the_only_endpoint_is_never_ejected() {
    let registry = Registry::new();
    let seats = seats(&registry, 1, 0.0);
    assert_eq!(fail(&seats, 0, Instant::now()), None);
}

#[tokio::test(start_paused = true)]
async fn an_ejection_outlives_the_seats_of_a_snapshot() {
    let registry = Registry::new();
    let now = Instant::now();
    fail(&seats(&registry, 3, 0.0), 0, now);
    assert!(!seats(&registry, 3, 0.0).at(now).view(0).can_serve);
}

#[tokio::test(start_paused = true)]
async fn below_the_panic_threshold_the_ejected_serve_too() {
    let registry = Registry::new();
    let now = Instant::now();
    fail(&seats(&registry, 3, 0.0), 0, now);
    assert!(seats(&registry, 3, 0.9).at(now).view(0).can_serve);
    assert!(!seats(&registry, 3, 0.5).at(now).view(0).can_serve);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_gets_its_weight_little_by_little() {
    let registry = Registry::new();
    let seats = seats(&registry, 3, 0.0);
    let start = Instant::now();
    assert!((seats.at(start).view(0).weight - 2.0).abs() < 0.001);
    fail(&seats, 0, start);
    let back = start + plan().base_time;
    assert!((seats.at(back).view(0).weight - 0.2).abs() < 0.001);
    assert!((seats.at(back + SLOW_START).view(0).weight - 2.0).abs() < 0.001);
}

#[tokio::test(start_paused = true)]
async fn in_flight_counts_until_the_guard_drops() {
    let registry = Registry::new();
    let seats = seats(&registry, 1, 0.0);
    let guards = [(); 2].map(|()| seats.get(0).unwrap().endpoint.enter());
    assert_eq!(seats.at(Instant::now()).view(0).in_flight, 2);
    drop(guards);
    assert_eq!(seats.at(Instant::now()).view(0).in_flight, 0);
}

#[test]
fn an_endpoint_is_named_as_it_was_configured() {
    let registry = Registry::new();
    let id = EndpointId::new("shop".into(), "[::1]:80".parse().unwrap());
    let endpoint = registry.get_or_new(&id);
    let weight = NonZeroU32::new(1).unwrap();
    let by_name = Seat::new(Arc::clone(&endpoint), weight, Some("shop.internal"));
    assert_eq!(by_name.authority, "shop.internal:80");
    assert_eq!(by_name.server_name.to_str(), "shop.internal");
    let by_address = Seat::new(endpoint, weight, None);
    assert_eq!(by_address.authority, "[::1]:80");
    assert_eq!(by_address.server_name.to_str(), "::1");
}

#[tokio::test(start_paused = true)]
async fn the_view_shows_how_long_an_endpoint_takes_and_nothing_of_one_never_asked() {
    let registry = Registry::new();
    let seats = seats(&registry, 2, 0.0);
    let now = Instant::now();
    let took = Duration::from_millis(30);
    seats.get(0).unwrap().endpoint.answered(took, now);
    assert_eq!(seats.at(now).view(0).latency, Some(took));
    assert_eq!(seats.at(now).view(1).latency, None);
    seats.get(1).unwrap().endpoint.failed(now);
    assert!(seats.at(now).view(1).peak > seats.at(now).view(0).peak);
}

/// Seats of these priorities, all healthy.
fn ranked(registry: &Registry, priorities: &[u16], panic_threshold: f64) -> Seats {
    let seats = (1_u16..).zip(priorities).map(|(port, priority)| {
        let id = EndpointId::new("shop".into(), ([10, 0, 0, 1], port).into());
        let endpoint = registry.get_or_new(&id);
        Seat::new(endpoint, NonZeroU32::MIN, Some("a.shop."))
            .of_service("_http._tcp.shop.internal", *priority)
    });
    Seats::new(seats, panic_threshold, SLOW_START)
}

/// Takes the endpoint at `index` out, as a check that fails does.
fn down(seats: &Seats, index: usize, now: Instant) {
    let health = &seats.get(index).unwrap().endpoint.health;
    health.checked(Err(CheckFailure::Timeout), &checks(), now);
}

/// Checks of which one is enough.
fn checks() -> HealthPlan {
    HealthPlan {
        check: CheckPlan::Connect,
        port: None,
        interval: Duration::from_secs(5),
        fast_interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        unhealthy_after: NonZeroU32::MIN,
        healthy_after: NonZeroU32::MIN,
        degraded: None,
    }
}

fn serving(seats: &Seats, tried: &[usize], now: Instant) -> Vec<usize> {
    let at = seats.at_besides(now, tried);
    (0..at.len())
        .filter(|index| at.view(*index).can_serve)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_higher_priority_number_serves_only_while_no_lower_one_can() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = ranked(&registry, &[5, 0, 0, 9], 0.0);
    assert_eq!(serving(&seats, &[], now), [1, 2]);
    down(&seats, 1, now);
    assert_eq!(serving(&seats, &[], now), [2]);
    down(&seats, 2, now);
    assert_eq!(serving(&seats, &[], now), [0]);
    down(&seats, 0, now);
    assert_eq!(serving(&seats, &[], now), [3]);
    down(&seats, 3, now);
    assert_eq!(serving(&seats, &[], now), [0; 0]);
    assert!(!seats.can_serve(now));
}

#[tokio::test(start_paused = true)]
async fn who_has_tried_all_of_one_priority_goes_to_the_next() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = ranked(&registry, &[0, 1], 0.0);
    assert_eq!(serving(&seats, &[], now), [0]);
    assert_eq!(serving(&seats, &[0], now), [1]);
    assert_eq!(serving(&seats, &[0, 1], now), [0], "again from the start");
}

#[tokio::test(start_paused = true)]
async fn a_priority_in_panic_gives_way_to_one_that_is_not() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = ranked(&registry, &[0, 0, 0, 1, 1], 0.5);
    down(&seats, 0, now);
    down(&seats, 1, now);
    assert_eq!(serving(&seats, &[], now), [3, 4]);
    down(&seats, 3, now);
    down(&seats, 4, now);
    assert_eq!(serving(&seats, &[], now), [0, 1, 2], "all of it, in panic");
    down(&seats, 2, now);
    assert_eq!(serving(&seats, &[], now), [0, 1, 2], "nobody can");
    assert!(seats.can_serve(now));
}

#[test]
fn a_target_is_checked_by_the_name_of_its_service() {
    let seats = ranked(&Registry::new(), &[0], 0.0);
    let seat = seats.get(0).unwrap();
    assert_eq!(seat.server_name.to_str(), "shop.internal");
    assert_eq!(seat.authority, "a.shop:1");
}

#[tokio::test(start_paused = true)]
async fn a_degraded_endpoint_keeps_its_share_of_its_weight_and_serves() {
    let (registry, now) = (Registry::new(), Instant::now());
    let seats = ranked(&registry, &[0, 0], 0.0).with_degraded_share(0.25);
    let health = &seats.get(0).unwrap().endpoint.health;
    let passes = |passed| health.checked(Ok(passed), &checks(), now);
    passes(Passed::Degraded);
    let weight = |index| seats.at(now).view(index).weight;
    assert!((weight(0) - 0.25).abs() < 1e-6, "{}", weight(0));
    assert!((weight(1) - 1.0).abs() < 1e-6, "{}", weight(1));
    assert_eq!(serving(&seats, &[], now), [0, 1]);
    assert!(seats.views(now)[0].health.degraded);
    passes(Passed::Whole);
    assert!((weight(0) - 1.0).abs() < 1e-6);
}

#[tokio::test(start_paused = true)]
async fn where_checks_fail_everywhere_the_panic_rule_holds() {
    let (registry, now) = (Registry::new(), Instant::now());
    for (threshold, expected) in [(0.0, &[][..]), (0.5, &[0, 1, 2])] {
        let seats = ranked(&registry, &[0, 0, 0], threshold);
        (0..3).for_each(|index| down(&seats, index, now));
        assert_eq!(serving(&seats, &[], now), expected);
        assert_eq!(seats.can_serve(now), !expected.is_empty());
    }
}
