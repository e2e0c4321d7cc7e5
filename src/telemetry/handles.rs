//! Metric handles, registered when a snapshot is built and kept in the thing that they measure.

use std::{collections::HashMap, sync::Arc, time::Duration};

use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::names::{EjectionCause, ListenerName, Priority, RouteName, UpstreamName};

use super::{
    Cases, Events,
    catalog::{self, Metric},
    incidents::{Count, Incidents, Pair},
    owners::{Owner, Owners},
    recorder::Recorder,
    route::RouteHandles,
    tally::{Ended, Totals},
};

/// What one gateway counts; tests in one process each have their own.
///
/// Handles are kept by their names, so that a reload gets the same ones and no count is lost. What is counted under a name
/// that nobody uses any more is forgotten after a while: see `owners`.
#[derive(Debug)]
pub struct Telemetry {
    owners: Owners,
    reloads: [Counter; 3],
    rollbacks: Counter,
    panics: Counter,
    access_dropped: Counter,
    cases: Cases,
    events: Events,
    incidents: Incidents,
}

/// What is counted of one upstream.
#[derive(Debug)]
pub struct UpstreamHandles {
    upstream: UpstreamName,
    events: Events,
    retries: [Counter; 3],
    queue_wait: Histogram,
    queue_predicted: Histogram,
    connect: Histogram,
    handshake: Histogram,
    body: Histogram,
    first_byte: Histogram,
    stale_connections: Counter,
    ejections: [Counter; EjectionCause::ALL.len()],
    checks: [Counter; CheckResult::ALL.len()],
    lookups: Words,
    name_events: Words,
}

/// What is counted of one listener.
#[derive(Debug)]
pub struct ListenerHandles {
    rejected: Words,
    timeouts: Words,
}

/// How a retry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryResult {
    /// It was answered.
    Success,
    /// It failed too.
    Failure,
    /// The budget had none left: it was not made.
    Budget,
}

/// How an active check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// The endpoint is well.
    Passed,
    /// It is not.
    Failed,
    /// It failed while this process stood still, or for want of this process's own: not counted against anybody.
    Inconclusive,
    /// It came due much too late and was put off.
    Postponed,
}

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadResult {
    /// The file is in force.
    Applied,
    /// It held the same bytes as before.
    Unchanged,
    /// It was refused; what ran before still does.
    Rejected,
}

// === impl Telemetry ===

