use std::num::NonZeroU32;

use super::*;
use crate::{config::CheckPlan, health::Failed, names::EjectionCause};

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
        consecutive_local_failures: times(3),
        interval: seconds(10),
        success_rate: None,
        latency: None,
        base_time: seconds(30),
        max_time: seconds(100),
    }
}

/// Three endpoints, all of which can serve.
const WELL: Peers = Peers {
    total: 3,
    ejected: 0,
    others_that_can_serve: 2,
    others_that_fail: 0,
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

    /// A request that begins and ends now.
    fn end(&mut self, outcome: Outcome, peers: Peers) -> Option<Change> {
        self.end_of(self.now, outcome, peers, &ejection())
    }

    /// A request that began at `began` ends now.
    fn end_of(
        &mut self,
        began: Instant,
        outcome: Outcome,
        peers: Peers,
        plan: &EjectionPlan,
    ) -> Option<Change> {
        let ended = ended(outcome, began);
        match self.machine.ended(&ended, Some(plan), self.now) {
            Verdict::Settled(change) => change,
            Verdict::AskPeers(grounds) => self.machine.eject(grounds, plan, &peers, self.now),
        }
    }

    fn fail(&mut self, times: u32, peers: Peers) -> Option<Change> {
        (0..times).fold(None, |_, _| self.end(Outcome::RemoteFailure, peers))
    }

    /// Passes the time of an ejection, and the trial after it.
    fn comes_back_after(&mut self, for_: Duration) {
        self.now += for_;
        assert_eq!(self.end(Outcome::Success, WELL), Some(Change::Returned));
    }

    fn view(&self) -> HealthView {
        self.machine.view(self.now)
    }

    fn is_ejected(&self) -> bool {
        self.view().ejected_for.is_some()
    }
}

fn ended(outcome: Outcome, began: Instant) -> Ended {
    Ended {
        outcome,
        failed: outcome
            .is_failure()
            .then_some(Failed::Fault("connection refused")),
        took: None,
        began,
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
    assert_eq!(it.machine.back_since(), Some(it.now));
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
    assert!(it.view().on_trial);
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
}

#[test]
fn the_first_success_after_the_time_brings_it_back_and_is_told_once() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(29);
    assert_eq!(it.end(Outcome::Success, WELL), None, "still out");
    it.passes(1);
    assert!(it.machine.is_unproven());
    assert_eq!(it.machine.back_since(), None);
    assert_eq!(it.end(Outcome::Success, WELL), Some(Change::Returned));
    assert_eq!(it.end(Outcome::Success, WELL), None);
    assert!(!it.machine.is_unproven() && !it.view().on_trial);
    assert_eq!(it.machine.back_since(), Some(it.now));
}

#[test]
fn a_passed_check_ends_no_trial() {
    let mut it = Moved::new();
    it.check(PASS);
    it.fail(3, WELL);
    it.passes(30);
    assert_eq!(it.check(PASS), None);
    assert!(it.view().on_trial);
}

#[test]
fn one_failure_on_trial_ejects_anew_for_longer() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(1000); // nobody asked it meanwhile: that is no good behaviour
    let change = it.end(Outcome::LocalFailure, WELL);
    assert_eq!(ejected_for(change), Some(seconds(60)));
    let last = Some(Failed::Fault("connection refused"));
    assert_eq!(it.view().grounds, Some(Grounds::Trial { last }));
}

#[test]
fn what_was_on_its_way_when_it_went_out_decides_no_trial() {
    let mut it = Moved::new();
    let before = it.now;
    it.fail(3, WELL);
    it.passes(31);
    for outcome in [Outcome::RemoteFailure, Outcome::Success, Outcome::Ignored] {
        assert_eq!(it.end_of(before, outcome, WELL, &ejection()), None);
        assert!(it.view().on_trial, "{outcome:?}");
    }
}

#[test]
fn an_ignored_end_leaves_it_on_trial() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(30);
    assert_eq!(it.end(Outcome::Ignored, WELL), None);
    assert!(it.view().on_trial);
}

#[test]
fn a_failed_trial_leaves_it_on_trial_where_peers_allow_no_ejection() {
    let mut it = Moved::new();
    it.fail(3, WELL);
    it.passes(30);
    let another_is_out = Peers { ejected: 1, ..WELL };
    assert_eq!(it.end(Outcome::RemoteFailure, another_is_out), None);
    assert!(it.view().on_trial);
    assert!(it.end(Outcome::RemoteFailure, WELL).is_some());
}

#[test]
fn each_ejection_is_longer_than_the_one_before_up_to_the_cap() {
    let mut it = Moved::new();
    let mut lengths = Vec::new();
    for _ in 0..5 {
        let for_ = ejected_for(it.fail(3, WELL)).unwrap();
        lengths.push(for_.as_secs());
        it.comes_back_after(for_);
    }
    assert_eq!(lengths, [30, 60, 90, 100, 100]);
}

#[test]
fn good_behaviour_is_remembered_one_step_for_each_base_time() {
    let mut it = Moved::new();
    for _ in 0..3 {
        let for_ = ejected_for(it.fail(3, WELL)).unwrap();
        it.comes_back_after(for_);
    }
    it.passes(59); // one step of 30 s: the third counts as the second
    assert_eq!(ejected_for(it.fail(3, WELL)), Some(seconds(90)));
    it.comes_back_after(seconds(90));
    it.passes(300);
    assert_eq!(ejected_for(it.fail(3, WELL)), Some(seconds(30)));
}

