use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use super::*;
use crate::{
    fault::{Fault, Kind, ShedReason},
    names::{EjectionCause, Priority},
    telemetry::{CheckResult, ReloadResult, RetryResult, Telemetry},
};

#[test]
fn every_name_is_unique_and_begins_with_tidegate() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(names.iter().all(|name| name.starts_with("tidegate_")));
}

#[test]
fn counters_end_in_total_and_histograms_in_seconds() {
    for metric in ALL {
        let (total, seconds) = (
            metric.name.ends_with("_total"),
            metric.name.ends_with("_seconds"),
        );
        let fits = match metric.kind {
            MetricKind::Counter => total,
            MetricKind::Histogram => seconds,
            MetricKind::Gauge => !total,
        };
        assert!(fits, "{} has the name of another kind", metric.name);
    }
}

#[test]
fn the_reference_has_a_row_for_each_metric() {
    let page = reference();
    assert_eq!(page.lines().count(), ALL.len() + 2);
    assert!(
        page.contains("| `tidegate_shed_total` | counter | `route`, `reason`, `priority` | "),
        "{page}"
    );
    assert!(
        page.contains("| `tidegate_panics_total` | counter | – | "),
        "{page}"
    );
}

/// A gateway in which everything that can be counted was counted once.
fn busy() -> Arc<Telemetry> {
    let telemetry = Telemetry::new();
    let once = Duration::from_millis(1);
    let route = telemetry.route(Some(&"r".into()), Some(&"u".into()), Priority::Normal);
    route.offered();
    route.admitted();
    route.finished(200, once);
    route.fault(&Fault::new(Kind::NoRoute));
    route.shed(ShedReason::RateExceeded);
    route.shadow_shed(ShedReason::RateExceeded);
    telemetry.fallback(&"r".into(), "file").taken();
    let upstream = telemetry.upstream(&"u".into());
    upstream.retry(RetryResult::Success);
    upstream.queue_wait(once, once);
    upstream.connected(once, Some(once));
    upstream.body(once);
    upstream.first_byte(once);
    upstream.stale_connection();
    upstream.ejected(EjectionCause::ConsecutiveFailures);
    upstream.checked(CheckResult::Passed);
    upstream.resolved("ok");
    upstream.name_event("changed");
    let listener = telemetry.listener(&"web".into());
    listener.rejected("limit");
    listener.timed_out("header");
    telemetry.reloaded(ReloadResult::Applied);
    telemetry.panicked();
    drop(telemetry.webhook());
    telemetry
}

#[test]
fn what_is_rendered_is_what_the_catalogue_lists_no_more_and_no_less() {
    let page = busy().render();
    let typed: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let of = |metric: &Metric| format!("{} {}", metric.name, metric.kind.as_str());
    let all: BTreeSet<_> = ALL.iter().map(of).collect();
    let unlisted: Vec<_> = typed.iter().filter(|line| !all.contains(**line)).collect();
    assert!(unlisted.is_empty(), "not in the catalogue: {unlisted:?}");
    // Gauges, and the counter that lanes keep themselves, are read at the scrape.
    let counted = ALL
        .iter()
        .filter(|metric| metric.kind != MetricKind::Gauge && **metric != CONCURRENCY_PROBES)
        .map(of);
    let missing: Vec<_> = counted
        .filter(|line| !typed.contains(line.as_str()))
        .collect();
    assert!(missing.is_empty(), "never counted: {missing:?}");
}

#[test]
fn every_series_has_the_labels_and_the_help_of_its_row() {
    let page = busy().render();
    for metric in ALL {
        let series = page.lines().filter(|line| {
            let rest = line.strip_prefix(metric.name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        for line in series {
            let labels = line
                .split_once('{')
                .map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let names: Vec<_> = labels
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, _)| name)
                .collect();
            assert_eq!(names, metric.labels, "{line}");
            assert!(
                page.contains(&format!("# HELP {} {}\n", metric.name, metric.help)),
                "{}",
                metric.name
            );
        }
    }
}

/// The words of `text` that begin as our metrics do, without the suffixes of a histogram's series.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
    let ours = words.filter(|word| word.starts_with("tidegate_"));
    let bare = |word: &str| {
        let series = ["_bucket", "_sum", "_count"];
        let histogram = series.iter().find_map(|suffix| word.strip_suffix(suffix));
        histogram
            .filter(|name| name.ends_with("_seconds"))
            .unwrap_or(word)
            .to_owned()
    };
    ours.map(bare).collect()
}

#[test]
fn dashboards_and_rules_name_only_metrics_that_exist_and_leave_none_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let all: BTreeSet<_> = ALL.iter().map(|metric| metric.name.to_owned()).collect();
    for file in [
        "prometheus/tidegate.rules.yml",
        "prometheus/tidegate.rules.test.yml",
        "grafana/overview.json",
    ] {
        let unknown: Vec<_> = named_in(&read(file)).difference(&all).cloned().collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    let shown = named_in(&read("grafana/overview.json"));
    let unseen: Vec<_> = all.difference(&shown).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

#[test]
fn the_overview_dashboard_is_valid_json_with_panels_that_do_not_share_an_id() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/overview.json");
    let board: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len());
    assert!(
        panels
            .iter()
            .all(|panel| panel["gridPos"]["w"].as_u64().unwrap() <= 24)
    );
}
