//! `/metrics`: what was counted, and what lives at this moment.

use std::collections::BTreeMap;

use crate::config::CertificateFacts;
use crate::telemetry::{Exposition, Telemetry, catalog};

use super::{
    Source, groups,
    views::{ConfigView, LearnedView, PressureView, UpstreamView},
};

/// The whole page, in the text format of Prometheus 0.0.4.
pub(super) fn page(telemetry: &Telemetry, source: &dyn Source) -> String {
    let mut live = Exposition::new();
    let status = source.status();
    live.gauge(&catalog::BUILD_INFO, [status.version], 1.0);
    pressure(&mut live, &status.pressure);
    live.gauge(&catalog::READY, [], flag(source.ready().is_ready()));
    let open = telemetry.incidents().open();
    live.gauge(&catalog::INCIDENTS_OPEN, [], open as f64);
    config(&mut live, &source.config());
    for (listener, count) in source.connections() {
        live.gauge(&catalog::CONNECTIONS, [&listener], count as f64);
    }
    source
        .certificates()
        .iter()
        .for_each(|one| certificate(&mut live, one));
    for view in source.upstreams() {
        upstream(&mut live, &view);
    }
    let mut page = telemetry.render();
    page.push_str(&live.finish());
    page
}

fn pressure(live: &mut Exposition, view: &PressureView) {
    live.gauge(&catalog::PRESSURE_LEVEL, [], view.level.into());
    for (signal, value) in &view.signals {
        live.gauge(&catalog::PRESSURE_SIGNAL, [*signal], *value);
    }
}

fn config(live: &mut Exposition, view: &ConfigView) {
    let rejected = view.rejected();
    let error_line = rejected.and_then(|reload| reload.line).unwrap_or(0);
    live.gauge(&catalog::CONFIG_INFO, [&view.hash], 1.0);
    live.gauge(
        &catalog::CONFIG_LAST_RELOAD_SUCCESSFUL,
        [],
        flag(rejected.is_none()),
    );
    live.gauge(&catalog::CONFIG_ERROR_LINE, [], error_line.into());
}

fn certificate(live: &mut Exposition, facts: &CertificateFacts) {
    let file = facts.certificate.display().to_string();
    let at = [facts.listener.as_str(), &file];
    live.gauge(&catalog::CERTIFICATE_STALE, at, flag(facts.stale));
    if let Some(seconds) = facts.not_after {
        live.gauge(&catalog::CERTIFICATE_EXPIRY, at, seconds as f64);
    }
}

fn upstream(live: &mut Exposition, view: &UpstreamView) {
    let name = view.name.as_str();
    live.gauge(&catalog::QUEUE_DEPTH, [name], view.waiting.into());
    live.gauge(
        &catalog::CONCURRENCY_IN_FLIGHT,
        [name, ""],
        view.in_flight.into(),
    );
    if let Some(limit) = view.limit {
        live.gauge(&catalog::CONCURRENCY_LIMIT, [name, ""], limit.into());
    }
    live.gauge(&catalog::UPSTREAM_PANIC, [name], flag(view.panic));
    names(live, view);
    groups::scrape(live, view);
    for endpoint in &view.endpoints {
        let address = endpoint.address.to_string();
        live.gauge(
            &catalog::ENDPOINT_HEALTHY,
            [name, &address],
            flag(endpoint.healthy),
        );
        live.gauge(
            &catalog::ENDPOINT_DEGRADED,
            [name, &address],
            flag(endpoint.degraded),
        );
        live.gauge(
            &catalog::ENDPOINT_EJECTED,
            [name, &address],
            flag(endpoint.ejected),
        );
        if let Some(millis) = endpoint.keep_alive_ms {
            let metric = &catalog::ENDPOINT_KEEP_ALIVE;
            live.gauge(metric, [name, &address], millis as f64 / 1000.0);
        }
        if let Some(limit) = endpoint.limit {
            live.gauge(&catalog::CONCURRENCY_LIMIT, [name, &address], limit.into());
        }
        if let Some(ends) = endpoint.certificate_ends {
            let at = [name, &address];
            live.gauge(&catalog::UPSTREAM_CERTIFICATE_EXPIRY, at, ends as f64);
        }
        if let Some(beliefs) = &endpoint.learned {
            learned(live, name, &address, beliefs);
        }
    }
}

/// One that is asked for addresses and for services too is one series: what is worse of the two counts.
fn names(live: &mut Exposition, view: &UpstreamView) {
    let mut all: BTreeMap<&str, (bool, u64, Option<u64>, usize)> = BTreeMap::new();
    for source in &view.names {
        let (stale, seconds, left, addresses) = all.entry(&source.name).or_default();
        *stale |= source.stale;
        *seconds = (*seconds).max(source.stale_seconds.unwrap_or(0));
        *left = [*left, source.stale_left_seconds]
            .into_iter()
            .flatten()
            .min();
        *addresses = addresses.saturating_add(source.addresses);
    }
    for (name, (stale, seconds, left, addresses)) in all {
        let at = [view.name.as_str(), name];
        live.gauge(&catalog::DNS_STALE, at, flag(stale));
        live.gauge(&catalog::DNS_STALE_SECONDS, at, seconds as f64);
        if let Some(left) = left {
            live.gauge(&catalog::DNS_STALE_LEFT, at, left as f64);
        }
        live.gauge(&catalog::DNS_ADDRESSES, at, addresses as f64);
    }
}

fn learned(live: &mut Exposition, upstream: &str, address: &str, view: &LearnedView) {
    let at = [upstream, address];
    live.gauge(&catalog::CONCURRENCY_IN_FLIGHT, at, view.permits.into());
    live.counter(&catalog::CONCURRENCY_PROBES, at, view.probes.into());
    for (quantile, capacity) in QUANTILES.iter().zip(view.capacity.iter().flatten()) {
        live.gauge(
            &catalog::CONCURRENCY_CAPACITY,
            [upstream, address, quantile],
            *capacity,
        );
    }
    if let Some(slowness) = view.slowness {
        live.gauge(&catalog::CONCURRENCY_SLOWNESS, at, slowness);
    }
    if let Some(shared) = view.shared {
        live.gauge(&catalog::CONCURRENCY_SHARED, at, shared);
    }
    for (route, seconds) in &view.baselines {
        live.gauge(
            &catalog::CONCURRENCY_BASELINE,
            [upstream, address, route],
            *seconds,
        );
    }
}

/// Of the capacity believed in, in the order of the view.
const QUANTILES: [&str; 5] = ["0.05", "0.25", "0.5", "0.75", "0.95"];

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}
