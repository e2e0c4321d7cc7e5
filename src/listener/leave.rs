//! How connections leave in a drain: all at once, or each in its turn; and what becomes of those that nobody has
//! accepted yet.
//!
//! Whoever has time is told by its next answer that it was the last, and none is closed while its client may be about
//! to write.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{activity::Activity, shared::Shared};

/// How fast a drain asks connections that rest to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All of them now.
    AtOnce,
    /// One after the other, so that their clients don't all come back at once. HTTP/1 has its turn in the first half of
    /// the time: from then on each answer says `Connection: close`, and who asks for nothing is closed half of the time
    /// later. HTTP/2 has its turn at any moment of it: GOAWAY.
    Spread {
        /// When the last one was asked to leave.
        within: Duration,
    },
}

/// What becomes of connections that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Another process accepts from the same socket.
    Left,
    /// Nobody else will: they are accepted before the socket is closed.
    Taken,
}

/// A [`Pace::Spread`] that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    began: Instant,
    within: Duration,
}

/// When one connection is told, and when it is closed where it asks for nothing.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    told: Instant,
    closed: Instant,
}

/// How long a connection that was just accepted may still shake hands, or send its first request, when a drain begins.
const NEWCOMER: Duration = Duration::from_millis(500);

/// Ends when a connection that is not open yet will not be: a moment after a drain began that waits for nobody's turn.
pub(super) async fn too_late(shared: &Shared) {
    shared.hurry.cancelled().await;
    sleep(NEWCOMER).await;
}

/// Ends when a connection is to end as soon as its requests have; polled only once there is a drain. From its turn on
/// each answer on it is its last. Whose first request may be on its way keeps a moment for it.
pub(super) async fn asked(shared: &Shared, activity: &Activity) {
    // A token of its own: polling a shared one would be a lock shared by all connections.
    let hurry = shared.hurry.child_token();
    tokio::select! {
        biased; // who hurries does not wait
        () = hurry.cancelled() => {}
        () = turn(shared, activity) => {}
    }
    if activity.is_new() {
        sleep_until(activity.born() + NEWCOMER).await;
    }
}

async fn turn(shared: &Shared, activity: &Activity) {
    let Some(spread) = shared.spread.get() else {
        return;
    };
    let turn = spread.turn(activity.is_http2(), rand::random());
    sleep_until(turn.told).await;
    activity.nears_its_end();
    sleep_until(turn.closed).await;
}

// === impl Spread ===

impl Spread {
    /// Begins now.
    pub(super) fn new(within: Duration) -> Self {
        Self {
            began: Instant::now(),
            within,
        }
    }

    /// The turn of a connection; `share` from 0 to 1 spreads them.
    fn turn(&self, http2: bool, share: f64) -> Turn {
        let (half, share) = (self.within / 2, share.clamp(0.0, 1.0));
        if http2 {
            let told = self.began + self.within.mul_f64(share);
            return Turn { told, closed: told };
        }
        let told = self.began + half.mul_f64(share);
        Turn {
            told,
            closed: told + half,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn http1_is_told_in_the_first_half_and_closed_in_the_second_and_http2_at_any_moment() {
        let spread = Spread::new(Duration::from_secs(4));
        let after = |http2, share| {
            let turn = spread.turn(http2, share);
            [turn.told, turn.closed].map(|at| (at - Instant::now()).as_secs())
        };
        assert_eq!([after(false, 0.0), after(false, 1.0)], [[0, 2], [2, 4]]);
        assert_eq!([after(true, 0.0), after(true, 1.0)], [[0, 0], [4, 4]]);
    }
}
