//! Whether this process stood still while a check ran: then what the check missed proves nothing.
//!
//! A process short of CPU, or a machine that was paused, finds every time-out over at once and every endpoint
//! guilty. Its own timers tell: they come late by as much as it stood still. Nothing here knows of an endpoint.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::{CheckFailure, Passed};
use crate::telemetry::{Events, ProcessEvent};

/// A check that would begin so much later than it was due is put off a little: all others woke with it.
pub(super) const LATE: Duration = Duration::from_millis(250);
/// A check in which the process stood still for more than this share of the time-out proves nothing by silence.
const LOST_SHARE: u32 = 4;
/// Ticks beside a check come so often, or this often within its time-out where that is more.
const TICK: Duration = Duration::from_millis(100);
const TICKS: u32 = 8;
/// What every tick may be late: a busy machine's common lateness.
const SLACK: Duration = Duration::from_millis(20);
/// It is told of standstills so often at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How a check ended, as far as it is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judged {
    /// It counts.
    Proven(Result<Passed, CheckFailure>),
    /// It failed, for what may be this process's own doing.
    Inconclusive(CheckFailure),
}

/// Tells that checks prove nothing at the moment: once a minute, whoever finds out.
#[derive(Debug, Default)]
pub struct StandstillNotice {
    told: Mutex<Option<Instant>>,
}

/// Both clocks at one moment. The wall's goes on while a machine sleeps, which the other does not see.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    steady: Instant,
    wall: SystemTime,
}

/// What became of a check that had `timeout`, while the process stood still for `lost`.
///
/// An answer counts, whatever it says and however late it came. Silence, and a connection that broke, count only
/// where the endpoint had most of its time. A want of this process's own never counts.
pub(super) fn judge(
    result: Result<Passed, CheckFailure>,
    lost: Duration,
    timeout: Duration,
) -> Judged {
    match result {
        Err(failure) if failure.is_our_own() => Judged::Inconclusive(failure),
        Err(failure) if !failure.is_an_answer() && lost > timeout / LOST_SHARE => {
            Judged::Inconclusive(failure)
        }
        result => Judged::Proven(result),
    }
}

/// Runs `check` for at most `limit`, and says for how long the process stood still meanwhile.
///
/// # Cancel safety
/// Dropping the future drops the check.
pub(super) async fn timed(
    check: impl Future<Output = Result<Passed, CheckFailure>>,
    limit: Duration,
) -> (Result<Passed, CheckFailure>, Duration) {
    let mut lost = Duration::ZERO;
    let result = {
        let check = timeout(limit, check);
        tokio::pin!(check);
        let tick = TICK.min(limit / TICKS);
        loop {
            let before = Clocks::now();
            // The tick first: what ends with a standstill is looked at after it was seen.
            tokio::select! {
                biased;
                () = sleep(tick) => {
                    lost += before.stood_still(tick, Clocks::now());
                }
                result = &mut check => {
                    lost += before.stood_still(tick, Clocks::now());
                    break result.unwrap_or(Err(CheckFailure::Timeout));
                }
            }
        }
    };
    (result, lost)
}

// === impl StandstillNotice ===

impl StandstillNotice {
    /// Says that the checks of `what` prove nothing, unless that was said less than a minute ago.
    pub(super) fn tell(&self, late: Duration, now: Instant, events: &Events) -> bool {
        let mut told = self.told.lock();
        if told.is_some_and(|at| now.saturating_duration_since(at) < TELL_EVERY) {
            return false;
        }
        *told = Some(now);
        events.tell(ProcessEvent::StoodStill {
            late_ms: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
        });
        true
    }
}

// === impl Clocks ===

impl Clocks {
    fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How much longer than `asked` it took from `self` to `end`, by whichever clock saw more, beyond what is
    /// common. A wall clock that is set looks the same; then a failure is excused that need not be.
    fn stood_still(self, asked: Duration, end: Self) -> Duration {
        let steady = end.steady.saturating_duration_since(self.steady);
        let wall = end.wall.duration_since(self.wall).unwrap_or_default();
        steady.max(wall).saturating_sub(asked + SLACK)
    }
}

#[cfg(test)]
mod tests;
