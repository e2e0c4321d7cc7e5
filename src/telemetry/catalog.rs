//! Every metric of Tidegate, once: its name, kind, labels and meaning.
//!
//! Registration takes a [`Metric`] and one value for each of its labels, so that a name or a label outside this
//! table cannot be written. The values of labels come from the config and from closed sets of words, never from
//! what a client sends.

use std::fmt::Write as _;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations in the buckets of [`BUCKETS_SECONDS`].
    Histogram,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its whole name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// Upper bounds of the buckets of every histogram, in seconds. They never change between versions of a config, so
/// that series stay comparable.
pub const BUCKETS_SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

macro_rules! catalogue {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+
        /// The whole table, in the order of the reference.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

catalogue! {
    REQUESTS = Counter "tidegate_requests_total" ["route", "upstream", "status"]
        "Requests that ended, by the status of their answer; a code that is not registered counts as other.";
    REQUEST_DURATION = Histogram "tidegate_request_duration_seconds" ["route", "upstream"]
        "From the head of a request to the last byte of its answer.";
    FAULTS = Counter "tidegate_faults_total" ["route", "upstream", "cause", "kind", "stage"]
        "Requests that ended badly, by whose doing it was, what happened and where on the road.";
    INCIDENTS_OPEN = Gauge "tidegate_incidents_open" []
        "Incidents that go on: faults that belong together, by `[incidents]`.";
    INCIDENTS = Counter "tidegate_incidents_total" ["cause"]
        "Incidents that began, by whose doing they likely were.";
    INCIDENTS_LEFT_OUT = Counter "tidegate_incidents_left_out_total" []
        "Incidents that were not begun because there were too many already.";
    WEBHOOKS = Counter "tidegate_webhooks_total" ["result"]
        "Tellings of incidents to the webhook: delivered, retried (a try failed and another is made), failed (no more tries), refused (the answer says that more tries are useless) or dropped (too many waited).";
    SHED = Counter "tidegate_shed_total" ["route", "reason", "priority"]
        "Requests that admission refused.";
    SHADOW_SHED = Counter "tidegate_shadow_shed_total" ["route", "reason", "priority"]
        "Requests that a limit in shadow would have refused.";
    RETRIES = Counter "tidegate_retries_total" ["upstream", "result"]
        "Retries by how they ended: success, failure, or budget where none was left to make one.";
    FALLBACKS = Counter "tidegate_fallbacks_total" ["route", "to"]
        "Requests that nothing else could serve and that went to the route's fallback: upstream, file or respond.";
    QUEUE_PREDICTED_WAIT = Histogram "tidegate_queue_predicted_wait_seconds" ["upstream"]
        "How long those who waited for a permit were thought to wait when they came.";
    QUEUE_WAIT = Histogram "tidegate_queue_wait_seconds" ["upstream"]
        "How long requests waited for a permit of the upstream.";
    UPSTREAM_CONNECT = Histogram "tidegate_upstream_connect_seconds" ["upstream"]
        "How long connections to endpoints took to be made, TLS included.";
    UPSTREAM_TLS = Histogram "tidegate_upstream_tls_seconds" ["upstream"]
        "How much of that the TLS handshake took.";
    UPSTREAM_FIRST_BYTE = Histogram "tidegate_upstream_first_byte_seconds" ["upstream"]
        "From sending a request to the head of its answer.";
    UPSTREAM_BODY = Histogram "tidegate_upstream_body_seconds" ["upstream"]
        "From the head of an answer to its end, at the client's pace.";
    UPSTREAM_STALE_CONNECTIONS = Counter "tidegate_upstream_stale_connections_total" ["upstream"]
        "Pooled connections that the endpoint had closed when a request was about to use them.";
    EJECTIONS = Counter "tidegate_ejections_total" ["upstream", "cause"]
        "Endpoints taken out of rotation for what their traffic showed.";
    HEALTH_CHECKS = Counter "tidegate_health_checks_total" ["upstream", "result"]
        "Active checks: passed, failed, inconclusive (failed while this process stood still or had no descriptor left: not counted) or postponed (due much too late).";
    DNS_LOOKUPS = Counter "tidegate_dns_lookups_total" ["upstream", "result"]
        "Lookups of an upstream's names: ok, not_found, empty, server_failure, refused, timeout, truncated, alias_loop or prohibited.";
    DNS_EVENTS = Counter "tidegate_dns_events_total" ["upstream", "event"]
        "What happened to an upstream's names: changed, held (an answer dropped most addresses), refused (addresses that names may not have), stale, expires (soon), expired, recovered, unresolved or too_many.";
    DNS_STALE = Gauge "tidegate_dns_stale" ["upstream", "name"]
        "1 while the last good answer for the name is served although its refresh fails.";
    DNS_STALE_SECONDS = Gauge "tidegate_dns_stale_seconds" ["upstream", "name"]
        "For how long lookups of the name have failed while its last good answer serves; 0 while they succeed.";
    DNS_STALE_LEFT = Gauge "tidegate_dns_stale_left_seconds" ["upstream", "name"]
        "While lookups of the name fail: in how many seconds it has no addresses any more; missing while they succeed.";
    DNS_ADDRESSES = Gauge "tidegate_dns_addresses" ["upstream", "name"]
        "How many addresses of the name are in force.";
    ENDPOINT_HEALTHY = Gauge "tidegate_endpoint_healthy" ["upstream", "endpoint"]
        "1 unless active checks say that the endpoint is down.";
    ENDPOINT_DEGRADED = Gauge "tidegate_endpoint_degraded" ["upstream", "endpoint"]
        "1 while the endpoint passes its checks and says that it is degraded.";
    ENDPOINT_EJECTED = Gauge "tidegate_endpoint_ejected" ["upstream", "endpoint"]
        "1 while the endpoint is ejected for what its traffic showed.";
    ENDPOINT_KEEP_ALIVE = Gauge "tidegate_endpoint_keep_alive_seconds" ["upstream", "endpoint"]
        "How long the endpoint lets a connection rest, by its Keep-Alive field or by what it closed; missing where that is not known.";
    GROUP_TRAFFIC_SHARE = Gauge "tidegate_group_traffic_share_ratio" ["upstream", "group"]
        "What the group gets of the upstream's traffic now, 0 to 1; where there is more than one group.";
    GROUP_HEALTHY = Gauge "tidegate_group_healthy_ratio" ["upstream", "group"]
        "The share of the group's endpoints that can serve, 0 to 1; where there is more than one group.";
    UPSTREAM_PANIC = Gauge "tidegate_upstream_panic" ["upstream"]
        "1 while so few endpoints can serve (`panic_threshold`) that all are used, whatever their state.";
    CONCURRENCY_LIMIT = Gauge "tidegate_concurrency_limit" ["upstream", "endpoint"]
        "Most requests at once; the endpoint is empty where one limit counts the whole upstream.";
    CONCURRENCY_IN_FLIGHT = Gauge "tidegate_concurrency_in_flight" ["upstream", "endpoint"]
        "Requests that hold a permit; the endpoint is empty where one limit counts the whole upstream.";
    CONCURRENCY_CAPACITY = Gauge "tidegate_concurrency_capacity" ["upstream", "endpoint", "probability"]
        "How many requests at once the endpoint is believed to work on: quantiles of the belief.";
    CONCURRENCY_SLOWNESS = Gauge "tidegate_concurrency_slowness_ratio" ["upstream", "endpoint"]
        "How slow the endpoint is believed to be against its baselines; 1 is as usual.";
    CONCURRENCY_SHARED = Gauge "tidegate_concurrency_shared_ratio" ["upstream", "endpoint"]
        "How likely it is that the endpoint stretches all requests alike, and does not queue them.";
    CONCURRENCY_BASELINE = Gauge "tidegate_concurrency_baseline_seconds" ["upstream", "endpoint", "route"]
        "How long a request of the route is believed to take where nothing waits.";
    CONCURRENCY_PROBES = Counter "tidegate_concurrency_probes_total" ["upstream", "endpoint"]
        "Looks above and below the limit.";
    QUEUE_DEPTH = Gauge "tidegate_queue_depth" ["upstream"]
        "Requests that wait for a permit.";
    PRESSURE_LEVEL = Gauge "tidegate_pressure_level" []
        "How much this process gives up for its own health: 0 nothing, to 4 all but critical.";
    PRESSURE_SIGNAL = Gauge "tidegate_pressure_signal" ["signal"]
        "What the level is found from: shares from 0 to 1, and runtime_lag in seconds; unknown ones are missing.";
    CONNECTIONS = Gauge "tidegate_connections" ["listener"]
        "Open connections of clients.";
    CONNECTIONS_REJECTED = Counter "tidegate_connections_rejected_total" ["listener", "reason"]
        "Connections turned away: limit, proxy_protocol, tls, untrusted or protocol.";
    CERTIFICATE_EXPIRY = Gauge "tidegate_certificate_expiry_timestamp_seconds" ["listener", "certificate"]
        "When a certificate in force ends, in seconds since 1970; by its file.";
    UPSTREAM_CERTIFICATE_EXPIRY = Gauge "tidegate_upstream_certificate_expiry_timestamp_seconds" ["upstream", "endpoint"]
        "When the certificate ends that the endpoint showed last, in seconds since 1970.";
    CERTIFICATE_STALE = Gauge "tidegate_certificate_stale" ["listener", "certificate"]
        "1 while the files of a certificate are wrong or don't fit each other, and what they held before is in force.";
    CLIENT_TIMEOUTS = Counter "tidegate_client_timeouts_total" ["listener", "phase"]
        "Clients that were too slow: header, idle, handshake, body or write.";
    CONFIG_RELOADS = Counter "tidegate_config_reloads_total" ["result"]
        "Reloads of the config: applied, unchanged or rejected.";
    CONFIG_ROLLBACKS = Counter "tidegate_config_rollbacks_total" []
        "Configs taken back by the guard because requests failed under them.";
    CONFIG_LAST_RELOAD_SUCCESSFUL = Gauge "tidegate_config_last_reload_successful" []
        "0 while the file on disk is one that was rejected.";
    CONFIG_ERROR_LINE = Gauge "tidegate_config_error_line" []
        "The line of the first error of the rejected config; 0 where there is none.";
    CONFIG_INFO = Gauge "tidegate_config_info" ["hash"]
        "1, with the hash of the config in force.";
    BUILD_INFO = Gauge "tidegate_build_info" ["version"]
        "1, with the version of this program.";
    READY = Gauge "tidegate_ready" []
        "1 while the gateway says that it is ready.";
    PANICS = Counter "tidegate_panics_total" []
        "Panics caught while a request was handled.";
    EVENTS = Counter "tidegate_events_total" ["kind"]
        "Things that happened to the gateway as a whole, by kind, as the event stream tells them.";
    ACCESS_LOG_DROPPED = Counter "tidegate_access_log_dropped_total" []
        "Lines of the access log that were lost because its target was too slow or failed.";
}

/// The table as Markdown, for the reference.
#[must_use]
pub fn reference() -> String {
    let mut page =
        String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for metric in ALL {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = if labels.is_empty() {
            "–".to_owned()
        } else {
            labels.join(", ")
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {labels} | {} |",
            metric.name,
            metric.kind.as_str(),
            metric.help
        );
    }
    page
}

// === impl Metric ===

impl Metric {
    /// The lines above its series in the text format of Prometheus.
    pub(super) fn head(&self) -> String {
        let (name, kind) = (self.name, self.kind.as_str());
        format!("# HELP {name} {}\n# TYPE {name} {kind}\n", self.help)
    }
}

// === impl MetricKind ===

impl MetricKind {
    /// The word of the exposition format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

#[cfg(test)]
mod tests;
