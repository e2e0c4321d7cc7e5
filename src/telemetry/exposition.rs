//! Text of metrics that are read, at each scrape, from the thing that they describe.

use std::{collections::BTreeMap, fmt::Write as _};

use super::catalog::{Metric, MetricKind};

/// Writes gauges in the text format of Prometheus 0.0.4.
///
/// Series may come in any order: they are grouped by metric, each group under its HELP and TYPE line. What is not
/// written at a scrape is gone from it, so an endpoint that left leaves no frozen value behind.
#[derive(Debug, Default)]
pub struct Exposition {
    groups: BTreeMap<&'static str, String>,
}

impl Exposition {
    /// An empty page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One series of the gauge `metric`, a value for each of its labels in the catalogue's order.
    pub fn gauge<const N: usize>(&mut self, metric: &Metric, labels: [&str; N], value: f64) {
        debug_assert_eq!(
            metric.kind,
            MetricKind::Gauge,
            "{} is no gauge",
            metric.name
        );
        self.series(metric, labels, value);
    }

    /// The same of a counter that the thing itself keeps.
    pub fn counter<const N: usize>(&mut self, metric: &Metric, labels: [&str; N], value: f64) {
        debug_assert_eq!(
            metric.kind,
            MetricKind::Counter,
            "{} is no counter",
            metric.name
        );
        self.series(metric, labels, value);
    }

    fn series<const N: usize>(&mut self, metric: &Metric, labels: [&str; N], value: f64) {
        debug_assert_eq!(metric.labels.len(), N, "{} has other labels", metric.name);
        let page = self
            .groups
            .entry(metric.name)
            .or_insert_with(|| metric.head());
        page.push_str(metric.name);
        for (index, (label, value)) in metric.labels.iter().zip(labels).enumerate() {
            page.push(if index == 0 { '{' } else { ',' });
            let _ = write!(page, "{label}=\"");
            escape(page, value);
            page.push('"');
        }
        if N > 0 {
            page.push('}');
        }
        let _ = writeln!(page, " {}", Value(value));
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.groups.into_values().collect()
    }
}

struct Value(f64);

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if value.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

fn escape(page: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalog;

    #[test]
    fn series_are_grouped_under_one_help_and_type_line() {
        let mut page = Exposition::new();
        page.gauge(&catalog::ENDPOINT_HEALTHY, ["a", "10.0.0.1:80"], 1.0);
        page.gauge(&catalog::QUEUE_DEPTH, ["a"], 3.0);
        page.gauge(&catalog::ENDPOINT_HEALTHY, ["b", "[::1]:80"], 0.0);
        page.gauge(&catalog::CONFIG_ERROR_LINE, [], 31.0);
        let text = page.finish();
        let expected = format!(
            "# HELP tidegate_endpoint_healthy {}\n# TYPE tidegate_endpoint_healthy gauge\n\
             tidegate_endpoint_healthy{{upstream=\"a\",endpoint=\"10.0.0.1:80\"}} 1\n\
             tidegate_endpoint_healthy{{upstream=\"b\",endpoint=\"[::1]:80\"}} 0\n",
            catalog::ENDPOINT_HEALTHY.help
        );
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("\ntidegate_config_error_line 31\n"), "{text}");
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut page = Exposition::new();
        page.gauge(&catalog::QUEUE_DEPTH, ["a\"} 1\nb\\"], f64::INFINITY);
        let text = page.finish();
        assert!(
            text.ends_with("tidegate_queue_depth{upstream=\"a\\\"} 1\\nb\\\\\"} +Inf\n"),
            "{text}"
        );
    }
}
