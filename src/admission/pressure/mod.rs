//! This process's own health: what it gives up before it dies of it.
//!
//! [`SystemSignals`] reads, [`Machine`] decides on a [`Level`], [`watch`] brings the two together, and everyone
//! else asks [`Pressure`], which costs one load. Only the reading knows files, only the loop knows a clock.

mod cgroup;
mod files;
mod lag;
mod level;
mod machine;
mod readings;
mod signals;
mod watch;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio::sync::watch::{Receiver, Sender, channel};

pub use level::{LOG_ONE_IN, Level};
pub use machine::{HOLD, Machine, Step};
pub use readings::{Readings, Signal};
pub use signals::{Limits, Signals, SystemSignals};
pub use watch::watch;

use crate::{config::PressurePlan, names::Priority};

/// The level in force, to be asked by all.
///
/// With `shadow` the level is found, shown and told of as ever, and nothing is given up; [`would_shed`] says what
/// would have been.
///
/// [`would_shed`]: Self::would_shed
#[derive(Debug)]
pub struct Pressure {
    /// The level found. Relaxed: a number that guards no other memory.
    level: AtomicU8,
    /// Whether anything is looked at. Relaxed: as above.
    enabled: AtomicBool,
    /// Whether nothing is given up. Relaxed: as above.
    shadow: AtomicBool,
    /// Lines of the access log that were asked for while it is sampled. Relaxed: guards nothing.
    lines: AtomicU32,
    /// The level in force, for those who wait for it to change.
    enforced: Sender<Level>,
    /// What was read last.
    readings: Mutex<Readings>,
}

// === impl Pressure ===

impl Pressure {
    /// At level 0, with nothing read yet.
    #[must_use]
    pub fn new(plan: PressurePlan) -> Arc<Self> {
        Arc::new(Self {
            level: AtomicU8::new(0),
            enabled: AtomicBool::new(plan.enabled),
            shadow: AtomicBool::new(plan.shadow),
            lines: AtomicU32::new(0),
            enforced: channel(Level::Calm).0,
            readings: Mutex::default(),
        })
    }

    /// Takes what a reload says. The level stays; where it is switched off, it falls to 0 with the next tick.
    pub fn reshape(&self, plan: PressurePlan) {
        self.enabled.store(plan.enabled, Relaxed);
        self.shadow.store(plan.shadow, Relaxed);
        self.publish();
    }

    /// The level found, whether it is in force or not.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::of(self.level.load(Relaxed).into())
    }

    /// The level by which requests are judged: the one found, or 0 in shadow or where it is switched off.
    #[must_use]
    pub fn enforced(&self) -> Level {
        if self.shadow.load(Relaxed) || !self.is_enabled() {
            Level::Calm
        } else {
            self.level()
        }
    }

    /// What was read last; all unknown before the first reading and where it is switched off.
    #[must_use]
    pub fn readings(&self) -> Readings {
        *self.readings.lock()
    }

    /// Whether the process looks after itself.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// Whether a request of this priority is let in.
    #[must_use]
    pub fn admits(&self, priority: Priority) -> bool {
        self.enforced().admits(priority)
    }

    /// Whether a request that is let in would have been shed, were it not for `shadow`.
    #[must_use]
    pub fn would_shed(&self, priority: Priority) -> bool {
        self.admits(priority) && self.is_enabled() && !self.level().admits(priority)
    }

    /// Whether an attempt may be followed by another.
    #[must_use]
    pub fn retries_allowed(&self) -> bool {
        self.enforced().retries_allowed()
    }

    /// Whether an attempt may be doubled.
    #[must_use]
    pub fn hedges_allowed(&self) -> bool {
        self.enforced().hedges_allowed()
    }

    /// Whether the next line of the access log is written: all at level 0, else one in [`LOG_ONE_IN`].
    #[must_use]
    pub fn log_sample(&self) -> bool {
        !self.enforced().samples_log()
            || self.lines.fetch_add(1, Relaxed).is_multiple_of(LOG_ONE_IN)
    }

    /// The level in force, to wait for its changes.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Level> {
        self.enforced.subscribe()
    }

    /// Returns at once where connections may be accepted, else when they may again.
    ///
    /// # Cancel safety
    /// Waits, and changes nothing.
    pub async fn accepting(&self) {
        let mut level = self.enforced.subscribe();
        // The sender is `self`, so that it cannot go first.
        let _ = level.wait_for(|level| level.accepts()).await;
    }

    /// What the loop found.
    fn set(&self, level: Level, readings: Readings) {
        *self.readings.lock() = readings;
        self.level.store(level.number(), Relaxed);
        self.publish();
    }

    fn publish(&self) {
        let level = self.enforced();
        self.enforced.send_if_modified(|known| {
            let changed = *known != level;
            *known = level;
            changed
        });
    }
}

#[cfg(test)]
mod tests;
