//! Holding the config still, while another process begins with it.
//!
//! Both processes follow the same file: without this the old one might take an address that the new one is about to
//! bind, or close a socket that it has just handed over.

use std::future::pending;

use tokio::sync::watch;

/// The side that holds.
#[derive(Debug)]
pub(super) struct Hold {
    wanted: watch::Sender<bool>,
    held: watch::Receiver<bool>,
}

/// The keeper's side.
#[derive(Debug)]
pub(super) struct Held {
    wanted: watch::Receiver<bool>,
    held: watch::Sender<bool>,
}

/// Both sides; nothing is held yet.
pub(super) fn pair() -> (Hold, Held) {
    let (wanted, is_wanted) = watch::channel(false);
    let (held, is_held) = watch::channel(false);
    let hold = Hold {
        wanted,
        held: is_held,
    };
    let keeper = Held {
        wanted: is_wanted,
        held,
    };
    (hold, keeper)
}

// === impl Hold ===

impl Hold {
    /// Ends when nothing changes any more until [`end`](Self::end).
    ///
    /// # Cancel safety
    /// It is held all the same, soon.
    pub(super) async fn begin(&self) {
        self.wanted.send_replace(true);
        // A keeper that has ended changes nothing.
        let _ = self.held.clone().wait_for(|held| *held).await;
    }

    /// What was put off is done now.
    pub(super) fn end(&self) {
        self.wanted.send_replace(false);
    }
}

// === impl Held ===

impl Held {
    /// Whether nothing may change. Asked between changes only: the other side is told.
    pub(super) fn look(&mut self) -> bool {
        let wanted = *self.wanted.borrow_and_update();
        self.held.send_replace(wanted);
        wanted
    }

    /// Ends when another look is due.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn changed(&mut self) {
        if self.wanted.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}
