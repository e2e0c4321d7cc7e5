//! What a config changes beside the snapshot: sockets, who serves them, and where logs go.

use std::fmt;

use crate::config::Loaded;

/// Whoever holds the sockets, and the files that logs go to. A reload asks it before anything changes, and tells it when
/// everything else has.
pub trait Sockets: fmt::Debug + Send + Sync {
    /// Prepares to serve what `next` says: everything that can fail happens here, and nothing that runs notices.
    ///
    /// # Errors
    /// Why it cannot be served; the reload is rejected then.
    fn prepare(&self, next: &Loaded) -> Result<Box<dyn Prepared>, Unprepared>;
}

/// A change of them that cannot fail any more. Dropped, nothing has changed.
pub trait Prepared: Send {
    /// Makes the change.
    fn make(self: Box<Self>);
}

/// Why it cannot be, as a sentence: which listener or file, where, and what the system said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprepared(pub String);

// === impl Unprepared ===

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unprepared {}
