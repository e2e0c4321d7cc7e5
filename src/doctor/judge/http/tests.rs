use super::*;
use crate::doctor::report::Mark;

const OURS: Duration = Duration::from_secs(60);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn their_idle_time_is_warned_of_where_it_is_not_longer_than_ours() {
    let told = |value| KeepAlive {
        told: Some(value),
        ..KeepAlive::default()
    };
    let of = |known| {
        let found = keep_alive(known, OURS);
        (found.mark, found.code)
    };
    assert_eq!(of(told("timeout=5")), (Mark::Warn, Code::ClosesFirst));
    assert_eq!(
        of(told("max=10, Timeout=60")),
        (Mark::Warn, Code::ClosesFirst)
    );
    assert_eq!(of(told("timeout=65, max=100")), (Mark::Ok, Code::Well));
    assert_eq!(of(told("max=100")), (Mark::Skipped, Code::Unknown));
    let closes = KeepAlive {
        closes: true,
        ..KeepAlive::default()
    };
    assert_eq!(of(closes), (Mark::Warn, Code::NoKeepAlive));
}

#[test]
fn what_was_seen_counts_more_than_what_was_said() {
    let of = |rest, told| {
        keep_alive(
            KeepAlive {
                told,
                closes: false,
                seen: Some((rest, seconds(2))),
            },
            OURS,
        )
    };
    let closed = of(Rest::Closed(seconds(1)), Some("timeout=300"));
    assert_eq!(closed.code, Code::ClosesFirst);
    assert!(closed.says.contains("after 1 s"), "{}", closed.says);
    assert_eq!(of(Rest::Open, Some("timeout=5")).code, Code::ClosesFirst);
    assert_eq!(
        of(Rest::Open, None).says,
        "a connection that rested for 2 s was still open"
    );
    assert_eq!(of(Rest::Shared, None).mark, Mark::Ok);
}

#[test]
fn clocks_differ_only_by_more_than_a_round_trip_and_the_second_that_date_leaves_out() {
    let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000 + millis);
    let of = |date: u64, sent: u64, heard: u64| skew(Some(at(date)), (at(sent), at(heard)));
    assert_eq!(of(10_000, 10_900, 10_950).mark, Mark::Ok);
    assert_eq!(
        of(10_000, 12_900, 12_990).mark,
        Mark::Ok,
        "1.9 s behind at least"
    );
    assert_eq!(of(10_000, 13_100, 13_200).code, Code::Skewed);
    assert_eq!(
        of(10_000, 2_000, 9_000).mark,
        Mark::Ok,
        "a slow answer is no skew"
    );
    let ahead = of(310_000, 10_000, 10_100);
    assert_eq!(
        ahead.says,
        "the service's clock is 299.9 s ahead of ours, at least"
    );
    assert_eq!(skew(None, (at(0), at(0))).mark, Mark::Skipped);
}

fn answered(
    configured: bool,
    status: u16,
    verdict: &Result<Passed, CheckFailure>,
    millis: u64,
) -> Finding {
    let it = Answered {
        asked: "GET /",
        configured,
        status: StatusCode::from_u16(status).unwrap(),
        version: Version::HTTP_11,
        first_byte: Duration::from_millis(millis),
        patience: Duration::from_secs(1),
        verdict,
    };
    answer("GET /", Ok(&it))
}

#[test]
fn an_answer_is_judged_by_the_check_and_without_one_by_its_status() {
    let (passed, degraded) = (Ok(Passed::Whole), Ok(Passed::Degraded));
    let failed = Err(CheckFailure::Status(StatusCode::NOT_FOUND));
    let well = answered(true, 200, &passed, 3);
    assert_eq!((well.mark, well.took_ms), (Mark::Ok, Some(3.0)));
    assert_eq!(well.says, "GET / answers 200 over HTTP/1.1");
    assert_eq!(answered(true, 404, &failed, 3).mark, Mark::Bad);
    assert_eq!(answered(true, 200, &degraded, 3).code, Code::Degraded);
    assert_eq!(answered(false, 404, &passed, 3).mark, Mark::Ok);
    assert_eq!(answered(false, 503, &passed, 3).code, Code::ServerError);
    assert_eq!(
        answered(true, 503, &passed, 3).mark,
        Mark::Ok,
        "the config expects it"
    );
    assert_eq!(answered(false, 200, &passed, 501).code, Code::Slow);
    let none = answer("GET /", Err(&CheckFailure::Timeout));
    assert_eq!(
        (none.mark, none.says.as_str()),
        (Mark::Bad, "GET /: no answer in time")
    );
}
