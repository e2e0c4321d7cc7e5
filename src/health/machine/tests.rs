use std::num::NonZeroU32;

use super::*;
use crate::config::CheckPlan;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn times(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn checks() -> HealthPlan {
    HealthPlan {
        check: CheckPlan::Connect,
        port: None,
        interval: seconds(5),
        fast_interval: seconds(5),
        timeout: seconds(1),
        unhealthy_after: times(3),
        healthy_after: times(2),
        degraded: None,
    }
}

fn ejection() -> EjectionPlan {
    EjectionPlan {
        consecutive_failures: times(3),
        base_time: seconds(30),
        max_time: seconds(100),
    }
}

/// Three endpoints, all of which can serve.
const WELL: Peers = Peers {
    total: 3,
    ejected: 0,
    others_that_can_serve: 2,
};

const PASS: Result<Passed, CheckFailure> = Ok(Passed::Whole);
const DEGRADED: Result<Passed, CheckFailure> = Ok(Passed::Degraded);
const FAIL: Result<Passed, CheckFailure> = Err(CheckFailure::Timeout);

/// A machine and a clock that is moved by hand.
struct Moved {
    machine: Machine,
    now: Instant,
}

impl Moved {
    fn new() -> Self {
        Self {
            machine: Machine::default(),
            now: Instant::now(),
        }
    }

    fn passes(&mut self, n: u64) {
        self.now += seconds(n);
    }

    fn check(&mut self, result: Result<Passed, CheckFailure>) -> Option<Change> {
        self.machine.checked(result, &checks(), self.now)
    }

    fn end(&mut self, outcome: Outcome, peers: Peers) -> Option<Change> {
        match self.machine.ended(outcome, Some(&ejection()), self.now) {
            Verdict::Settled(change) => change,
            Verdict::AskPeers => self.machine.eject(&ejection(), &peers, self.now),
        }
    }

    fn fail(&mut self, times: u32, peers: Peers) -> Option<Change> {
        (0..times).fold(None, |_, _| self.end(Outcome::Failure, peers))
    }

    fn view(&self) -> HealthView {
        self.machine.view(self.now)
    }

    fn is_ejected(&self) -> bool {
        self.view().ejected_for.is_some()
    }
}

fn ejected_for(change: Option<Change>) -> Option<Duration> {
    match change {
        Some(Change::Ejected { for_, .. }) => Some(for_),
        _ => None,
    }
}

// === checks ===

#[test]
fn an_unchecked_endpoint_is_not_down() {
    assert!(!Moved::new().machine.is_down());
}

#[test]
fn a_first_check_that_fails_marks_down_at_once() {
    let mut it = Moved::new();
    assert_eq!(it.check(FAIL), Some(Change::Down));
    assert!(it.machine.is_down());
}

#[test]
fn a_first_check_that_passes_changes_nothing_to_tell() {
    let mut it = Moved::new();
    assert_eq!(it.check(PASS), None);
    assert_eq!(it.view().checked, Checked::Up);
}

#[test]
fn later_failures_mark_down_at_the_threshold_and_not_before() {
    let mut it = Moved::new();
    it.check(PASS);
    assert_eq!(it.check(FAIL), None);
    assert_eq!(it.check(FAIL), None);
    assert!(!it.machine.is_down());
    assert_eq!(it.check(FAIL), Some(Change::Down));
}

#[test]
fn a_pass_in_between_starts_the_count_of_failures_anew() {
    let mut it = Moved::new();
    it.check(PASS);
    it.check(FAIL);
    it.check(FAIL);
    it.check(PASS);
    it.check(FAIL);
    assert_eq!(it.check(FAIL), None);
    assert!(!it.machine.is_down());
}

#[test]
fn passes_mark_up_at_the_threshold_and_not_before() {
    let mut it = Moved::new();
    it.check(FAIL);
    assert_eq!(it.check(PASS), None);
    assert!(it.machine.is_down());
    assert_eq!(it.check(PASS), Some(Change::Up));
    assert!(!it.machine.is_down());
}

#[test]
fn a_failure_in_between_starts_the_count_of_passes_anew() {
    let mut it = Moved::new();
    it.check(FAIL);
    it.check(PASS);
    it.check(FAIL);
    assert_eq!(it.check(PASS), None);
    assert!(it.machine.is_down());
}

#[test]
fn the_last_check_error_is_shown_until_a_check_passes() {
    let mut it = Moved::new();
    it.check(PASS);
    it.check(Err(CheckFailure::Status(http::StatusCode::NOT_FOUND)));
    assert_eq!(it.view().last_check_error.as_deref(), Some("status 404"));
    it.check(PASS);
    assert_eq!(it.view().last_check_error, None);
}

#[test]
fn without_checks_an_endpoint_that_was_down_comes_back() {
    let mut it = Moved::new();
    it.check(FAIL);
    assert_eq!(it.machine.forget_checks(it.now), Some(Change::Up));
    assert_eq!(it.view().checked, Checked::Unchecked);
    assert_eq!(it.view().last_check_error, None);
    assert_eq!(it.machine.up_since(), Some(it.now));
}

#[test]
fn after_checks_were_forgotten_the_next_one_is_a_first_one() {
    let mut it = Moved::new();
    it.check(PASS);
    assert_eq!(it.machine.forget_checks(it.now), None);
    assert_eq!(it.check(FAIL), Some(Change::Down));
}

// === ejection ===

#[test]
fn failures_in_a_row_eject_at_the_threshold_and_not_before() {
    let mut it = Moved::new();
    assert_eq!(it.fail(2, WELL), None);
    assert_eq!(ejected_for(it.fail(1, WELL)), Some(seconds(30)));
    assert!(it.is_ejected());
}

#[test]
fn a_success_ends_the_row() {
    let mut it = Moved::new();
    it.fail(2, WELL);
    it.end(Outcome::Success, WELL);
    assert_eq!(it.fail(2, WELL), None);
    assert!(!it.is_ejected());
}

#[test]
fn an_ignored_end_neither_adds_to_the_row_nor_ends_it() {
    let mut it = Moved::new();
    it.fail(2, WELL);
    assert_eq!(it.end(Outcome::Ignored, WELL), None);
    assert_eq!(it.view().failures_in_a_row, 2);
    assert!(it.fail(1, WELL).is_some());
}

#[test]
fn an_ejection_ends_by_time() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(29);
    assert_eq!(it.view().ejected_for, Some(seconds(1)));
    it.passes(1);
    assert!(!it.is_ejected());
    assert_eq!(it.view().ejected_because, None);
}