#[test]
fn failures_to_reach_it_have_a_number_of_their_own() {
    use Outcome::{LocalFailure as Local, RemoteFailure as Remote, Success};
    let plan = EjectionPlan {
        consecutive_failures: times(10),
        consecutive_local_failures: times(2),
        ..ejection()
    };
    let cause = |outcomes: &[Outcome]| {
        let mut it = Moved::new();
        let ends = outcomes
            .iter()
            .filter_map(|outcome| it.end_of(it.now, *outcome, WELL, &plan));
        match ends.collect::<Vec<_>>()[..] {
            [] => None,
            [Change::Ejected { cause, .. }, ..] => Some(cause),
            ref other => panic!("{other:?}"),
        }
    };
    let local = Some(EjectionCause::ConsecutiveLocalFailures);
    assert_eq!(cause(&[Local, Local]), local);
    assert_eq!(cause(&[Local, Success, Local]), None);
    assert_eq!(cause(&[Local, Remote, Local]), None, "it was reached");
    assert_eq!(cause(&[Remote; 9]), None);
    let both = Some(EjectionCause::ConsecutiveFailures);
    assert_eq!(cause(&[Remote; 10]), both);
    let mixed = [Local, Remote].repeat(5);
    assert_eq!(cause(&mixed), both, "both kinds count together");
}

#[test]
fn what_most_of_the_others_fail_too_ejects_nobody() {
    let alike = |others, failing| {
        let peers = Peers {
            others_that_can_serve: others,
            others_that_fail: failing,
            ..WELL
        };
        Moved::new().fail(3, peers).is_none()
    };
    assert!(alike(1, 1) && alike(2, 2) && alike(3, 2) && alike(4, 3));
    assert!(!alike(1, 0) && !alike(2, 1) && !alike(3, 1) && !alike(4, 2));
}

#[test]
fn who_stands_out_is_ejected_unless_it_is_out_or_on_trial() {
    let grounds = Grounds::SuccessRate {
        share: 0.9,
        others: 0.0,
    };
    let mut it = Moved::new();
    let change = it.machine.eject(grounds, &ejection(), &WELL, it.now);
    assert_eq!(ejected_for(change), Some(seconds(30)));
    for _ in 0..2 {
        let change = it.machine.eject(grounds, &ejection(), &WELL, it.now);
        assert_eq!(change, None);
        it.passes(30);
    }
    assert!(it.view().on_trial);
}

#[test]
fn the_view_says_since_when_it_is_as_it_is() {
    let mut it = Moved::new();
    assert_eq!(it.view().since, None);
    it.check(PASS);
    it.passes(5);
    assert_eq!(it.view().since, Some(seconds(5)), "first check");
    it.fail(3, WELL);
    it.passes(10);
    assert_eq!(it.view().since, Some(seconds(10)), "ejected");
    it.passes(25);
    assert_eq!(it.view().since, Some(seconds(5)), "on trial");
    it.end(Outcome::Success, WELL);
    it.passes(7);
    assert_eq!(it.view().since, Some(seconds(7)), "returned");
    for _ in 0..3 {
        it.check(FAIL);
    }
    it.passes(2);
    let view = it.view();
    assert_eq!((view.since, view.checks_failed), (Some(seconds(2)), 3));
    it.check(PASS);
    assert_eq!((it.view().checks_failed, it.view().checks_passed), (0, 1));
    it.check(PASS);
    assert_eq!(it.view().since, Some(Duration::ZERO), "up");
}

#[test]
fn one_that_joins_says_so_until_it_was_out() {
    let mut it = Moved::new();
    it.machine.join(it.now);
    it.passes(3);
    assert!(it.view().joined);
    assert_eq!(it.view().since, Some(seconds(3)));
    it.fail(3, WELL);
    it.comes_back_after(seconds(30));
    assert!(!it.view().joined);
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
                    others_that_fail: 0,
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
    let failed = ended(Outcome::RemoteFailure, it.now);
    let verdict = it.machine.ended(&failed, None, it.now);
    assert_eq!(verdict, Verdict::Settled(Some(Change::Returned)));
    assert!(!it.is_ejected());
    assert_eq!(it.machine.last_ejected_until(), Some(it.now));
}

#[test]
fn with_ejection_off_failures_are_not_counted() {
    let mut it = Moved::new();
    for _ in 0..10 {
        let failed = ended(Outcome::RemoteFailure, it.now);
        it.machine.ended(&failed, None, it.now);
    }
    assert_eq!(it.view().failures_in_a_row, 0);
}

#[test]
fn of_two_who_reach_the_threshold_at_once_only_the_first_ejects() {
    let mut it = Moved::new();
    it.fail(2, WELL);
    let failed = ended(Outcome::RemoteFailure, it.now);
    let verdict = it.machine.ended(&failed, Some(&ejection()), it.now);
    let Verdict::AskPeers(grounds) = verdict else {
        panic!("{verdict:?}");
    };
    let eject = |it: &mut Moved| it.machine.eject(grounds, &ejection(), &WELL, it.now);
    assert!(eject(&mut it).is_some());
    assert_eq!(eject(&mut it), None);
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
