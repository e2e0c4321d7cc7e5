//! Whose series are whose, and when they go.
//!
//! A route, a road from a route to an upstream, an upstream and a listener each have a [`Recorder`] of their own. One
//! that nobody counts into any more, since no snapshot and no request knows its name, is kept for [`KEPT`], so that a name
//! that comes back goes on counting where it was; of such at most [`MOST_UNUSED`] are kept, those that were used last.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    incidents::{Count, Pair},
    recorder::{self, Recorder},
    route::RouteHandles,
    tally::{Ended, Totals},
};
use crate::names::{ListenerName, Priority, RouteName, UpstreamName};

/// How long series are kept that nobody counts into.
pub(super) const KEPT: Duration = Duration::from_secs(600);
/// Most owners that are kept so; beyond it the one that was used the longest ago goes.
pub(super) const MOST_UNUSED: usize = 256;

/// Whose series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// Those of a route as a whole.
    Route(Option<RouteName>),
    /// Those of a route towards an upstream, or to none.
    Road(Option<RouteName>, Option<UpstreamName>),
    /// Those of an upstream.
    Upstream(UpstreamName),
    /// Those of a listener.
    Listener(ListenerName),
}

/// All owners of one gateway's series.
#[derive(Debug)]
pub(super) struct Owners {
    /// Of the process as a whole; never goes.
    process: Arc<Recorder>,
    named: Mutex<Named>,
}

#[derive(Debug, Default)]
struct Named {
    owned: HashMap<Owner, Owned>,
    /// What was counted by those that went.
    gone: Totals,
}

#[derive(Debug)]
struct Owned {
    recorder: Arc<Recorder>,
    /// The handles of a road, kept while it is.
    handles: HashMap<Priority, Arc<RouteHandles>>,
    unused_since: Option<Instant>,
}

// === impl Owner ===

impl Owner {
    /// The labels that each of its series has.
    const fn labels(&self) -> &'static [&'static str] {
        match self {
            Self::Route(_) => &["route"],
            Self::Road(..) => &["route", "upstream"],
            Self::Upstream(_) => &["upstream"],
            Self::Listener(_) => &["listener"],
        }
    }
}

// === impl Owners ===

impl Owners {
    pub(super) fn new() -> Self {
        Self {
            process: Arc::new(Recorder::new(&[])),
            named: Mutex::default(),
        }
    }

    pub(super) const fn process(&self) -> &Arc<Recorder> {
        &self.process
    }

    /// The recorder of `owner`; whoever holds it is counted as using it.
    pub(super) fn recorder(&self, owner: Owner) -> Arc<Recorder> {
        self.named.lock().owned(owner).recorder.clone()
    }

    /// The handles of a road. The same names give the same ones.
    pub(super) fn road(
        &self,
        route: Option<&RouteName>,
        upstream: Option<&UpstreamName>,
        priority: Priority,
    ) -> Arc<RouteHandles> {
        let mut named = self.named.lock();
        let of_route = named.owned(Owner::Route(route.cloned())).recorder.clone();
        let road = named.owned(Owner::Road(route.cloned(), upstream.cloned()));
        let recorder = &road.recorder;
        let handles = road.handles.entry(priority).or_insert_with(|| {
            let recorder = recorder.clone();
            Arc::new(RouteHandles::new(
                recorder, of_route, route, upstream, priority,
            ))
        });
        handles.clone()
    }

    pub(super) fn render(&self) -> String {
        let named = self.named.lock();
        let owned = named.owned.values().map(|owned| &*owned.recorder);
        recorder::render(owned.chain([&*self.process]))
    }

    /// Sorts observations into their buckets, and lets go of what nobody used for long.
    pub(super) fn upkeep(&self, now: Instant) {
        let mut named = self.named.lock();
        named.let_go(now);
        self.process.run_upkeep();
        for owned in named.owned.values() {
            owned.recorder.run_upkeep();
        }
    }

    /// Counts since the gateway began, over all routes.
    pub(super) fn totals(&self) -> Totals {
        let named = self.named.lock();
        let mut totals = named.gone.clone();
        for owned in named.owned.values() {
            owned.add_to(&mut totals);
        }
        totals
    }

    /// What ended, by route; of the routes that are not forgotten.
    pub(super) fn ended(&self) -> HashMap<Option<RouteName>, Ended> {
        let mut ended: HashMap<_, Ended> = HashMap::new();
        for (owner, owned) in &self.named.lock().owned {
            if let Owner::Road(route, _) = owner {
                let sum = ended.entry(route.clone()).or_default();
                for handles in owned.handles.values() {
                    *sum = sum.plus(handles.ended());
                }
            }
        }
        ended
    }

    /// What ended, and how, by route and upstream; of those that are not forgotten.
    pub(super) fn endings(&self) -> HashMap<Pair, Count> {
        let mut endings: HashMap<_, Count> = HashMap::new();
        for (owner, owned) in &self.named.lock().owned {
            if let Owner::Road(route, upstream) = owner {
                let pair = Pair {
                    route: route.clone(),
                    upstream: upstream.clone(),
                };
                let count = endings.entry(pair).or_default();
                for handles in owned.handles.values() {
                    handles.add_endings(count);
                }
            }
        }
        endings
    }
}

// === impl Named ===

impl Named {
    fn owned(&mut self, owner: Owner) -> &mut Owned {
        let labels = owner.labels();
        let owned = self.owned.entry(owner).or_insert_with(|| Owned {
            recorder: Arc::new(Recorder::new(labels)),
            handles: HashMap::new(),
            unused_since: None,
        });
        owned.unused_since = None;
        owned
    }

