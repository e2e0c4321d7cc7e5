//! What another process needs to take over, and the end of this one when it has.

use std::{io, os::fd::OwnedFd, time::Duration};

use tokio::time::Instant;

use super::Gateway;
use crate::reload::Learned;

/// How long a connection without requests may stay, at most: keep-alive clients that come back within this learn with
/// an answer that they must connect anew. At most half the time of the drain.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

impl Gateway {
    /// The sockets of all listeners by name, the admin's among them.
    ///
    /// # Errors
    /// Where descriptors are out.
    pub fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        self.fronts.sockets()
    }

    /// What limits have learned, for another process.
    ///
    /// # Errors
    /// Where it cannot be written down.
    pub fn learned(&self) -> io::Result<Vec<u8>> {
        Learned::bytes_of(&self.snapshot())
    }

    /// Changes no config, and writes to disk once more and then nothing: another process is about to.
    ///
    /// # Cancel safety
    /// The last words are written, unawaited.
    pub async fn pause(&self) {
        self.keeper.pause().await;
    }

    /// Goes on: nothing came of the other process.
    pub fn resume(&self) {
        self.keeper.resume();
    }

    /// Ends, while another process serves on the sockets named in `kept`: accepts no more, but for what waits at the
    /// others, and finishes what runs for at most `timeout`. Returns how many connections and tunnels had to be cut.
    ///
    /// # Cancel safety
    /// Dropped, what still runs ends with the gateway.
    pub async fn hand_over(self, kept: &[String], timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        // Whoever watches the old process is to watch the new one.
        self.streams.cancel();
        let within = LEAVE_WITHIN.min(timeout / 2);
        let cut = self.fronts.hand_over(kept, deadline, within).await;
        self.end(cut).await
    }
}
