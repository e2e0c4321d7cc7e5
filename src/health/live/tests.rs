use std::{
    cell::Cell,
    num::NonZeroU32,
    sync::{Arc, mpsc},
    thread,
};

use super::*;
use crate::config::CheckPlan;

const BASE: Duration = Duration::from_secs(30);
const SLOW: Duration = Duration::from_secs(10);
const WELL: Peers = Peers {
    total: 3,
    ejected: 0,
    others_that_can_serve: 2,
};

fn ejection() -> EjectionPlan {
    EjectionPlan {
        consecutive_failures: NonZeroU32::new(2).unwrap(),
        base_time: BASE,
        max_time: BASE * 10,
    }
}

fn checks() -> HealthPlan {
    HealthPlan {
        check: CheckPlan::Connect,
        port: None,
        interval: BASE,
        fast_interval: BASE,
        timeout: BASE,
        unhealthy_after: NonZeroU32::MIN,
        healthy_after: NonZeroU32::MIN,
        degraded: None,
    }
}

fn fail(health: &Health, now: Instant) -> Option<Change> {
    health.ended(Outcome::Failure, Some(&ejection()), || WELL, now)
}

fn succeed(health: &Health, now: Instant) -> Option<Change> {
    health.ended(Outcome::Success, Some(&ejection()), || WELL, now)
}

fn ejected() -> (Health, Instant) {
    let (health, now) = (Health::new(), Instant::now());
    fail(&health, now);
    assert!(fail(&health, now).is_some());
    (health, now)
}

fn close(share: f32, to: f32) -> bool {
    (share - to).abs() < 0.001
}

#[test]
fn a_new_endpoint_may_serve_with_its_full_share() {
    let (health, now) = (Health::new(), Instant::now());
    assert!(health.can_serve(now));
    assert!(close(health.share(SLOW, now), 1.0));
}

#[test]
fn an_ejected_endpoint_may_not_serve_until_the_time_is_over() {
    let (health, now) = ejected();
    assert!(!health.can_serve(now));
    assert!(!health.can_serve(now + BASE - Duration::from_millis(1)));
    assert!(health.can_serve(now + BASE), "no event is needed");
}

#[test]
fn an_endpoint_that_is_down_may_not_serve_though_no_ejection_runs() {
    let (health, now) = (Health::new(), Instant::now());
    health.checked(Err(CheckFailure::Timeout), &checks(), now);
    assert!(!health.can_serve(now));
    assert!(!health.is_ejected(now));
}

#[test]
fn it_must_be_out_of_neither_to_serve() {
    let (health, now) = ejected();
    health.checked(Err(CheckFailure::Timeout), &checks(), now);
    assert!(!health.can_serve(now + BASE), "down");
    health.checked(Ok(Passed::Whole), &checks(), now);
    assert!(!health.can_serve(now), "ejected");
    assert!(health.can_serve(now + BASE));
}

#[test]
fn the_share_grows_from_a_tenth_after_an_ejection() {
    let (health, now) = ejected();
    let back = now + BASE;
    assert!(close(health.share(SLOW, back), 0.1));
    assert!(close(health.share(SLOW, back + SLOW / 2), 0.55));
    assert!(close(health.share(SLOW, back + SLOW), 1.0));
    assert!(close(health.share(SLOW, back + SLOW * 9), 1.0));
}

#[test]
fn the_share_grows_after_coming_up_too() {
    let (health, now) = (Health::new(), Instant::now());
    health.checked(Err(CheckFailure::Timeout), &checks(), now);
    assert!(close(health.share(SLOW, now), 1.0), "while down");
    health.checked(Ok(Passed::Whole), &checks(), now + BASE);
    assert!(close(health.share(SLOW, now + BASE), 0.1));
    assert!(close(health.share(SLOW, now + BASE + SLOW), 1.0));
}

