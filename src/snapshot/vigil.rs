//! What is looked at in the endpoints of an upstream beside its requests: how they compare, and whether it is in panic.

use tokio::time::Instant;

use crate::{
    config::UpstreamPlan,
    health,
    pool::Seats,
    telemetry::{UpstreamEvent, UpstreamHandles},
};

/// Watches one upstream. It belongs to its name and outlives reloads.
#[derive(Debug)]
pub(super) struct Vigil {
    /// When its endpoints were last compared, or it began.
    compared: Instant,
    /// Whether it was in panic at the last look.
    panics: bool,
}

// === impl Vigil ===

impl Vigil {
    /// Begins now, out of panic.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            compared: now,
            panics: false,
        }
    }

    /// Compares the endpoints where the window is over, and tells of a panic that began or ended. To be called at least
    /// twice a second or so: windows and events are late by what lies between two looks.
    pub(super) fn look(
        &mut self,
        plan: &UpstreamPlan,
        seats: &Seats,
        handles: &UpstreamHandles,
        now: Instant,
    ) {
        match &plan.ejection {
            Some(ejection) => {
                if now.saturating_duration_since(self.compared) >= ejection.interval {
                    self.compared = now;
                    for (endpoint, change) in seats.compare(ejection, now) {
                        let why = endpoint.sentence(plan, now);
                        health::announce(change, &endpoint.id, &why, handles);
                    }
                }
            }
            None => forget_ejections(plan, seats, handles, now),
        }
        self.panic(plan, seats, handles, now);
    }

    fn panic(
        &mut self,
        plan: &UpstreamPlan,
        seats: &Seats,
        handles: &UpstreamHandles,
        now: Instant,
    ) {
        let panics = seats.is_in_panic(now);
        if std::mem::replace(&mut self.panics, panics) == panics {
            return;
        }
        let upstream = plan.name.clone();
        let endpoints = seats.as_slice();
        let able = endpoints.iter().map(|seat| &seat.endpoint.health);
        let able = able.filter(|health| health.can_serve(now)).count();
        let (all, threshold) = (endpoints.len(), plan.panic_threshold);
        handles.events().tell(if panics {
            UpstreamEvent::PanicBegan {
                upstream,
                able,
                all,
                threshold,
            }
        } else {
            UpstreamEvent::PanicEnded {
                upstream,
                able,
                all,
            }
        });
    }
}

/// Ejection was turned off: whoever is out for it comes back, though no request may ask for it.
fn forget_ejections(plan: &UpstreamPlan, seats: &Seats, handles: &UpstreamHandles, now: Instant) {
    for seat in seats.as_slice() {
        let health = &seat.endpoint.health;
        if (health.is_ejected(now) || health.on_trial(now))
            && let Some(change) = health.forget_ejection(now)
        {
            let why = seat.endpoint.sentence(plan, now);
            health::announce(change, &seat.endpoint.id, &why, handles);
        }
    }
}
