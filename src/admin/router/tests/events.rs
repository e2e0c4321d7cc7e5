//! The stream of events and its pages.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    admin::MAX_LISTENERS,
    names::{EjectionCause, EndpointId},
    telemetry::{EndpointChange, EndpointEvent, ProcessEvent},
};

const EVENTS: &str = "/api/v1/events";

fn ejected(bench: &Bench, upstream: &str) {
    bench.telemetry.events().tell(EndpointEvent {
        endpoint: EndpointId::new(upstream.into(), ([10, 0, 0, 1], 80).into()),
        change: EndpointChange::Ejected {
            cause: EjectionCause::ConsecutiveFailures,
            for_: Duration::from_secs(30),
        },
        why: "5 failures in a row".into(),
    });
}

fn stood_still(bench: &Bench, late_ms: u64) {
    let events = bench.telemetry.events();
    events.tell(ProcessEvent::StoodStill { late_ms });
}

async fn said(body: &mut axum::body::BodyDataStream) -> String {
    let bytes = body.next().await.unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn listen(bench: &Bench, path: &str) -> axum::body::BodyDataStream {
    let answer = bench.ask(get_from(LOCAL, path)).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    answer.into_body().into_data_stream()
}

async fn page(bench: &Bench, path: &str) -> Value {
    let request = with(get_from(LOCAL, path), header::ACCEPT, "application/json");
    serde_json::from_str(&text_of(bench.ask(request).await).await).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_each_event_with_its_id_kind_and_data() {
    let bench = open();
    stood_still(&bench, 1);
    let last = bench.telemetry.events().last();
    let mut body = listen(&bench, EVENTS).await;
    assert_eq!(
        said(&mut body).await,
        format!("retry: 2000\nid: {last}\n\n")
    );
    ejected(&bench, "shop");
    let text = said(&mut body).await;
    let head = format!("id: {}\nevent: endpoint_ejected\ndata: {{", last + 1);
    assert!(text.starts_with(&head), "{text}");
    let data = text.lines().last().filter(|line| !line.is_empty());
    let data = data.or_else(|| text.lines().rev().nth(1)).unwrap();
    let json: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(json["upstream"], "shop");
    assert_eq!(json["fields"]["cause"], "consecutive_failures");
}

#[tokio::test(start_paused = true)]
async fn who_comes_again_hears_what_it_missed_and_nothing_twice() {
    let bench = open();
    for late_ms in 1..=3 {
        stood_still(&bench, late_ms);
    }
    let last = bench.telemetry.events().last();
    let again = HeaderName::from_static("last-event-id");
    let request = with(get_from(LOCAL, EVENTS), again, &(last - 1).to_string());
    let mut body = bench.ask(request).await.into_body().into_data_stream();
    said(&mut body).await; // from where on
    assert!(said(&mut body).await.contains("\"late_ms\":3"));
    stood_still(&bench, 4);
    assert!(said(&mut body).await.contains("\"late_ms\":4"));
    let mut all = listen(&bench, "/api/v1/events?since=0").await;
    said(&mut all).await;
    assert!(said(&mut all).await.contains("\"late_ms\":1"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_of_what_is_asked_for_alone() {
    let bench = open();
    let path = "/api/v1/events?kind=endpoint_ejected,endpoint_up&upstream=shop";
    let mut body = listen(&bench, path).await;
    said(&mut body).await;
    stood_still(&bench, 1);
    ejected(&bench, "blog");
    ejected(&bench, "shop");
    assert!(said(&mut body).await.contains("\"upstream\":\"shop\""));
    let wrong = get_from(LOCAL, "/api/v1/events?kind=weather");
    assert_eq!(bench.status_of(wrong).await, 400);
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_is_told_how_many_it_missed() {
    let bench = open();
    let mut body = listen(&bench, EVENTS).await;
    said(&mut body).await;
    let why: Arc<str> = "x".repeat(4000).into();
    for _ in 0..400 {
        bench.telemetry.events().tell(ProcessEvent::UpgradeFailed {
            why: why.as_ref().into(),
        });
    }
    let first = said(&mut body).await;
    assert!(
        first.starts_with("event: missed\ndata: {\"missed\":"),
        "{first}"
    );
    assert!(said(&mut body).await.contains("event: upgrade_failed"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_events_says_that_it_lives() {
    let bench = open();
    let mut body = listen(&bench, EVENTS).await;
    said(&mut body).await;
    assert_eq!(said(&mut body).await, ":\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_page_has_the_newest_and_where_the_next_begins() {
    let bench = open();
    for late_ms in 1..=5 {
        stood_still(&bench, late_ms);
    }
    let last = bench.telemetry.events().last();
    let two = page(&bench, "/api/v1/events?limit=2").await;
    assert_eq!(two["last"], last);
    let late = |page: &Value| -> Vec<u64> {
        let events = page["events"].as_array().unwrap().iter();
        events
            .map(|event| event["fields"]["late_ms"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(late(&two), [4, 5]);
    ejected(&bench, "shop");
    let next = page(&bench, &format!("/api/v1/events?since={last}")).await;
    assert_eq!(next["events"].as_array().unwrap().len(), 1);
    assert_eq!(next["events"][0]["endpoint"], "10.0.0.1:80");
    assert_eq!(
        late(&page(&bench, "/api/v1/events?kind=stood_still").await).len(),
        5
    );
}

#[tokio::test(start_paused = true)]
async fn listeners_are_bounded_and_a_drain_ends_them() {
    let bench = open();
    let mut bodies = Vec::new();
    for _ in 0..MAX_LISTENERS {
        bodies.push(listen(&bench, EVENTS).await);
    }
    assert_eq!(bench.status_of(get_from(LOCAL, EVENTS)).await, 503);
    assert!(
        page(&bench, EVENTS).await["events"].is_array(),
        "a page needs no place"
    );
    bodies.pop();
    assert_eq!(bench.status_of(get_from(LOCAL, EVENTS)).await, 200);
    let mut body = bodies.pop().unwrap();
    said(&mut body).await;
    bench.stop.cancel();
    assert!(body.next().await.is_none());
}