    fn let_go(&mut self, now: Instant) {
        let mut unused: Vec<(Instant, Owner)> = Vec::new();
        for (owner, owned) in &mut self.owned {
            if owned.is_used() {
                owned.unused_since = None;
            } else {
                let since = *owned.unused_since.get_or_insert(now);
                unused.push((since, owner.clone()));
            }
        }
        unused.sort_unstable_by_key(|(since, _)| *since);
        let too_many = unused.len().saturating_sub(MOST_UNUSED);
        for (index, (since, owner)) in unused.into_iter().enumerate() {
            if index < too_many || now.duration_since(since) >= KEPT {
                self.forget(&owner);
            }
        }
    }

    fn forget(&mut self, owner: &Owner) {
        if let Some(owned) = self.owned.remove(owner) {
            owned.add_to(&mut self.gone);
        }
    }
}

// === impl Owned ===

impl Owned {
    /// Whether anybody else holds what counts into it. Nobody can begin to meanwhile: that takes the lock of all.
    fn is_used(&self) -> bool {
        if self.handles.is_empty() {
            return Arc::strong_count(&self.recorder) > 1;
        }
        let mut handles = self.handles.values();
        handles.any(|handles| Arc::strong_count(handles) > 1)
    }

    fn add_to(&self, totals: &mut Totals) {
        for handles in self.handles.values() {
            handles.add_to(totals);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    const SECOND: Duration = Duration::from_secs(1);
    /// A second less than [`KEPT`].
    const NOT_YET: Duration = KEPT.checked_sub(SECOND).unwrap();

    fn name(number: usize) -> String {
        format!("name-{number}")
    }

    /// A snapshot's handles under names of this number.
    fn handles(telemetry: &Telemetry, number: usize) -> impl Sized + use<> {
        let name = name(number);
        let (route, upstream) = (RouteName::from(&*name), UpstreamName::from(&*name));
        let road = telemetry.route(Some(&route), Some(&upstream), Priority::Normal);
        road.finished(200, SECOND);
        let of_upstream = telemetry.upstream(&upstream);
        of_upstream.connected(SECOND, None);
        let of_listener = telemetry.listener(&name.as_str().into());
        of_listener.rejected("limit");
        let fallback = telemetry.fallback(&route, "file");
        fallback.taken();
        (road, of_upstream, of_listener, fallback)
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_new_names_leave_no_more_than_the_last_ones() {
        let telemetry = Telemetry::new();
        let mut held = handles(&telemetry, 0);
        let mut largest = 0;
        for number in 1..=1_000 {
            held = (handles(&telemetry, number), drop(held)).0;
            tokio::time::advance(SECOND / 10).await;
            telemetry.upkeep();
            assert!(telemetry.owners().named.lock().owned.len() <= 2 * MOST_UNUSED + 4);
            if number % 100 == 0 {
                largest = largest.max(telemetry.render().len());
            }
        }
        drop(held);
        let one = {
            let telemetry = Telemetry::new();
            let _held = handles(&telemetry, 0);
            telemetry.render().len()
        };
        // Of each name there are four owners, of which one is held by another.
        assert!(largest < one * (MOST_UNUSED / 2), "{largest} bytes");
        assert_eq!(telemetry.totals().good, 1_001, "the sums stay");
        let page = telemetry.render();
        assert!(page.contains("name-1000") && !page.contains("\"name-1\""));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_goes_after_its_time_and_what_is_held_stays() {
        let telemetry = Telemetry::new();
        let held = handles(&telemetry, 1);
        drop(handles(&telemetry, 2));
        telemetry.upkeep();
        tokio::time::advance(NOT_YET).await;
        telemetry.upkeep();
        assert!(telemetry.render().contains("name-2"));
        tokio::time::advance(SECOND).await;
        telemetry.upkeep(); // the road goes
        telemetry.upkeep(); // and nobody uses its route any more
        tokio::time::advance(KEPT).await;
        telemetry.upkeep();
        let page = telemetry.render();
        assert!(!page.contains("name-2"), "{page}");
        let road = "tidegate_requests_total{route=\"name-1\",upstream=\"name-1\",status=\"200\"} 1";
        assert!(page.contains(road), "{page}");
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_comes_back_in_time_counts_on() {
        let telemetry = Telemetry::new();
        for _ in 0..3 {
            drop(handles(&telemetry, 1));
            telemetry.upkeep();
            tokio::time::advance(NOT_YET).await;
        }
        let page = telemetry.render();
        assert!(
            page.contains("upstream=\"name-1\",status=\"200\"} 3"),
            "{page}"
        );
    }

    #[test]
    fn the_series_of_one_metric_stand_together_whoever_they_are_of() {
        let telemetry = Telemetry::new();
        let _held = [1, 2, 3].map(|number| handles(&telemetry, number));
        let page = telemetry.render();
        let mut seen: Vec<&str> = Vec::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let parts = ["_bucket", "_sum", "_count"].into_iter();
            let mut wholes = parts.filter_map(|part| name.strip_suffix(part));
            let metric = wholes.next().unwrap_or(name);
            if seen.last() != Some(&metric) {
                assert!(!seen.contains(&metric), "{metric}");
                seen.push(metric);
            }
        }
        assert_eq!(page.matches("# TYPE tidegate_requests_total ").count(), 1);
        assert_eq!(page.matches("\ntidegate_requests_total{").count(), 3);
    }
}
