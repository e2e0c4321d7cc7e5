//! What is counted of one route towards one upstream.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::{
    fault::{Fault, Kind, ShedReason, Stage},
    names::{Priority, RouteName, UpstreamName},
};

use super::{
    Cases,
    cases::Pace,
    catalog,
    incidents::Count,
    recorder::Recorder,
    tally::{Ended, Tally, Totals},
};

/// The label of a request that has no route or no upstream.
pub(super) const NONE: &str = "none";

/// What is counted of one route towards one upstream (or none).
///
/// `offered`, `admitted` and `finished` touch counters of this route alone; a status seen for the first time
/// registers its series. Faults are found in a map of this route that readers share.
#[derive(Debug)]
pub struct RouteHandles {
    recorder: Arc<Recorder>,
    /// What is counted of the route, whatever upstream it goes to.
    of_route: Arc<Recorder>,
    route: Box<str>,
    upstream: Box<str>,
    priority: Priority,
    statuses: [OnceLock<Counter>; STATUSES.len()],
    other_status: OnceLock<Counter>,
    duration: Histogram,
    shed: [Counter; ShedReason::ALL.len()],
    shadow_shed: [OnceLock<Counter>; ShedReason::ALL.len()],
    faults: RwLock<HashMap<(Kind, Stage), Counter>>,
    tally: Tally,
    paces: Paces,
}

/// How often a case of this route is kept.
#[derive(Debug)]
struct Paces {
    faults: [Pace; Kind::ALL.len()],
    /// Errors of the upstream's own.
    own: Pace,
    good: Pace,
}

/// The status codes that are counted by their number, in order: those of IANA's registry, and 499. A code outside
/// it is some endpoint's own invention and counts as `other`, so that no endpoint can make series without end.
const STATUSES: [u16; 62] = [
    100, 101, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305,
    307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416,
    417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505,
    506, 507, 508, 510, 511,
];

impl RouteHandles {
    pub(super) fn new(
        recorder: Arc<Recorder>,
        of_route: Arc<Recorder>,
        route: Option<&RouteName>,
        upstream: Option<&UpstreamName>,
        priority: Priority,
    ) -> Self {
        let route: Box<str> = route.map_or(NONE, RouteName::as_str).into();
        let upstream: Box<str> = upstream.map_or(NONE, UpstreamName::as_str).into();
        let duration = recorder.histogram(&catalog::REQUEST_DURATION, [&route, &upstream]);
        let shed = ShedReason::ALL.map(|reason| {
            of_route.counter(&catalog::SHED, [&route, reason.as_str(), priority.as_str()])
        });
        Self {
            recorder,
            of_route,
            route,
            upstream,
            priority,
            statuses: std::array::from_fn(|_| OnceLock::new()),
            other_status: OnceLock::new(),
            duration,
            shed,
            shadow_shed: std::array::from_fn(|_| OnceLock::new()),
            faults: RwLock::default(),
            tally: Tally::new(),
            paces: Paces {
                faults: std::array::from_fn(|_| Pace::default()),
                own: Pace::default(),
                good: Pace::default(),
            },
        }
    }

    /// A request arrived at this route.
    pub fn offered(&self) {
        self.tally.offered();
    }

