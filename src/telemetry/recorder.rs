//! A recorder of series: registers what the catalogue lists, and nothing else.

use std::{collections::HashMap, fmt};

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalog::{self, BUCKETS_SECONDS, Metric};

/// The Prometheus recorder of one owner of series. They go with it, all at once: forgotten one by one, they would orphan
/// the handles that still count into them.
pub(super) struct Recorder {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Labels that each of its series has: without them another owner would have the same series.
    labels: &'static [&'static str],
}

const METADATA: Metadata<'static> = Metadata::new("tidegate", Level::INFO, None);

impl Recorder {
    /// Of an owner whose series all have these labels.
    pub(super) fn new(labels: &'static [&'static str]) -> Self {
        let builder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS_SECONDS)
            .unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self {
            recorder,
            handle,
            labels,
        }
    }

    pub(super) fn counter<const N: usize>(&self, metric: &Metric, values: [&str; N]) -> Counter {
        self.recorder
            .register_counter(&self.key(metric, values), &METADATA)
    }

    pub(super) fn histogram<const N: usize>(
        &self,
        metric: &Metric,
        values: [&str; N],
    ) -> Histogram {
        self.recorder
            .register_histogram(&self.key(metric, values), &METADATA)
    }

    /// Moves the observations of histograms into their buckets. Between two calls they take memory.
    pub(super) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn key<const N: usize>(&self, metric: &Metric, values: [&str; N]) -> Key {
        debug_assert_eq!(metric.labels.len(), N, "{} has other labels", metric.name);
        debug_assert!(
            self.labels.iter().all(|own| metric.labels.contains(own)),
            "{} is not of one {:?} alone",
            metric.name,
            self.labels
        );
        let labels: Vec<Label> = metric
            .labels
            .iter()
            .zip(values)
            .map(|(label, value)| Label::new(*label, value.to_owned()))
            .collect();
        Key::from_parts(metric.name, labels)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// What all of `recorders` counted, in the text format of Prometheus 0.0.4: the series of one metric together, under its
/// HELP and TYPE lines, in the order of the catalogue.
pub(super) fn render<'a>(recorders: impl IntoIterator<Item = &'a Recorder>) -> String {
    const TYPE: &str = "# TYPE ";
    let mut groups: HashMap<String, String> = HashMap::new();
    for recorder in recorders {
        let page = recorder.handle.render();
        // What comes before the first TYPE line is a comment, if anything.
        for group in page.split(TYPE).skip(1) {
            let (head, series) = group.split_once('\n').unwrap_or((group, ""));
            let name = head.split(' ').next().unwrap_or_default();
            let lines = series.lines().filter(|line| is_series(line));
            let known = match groups.get_mut(name) {
                Some(known) => known,
                None => groups.entry(name.to_owned()).or_default(),
            };
            lines.for_each(|line| known.extend([line, "\n"]));
        }
    }
    let mut page = String::with_capacity(groups.values().map(|series| series.len() + 128).sum());
    for metric in catalog::ALL {
        if let Some(series) = groups.get(metric.name) {
            page.push_str(&metric.head());
            page.push_str(series);
        }
    }
    page
}

fn is_series(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}
