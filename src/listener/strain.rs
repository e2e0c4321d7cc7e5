//! What the process asks of its listeners while it is short of something.

use std::{future::pending, sync::Arc};

use tokio::sync::watch::Receiver;

use super::shared::Shared;

/// What is given up on sockets. Each asks for what those above it do, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strain {
    /// Nothing.
    #[default]
    None,
    /// Connections on which nothing runs are closed after a second of quiet.
    CloseIdle,
    /// No connection is accepted either: who comes waits in the kernel's backlog.
    StopAccepting,
}

// === impl Strain ===

impl Strain {
    /// Whether connections on which nothing runs are closed.
    #[must_use]
    pub const fn closes_idle(self) -> bool {
        matches!(self, Self::CloseIdle | Self::StopAccepting)
    }

    /// Whether connections are accepted.
    #[must_use]
    pub const fn accepts(self) -> bool {
        !matches!(self, Self::StopAccepting)
    }
}

/// Waits until what is asked `holds`; returns at once where it does. Where nobody asks any more, nothing is asked.
pub(super) async fn until(strain: &mut Receiver<Strain>, holds: impl Fn(Strain) -> bool) {
    loop {
        let asked = match strain.has_changed() {
            Ok(_) => *strain.borrow_and_update(),
            Err(_) => Strain::None,
        };
        if holds(asked) {
            return;
        }
        if strain.changed().await.is_err() && !holds(Strain::None) {
            pending::<()>().await;
        }
    }
}

/// Tells the connections of `shared` what is asked of them, until they are asked to end anyway.
pub(super) async fn follow(mut strain: Receiver<Strain>, shared: Arc<Shared>) {
    loop {
        shared.close_idle(strain.borrow_and_update().closes_idle());
        let gone = tokio::select! {
            biased; // the drain first: it waits for this task
            () = shared.draining.cancelled() => return,
            changed = strain.changed() => changed.is_err(),
        };
        if gone {
            return shared.close_idle(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::watch, time::timeout};

    use super::*;

    #[test]
    fn who_accepts_nothing_keeps_nothing_idle_either() {
        let asked = [Strain::None, Strain::CloseIdle, Strain::StopAccepting];
        assert_eq!(asked.map(Strain::closes_idle), [false, true, true]);
        assert_eq!(asked.map(Strain::accepts), [true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_asks_any_more_all_is_accepted_and_no_stop_is_awaited() {
        let (sender, mut receiver) = watch::channel(Strain::StopAccepting);
        let hour = std::time::Duration::from_secs(3_600);
        let accepting = timeout(hour, until(&mut receiver, Strain::accepts)).await;
        assert!(accepting.is_err(), "a pause ends by itself");
        drop(sender);
        until(&mut receiver, Strain::accepts).await;
        let stopped = until(&mut receiver, |strain| !strain.accepts());
        assert!(
            timeout(hour, stopped).await.is_err(),
            "a stop out of thin air"
        );
    }
}