impl Telemetry {
    /// A recorder with nothing in it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let owners = Owners::new();
        let recorder = owners.process();
        let reloads = ReloadResult::ALL
            .map(|result| recorder.counter(&catalog::CONFIG_RELOADS, [result.as_str()]));
        Arc::new(Self {
            reloads,
            rollbacks: recorder.counter(&catalog::CONFIG_ROLLBACKS, []),
            panics: recorder.counter(&catalog::PANICS, []),
            access_dropped: recorder.counter(&catalog::ACCESS_LOG_DROPPED, []),
            cases: Cases::new(),
            events: Events::new(recorder),
            incidents: Incidents::new(recorder),
            owners,
        })
    }

    /// Where the process as a whole is counted.
    pub(super) fn process(&self) -> &Recorder {
        self.owners.process()
    }

    /// Handles of `route` towards `upstream`; `None` is `"none"`. The same names give the same handles.
    #[must_use]
    pub fn route(
        &self,
        route: Option<&RouteName>,
        upstream: Option<&UpstreamName>,
        priority: Priority,
    ) -> Arc<RouteHandles> {
        self.owners.road(route, upstream, priority)
    }

    /// Handles of `upstream`. The same name counts into the same series.
    #[must_use]
    pub fn upstream(&self, upstream: &UpstreamName) -> Arc<UpstreamHandles> {
        let name = upstream.as_str();
        let recorder = &self.owners.recorder(Owner::Upstream(upstream.clone()));
        Arc::new(UpstreamHandles {
            upstream: upstream.clone(),
            events: self.events.clone(),
            retries: RetryResult::ALL
                .map(|result| recorder.counter(&catalog::RETRIES, [name, result.as_str()])),
            queue_wait: recorder.histogram(&catalog::QUEUE_WAIT, [name]),
            queue_predicted: recorder.histogram(&catalog::QUEUE_PREDICTED_WAIT, [name]),
            connect: recorder.histogram(&catalog::UPSTREAM_CONNECT, [name]),
            handshake: recorder.histogram(&catalog::UPSTREAM_TLS, [name]),
            body: recorder.histogram(&catalog::UPSTREAM_BODY, [name]),
            first_byte: recorder.histogram(&catalog::UPSTREAM_FIRST_BYTE, [name]),
            stale_connections: recorder.counter(&catalog::UPSTREAM_STALE_CONNECTIONS, [name]),
            ejections: EjectionCause::ALL
                .map(|cause| recorder.counter(&catalog::EJECTIONS, [name, cause.as_str()])),
            checks: CheckResult::ALL
                .map(|result| recorder.counter(&catalog::HEALTH_CHECKS, [name, result.as_str()])),
            lookups: Words::new(recorder, &catalog::DNS_LOOKUPS, name),
            name_events: Words::new(recorder, &catalog::DNS_EVENTS, name),
        })
    }

    /// Handles of `listener`. The same name counts into the same series.
    #[must_use]
    pub fn listener(&self, listener: &ListenerName) -> Arc<ListenerHandles> {
        let name = listener.as_str();
        let recorder = &self.owners.recorder(Owner::Listener(listener.clone()));
        Arc::new(ListenerHandles {
            rejected: Words::new(recorder, &catalog::CONNECTIONS_REJECTED, name),
            timeouts: Words::new(recorder, &catalog::CLIENT_TIMEOUTS, name),
        })
    }

    /// A reload ended.
    pub fn reloaded(&self, result: ReloadResult) {
        if let Some(counter) = self.reloads.get(result as usize) {
            counter.increment(1);
        }
    }

    /// The requests that are kept for who asks later.
    #[must_use]
    pub fn cases(&self) -> &Cases {
        &self.cases
    }

    /// Where it is told what happens to this gateway.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// The faults that belong together.
    #[must_use]
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// A panic was caught while a request was handled.
    pub fn panicked(&self) {
        self.panics.increment(1);
    }

    /// What was counted, in the text format of Prometheus 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.owners.render()
    }

    /// Sorts the observations of histograms into their buckets, and forgets what nobody counts into any more. To be
    /// called about once a second by whoever owns the gateway: until then each observation takes 16 bytes.
    pub fn upkeep(&self) {
        self.owners.upkeep(Instant::now());
    }

    /// Counts since the gateway began, over all routes.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.owners.totals()
    }

    /// What ended since the gateway began, by route that is not forgotten; `None` stands for requests that no route took.
    #[must_use]
    pub fn ended(&self) -> HashMap<Option<RouteName>, Ended> {
        self.owners.ended()
    }

    /// What ended since the gateway began, and how, by route and upstream.
    pub(super) fn endings(&self) -> HashMap<Pair, Count> {
        self.owners.endings()
    }

    /// A config was taken back because requests failed under it.
    pub fn rolled_back(&self) {
        self.rollbacks.increment(1);
    }

    pub(super) const fn owners(&self) -> &Owners {
        &self.owners
    }

    pub(super) fn access_dropped(&self) -> Counter {
        self.access_dropped.clone()
    }
}

// === impl UpstreamHandles ===

impl UpstreamHandles {
    /// Whose they are.
    #[must_use]
    pub const fn upstream(&self) -> &UpstreamName {
        &self.upstream
    }

    /// Where it is told what happens to it.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// A retry ended, or was not made.
    pub fn retry(&self, result: RetryResult) {
        if let Some(counter) = self.retries.get(result as usize) {
            counter.increment(1);
        }
    }

    /// A request waited for a permit, and was thought to wait for `predicted`.
    pub fn queue_wait(&self, wait: Duration, predicted: Duration) {
        self.queue_wait.record(wait);
        self.queue_predicted.record(predicted);
    }

    /// A connection was made; `handshake` of it was TLS.
    pub fn connected(&self, took: Duration, handshake: Option<Duration>) {
        self.connect.record(took);
        if let Some(handshake) = handshake {
            self.handshake.record(handshake);
        }
    }

    /// An answer ended so long after its head.
    pub fn body(&self, took: Duration) {
        self.body.record(took);
    }

    /// The head of an answer came.
    pub fn first_byte(&self, took: Duration) {
        self.first_byte.record(took);
    }

    /// A pooled connection turned out to be closed by the endpoint.
    pub fn stale_connection(&self) {
        self.stale_connections.increment(1);
    }

    /// An endpoint was ejected.
    pub fn ejected(&self, cause: EjectionCause) {
        if let Some(counter) = self.ejections.get(cause as usize) {
            counter.increment(1);
        }
    }

    /// An active check ended, or was put off.
    pub fn checked(&self, result: CheckResult) {
        if let Some(counter) = self.checks.get(result as usize) {
            counter.increment(1);
        }
    }

    /// A name was looked up: `ok`, or how that failed.
    pub fn resolved(&self, result: &'static str) {
        self.lookups.increment(result);
    }

    /// Something happened to a name: `changed`, `held`, `stale`, ...
    pub fn name_event(&self, event: &'static str) {
        self.name_events.increment(event);
    }
}

// === impl ListenerHandles ===

impl ListenerHandles {
    /// A connection was turned away: `limit`, `proxy_protocol`, `tls`, `untrusted`, `protocol`.
    pub fn rejected(&self, reason: &'static str) {
        self.rejected.increment(reason);
    }

