//! `/api/v1/stream`: one JSON object a second, as a server-sent event.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use serde::Serialize;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Interval, MissedTickBehavior},
};

use super::{
    Admin,
    pulse::{Pulse, Rates},
    sse::{COME_AGAIN, Says, told},
    views::{ConfigView, LimitView, StatusView, UpstreamView},
};

/// Most watchers at a time; one more is answered 503.
pub const MAX_STREAMS: usize = 32;
/// Most endpoints, and most limits, that one event shows.
const MAX_ROWS: usize = 500;
const BEAT: Duration = Duration::from_secs(1);

/// One event.
#[derive(Debug, Serialize)]
struct Frame {
    /// Milliseconds since 1970.
    time: u64,
    #[serde(flatten)]
    rates: Rates,
    totals: Sums,
    status: StatusView,
    config: ConfigView,
    upstreams: Vec<UpstreamView>,
    limits: Vec<LimitView>,
    left_out: LeftOut,
    /// The id of the newest of `/api/v1/events`.
    last_event: u64,
}

/// Counts since the gateway began.
#[derive(Debug, Serialize)]
struct Sums {
    offered: u64,
    admitted: u64,
    good: u64,
    failed: u64,
    shed: u64,
}

/// How much did not fit.
#[derive(Debug, Serialize)]
struct LeftOut {
    endpoints: usize,
    limits: usize,
}

struct Watcher {
    admin: Arc<Admin>,
    pulse: Pulse,
    beat: Interval,
}

/// The frames of one watcher, until it leaves or the gateway drains.
pub(super) fn watch(
    admin: Arc<Admin>,
    place: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = admin.stop.clone();
    let watcher = Watcher {
        admin,
        pulse: Pulse::default(),
        beat,
    };
    told(watcher, place, stop)
}

impl Says for Watcher {
    async fn next(&mut self) -> Option<Event> {
        self.beat.tick().await;
        let event = Event::default().retry(COME_AGAIN);
        event.json_data(self.frame()).ok()
    }
}

impl Watcher {
    fn frame(&mut self) -> Frame {
        let (source, telemetry) = (&self.admin.source, &self.admin.telemetry);
        let totals = telemetry.totals();
        let sums = Sums {
            offered: totals.offered,
            admitted: totals.admitted,
            good: totals.good,
            failed: totals.failed,
            shed: totals.shed_total(),
        };
        let (mut upstreams, mut limits) = (source.upstreams(), source.limits());
        let left_out = LeftOut {
            endpoints: cut(&mut upstreams),
            limits: limits.len().saturating_sub(MAX_ROWS),
        };
        limits.truncate(MAX_ROWS);
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Frame {
            time: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
            rates: self.pulse.beat(Instant::now(), totals),
            totals: sums,
            status: source.status(),
            config: source.config(),
            upstreams,
            limits,
            left_out,
            last_event: telemetry.events().last(),
        }
    }
}

/// Leaves [`MAX_ROWS`] endpoints over all upstreams; says how many it took out.
fn cut(upstreams: &mut [UpstreamView]) -> usize {
    let mut room = MAX_ROWS;
    let mut left_out = 0;
    for upstream in upstreams {
        left_out += upstream.endpoints.len().saturating_sub(room);
        upstream.endpoints.truncate(room);
        room -= upstream.endpoints.len();
    }
    left_out
}
