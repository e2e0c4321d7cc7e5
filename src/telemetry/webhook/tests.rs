use std::{cell::RefCell, collections::VecDeque};

use tokio::time::Instant;

use super::*;
use crate::telemetry::{IncidentSeverity, Scope};

fn hook(url: &str) -> Hook {
    Hook {
        url: url.parse().unwrap(),
        token: Some(Token::new("secret")),
        tls: None,
        timeout: Duration::from_secs(5),
    }
}

fn turn() -> IncidentTurn {
    IncidentTurn::Began(Arc::new(Incident {
        id: "1-1".into(),
        scope: Scope::Upstream,
        upstream: Some("u".into()),
        routes: vec!["a".into()],
        kinds: Vec::new(),
        severity: IncidentSeverity::High,
        cause: "network".into(),
        sentence: "It failed.".into(),
        evidence: Vec::new(),
        example: None,
        began: String::new(),
        began_ms: 1,
        last_fault_ms: 1,
        ended: None,
        requests: 1,
        faulted: 1,
        share: 1.0,
        peak_share: 1.0,
        after: None,
    }))
}

/// What is counted where tries are answered so, one after the other, and how long it took.
async fn told(answers: &[Result<u16, ()>]) -> (String, Duration) {
    let telemetry = Telemetry::new();
    let answers: RefCell<VecDeque<_>> = RefCell::new(answers.iter().copied().collect());
    let once = || {
        let answer = answers.borrow_mut().pop_front();
        async move {
            match answer {
                Some(Ok(status)) => Ok(StatusCode::from_u16(status).unwrap()),
                _ => Err(Failed::Late),
            }
        }
    };
    let begin = Instant::now();
    telemetry.webhook().deliver("key", once).await;
    let counted = telemetry.render();
    let counted = counted.lines().filter_map(|line| {
        let rest = line.strip_prefix("tidegate_webhooks_total{result=\"")?;
        let (result, count) = rest.split_once("\"} ")?;
        (count != "0").then(|| format!("{result} {count}"))
    });
    let mut counted: Vec<_> = counted.collect();
    counted.sort();
    (counted.join(", "), begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    assert_eq!(told(&[Ok(204)]).await.0, "delivered 1");
    let (counted, took) = told(&[Ok(500), Err(()), Ok(200)]).await;
    assert_eq!(counted, "delivered 1, retried 2");
    assert!((3.0..3.8).contains(&took.as_secs_f64()), "{took:?}");
    for status in [301, 400, 401, 404] {
        assert_eq!(told(&[Ok(status)]).await.0, "refused 1", "{status}");
    }
    for status in [408, 429, 503] {
        assert_eq!(
            told(&[Ok(status), Ok(200)]).await.0,
            "delivered 1, retried 1"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_is_given_up_after_a_bounded_time() {
    let (counted, took) = told(&[]).await;
    assert_eq!(counted, "failed 1, retried 4");
    assert!((15.0..19.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test]
async fn more_than_may_wait_are_dropped_and_counted() {
    let telemetry = Telemetry::new();
    let (webhook, _deliveries) = Webhook::new(&telemetry);
    for _ in 0..MOST_WAITING + 3 {
        webhook.tell(hook("http://127.0.0.1:1/"), &turn());
    }
    let page = telemetry.render();
    assert!(
        page.contains("tidegate_webhooks_total{result=\"dropped\"} 3"),
        "{page}"
    );
}

#[test]
fn no_debug_print_shows_the_token() {
    let shown = format!("{:?}", hook("https://alerts.internal/"));
    assert!(!shown.contains("secret"), "{shown}");
}
