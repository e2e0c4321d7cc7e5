//! What a config changes beside the snapshot, prepared together: sockets, logs, and where the history is kept.

use super::Keeper;
use crate::{
    config::Loaded,
    reload::{Prepared as PreparedSockets, Unprepared, notes::Move},
};

/// All of it. It cannot fail any more; dropped, nothing has changed.
pub(super) struct Prepared {
    sockets: Box<dyn PreparedSockets>,
    notes: Option<Move>,
}

impl Keeper {
    /// Prepares what `next` needs.
    pub(super) async fn prepare_beside(&self, next: &Loaded) -> Result<Prepared, Unprepared> {
        let dir = next.plan.history.dir.as_deref();
        let notes = self.notes.prepare(dir).await?;
        let sockets = self.sockets.prepare(next)?;
        Ok(Prepared { sockets, notes })
    }

    /// Makes the change.
    pub(super) fn make_beside(&self, beside: Prepared) {
        beside.sockets.make();
        if let Some(there) = beside.notes {
            self.notes.move_to(there);
        }
    }
}
