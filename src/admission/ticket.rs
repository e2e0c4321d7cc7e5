//! One who waits at a gate.

use tokio::{sync::oneshot, time::sleep_until};

use super::{core::Waiting, gate::Gate, permit::Held};
use crate::fault::ShedReason;

/// A place in a gate's queue. Dropped, it leaves the queue at once; a place in flight that was just given to it
/// is dropped with it, and so handed to the next.
pub(super) struct Ticket<'a> {
    gate: &'a Gate,
    waiting: Waiting,
    answer: oneshot::Receiver<Result<Held, ShedReason>>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Queued,
    Settled,
}

// === impl Ticket ===

impl<'a> Ticket<'a> {
    pub(super) const fn new(
        gate: &'a Gate,
        waiting: Waiting,
        answer: oneshot::Receiver<Result<Held, ShedReason>>,
    ) -> Self {
        Self {
            gate,
            waiting,
            answer,
            standing: Standing::Queued,
        }
    }

    /// Waits for a place.
    pub(super) async fn settle(mut self) -> Result<Held, ShedReason> {
        let until = self.gate.instant(self.waiting.until);
        let answer = tokio::select! {
            biased; // an answer that is there is better than none, however late it is read
            answer = &mut self.answer => answer,
            () = sleep_until(until) => {
                if self.gate.give_up(self.waiting.position) {
                    self.standing = Standing::Settled;
                    return Err(self.waiting.reason);
                }
                // It was chosen in this instant; who chose it is about to say so.
                (&mut self.answer).await
            }
        };
        self.standing = Standing::Settled;
        // Without an answer the gate itself is gone, which a ticket does not outlive.
        answer.unwrap_or(Err(ShedReason::QueueTimeout))
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.standing == Standing::Queued {
            self.gate.withdraw(self.waiting.position);
        }
    }
}
