use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{ring::Ring, *};
use crate::names::{EjectionCause, EndpointId, RouteName, UpstreamName};

fn endpoint(last: u8) -> EndpointId {
    EndpointId::new("shop".into(), ([10, 0, 0, last], 80).into())
}

fn ejected() -> EndpointEvent {
    EndpointEvent {
        endpoint: endpoint(1),
        change: EndpointChange::Ejected {
            cause: EjectionCause::ConsecutiveFailures,
            for_: Duration::from_secs(30),
        },
        why: "out: 5 failures in a row".into(),
    }
}

fn moved(from: f64, to: f64) -> LoadEvent {
    LoadEvent::LimitMoved {
        endpoint: endpoint(1),
        from,
        to,
        because: "room",
    }
}

fn stood_still(late_ms: u64) -> ProcessEvent {
    ProcessEvent::StoodStill { late_ms }
}

fn kinds(events: &Events) -> Vec<EventKind> {
    let all = events.since(0, usize::MAX);
    all.iter().map(|event| event.kind).collect()
}

#[test]
fn every_kind_has_a_word_of_its_own_that_finds_it() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::of_word(kind.as_str()), Some(*kind));
        assert!(kind.meaning().ends_with('.'));
    }
}

#[test]
fn an_event_is_one_line_of_json_with_its_subject_and_fields() {
    let at = UNIX_EPOCH + Duration::from_secs(86_400);
    let event = Event::new(7, at, ejected().into());
    let json: serde_json::Value = serde_json::from_str(&event.json()).unwrap();
    let expected = serde_json::json!({
        "id": 7,
        "at_ms": 86_400_000,
        "time": "1970-01-02T00:00:00.000Z",
        "severity": "warn",
        "kind": "endpoint_ejected",
        "upstream": "shop",
        "endpoint": "10.0.0.1:80",
        "sentence": "endpoint shop/10.0.0.1:80 is ejected for 30s: out: 5 failures in a row",
        "fields": { "cause": "consecutive_failures", "for_s": 30.0, "why": "out: 5 failures in a row" },
    });
    assert_eq!(json, expected);
    assert!(!event.json().contains('\n'));
}

#[test]
fn an_event_without_fields_is_json_too() {
    let event = Event::new(1, UNIX_EPOCH, ProcessEvent::TookOver {}.into());
    let json: serde_json::Value = serde_json::from_str(&event.json()).unwrap();
    assert_eq!(json["kind"], "took_over");
    let name = NameEvent {
        name: "a.internal".into(),
        upstreams: vec!["one".into(), "two".into()],
        change: NameChange::Recovered {},
    };
    let event = Event::new(1, UNIX_EPOCH, name.into());
    let json: serde_json::Value = serde_json::from_str(&event.json()).unwrap();
    assert_eq!(json["name"], "a.internal");
    assert_eq!(
        json["fields"]["upstreams"],
        serde_json::json!(["one", "two"])
    );
    assert!(event.is_about_upstream("two") && !event.is_about_upstream("three"));
}

#[test]
fn a_config_is_about_the_routes_that_it_touches() {
    let applied = |touches| {
        let applied = ConfigEvent::Applied {
            hash: "abc".into(),
            revision: 2,
            trigger: "file",
            touches,
            changes: vec!["route shop: timeout 3s -> 1s".into()],
            changed: 1,
        };
        Event::new(1, UNIX_EPOCH, applied.into())
    };
    let shop = applied(TouchedRoutes::Some([RouteName::from("shop")].into()));
    assert!(shop.is_about_route("shop") && !shop.is_about_route("blog"));
    assert!(applied(TouchedRoutes::ALL).is_about_route("blog"));
    assert_eq!(
        &*shop.sentence,
        "config abc is in force (file): it changes 1 key, for 1 route"
    );
}

#[test]
fn a_flood_of_one_kind_leaves_the_others() {
    let events = Events::default();
    events.keep(ejected());
    for late_ms in 0..3 * MOST_EVENTS as u64 {
        events.keep(stood_still(late_ms));
    }
    let kept = kinds(&events);
    assert!(
        kept.len() <= MOST_EVENTS && kept.len() > 1000,
        "{}",
        kept.len()
    );
    assert_eq!(kept.first(), Some(&EventKind::EndpointEjected));
}