#[test]
fn a_passed_check_does_not_shorten_an_ejection() {
    let mut it = Moved::new();
    it.check(FAIL);
    it.fail(3, WELL);
    it.check(PASS);
    assert_eq!(it.check(PASS), Some(Change::Up));
    assert_eq!(it.view().ejected_for, Some(seconds(30)));
}

#[test]
fn requests_that_were_on_their_way_do_not_prolong_an_ejection() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(10);
    assert_eq!(it.fail(5, WELL), None);
    assert_eq!(it.view().ejected_for, Some(seconds(20)));
    it.passes(20);
    it.fail(2, WELL);
    assert!(!it.is_ejected());
}

#[test]
fn the_return_is_told_once_by_the_first_event_after_it() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(30);
    assert!(it.machine.minds_success());
    assert_eq!(it.end(Outcome::Success, WELL), Some(Change::Returned));
    assert_eq!(it.end(Outcome::Success, WELL), None);
    assert!(!it.machine.minds_success());
}

#[test]
fn a_check_tells_the_return_too() {
    let mut it = Moved::new();
    it.check(PASS);
    it.fail(3, WELL);
    it.passes(30);
    assert_eq!(it.check(PASS), Some(Change::Returned));
}

#[test]
fn each_ejection_is_longer_than_the_one_before_up_to_the_cap() {
    let mut it = Moved::new();
    let mut lengths = Vec::new();
    for _ in 0..5 {
        let for_ = ejected_for(it.fail(3, WELL)).unwrap();
        lengths.push(for_.as_secs());
        it.now += for_;
    }
    assert_eq!(lengths, [30, 60, 90, 100, 100]);
}

#[test]
fn good_behaviour_is_remembered_one_step_for_each_base_time() {
    let mut it = Moved::new();
    for _ in 0..3 {
        let for_ = ejected_for(it.fail(3, WELL)).unwrap();
        it.now += for_;
    }
    it.passes(59); // one step of 30 s: the third counts as the second
    assert_eq!(ejected_for(it.fail(3, WELL)), Some(seconds(90)));
    it.passes(90 + 300);
    assert_eq!(ejected_for(it.fail(3, WELL)), Some(seconds(30)));
}

#[test]
fn the_last_endpoint_that_can_serve_is_never_ejected() {
    let mut it = Moved::new();
    let alone = Peers {
        others_that_can_serve: 0,
        ..WELL
    };
    assert_eq!(it.fail(100, alone), None);
    assert!(!it.is_ejected());
}