    /// A client was too slow: `header`, `idle`, `handshake`, `body`, `write`.
    pub fn timed_out(&self, phase: &'static str) {
        self.timeouts.increment(phase);
    }
}

// === impl RetryResult ===

impl RetryResult {
    const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Budget];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Budget => "budget",
        }
    }
}

// === impl CheckResult ===

impl CheckResult {
    const ALL: [Self; 4] = [
        Self::Passed,
        Self::Failed,
        Self::Inconclusive,
        Self::Postponed,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
            Self::Postponed => "postponed",
        }
    }
}

// === impl ReloadResult ===

impl ReloadResult {
    const ALL: [Self; 3] = [Self::Applied, Self::Unchanged, Self::Rejected];

    /// The word in metrics, logs and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// Counters of one metric by its owner's name and one word of the program's own, registered at the word's first use.
#[derive(Debug)]
struct Words {
    recorder: Arc<Recorder>,
    metric: &'static Metric,
    owner: Box<str>,
    counters: RwLock<HashMap<&'static str, Counter>>,
}

impl Words {
    fn new(recorder: &Arc<Recorder>, metric: &'static Metric, owner: &str) -> Self {
        Self {
            recorder: recorder.clone(),
            metric,
            owner: owner.into(),
            counters: RwLock::default(),
        }
    }

    fn increment(&self, word: &'static str) {
        if let Some(counter) = self.counters.read().get(word) {
            counter.increment(1);
            return;
        }
        let counter = self.recorder.counter(self.metric, [&self.owner, word]);
        counter.increment(1);
        self.counters.write().entry(word).or_insert(counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::ShedReason;

    #[test]
    fn a_reload_gets_the_same_handles_and_loses_no_count() {
        let telemetry = Telemetry::new();
        let first = telemetry.route(Some(&"a".into()), Some(&"u".into()), Priority::Normal);
        first.offered();
        let second = telemetry.route(Some(&"a".into()), Some(&"u".into()), Priority::Normal);
        second.offered();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(telemetry.totals().offered, 2);
    }

    #[test]
    fn totals_tell_good_failed_and_shed_apart() {
        let telemetry = Telemetry::new();
        let a = telemetry.route(Some(&"a".into()), Some(&"u".into()), Priority::Normal);
        let none = telemetry.route(None, None, Priority::Normal);
        let ms = Duration::from_millis(2);
        for _ in 0..4 {
            a.offered();
            a.admitted();
        }
        a.finished(200, ms);
        a.finished(404, ms);
        a.finished(502, ms);
        a.finished(499, ms);
        a.offered();
        a.shed(ShedReason::RateExceeded);
        a.finished(429, ms);
        none.offered();
        none.shed(ShedReason::ProcessPressure);
        none.finished(503, ms);
        let totals = telemetry.totals();
        assert_eq!((totals.offered, totals.admitted), (6, 4));
        assert_eq!((totals.good, totals.failed), (2, 2));
        assert_eq!(totals.shed, [1, 0, 0, 0, 0, 1]);
        assert_eq!(totals.shed_total(), 2);
        assert!(
            totals
                .latency
                .quantile_since(&Totals::default().latency, 0.99)
                .is_some()
        );
    }

    #[test]
    fn two_gateways_in_one_process_do_not_mix() {
        let (one, two) = (Telemetry::new(), Telemetry::new());
        one.panicked();
        two.panicked();
        two.panicked();
        assert!(one.render().contains("tidegate_panics_total 1"));
        assert!(two.render().contains("tidegate_panics_total 2"));
    }

    #[test]
    fn handles_of_a_new_snapshot_count_into_the_same_series() {
        let telemetry = Telemetry::new();
        telemetry.upstream(&"u".into()).retry(RetryResult::Budget);
        telemetry.upstream(&"u".into()).retry(RetryResult::Budget);
        let listener = telemetry.listener(&"web".into());
        listener.rejected("limit");
        telemetry.listener(&"web".into()).rejected("limit");
        let page = telemetry.render();
        assert!(
            page.contains("tidegate_retries_total{upstream=\"u\",result=\"budget\"} 2"),
            "{page}"
        );
        let rejected = "tidegate_connections_rejected_total{listener=\"web\",reason=\"limit\"} 2";
        assert!(page.contains(rejected), "{page}");
    }

    #[test]
    fn a_histogram_has_the_fixed_buckets() {
        let telemetry = Telemetry::new();
        let upstream = telemetry.upstream(&"u".into());
        upstream.connected(Duration::from_micros(700), None);
        telemetry.upkeep();
        let page = telemetry.render();
        for le in ["0.0005\"} 0", "0.001\"} 1", "60\"} 1", "+Inf\"} 1"] {
            let line =
                format!("tidegate_upstream_connect_seconds_bucket{{upstream=\"u\",le=\"{le}");
            assert!(page.contains(&line), "{line} is not in {page}");
        }
    }
}