#[test]
fn the_record_is_bounded_in_bytes() {
    let mut ring = Ring::default();
    for id in 0..200 {
        let rejected = ConfigEvent::Rejected {
            running: "abc".into(),
            revision: 1,
            trigger: "file",
            line: Some(3),
            why: "x".repeat(20_000).into(),
        };
        ring.push(Event::new(id, UNIX_EPOCH, rejected.into()).into());
        assert!(ring.bytes() <= MOST_BYTES);
    }
    let all: usize = ring.after(0).map(|event| event.bytes()).sum();
    assert_eq!(all, ring.bytes());
    assert!(ring.after(0).count() > 20);
}

#[test]
fn small_moves_of_a_limit_are_not_told_until_they_add_up() {
    let events = Events::default();
    events.keep(moved(10.0, 11.5));
    events.keep(moved(11.5, 10.2));
    assert_eq!(kinds(&events), []);
    events.keep(moved(10.2, 11.8));
    events.keep(moved(11.8, 12.1));
    assert_eq!(kinds(&events), [EventKind::LimitMoved]);
    events.keep(moved(12.1, 13.5));
    assert_eq!(kinds(&events).len(), 1);
    events.keep(moved(13.5, 9.0));
    assert_eq!(kinds(&events).len(), 2);
}

#[test]
fn the_past_is_read_by_id_and_by_time() {
    let events = Events::default();
    let before = SystemTime::now();
    events.keep(ejected());
    let first = events.last();
    events.keep(stood_still(1));
    events.keep(stood_still(2));
    let later = SystemTime::now() + Duration::from_secs(1);
    let after: Vec<u64> = events
        .since(first, 10)
        .iter()
        .map(|event| event.id)
        .collect();
    assert_eq!(after, [first + 1, first + 2]);
    assert_eq!(events.since(0, 1)[0].id, first + 2, "the newest");
    assert_eq!(events.between(before, later, 10).len(), 3);
    assert_eq!(events.between(later, later, 10).len(), 0);
}

#[tokio::test]
async fn who_listens_gets_all_in_order_from_the_id_it_names() {
    let events = Events::default();
    let mut from_the_start = events.subscribe();
    events.keep(ejected());
    let first = events.last();
    events.keep(stood_still(1));
    let mut from_the_first = events.subscribe_after(first);
    for id in [first, first + 1] {
        let next = from_the_start.next().await;
        assert_eq!((next.event.id, next.missed), (id, 0));
    }
    assert_eq!(from_the_first.next().await.event.id, first + 1);
    assert!(from_the_first.try_next().is_none());
    let told = async { events.keep(stood_still(2)) };
    let (next, ()) = tokio::join!(from_the_first.next(), told);
    assert_eq!(next.event.id, first + 2);
}

#[tokio::test]
async fn who_is_slow_is_told_how_many_it_missed_and_holds_nobody_up() {
    let events = Events::default();
    let mut slow = events.subscribe();
    let told = 3 * MOST_EVENTS as u64;
    for late_ms in 0..told {
        events.keep(stood_still(late_ms));
    }
    let (mut heard, mut missed) = (0, 0);
    while let Some(next) = slow.try_next() {
        heard += 1;
        missed += next.missed;
    }
    assert!(missed > 0);
    assert_eq!(heard + missed, told);
}

#[test]
fn an_id_of_another_run_asks_for_all_and_one_of_the_future_for_what_comes() {
    let events = Events::default();
    events.keep(stood_still(1));
    let next = events.subscribe_after(5).try_next().unwrap();
    assert_eq!((next.event.id, next.missed), (events.last(), 0));
    let mut ahead = events.subscribe_after(u64::MAX);
    assert!(ahead.try_next().is_none());
    events.keep(stood_still(2));
    assert_eq!(ahead.try_next().unwrap().event.id, events.last());
}

#[test]
fn a_few_are_named_and_the_rest_counted() {
    let few = Few::of(&(0..10).collect::<Vec<_>>());
    assert_eq!(few.to_string(), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    let upstream = UpstreamName::from("shop");
    assert_eq!(Subject::upstream(&upstream).upstream, Some(upstream));
}
