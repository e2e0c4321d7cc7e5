//! The loop that keeps the level.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Machine, Pressure, Readings, Signals, Step, lag::Lags};
use crate::telemetry::{Events, LoadEvent};

/// How often everything is read.
const EVERY: Duration = Duration::from_millis(250);

/// Reads `signals` four times a second, measures the runtime's lag, and keeps the level of `pressure`, until `stop`.
///
/// Files are read on a blocking thread, one reading at a time. One that has not come by the next tick makes what
/// it would have told unknown until it comes; the lag is measured all the same. Steps go to `events`. While the plan says that the
/// process does not look after itself, nothing is read and the level is 0.
pub async fn watch(
    pressure: Arc<Pressure>,
    signals: impl Signals + 'static,
    events: Events,
    stop: CancellationToken,
) {
    let mut watcher = Watcher {
        pressure,
        events,
        signals: Arc::new(Mutex::new(signals)),
        machine: Machine::default(),
        lags: Lags::default(),
        read: Readings::default(),
    };
    let mut reading: Option<JoinHandle<Readings>> = None;
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased; // stop first; a reading that has come before the tick that would call it late
            () = stop.cancelled() => return,
            read = finished(&mut reading) => watcher.took(read, Instant::now()),
            due = tick.tick() => watcher.ticked(due, Instant::now(), &mut reading),
        }
    }
}

/// What the loop keeps between two turns.
struct Watcher<S> {
    pressure: Arc<Pressure>,
    events: Events,
    signals: Arc<Mutex<S>>,
    machine: Machine,
    lags: Lags,
    /// The last reading of the files.
    read: Readings,
}

// === impl Watcher ===

impl<S: Signals + 'static> Watcher<S> {
    fn ticked(&mut self, due: Instant, now: Instant, reading: &mut Option<JoinHandle<Readings>>) {
        if !self.pressure.is_enabled() {
            self.machine = Machine::default();
            self.lags = Lags::default();
            self.pressure.set(self.machine.level(), Readings::default());
            return;
        }
        self.lags.push(now.saturating_duration_since(due));
        if reading.is_some() {
            self.took(Readings::default(), now);
        } else {
            let signals = Arc::clone(&self.signals);
            *reading = Some(spawn_blocking(move || signals.lock().read()));
        }
    }

    /// A reading of the files came.
    fn took(&mut self, read: Readings, now: Instant) {
        if !self.pressure.is_enabled() {
            return;
        }
        self.read = Readings {
            lag: self.lags.median(),
            ..read
        };
        let step = self.machine.observe(&self.read, now);
        self.pressure.set(self.machine.level(), self.read);
        if let Some(step) = step {
            self.events.tell(told(&step));
        }
    }
}

/// Waits for a reading; for ever where none was begun. One whose thread failed knows nothing.
///
/// # Cancel safety
/// Nothing is lost: the reading stays where it is.
async fn finished(reading: &mut Option<JoinHandle<Readings>>) -> Readings {
    let Some(running) = reading else {
        return std::future::pending().await;
    };
    let read = running.await.unwrap_or_default();
    *reading = None;
    read
}

/// A step as it is told.
fn told(step: &Step) -> LoadEvent {
    LoadEvent::Pressure {
        from: step.from.number(),
        to: step.to.number(),
        signal: step.because.map_or("none", |(signal, _)| signal.as_str()),
        value: step.because.map_or(0.0, |(_, value)| value),
        now: step.to.as_str(),
    }
}

#[cfg(test)]
mod tests;