    /// How many arrived so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.tally.taken()
    }

    /// A request was let in by admission.
    pub fn admitted(&self) {
        self.tally.admitted();
    }

    /// A request ended with `status` after `total`.
    pub fn finished(&self, status: u16, total: Duration) {
        self.status(status).increment(1);
        self.duration.record(total);
        self.tally.finished(status, total);
    }

    /// A request ended with `fault`.
    pub fn fault(&self, fault: &Fault) {
        self.tally.fault(fault.kind);
        let key = (fault.kind, fault.stage);
        if let Some(counter) = self.faults.read().get(&key) {
            counter.increment(1);
            return;
        }
        let counter = self.fault_counter(fault);
        counter.increment(1);
        self.faults.write().entry(key).or_insert(counter);
    }

    /// A request was answered with an error of the service's own, 500 or above.
    pub fn own_error(&self) {
        self.tally.own_error();
    }

    /// Whether a request that ended so at `now` is to be kept in `cases`.
    #[must_use]
    pub fn is_kept(&self, cases: &Cases, status: u16, fault: Option<&Fault>, now: Instant) -> bool {
        match fault {
            Some(fault) => {
                let pace = self.paces.faults.get(fault.kind.index());
                pace.is_some_and(|pace| cases.wants(pace, now))
            }
            None if status >= 500 => cases.wants(&self.paces.own, now),
            None => cases.wants_good(&self.paces.good, now),
        }
    }

    /// How long `share` (0 to 1) of the requests that ended well took, at most an eighth off; `None` where there
    /// were fewer than `fewest`.
    #[must_use]
    pub fn percentile(&self, share: f64, fewest: u64) -> Option<Duration> {
        self.tally.percentile(share, fewest)
    }

    /// A request was shed.
    pub fn shed(&self, reason: ShedReason) {
        self.tally.shed(reason);
        if let Some(counter) = self.shed.get(reason.index()) {
            counter.increment(1);
        }
    }

    /// A request would have been shed, had the limit not been in shadow.
    pub fn shadow_shed(&self, reason: ShedReason) {
        if let Some(counter) = self.shadow_shed.get(reason.index()) {
            counter
                .get_or_init(|| {
                    let values = [&self.route, reason.as_str(), self.priority.as_str()];
                    self.of_route.counter(&catalog::SHADOW_SHED, values)
                })
                .increment(1);
        }
    }

    pub(super) fn ended(&self) -> Ended {
        self.tally.ended()
    }

    pub(super) fn add_endings(&self, to: &mut Count) {
        self.tally.add_endings(to);
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        self.tally.add_to(totals);
    }

    fn status(&self, status: u16) -> &Counter {
        let known = STATUSES.binary_search(&status).ok();
        match known.and_then(|index| self.statuses.get(index)) {
            Some(counter) => counter.get_or_init(|| self.request_counter(&status.to_string())),
            None => self
                .other_status
                .get_or_init(|| self.request_counter("other")),
        }
    }

    fn request_counter(&self, status: &str) -> Counter {
        self.recorder
            .counter(&catalog::REQUESTS, [&self.route, &self.upstream, status])
    }

    fn fault_counter(&self, fault: &Fault) -> Counter {
        let facts = fault.facts();
        let values = [
            &*self.route,
            &*self.upstream,
            facts.cause.as_str(),
            facts.name,
            fault.stage.as_str(),
        ];
        self.recorder.counter(&catalog::FAULTS, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn the_known_statuses_are_in_order_so_that_each_is_found() {
        assert!(STATUSES.is_sorted());
        for status in STATUSES {
            assert!(STATUSES.binary_search(&status).is_ok());
        }
    }

    #[test]
    fn a_fault_counts_once_under_its_cause_kind_and_stage() {
        let telemetry = Telemetry::new();
        let handles = telemetry.route(Some(&"shop".into()), Some(&"back".into()), Priority::Normal);
        handles.fault(&Fault::new(Kind::ConnectRefused));
        handles.fault(&Fault::new(Kind::ConnectRefused));
        handles.fault(&Fault::new(Kind::ConnectRefused).at(Stage::Send));
        let page = telemetry.render();
        let line = "tidegate_faults_total{route=\"shop\",upstream=\"back\",cause=\"network\",\
                    kind=\"connection_refused\",stage=\"connect\"} 2";
        assert!(page.contains(line), "{page}");
        assert!(page.contains("stage=\"send\"} 1"), "{page}");
    }

    #[test]
    fn an_invented_status_counts_as_other_and_makes_one_series() {
        let telemetry = Telemetry::new();
        let handles = telemetry.route(None, None, Priority::Normal);
        for status in [200, 200, 799, 999, 600, 299] {
            handles.finished(status, Duration::from_millis(3));
        }
        let page = telemetry.render();
        assert!(
            page.contains(
                "tidegate_requests_total{route=\"none\",upstream=\"none\",status=\"200\"} 2"
            ),
            "{page}"
        );
        assert!(page.contains("status=\"other\"} 4"), "{page}");
        assert_eq!(page.matches("tidegate_requests_total{").count(), 2);
    }

    #[test]
    fn every_reason_stands_at_zero_before_the_first_request_is_shed() {
        let telemetry = Telemetry::new();
        let handles = telemetry.route(Some(&"shop".into()), None, Priority::Low);
        handles.shed(ShedReason::QueueFull);
        let page = telemetry.render();
        let of = |reason| {
            format!("tidegate_shed_total{{route=\"shop\",reason=\"{reason}\",priority=\"low\"}}")
        };
        assert!(page.contains(&format!("{} 1", of("queue_full"))), "{page}");
        assert!(
            page.contains(&format!("{} 0", of("rate_exceeded"))),
            "{page}"
        );
        assert!(!page.contains("tidegate_shadow_shed_total{"), "{page}");
        handles.shadow_shed(ShedReason::RateExceeded);
        let shadow = "tidegate_shadow_shed_total{route=\"shop\",reason=\"rate_exceeded\",priority=\"low\"} 1";
        assert!(telemetry.render().contains(shadow));
    }
}