#[test]
fn the_later_return_of_two_decides_the_share() {
    let (health, now) = ejected();
    health.checked(Err(CheckFailure::Timeout), &checks(), now);
    health.checked(Ok(Passed::Whole), &checks(), now + BASE + SLOW);
    assert!(close(health.share(SLOW, now + BASE + SLOW), 0.1));
}

#[test]
fn without_slow_start_the_share_is_full_at_once() {
    let (health, now) = ejected();
    assert!(close(health.share(Duration::ZERO, now + BASE), 1.0));
}

#[test]
fn peers_are_asked_only_at_the_threshold() {
    let (health, now) = (Health::new(), Instant::now());
    let asked = Cell::new(0);
    let peers = || {
        asked.set(asked.get() + 1);
        WELL
    };
    health.ended(Outcome::Failure, Some(&ejection()), peers, now);
    assert_eq!(asked.get(), 0);
    health.ended(Outcome::Failure, Some(&ejection()), peers, now);
    assert_eq!(asked.get(), 1);
}

#[test]
fn peers_may_look_at_the_very_endpoint_that_asks() {
    let (health, now) = (Health::new(), Instant::now());
    fail(&health, now);
    let peers = || Peers {
        ejected: usize::from(health.view(now).ejected_for.is_some()),
        ..WELL
    };
    let change = health.ended(Outcome::Failure, Some(&ejection()), peers, now);
    assert!(matches!(change, Some(Change::Ejected { .. })));
}

#[test]
fn a_success_of_a_well_endpoint_takes_no_lock() {
    let (health, now) = (Arc::new(Health::new()), Instant::now());
    let held = health.machine.lock();
    let (done, end) = mpsc::channel();
    let other = health.clone();
    thread::spawn(move || {
        let change = succeed(&other, now);
        let reads = (other.can_serve(now), other.share(SLOW, now));
        done.send((change, reads)).ok();
    });
    let waited = end.recv_timeout(Duration::from_secs(10));
    drop(held);
    let (change, (can_serve, share)) = waited.expect("it waits for the lock");
    assert_eq!(change, None);
    assert!(can_serve && close(share, 1.0));
}

#[test]
fn a_success_after_a_failure_ends_the_row() {
    let (health, now) = (Health::new(), Instant::now());
    fail(&health, now);
    succeed(&health, now);
    assert_eq!(fail(&health, now), None);
}

#[test]
fn the_first_success_after_an_ejection_tells_of_the_return() {
    let (health, now) = ejected();
    assert_eq!(succeed(&health, now), None, "still out");
    assert_eq!(succeed(&health, now + BASE), Some(Change::Returned));
    assert_eq!(succeed(&health, now + BASE), None);
}

#[test]
fn turning_ejection_off_lets_it_serve_at_once_by_slow_start() {
    let (health, now) = ejected();
    let later = now + Duration::from_secs(1);
    assert_eq!(health.forget_ejection(later), Some(Change::Returned));
    assert!(health.can_serve(later));
    assert!(close(health.share(SLOW, later), 0.1));
}

#[test]
fn turning_checks_off_lets_it_serve_at_once() {
    let (health, now) = (Health::new(), Instant::now());
    health.checked(Err(CheckFailure::Timeout), &checks(), now);
    assert_eq!(health.forget_checks(now), Some(Change::Up));
    assert!(health.can_serve(now));
}

#[test]
fn forgetting_ejections_of_an_endpoint_that_never_was_out_keeps_its_full_share() {
    let (health, now) = (Health::new(), Instant::now());
    assert_eq!(health.forget_ejection(now), None);
    assert_eq!(health.forget_checks(now), None);
    assert!(close(health.share(SLOW, now), 1.0));
}

#[test]
fn an_instant_before_its_birth_is_no_harm() {
    let now = Instant::now();
    let health = Health::new();
    fail(&health, now);
    fail(&health, now);
    assert!(!health.can_serve(now));
}
