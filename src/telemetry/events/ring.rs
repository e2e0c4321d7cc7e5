//! What is kept of the past. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{Event, EventKind, MOST_BYTES, MOST_EVENTS};

/// The latest events, by id. When it is full, the oldest of the kind that takes most makes room.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: BTreeMap<u64, Arc<Event>>,
    kinds: BTreeMap<EventKind, OfKind>,
    bytes: usize,
}

/// What one kind takes.
#[derive(Debug, Default)]
struct OfKind {
    /// Oldest first, each with its bytes.
    ids: VecDeque<(u64, usize)>,
    bytes: usize,
}

// === impl Ring ===

impl Ring {
    /// Keeps `event`, which is newer than all others.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        let bytes = event.bytes();
        let kind = self.kinds.entry(event.kind).or_default();
        kind.ids.push_back((event.id, bytes));
        kind.bytes += bytes;
        self.bytes += bytes;
        self.events.insert(event.id, event);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        let largest = self.kinds.values_mut().max_by_key(|kind| kind.bytes);
        let gone = largest.and_then(|kind| {
            let (id, bytes) = kind.ids.pop_front()?;
            kind.bytes = kind.bytes.saturating_sub(bytes);
            Some((id, bytes))
        });
        let Some((id, bytes)) = gone else {
            self.bytes = 0;
            self.events.clear();
            return;
        };
        self.events.remove(&id);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Those after `id`, oldest first.
    pub(super) fn after(&self, id: u64) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events
            .range(id.saturating_add(1)..)
            .map(|(_, event)| event)
    }

    /// Bytes that all take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
