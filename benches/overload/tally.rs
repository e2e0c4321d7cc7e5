//! What became of the requests, in sums and over time.

use std::time::Duration;

use serde_json::{Value, json};

/// How one request ended, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a 2xx.
    Answered,
    /// Refused: 429 or 503.
    Shed,
    /// Its client waited its time and left.
    TimedOut,
    /// Any other answer, or none.
    Broken,
}

/// One request, all its tries together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// When it should have been sent, since the begin.
    pub due: Duration,
    pub kind: usize,
    pub end: End,
    /// From `due` to the end of the last try.
    pub took: Duration,
    /// By how much its first try was sent too late.
    pub late_send: Duration,
    pub tries: u32,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub records: Vec<Record>,
}

// === impl End ===

impl End {
    pub(crate) const fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Answered,
            429 | 503 => Self::Shed,
            _ => Self::Broken,
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Sums over the requests due within `measure` (seconds), for each of the `kinds` and together; and all
    /// requests by when they were due, in buckets.
    pub(crate) fn report(
        &self,
        kinds: &[&str],
        measure: (f64, f64),
        in_time: Duration,
        bucket: Duration,
    ) -> Value {
        let counted: Vec<Record> = self
            .records
            .iter()
            .filter(|r| (measure.0..measure.1).contains(&r.due.as_secs_f64()))
            .copied()
            .collect();
        let of_kind = |kind: usize| -> Vec<Record> {
            counted.iter().filter(|r| r.kind == kind).copied().collect()
        };
        let by_kind: serde_json::Map<String, Value> = kinds
            .iter()
            .enumerate()
            .map(|(kind, name)| ((*name).to_owned(), sums(&of_kind(kind), in_time)))
            .collect();
        let mut late = counted.iter().map(|r| r.late_send).collect::<Vec<_>>();
        json!({
            "span": measure.1 - measure.0,
            "all": sums(&counted, in_time),
            "kinds": by_kind,
            "late_send_p99_ms": percentile(&mut late, 99),
            "bucket": bucket.as_secs_f64(),
            "series": self.series(in_time, bucket),
        })
    }

    fn series(&self, in_time: Duration, bucket: Duration) -> Vec<Value> {
        let mut buckets: Vec<Vec<Record>> = Vec::new();
        for record in &self.records {
            let at = (record.due.as_micros() / bucket.as_micros().max(1)) as usize;
            if buckets.len() <= at {
                buckets.resize(at + 1, Vec::new());
            }
            if let Some(bucket) = buckets.get_mut(at) {
                bucket.push(*record);
            }
        }
        buckets
            .into_iter()
            .map(|records| sums(&records, in_time))
            .collect()
    }
}

fn sums(records: &[Record], in_time: Duration) -> Value {
    let count = |end: End| records.iter().filter(|r| r.end == end).count();
    let mut took = times(records, End::Answered);
    let mut refused = times(records, End::Shed);
    json!({
        "offered": records.len(),
        "tries": records.iter().map(|r| u64::from(r.tries)).sum::<u64>(),
        "good": took.iter().filter(|t| **t <= in_time).count(),
        "answered": took.len(),
        "shed": refused.len(),
        "timed_out": count(End::TimedOut),
        "broken": count(End::Broken),
        "p50_ms": percentile(&mut took, 50),
        "p99_ms": percentile(&mut took, 99),
        "shed_p50_ms": percentile(&mut refused, 50),
    })
}

fn times(records: &[Record], end: End) -> Vec<Duration> {
    records
        .iter()
        .filter(|r| r.end == end)
        .map(|r| r.took)
        .collect()
}

/// In milliseconds; null where there is none.
fn percentile(times: &mut [Duration], percent: usize) -> Option<f64> {
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    let at = (times.len() * percent / 100).min(last);
    times.get(at).map(|t| t.as_secs_f64() * 1e3)
}
