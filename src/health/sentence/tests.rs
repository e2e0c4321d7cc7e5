use std::num::NonZeroU32;

use http::StatusCode;

use super::*;
use crate::{
    config::CheckPlan,
    health::{Failed, Grounds},
};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// 14:03:17 on some day.
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + seconds(20_000 * 86_400 + 14 * 3_600 + 3 * 60 + 17)
}

fn well() -> HealthView {
    HealthView {
        checked: Checked::Unchecked,
        degraded: false,
        checks_failed: 0,
        checks_passed: 0,
        ejected_for: None,
        on_trial: false,
        grounds: None,
        ejections: 0,
        failures_in_a_row: 0,
        last_check_error: None,
        since: None,
        joined: false,
    }
}

fn checks() -> HealthPlan {
    HealthPlan {
        check: CheckPlan::Connect,
        port: None,
        interval: seconds(5),
        fast_interval: seconds(1),
        timeout: seconds(1),
        unhealthy_after: NonZeroU32::MIN,
        healthy_after: NonZeroU32::new(2).unwrap(),
        degraded: None,
    }
}

fn said(health: &HealthView, share: f32) -> String {
    let plan = checks();
    let sentence = Sentence {
        health,
        share,
        slow_start: seconds(10),
        checks: Some(&plan),
        at: at(),
    };
    sentence.to_string()
}

fn ejected(grounds: Grounds) -> HealthView {
    HealthView {
        ejected_for: Some(seconds(18)),
        grounds: Some(grounds),
        ejections: 1,
        since: Some(seconds(12)),
        ..well()
    }
}

#[test]
fn an_ejected_endpoint_says_why_since_when_and_when_it_is_tried() {
    let refused = Some(Failed::Fault("connection refused"));
    let status = Some(Failed::Status(StatusCode::BAD_GATEWAY));
    let out = |why: &str| {
        format!("out since 14:03:05 (12 s): {why}; a single request will try it in 18 s")
    };
    let (count, last) = (5, refused);
    let table = [
        (
            Grounds::Failures { count, last },
            "5 failures in a row, the last: connection refused",
        ),
        (
            Grounds::Failures {
                count: 1,
                last: status,
            },
            "1 failure in a row, the last: status 502",
        ),
        (
            Grounds::LocalFailures { count: 3, last },
            "3 failures in a row to reach it, the last: connection refused",
        ),
        (
            Grounds::SuccessRate {
                share: 0.75,
                others: 0.02,
            },
            "75 % of its requests failed, 2 % of the others'",
        ),
        (
            Grounds::Latency {
                p90: Duration::from_millis(410),
                others: Duration::from_millis(38),
            },
            "nine of ten answers took up to 410 ms, the others' 38 ms",
        ),
        (
            Grounds::Trial { last: status },
            "the request that tried it failed, the last: status 502",
        ),
    ];
    for (grounds, why) in table {
        assert_eq!(said(&ejected(grounds), 1.0), out(why));
    }
}

#[test]
fn an_ejection_is_told_with_its_number_and_with_what_checks_say() {
    let health = HealthView {
        ejections: 3,
        checked: Checked::Down,
        since: Some(seconds(15 * 3_600)),
        ..ejected(Grounds::Trial { last: None })
    };
    assert_eq!(
        said(&health, 1.0),
        "out since 2024-10-03 23:03:17 (15 h): the request that tried it failed (time 3 of late); \
         a single request will try it in 18 s, if its checks pass by then"
    );
}

#[test]
fn one_that_is_down_says_how_many_checks_bring_it_back() {
    let mut health = HealthView {
        checked: Checked::Down,
        checks_failed: 3,
        last_check_error: Some("status 503".into()),
        since: Some(seconds(150)),
        ..well()
    };
    assert_eq!(
        said(&health, 1.0),
        "out since 14:00:47 (3 min): 3 checks failed, the last: status 503; 2 passed checks bring it back"
    );
    health.checks_failed = 0;
    health.checks_passed = 1;
    health.last_check_error = None;
    assert_eq!(
        said(&health, 1.0),
        "out since 14:00:47 (3 min): its checks failed; 1 more passed check brings it back"
    );
}

#[test]
fn one_that_serves_says_how_it_came_to_that() {
    let trial = HealthView {
        ejected_for: None,
        on_trial: true,
        since: Some(seconds(2)),
        ..ejected(Grounds::Failures {
            count: 5,
            last: None,
        })
    };
    let back = HealthView {
        since: Some(seconds(4)),
        ..well()
    };
    let joined = HealthView {
        joined: true,
        ..back.clone()
    };
    let up = HealthView {
        checked: Checked::Up,
        since: Some(seconds(60)),
        ..well()
    };
    let shaky = HealthView {
        checks_failed: 1,
        last_check_error: Some("no answer in time".into()),
        failures_in_a_row: 2,
        ..up.clone()
    };
    let table = [
        (
            trial,
            1.0,
            "on trial since 14:03:15 (2 s): it was out, 5 failures in a row; one request at a time goes there, \
             and the first that succeeds brings it back",
        ),
        (
            back,
            0.37,
            "serves, with 0.37 of its share: it came back at 14:03:13, 4 s ago, and has all of it in 6 s",
        ),
        (
            joined,
            0.37,
            "serves, with 0.37 of its share: it joined at 14:03:13, 4 s ago, and has all of it in 6 s",
        ),
        (
            up,
            1.0,
            "serves since 14:02:17 (60 s): it passes its checks",
        ),
        (
            shaky,
            1.0,
            "serves since 14:02:17 (60 s): 1 check failed, the last: no answer in time, not enough to take it out, \
             2 requests failed in a row",
        ),
        (well(), 1.0, "serves: no check says otherwise"),
    ];
    for (health, share, sentence) in table {
        assert_eq!(said(&health, share), sentence);
    }
}

#[test]
fn one_that_says_it_is_degraded_serves_with_less() {
    let health = HealthView {
        checked: Checked::Up,
        degraded: true,
        ..well()
    };
    assert_eq!(
        said(&health, 1.0),
        "serves: it passes its checks and says that it is degraded, so it gets a part of its weight"
    );
}
