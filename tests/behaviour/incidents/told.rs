//! The webhook, against a scripted receiver.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;

use super::{config, fail, is_over, nobody, until};
use crate::support::{
    client::GENEROUS,
    gateway::TestGateway,
    tls::Certificate,
    upstream::{Upstream, answer},
};

/// What a receiver was told.
type Told = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A receiver that answers with `statuses`, one after the other, and then with 204.
async fn receiver(statuses: &'static [u16]) -> (Upstream, Told) {
    let told = Told::default();
    let notes = Arc::clone(&told);
    let receiver = Upstream::start(move |request| {
        let notes = Arc::clone(&notes);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let body = serde_json::from_slice(&body).expect("JSON");
            let mut notes = notes.lock();
            let status = statuses.get(notes.len()).copied().unwrap_or(204);
            notes.push((head.headers, body));
            let mut answer = answer(status, "");
            let to = http::HeaderValue::from_static("/elsewhere");
            answer.headers_mut().insert(http::header::LOCATION, to);
            answer
        }
    })
    .await;
    (receiver, told)
}

/// `[incidents]` that end soon, with this webhook.
fn hooked(webhook: &str) -> String {
    format!("[incidents]\nend_after = \"1s\"\nwindow = \"1s\"\nwebhook = {{ {webhook} }}\n")
}

async fn counted(gate: &TestGateway, result: &str) -> f64 {
    let series = format!("tidegate_webhooks_total{{result=\"{result}\"}}");
    gate.metric(&series).await
}

/// Waits until so many tellings ended as `result` says.
async fn until_counted(gate: &TestGateway, result: &str, count: f64) {
    let waiting = async {
        while counted(gate, result).await < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(GENEROUS, waiting).await;
    waited.unwrap_or_else(|_| panic!("no {count} {result}"));
}

/// A gateway whose incident begins, and ends with the next reload that lets it.
async fn failing(webhook: &str) -> TestGateway {
    let gate = TestGateway::start(&config(nobody().await, &hooked(webhook))).await;
    fail(&gate, "/app", 5).await;
    gate
}

#[tokio::test]
async fn begin_and_end_are_told_and_what_failed_is_told_again() {
    let (receiver, told) = receiver(&[500]).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), "secret\n").expect("written");
    let hook = format!(
        "url = \"http://{}/hook?a=b\", token_file = \"token\"",
        receiver.address
    );
    let text = config(nobody().await, &hooked(&hook));
    let gate = TestGateway::start_in(folder, &text);
    fail(&gate, "/app", 5).await;
    until_counted(&gate, "delivered", 1.0).await;
    let up = Upstream::saying("fine").await;
    gate.reload(&config(up.address, &hooked(&hook))).await;
    until(&gate, Some("/app"), |all| all.iter().all(is_over)).await;
    until_counted(&gate, "delivered", 2.0).await;

    let told = std::mem::take(&mut *told.lock());
    let events: Vec<_> = told
        .iter()
        .map(|(_, body)| body["event"].as_str())
        .collect();
    let [began, ended] = [Some("incident_began"), Some("incident_ended")];
    assert_eq!(events, [began, began, ended]);
    let key = |at: usize| &told[at].0["idempotency-key"];
    assert_eq!(key(0), key(1));
    assert_ne!(key(1), key(2));
    assert_eq!(told[0].0["authorization"], "Bearer secret");
    assert_eq!(told[0].0["content-type"], "application/json");
    let incident = &told[2].1["incident"];
    assert_eq!(incident["upstream"], "up");
    assert_eq!(incident["cause"], "network");
    assert!(is_over(incident) && !is_over(&told[0].1["incident"]));
    assert!(
        !told[0].1["incident"]["evidence"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
    assert!((counted(&gate, "retried").await - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, told) = receiver(&[307]).await;
    let gate = failing(&format!("url = \"http://{}/\"", receiver.address)).await;
    until_counted(&gate, "refused", 1.0).await;
    assert_eq!(told.lock().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_down_or_slow_holds_up_nothing() {
    let slow = Upstream::start(|_| std::future::pending()).await;
    for (address, timeout) in [(nobody().await, "5s"), (slow.address, "100ms")] {
        let hook = format!("url = \"http://{address}/\", timeout = \"{timeout}\"");
        let gate = failing(&hook).await;
        until_counted(&gate, "retried", 1.0).await;
        let up = Upstream::saying("fine").await;
        gate.reload(&config(up.address, &hooked(&hook))).await;
        until(&gate, Some("/app"), |all| all.iter().all(is_over)).await;
        assert!(counted(&gate, "delivered").await < 0.1);
        gate.gateway.drain(Duration::ZERO, GENEROUS).await;
    }
}

#[tokio::test]
async fn a_receiver_with_tls_is_believed_only_where_its_authority_is_named() {
    let (receiver, told) = receiver(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = Certificate::of("127.0.0.1");
    certificate.write(folder.path());
    // A gateway of its own speaks TLS for the receiver.
    let secure = TestGateway::start_in(
        folder,
        &format!(
            "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n\
             tls = {{ certificates = [{{ cert = \"cert.pem\", key = \"key.pem\" }}] }}\n\
             [upstreams.hook]\nendpoints = [{{ address = \"{}\" }}]\n\
             [[routes]]\nupstream = \"hook\"\n",
            receiver.address
        ),
    );
    let url = format!("url = \"https://{}/\"", secure.web);
    let start = |hook: String, address| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        TestGateway::start_in(folder, &config(address, &hooked(&hook)))
    };
    let known = start(format!("{url}, ca = \"ca.pem\""), nobody().await);
    fail(&known, "/app", 5).await;
    until_counted(&known, "delivered", 1.0).await;
    assert_eq!(told.lock().len(), 1);
    let strange = start(url, nobody().await);
    fail(&strange, "/app", 5).await;
    until_counted(&strange, "retried", 1.0).await;
    assert_eq!(told.lock().len(), 1);
}