#[test]
fn once_refused_it_is_ejected_when_the_peers_allow_it_later() {
    let mut it = Moved::new();
    let alone = Peers {
        others_that_can_serve: 0,
        ..WELL
    };
    it.fail(4, alone);
    assert_eq!(
        it.fail(1, WELL),
        None,
        "peers are asked every third failure"
    );
    assert!(it.fail(1, WELL).is_some());
}

#[test]
fn at_most_a_third_and_at_least_one_may_be_ejected() {
    let most = |total: usize| {
        (0..total)
            .filter(|&ejected| {
                Peers {
                    total,
                    ejected,
                    others_that_can_serve: 1,
                }
                .allow_ejection()
            })
            .count()
    };
    let allowed: Vec<usize> = (1..=12).map(most).collect();
    assert_eq!(allowed, [1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]);
}

#[test]
fn a_running_ejection_ends_when_ejection_is_turned_off() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(1);
    let verdict = it.machine.ended(Outcome::Failure, None, it.now);
    assert_eq!(verdict, Verdict::Settled(Some(Change::Returned)));
    assert!(!it.is_ejected());
    assert_eq!(it.machine.last_ejected_until(), Some(it.now));
}

#[test]
fn with_ejection_off_failures_are_not_counted() {
    let mut it = Moved::new();
    for _ in 0..10 {
        it.machine.ended(Outcome::Failure, None, it.now);
    }
    assert_eq!(it.view().failures_in_a_row, 0);
}

#[test]
fn of_two_who_reach_the_threshold_at_once_only_the_first_ejects() {
    let mut it = Moved::new();
    it.fail(2, WELL);
    let verdict = it
        .machine
        .ended(Outcome::Failure, Some(&ejection()), it.now);
    assert_eq!(verdict, Verdict::AskPeers);
    assert!(it.machine.eject(&ejection(), &WELL, it.now).is_some());
    assert_eq!(it.machine.eject(&ejection(), &WELL, it.now), None);
    assert_eq!(it.view().ejections, 1);
}

// === degraded ===

#[test]
fn a_degraded_answer_passes_and_is_told_once() {
    let mut it = Moved::new();
    assert_eq!(it.check(DEGRADED), Some(Change::Degraded));
    assert_eq!(it.view().checked, Checked::Up);
    assert!(it.machine.is_degraded());
    assert_eq!(it.check(DEGRADED), None);
    assert_eq!(it.check(PASS), Some(Change::Recovered));
    assert!(!it.machine.is_degraded());
    assert_eq!(it.check(PASS), None);
}

#[test]
fn a_failure_below_the_threshold_leaves_it_degraded() {
    let mut it = Moved::new();
    it.check(DEGRADED);
    assert_eq!(it.check(FAIL), None);
    assert!(it.view().degraded);
}

#[test]
fn one_that_is_down_is_not_degraded_and_comes_up_as_what_it_says() {
    let mut it = Moved::new();
    it.check(DEGRADED);
    for _ in 0..3 {
        it.check(FAIL);
    }
    assert!(it.machine.is_down() && !it.machine.is_degraded());
    assert_eq!(it.check(DEGRADED), None);
    assert!(!it.machine.is_degraded(), "still down");
    assert_eq!(it.check(DEGRADED), Some(Change::Up));
    assert!(it.machine.is_degraded());
    assert_eq!(it.check(DEGRADED), Some(Change::Degraded), "told next");
}

#[test]
fn without_checks_nobody_is_degraded() {
    let mut it = Moved::new();
    it.check(DEGRADED);
    assert_eq!(it.machine.forget_checks(it.now), None);
    assert!(!it.machine.is_degraded());
    assert_eq!(it.check(DEGRADED), Some(Change::Degraded), "told anew");
}

#[test]
fn it_is_unsure_before_the_first_check_and_while_the_last_contradicts() {
    let mut it = Moved::new();
    assert!(it.machine.is_unsure());
    it.check(PASS);
    assert!(!it.machine.is_unsure());
    it.check(FAIL);
    assert!(it.machine.is_unsure());
    it.check(PASS);
    assert!(!it.machine.is_unsure());
    for _ in 0..3 {
        it.check(FAIL);
    }
    assert!(!it.machine.is_unsure(), "it is sure that it is down");
    it.check(PASS);
    assert!(it.machine.is_unsure());
}
