//! What another process needs to take over, and the end of this one when it has.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{ADMIN_DRAIN, Gateway};
use crate::{
    listener::{Backlog, Leave, Listener},
    reload::Learned,
};

/// How long a connection without requests may stay, at most: keep-alive clients that come back within this learn with
/// an answer that they must connect anew. At most half the time of the drain.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

impl Gateway {
    /// The sockets of all listeners by name, the admin's among them.
    ///
    /// # Errors
    /// Where descriptors are out.
    pub fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let all = self.listeners.iter().chain([&self.admin]);
        let mut sockets = Vec::new();
        for listener in all {
            if let Some(socket) = listener.socket()? {
                sockets.push((listener.name().to_string(), socket));
            }
        }
        Ok(sockets)
    }

    /// What limits have learned, for another process.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn learned(&self) -> io::Result<Vec<u8>> {
        Learned::bytes_of(&self.snapshot())
    }

    /// Writes once more to disk, and then nothing: another process is about to.
    ///
    /// # Cancel safety
    /// The last words are written, unawaited.
    pub async fn pause_notes(&self) {
        self.keeper.notes.pause().await;
    }

    /// Writes to disk again: nothing came of the other process.
    pub fn resume_notes(&self) {
        self.keeper.notes.begin();
    }

    /// Ends, while another process serves on the sockets named in `kept`: accepts no more, but for what waits at the
    /// others, and finishes what runs for at most `timeout`. Returns how many connections and tunnels had to be cut.
    ///
    /// # Cancel safety
    /// Dropped, what still runs ends with the gateway.
    pub async fn hand_over(self, kept: &[String], timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let leave = Leave {
            within: LEAVE_WITHIN.min(timeout / 2),
            backlog: Backlog::Left,
        };
        // Whoever watches the old process is to watch the new one.
        self.streams.cancel();
        let admin = Arc::clone(&self.admin);
        let leaving = TaskTracker::new();
        leaving.spawn(async move { admin.leave(deadline + ADMIN_DRAIN, leave).await });
        let left_to_us =
            |listener: &Listener| !kept.iter().any(|name| *name == *listener.name().as_str());
        self.end(deadline, |listener| {
            let backlog = if left_to_us(listener) {
                Backlog::Taken
            } else {
                Backlog::Left
            };
            Some(Leave { backlog, ..leave })
        })
        .await
    }
}
