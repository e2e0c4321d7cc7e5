//! Rates and quantiles out of totals that only grow.

use std::{collections::VecDeque, time::Duration};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::{fault::ShedReason, telemetry::Totals};

/// Over how many beats the quantiles look back. Rates look back over one.
const QUANTILE_BEATS: usize = 10;

/// The last few totals, as one watcher saw them.
#[derive(Debug, Default)]
pub(super) struct Pulse(VecDeque<(Instant, Totals)>);

/// What happened since the beat before, for each second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Rates {
    /// Requests that arrived. `None` at the first beat, as all rates.
    pub(super) offered: Option<f64>,
    /// Requests that admission let in.
    pub(super) admitted: Option<f64>,
    /// Requests answered well.
    pub(super) goodput: Option<f64>,
    /// Requests that ended badly and were not shed.
    pub(super) failed: Option<f64>,
    /// Requests refused.
    pub(super) shed_total: Option<f64>,
    /// Requests refused, by reason.
    #[serde(serialize_with = "by_reason")]
    pub(super) shed: [Option<f64>; ShedReason::ALL.len()],
    /// Half of the good answers of the last beats took no longer, in milliseconds; `None` if there were none.
    pub(super) p50_ms: Option<f64>,
    /// 99 of 100 took no longer.
    pub(super) p99_ms: Option<f64>,
}

impl Pulse {
    /// The rates since the last beat; `totals` are those of `now`.
    pub(super) fn beat(&mut self, now: Instant, totals: Totals) -> Rates {
        let rates = self.rates(now, &totals);
        self.0.push_back((now, totals));
        if self.0.len() > QUANTILE_BEATS {
            self.0.pop_front();
        }
        rates
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of requests in a second is far below 2^52"
    )]
    fn rates(&self, now: Instant, totals: &Totals) -> Rates {
        let last = self
            .0
            .back()
            .map(|(then, last)| (now.duration_since(*then).as_secs_f64(), last));
        let last = last.filter(|(seconds, _)| *seconds > 0.0);
        let rate = |count: &dyn Fn(&Totals) -> u64| {
            last.map(|(seconds, last)| count(totals).saturating_sub(count(last)) as f64 / seconds)
        };
        let quantile = |share| {
            let (_, earliest) = self.0.front()?;
            totals
                .latency
                .quantile_since(&earliest.latency, share)
                .map(millis)
        };
        Rates {
            offered: rate(&|totals| totals.offered),
            admitted: rate(&|totals| totals.admitted),
            goodput: rate(&|totals| totals.good),
            failed: rate(&|totals| totals.failed),
            shed_total: rate(&Totals::shed_total),
            shed: std::array::from_fn(|index| {
                rate(&|totals| totals.shed.get(index).copied().unwrap_or(0))
            }),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}

fn millis(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1000.0
}

fn by_reason<S: Serializer>(
    shed: &[Option<f64>; ShedReason::ALL.len()],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        ShedReason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .zip(shed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{names::Priority, telemetry::Telemetry};

    #[tokio::test(start_paused = true)]
    async fn rates_are_per_second_of_the_time_that_passed() {
        let telemetry = Telemetry::new();
        let route = telemetry.route(None, None, Priority::Normal);
        let mut pulse = Pulse::default();
        let begin = Instant::now();
        let first = pulse.beat(begin, telemetry.totals());
        assert_eq!((first.offered, first.p99_ms), (None, None));
        for _ in 0..100 {
            route.offered();
            route.shed(ShedReason::QueueFull);
        }
        route.admitted();
        route.finished(200, Duration::from_millis(10));
        let second = pulse.beat(begin + Duration::from_secs(2), telemetry.totals());
        assert_eq!((second.offered, second.admitted), (Some(50.0), Some(0.5)));
        assert_eq!((second.goodput, second.shed_total), (Some(0.5), Some(50.0)));
        let shown = serde_json::to_value(&second).unwrap();
        assert_eq!(shown["shed"]["queue_full"], 50.0);
        assert_eq!(shown["shed"]["rate_exceeded"], 0.0);
        let p99 = second.p99_ms.unwrap();
        assert!((9.0..11.5).contains(&p99), "{p99}");
    }

    #[tokio::test(start_paused = true)]
    async fn quantiles_forget_what_is_older_than_ten_beats() {
        let telemetry = Telemetry::new();
        let route = telemetry.route(None, None, Priority::Normal);
        let mut pulse = Pulse::default();
        let mut now = Instant::now();
        pulse.beat(now, telemetry.totals());
        route.finished(200, Duration::from_millis(10));
        let seen: Vec<bool> = (0..12)
            .map(|_| {
                now += Duration::from_secs(1);
                pulse.beat(now, telemetry.totals()).p50_ms.is_some()
            })
            .collect();
        assert_eq!(seen, [vec![true; 10], vec![false; 2]].concat());
        assert_eq!(pulse.0.len(), QUANTILE_BEATS);
    }
}
