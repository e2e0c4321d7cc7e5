//! How many requests of each route ended lately, and how many of them badly.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    names::RouteName,
    telemetry::{Ended, Telemetry},
};

/// What ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By the route that took it.
    pub routes: HashMap<RouteName, Ended>,
    /// How many requests no route took.
    pub nowhere: u64,
}

/// Counts of the last minute, from looks at the totals each [`Traffic::EVERY`].
pub struct Traffic {
    telemetry: Arc<Telemetry>,
    looks: Mutex<VecDeque<(Instant, Counts)>>,
}

// === impl Traffic ===

impl Traffic {
    /// How often the totals are looked at.
    pub const EVERY: Duration = Duration::from_secs(5);
    /// How far back the counts go.
    pub const SPAN: Duration = Duration::from_secs(60);

    /// Nothing, from `now` on.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>, now: Instant) -> Self {
        let first = (now, Counts::of(&telemetry));
        Self {
            telemetry,
            looks: Mutex::new([first].into()),
        }
    }

    /// Notes the totals. To be called each [`Self::EVERY`].
    pub fn look(&self, now: Instant) {
        let totals = self.totals();
        let mut looks = self.looks.lock();
        looks.push_back((now, totals));
        // The one that is just older than the span stays: it is where the span begins.
        while looks
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= Self::SPAN)
        {
            looks.pop_front();
        }
    }

    /// What ended since the gateway began.
    #[must_use]
    pub fn totals(&self) -> Counts {
        Counts::of(&self.telemetry)
    }

    /// What ended in the last minute; at most [`Self::EVERY`] more, or since the gateway began.
    #[must_use]
    pub fn last_minute(&self) -> Counts {
        let totals = self.totals();
        let looks = self.looks.lock();
        looks
            .front()
            .map_or_else(Counts::default, |(_, earlier)| totals.since(earlier))
    }
}

// === impl Counts ===

impl Counts {
    fn of(telemetry: &Telemetry) -> Self {
        let mut counts = Self::default();
        for (route, ended) in telemetry.ended() {
            match route {
                Some(route) => drop(counts.routes.insert(route, ended)),
                None => counts.nowhere = ended.requests,
            }
        }
        counts
    }

    /// What ended of the route.
    #[must_use]
    pub fn get(&self, route: &RouteName) -> Ended {
        self.routes.get(route).copied().unwrap_or_default()
    }

    /// What ended between two looks.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let ended = |(route, total): (&RouteName, &Ended)| {
            let since = total.since(earlier.get(route));
            (route.clone(), since)
        };
        Self {
            routes: self.routes.iter().map(ended).collect(),
            nowhere: self.nowhere.saturating_sub(earlier.nowhere),
        }
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Priority;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_minute_does_not_count() {
        let telemetry = Telemetry::new();
        let name = RouteName::from("shop");
        let route = telemetry.route(Some(&name), None, Priority::Normal);
        let mut now = Instant::now();
        let traffic = Traffic::new(Arc::clone(&telemetry), now);
        let mut counted = Vec::new();
        for _ in 0..16 {
            route.finished(200, Duration::ZERO);
            route.finished(503, Duration::ZERO);
            now += Traffic::EVERY;
            traffic.look(now);
            counted.push(traffic.last_minute().get(&name).requests);
        }
        assert_eq!(counted[..3], [2, 4, 6]);
        assert_eq!(counted[11..], [24; 5], "{counted:?}");
        assert_eq!(traffic.totals().get(&name).requests, 32);
        assert_eq!(traffic.last_minute().get(&name).share(), Some(0.5));
    }
}
