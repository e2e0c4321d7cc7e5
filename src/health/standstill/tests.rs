use tokio::time::advance;

use super::*;

const LIMIT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

fn silent() -> impl Future<Output = Result<Passed, CheckFailure>> {
    std::future::pending()
}

#[test]
fn what_an_endpoint_says_counts_and_what_it_does_not_say_counts_only_if_it_had_its_time() {
    let own = CheckFailure::Own("no descriptor".into());
    let table = [
        // failure, lost in milliseconds, whether it counts
        (CheckFailure::Timeout, 0, true),
        (CheckFailure::Timeout, 250, true),
        (CheckFailure::Timeout, 251, false),
        (CheckFailure::Tls("eof".into()), 251, false),
        (CheckFailure::Protocol("closed".into()), 251, false),
        (CheckFailure::Connect("refused".into()), 60_000, true),
        (
            CheckFailure::Status(http::StatusCode::SERVICE_UNAVAILABLE),
            60_000,
            true,
        ),
        (CheckFailure::Body { read: 7 }, 60_000, true),
        (
            CheckFailure::NotServing(super::super::Serving::NotServing),
            60_000,
            true,
        ),
        (own.clone(), 0, false),
    ];
    for (failure, lost, counts) in table {
        let judged = judge(Err(failure.clone()), Duration::from_millis(lost), LIMIT);
        let expected = if counts {
            Judged::Proven(Err(failure))
        } else {
            Judged::Inconclusive(failure)
        };
        assert_eq!(judged, expected);
    }
    let passed = judge(Ok(Passed::Whole), LONG, LIMIT);
    assert_eq!(passed, Judged::Proven(Ok(Passed::Whole)));
}

#[tokio::test(start_paused = true)]
async fn a_check_ends_with_its_time_out_and_lost_nothing_where_time_flows() {
    let start = Instant::now();
    let (result, lost) = timed(silent(), LIMIT).await;
    assert_eq!(result, Err(CheckFailure::Timeout));
    assert_eq!(lost, Duration::ZERO);
    assert!(start.elapsed() < LIMIT + SLACK, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_standstill_is_seen_by_the_check_that_it_ends() {
    let (checked, ()) = tokio::join!(timed(silent(), LIMIT), advance(LONG));
    let (result, lost) = checked;
    assert_eq!(result, Err(CheckFailure::Timeout));
    assert!(lost > LONG.saturating_sub(LIMIT) && lost < LONG, "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn many_small_standstills_add_up() {
    let stutters = async {
        for _ in 0..5 {
            advance(Duration::from_millis(210)).await;
        }
    };
    let ((result, lost), ()) = tokio::join!(timed(silent(), LIMIT), stutters);
    assert_eq!(result, Err(CheckFailure::Timeout));
    assert!(lost > LIMIT / LOST_SHARE, "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_during_a_standstill_is_taken() {
    let answer = async {
        sleep(Duration::from_millis(10)).await;
        Ok(Passed::Whole)
    };
    let ((result, _), ()) = tokio::join!(timed(answer, LIMIT), advance(LONG));
    assert_eq!(
        result,
        Ok(Passed::Whole),
        "it is looked at before the clock"
    );
}

#[test]
fn a_machine_that_slept_is_seen_by_the_clock_on_the_wall() {
    let before = Clocks {
        steady: Instant::now(),
        wall: SystemTime::UNIX_EPOCH + LONG,
    };
    let tick = Duration::from_millis(100);
    let after = |steady, wall| Clocks {
        steady: before.steady + steady,
        wall,
    };
    let lost = |end| before.stood_still(tick, end);
    assert_eq!(lost(after(tick, before.wall + tick)), Duration::ZERO);
    assert_eq!(
        lost(after(tick, before.wall + tick + LONG)),
        LONG.saturating_sub(SLACK),
        "suspended: the steady clock stood"
    );
    assert_eq!(
        lost(after(tick + LONG, before.wall)),
        LONG.saturating_sub(SLACK)
    );
    assert_eq!(
        lost(after(tick, before.wall - LONG)),
        Duration::ZERO,
        "a clock that is set back excuses nobody"
    );
}

#[test]
fn a_standstill_is_told_once_a_minute_whoever_finds_it() {
    let (notice, now) = (StandstillNotice::default(), Instant::now());
    assert!(notice.tell(LONG, now, &Events::default()));
    assert!(!notice.tell(LONG, now + TELL_EVERY / 2, &Events::default()));
    assert!(notice.tell(LONG, now + TELL_EVERY, &Events::default()));
}
