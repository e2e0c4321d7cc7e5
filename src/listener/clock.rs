//! The one timer of a connection.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Due};

/// Fires when something of the record comes due.
///
/// It is armed anew only for something earlier, or when it fires: a connection that is used within its idle
/// time costs no timer for each request.
pub(super) struct Clock {
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    pub(super) fn new(activity: &Activity) -> Self {
        let first = activity.due().map_or_else(Instant::now, |(at, _)| at);
        Self {
            sleep: Box::pin(sleep_until(first)),
        }
    }

    /// Ready when something is due; must be polled after whatever may have changed the record.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, activity: &Activity) -> Poll<Due> {
        loop {
            let next = activity.due();
            // Under strain the look that comes after the end of unseen streams must not wait for long either.
            let look = || {
                let strained = activity.is_strained();
                strained.then(|| Instant::now() + activity.idle())
            };
            if let Some(at) = next.map(|(at, _)| at).or_else(look)
                && at < self.sleep.deadline()
            {
                self.sleep.as_mut().reset(at);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match next {
                Some((at, due)) if at <= now => return Poll::Ready(due),
                Some((at, _)) => self.sleep.as_mut().reset(at),
                // Streams of HTTP/2 end in tasks of their own and wake nobody here: look again later.
                None => self.sleep.as_mut().reset(now + activity.idle()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;
    use crate::listener::shared::Patience;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_request_that_woke_nobody_is_seen() {
        let second = Duration::from_secs(1);
        let patience = Patience {
            header: second,
            idle: second * 10,
            body: second,
        };
        let activity = Activity::new(patience, true);
        let start = Instant::now();
        let mut clock = Clock::new(&activity);
        activity.request();
        let mut due = tokio_test_poll(&mut clock, &activity);
        assert_eq!(due.take(), None);
        tokio::time::advance(second * 3).await;
        activity.closes();
        let due = poll_fn(|cx| clock.poll_due(cx, &activity)).await;
        assert_eq!(due, Due::Idle);
        assert!(start.elapsed() < second * 22, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn under_strain_it_is_seen_within_seconds() {
        let hour = Duration::from_secs(3_600);
        let patience = Patience {
            header: hour,
            idle: hour,
            body: hour,
        };
        let activity = Activity::new(patience, true);
        let start = Instant::now();
        let mut clock = Clock::new(&activity);
        activity.request();
        assert_eq!(tokio_test_poll(&mut clock, &activity), None);
        activity.strains(true);
        assert_eq!(tokio_test_poll(&mut clock, &activity), None);
        activity.closes();
        let due = poll_fn(|cx| clock.poll_due(cx, &activity)).await;
        assert_eq!(due, Due::Idle);
        assert!(
            start.elapsed() < Duration::from_secs(4),
            "{:?}",
            start.elapsed()
        );
    }

    fn tokio_test_poll(clock: &mut Clock, activity: &Activity) -> Option<Due> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match clock.poll_due(&mut cx, activity) {
            Poll::Ready(due) => Some(due),
            Poll::Pending => None,
        }
    }
}
