//! The atomics of what `tests/loom` explores: there they are loom's.

pub(super) use std::sync::atomic::{AtomicU32, Ordering, fence};
