//! Whether an upstream's traffic goes to another group than its first: told when it begins, and when it is over.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::time::Instant;

use crate::{
    names::UpstreamName,
    pool::{GroupView, Seats},
};

/// See the module. Kept by the upstream's name.
#[derive(Debug, Default)]
pub struct Spill {
    /// Whether it was told that traffic goes elsewhere. Relaxed: it guards nothing but itself.
    elsewhere: AtomicBool,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpillEvent {
    /// The first group cannot take all: others get some of the traffic, or all.
    Began,
    /// The first group takes all again.
    Over,
}

// === impl Spill ===

impl Spill {
    /// A request got a place at `seat`. Where with it traffic begins to go to another group, or is back, the log is
    /// told: once for all requests. Costs one load where the first group takes all.
    pub fn admitted(&self, upstream: &UpstreamName, seats: &Seats, seat: usize) {
        let Some(group) = seats.get(seat).map(|seat| seat.group) else {
            return;
        };
        let now = Instant::now();
        match self.turns(group, || seats.traffic_of(0, now) >= 1.0) {
            Some(SpillEvent::Began) => {
                let shares = shares(&seats.group_views(now));
                tracing::warn!(%upstream, shares, "the first group cannot take all: traffic goes to others");
            }
            Some(SpillEvent::Over) => {
                tracing::info!(%upstream, "all traffic is back at the first group");
            }
            None => {}
        }
    }

    /// A request goes to `group`; `is_back` says whether the first takes all.
    fn turns(&self, group: usize, is_back: impl FnOnce() -> bool) -> Option<SpillEvent> {
        let elsewhere = self.elsewhere.load(Relaxed);
        if group == 0 {
            let over = elsewhere && is_back() && self.elsewhere.swap(false, Relaxed);
            return over.then_some(SpillEvent::Over);
        }
        let began = !elsewhere && !is_back() && !self.elsewhere.swap(true, Relaxed);
        began.then_some(SpillEvent::Began)
    }
}

/// `main 70 %, standby 30 %`
fn shares(groups: &[GroupView]) -> String {
    let share = |group: &GroupView| format!("{} {:.0} %", group.name, group.traffic * 100.0);
    groups.iter().map(share).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_that_leaves_and_comes_back_is_told_once_each() {
        let spill = Spill::default();
        let turns = |group, is_back| spill.turns(group, || is_back);
        assert_eq!(turns(0, true), None);
        assert_eq!(turns(1, true), None, "a straggler");
        assert_eq!(turns(1, false), Some(SpillEvent::Began));
        assert_eq!(turns(2, false), None);
        assert_eq!(turns(0, false), None, "some of it is still elsewhere");
        assert_eq!(turns(0, true), Some(SpillEvent::Over));
        assert_eq!(turns(0, true), None);
        assert_eq!(turns(1, false), Some(SpillEvent::Began));
    }
}
