//! The recorder of one gateway: registers what the catalogue lists, and nothing else.

use std::fmt;

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalog::{self, BUCKETS_SECONDS, Metric, MetricKind};

/// A Prometheus recorder that belongs to one gateway, not to the process: tests in one process don't mix.
///
/// No series is ever forgotten, since a forgotten one would orphan the handles that still count into it.
pub(super) struct Recorder {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

const METADATA: Metadata<'static> = Metadata::new("tidegate", Level::INFO, None);

impl Recorder {
    pub(super) fn new() -> Self {
        let builder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS_SECONDS)
            .unwrap_or_default();
        let recorder = builder.build_recorder();
        for metric in catalog::ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, None, help),
                MetricKind::Gauge => recorder.describe_gauge(name, None, help),
                MetricKind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    pub(super) fn counter<const N: usize>(&self, metric: &Metric, values: [&str; N]) -> Counter {
        self.recorder
            .register_counter(&key(metric, values), &METADATA)
    }

    pub(super) fn histogram<const N: usize>(
        &self,
        metric: &Metric,
        values: [&str; N],
    ) -> Histogram {
        self.recorder
            .register_histogram(&key(metric, values), &METADATA)
    }

    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves the observations of histograms into their buckets. Between two calls they take memory.
    pub(super) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

fn key<const N: usize>(metric: &Metric, values: [&str; N]) -> Key {
    debug_assert_eq!(metric.labels.len(), N, "{} has other labels", metric.name);
    let labels: Vec<Label> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(label, value)| Label::new(*label, value.to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}
