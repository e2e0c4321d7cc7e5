//! `/api/v1/events`: what happens to the gateway, as it happens, or a page of what has happened.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive},
    },
};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Duration;

use super::{
    Admin,
    router::problem,
    sse::{COME_AGAIN, Says, told},
};
use crate::telemetry::{Event, EventKind, Subscription};

/// Most who listen at a time; one more is answered 503.
pub const MAX_LISTENERS: usize = 32;
/// Most events of one page.
const MOST_LISTED: usize = 1000;
/// Events of one page where nobody says how many.
const LISTED: usize = 100;
/// A stream says something so often at least, so that proxies in between and the client know that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Those after this id; 0 for all that is kept.
    since: Option<u64>,
    /// Of these kinds, with commas between.
    kind: Option<Box<str>>,
    upstream: Option<Box<str>>,
    route: Option<Box<str>>,
    /// Of a page: the newest so many.
    limit: Option<usize>,
}

/// What one who listens wants to hear.
#[derive(Debug)]
struct Wanted {
    /// Empty: all.
    kinds: Vec<EventKind>,
    upstream: Option<Box<str>>,
    route: Option<Box<str>>,
}

/// A page of the past.
#[derive(Debug, Serialize)]
struct Page {
    /// Oldest first.
    events: Vec<Arc<Event>>,
    /// The id of the newest event of all: the next page begins after it.
    last: u64,
}

/// One who listens.
struct Listener {
    subscription: Subscription,
    wanted: Wanted,
    /// What is to be said before the next event of the gateway.
    ready: Option<sse::Event>,
}

/// A stream, or a page for who accepts JSON alone.
pub(super) async fn events(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Response {
    let (since, limit) = (which.since, which.limit);
    let Some(wanted) = which.wanted() else {
        return problem(StatusCode::BAD_REQUEST, "There is no such kind of event.");
    };
    let events = admin.telemetry.events();
    if wants_page(&headers) {
        let most = limit.unwrap_or(LISTED).min(MOST_LISTED);
        let last = events.last(); // before the look: what comes meanwhile is told twice rather than never
        let found = events.select(since.unwrap_or(0), most, |event| wanted.lets(event));
        return Json(Page {
            events: found,
            last,
        })
        .into_response();
    }
    let Ok(place) = admin.listeners.clone().try_acquire_owned() else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many listen to the events already.",
        );
    };
    let subscription = match last_heard(&headers).or(since) {
        Some(id) => events.subscribe_after(id),
        None => events.subscribe(),
    };
    // An id without data is no event, but whoever comes again before the first event asks from here on.
    let hello = sse::Event::default().retry(COME_AGAIN);
    let listener = Listener {
        ready: Some(hello.id(subscription.last().to_string())),
        subscription,
        wanted,
    };
    told(listener, place, admin.stop.clone())
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response()
}

/// Whether JSON is asked for and a stream is not.
fn wants_page(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT);
    let accepts = |what: &str| {
        let texts = all.iter().filter_map(|value| value.to_str().ok());
        texts.into_iter().any(|text| text.contains(what))
    };
    accepts("application/json") && !accepts("text/event-stream")
}

/// The last event that was heard before the connection broke.
fn last_heard(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

// === impl Which ===

impl Which {
    /// `None` where a kind is not known.
    fn wanted(self) -> Option<Wanted> {
        let words = self.kind.as_deref().unwrap_or_default();
        let words = words.split(',').filter(|word| !word.is_empty());
        Some(Wanted {
            kinds: words.map(EventKind::of_word).collect::<Option<_>>()?,
            upstream: self.upstream,
            route: self.route,
        })
    }
}

// === impl Wanted ===

impl Wanted {
    fn lets(&self, event: &Event) -> bool {
        let upstream = self.upstream.as_deref();
        let route = self.route.as_deref();
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && upstream.is_none_or(|name| event.is_about_upstream(name))
            && route.is_none_or(|name| event.is_about_route(name))
    }
}

// === impl Listener ===

impl Says for Listener {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.take() {
                return Some(event);
            }
            let next = self.subscription.next().await;
            let event = self.wanted.lets(&next.event).then(|| {
                let head = sse::Event::default().id(next.event.id.to_string());
                head.event(next.event.kind.as_str()).data(next.event.json())
            });
            self.ready = event;
            if next.missed > 0 {
                let missed = json!({ "missed": next.missed }).to_string();
                return Some(sse::Event::default().event("missed").data(missed));
            }
        }
    }
}
