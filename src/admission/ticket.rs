//! One who waits at a gate.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    gate::{Answer, Gate, Joined},
    permit::Place,
    queue::Position,
    refuse::Denied,
};
use crate::{fault::ShedReason, names::Priority};

/// A place in a gate's queue. Dropped, it leaves the queue at once; a place in flight that was just given to it
/// is dropped with it, and so handed to the next.
pub(super) struct Ticket<'a> {
    gate: &'a Gate,
    position: Position,
    answer: oneshot::Receiver<Answer>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Queued,
    Settled,
}

// === impl Ticket ===

impl Ticket<'_> {
    /// Waits for a place: which, and how long it took.
    pub(super) async fn wait(
        gate: &Arc<Gate>,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<(Place, Duration), Denied> {
        let joined = gate.join(priority).map_err(shed)?;
        let (position, answer, max_wait) = match joined {
            Joined::Entered(place) => return Ok((place, Duration::ZERO)),
            Joined::Waits {
                position,
                answer,
                max_wait,
            } => (position, answer, max_wait),
        };
        let mut ticket = Ticket {
            gate,
            position,
            answer,
            standing: Standing::Queued,
        };
        let came = Instant::now();
        let patience = Patience::new(came, max_wait, deadline);
        let place = ticket.settle(patience).await.map_err(shed)?;
        Ok((place, came.elapsed()))
    }

    async fn settle(&mut self, patience: Patience) -> Answer {
        let answer = tokio::select! {
            biased; // an answer that is there is better than none, however late it is read
            answer = &mut self.answer => answer,
            () = sleep_until(patience.until) => {
                if self.withdraw() {
                    return Err(patience.reason);
                }
                // It was chosen in this instant; who chose it is about to say so.
                (&mut self.answer).await
            }
        };
        self.standing = Standing::Settled;
        // Without an answer the gate itself is gone, which a ticket does not outlive.
        answer.unwrap_or(Err(ShedReason::QueueTimeout))
    }

    fn withdraw(&mut self) -> bool {
        if self.standing == Standing::Settled {
            return false;
        }
        self.standing = Standing::Settled;
        self.gate.withdraw(self.position)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// How long one waits, and what it is told then.
struct Patience {
    until: Instant,
    reason: ShedReason,
}

impl Patience {
    fn new(came: Instant, max_wait: Duration, deadline: Option<Instant>) -> Self {
        let until = came.checked_add(max_wait).unwrap_or(came);
        match deadline {
            Some(deadline) if deadline < until => Self {
                until: deadline,
                reason: ShedReason::DeadlineUnmeetable,
            },
            _ => Self {
                until,
                reason: ShedReason::QueueTimeout,
            },
        }
    }
}

fn shed(reason: ShedReason) -> Denied {
    Denied::shed(reason, &mut rand::rng())
}
