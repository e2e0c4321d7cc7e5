//! A pick without a choice.

use std::sync::Arc;

use tidegate::admission::{Lane, Pick, Picked};

/// The only endpoint there is.
pub(crate) struct Only(pub(crate) Arc<Lane>);

impl Pick for Only {
    fn pick(&self, free: &dyn Fn(&Lane, f32) -> bool) -> Option<Picked<'_>> {
        free(&self.0, 1.0).then_some(Picked {
            lane: &self.0,
            seat: 0,
            share: 1.0,
        })
    }

    fn can_serve(&self) -> bool {
        true
    }

    fn seat_of(&self, _: &Lane) -> Option<usize> {
        Some(0)
    }
}
