//! Whether an upstream's traffic goes to another group than its first: told when it begins, and when it is over.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::time::Instant;

use crate::{
    pool::{GroupView, Seats},
    telemetry::{UpstreamEvent, UpstreamHandles},
};

/// See the module. Kept by the upstream's name.
#[derive(Debug, Default)]
pub struct Spill {
    /// Whether it was told that traffic goes elsewhere. Relaxed: it guards nothing but itself.
    elsewhere: AtomicBool,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpillTurn {
    /// The first group cannot take all: others get some of the traffic, or all.
    Began,
    /// The first group takes all again.
    Over,
}

// === impl Spill ===

impl Spill {
    /// A request got a place at `seat`. Where with it traffic begins to go to another group, or is back, it is
    /// told: once for all requests. Costs one load where the first group takes all.
    pub fn admitted(&self, handles: &UpstreamHandles, seats: &Seats, seat: usize) {
        let Some(group) = seats.get(seat).map(|seat| seat.group) else {
            return;
        };
        let now = Instant::now();
        let Some(turn) = self.turns(group, || seats.traffic_of(0, now) >= 1.0) else {
            return;
        };
        let upstream = handles.upstream().clone();
        handles.events().tell(match turn {
            SpillTurn::Began => UpstreamEvent::SpillBegan {
                upstream,
                shares: shares(&seats.group_views(now)).into(),
            },
            SpillTurn::Over => UpstreamEvent::SpillEnded { upstream },
        });
    }

    /// A request goes to `group`; `is_back` says whether the first takes all.
    fn turns(&self, group: usize, is_back: impl FnOnce() -> bool) -> Option<SpillTurn> {
        let elsewhere = self.elsewhere.load(Relaxed);
        if group == 0 {
            let over = elsewhere && is_back() && self.elsewhere.swap(false, Relaxed);
            return over.then_some(SpillTurn::Over);
        }
        let began = !elsewhere && !is_back() && !self.elsewhere.swap(true, Relaxed);
        began.then_some(SpillTurn::Began)
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
        assert_eq!(turns(1, false), Some(SpillTurn::Began));
        assert_eq!(turns(2, false), None);
        assert_eq!(turns(0, false), None, "some of it is still elsewhere");
        assert_eq!(turns(0, true), Some(SpillTurn::Over));
        assert_eq!(turns(0, true), None);
        assert_eq!(turns(1, false), Some(SpillTurn::Began));
    }
}
