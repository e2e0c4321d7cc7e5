//! `/metrics`: what was counted, and what lives at this moment.

use crate::telemetry::{Exposition, Telemetry, catalog};

use super::{
    Source,
    views::{ConfigView, UpstreamView},
};

/// The whole page, in the text format of Prometheus 0.0.4.
pub(super) fn page(telemetry: &Telemetry, source: &dyn Source) -> String {
    let mut live = Exposition::new();
    live.gauge(&catalog::BUILD_INFO, [source.status().version], 1.0);
    live.gauge(&catalog::READY, [], flag(source.ready().is_ready()));
    config(&mut live, &source.config());
    for view in source.upstreams() {
        upstream(&mut live, &view);
    }
    let mut page = telemetry.render();
    page.push_str(&live.finish());
    page
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
    for source in &view.names {
        live.gauge(
            &catalog::DNS_STALE,
            [name, &source.name],
            flag(source.stale),
        );
    }
    for endpoint in &view.endpoints {
        let address = endpoint.address.to_string();
        live.gauge(
            &catalog::ENDPOINT_HEALTHY,
            [name, &address],
            flag(endpoint.healthy),
        );
        live.gauge(
            &catalog::ENDPOINT_EJECTED,
            [name, &address],
            flag(endpoint.ejected),
        );
        if let Some(limit) = endpoint.limit {
            live.gauge(&catalog::CONCURRENCY_LIMIT, [name, &address], limit.into());
            live.gauge(
                &catalog::CONCURRENCY_IN_FLIGHT,
                [name, &address],
                endpoint.in_flight.into(),
            );
        }
    }
}

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}
