//! What is no fault of ours to tell, and what ends before there is a request.

use serde_json::Value;

use crate::{
    checks, origin, proxy_status,
    scene::{gate, route},
    support::{
        client,
        upstream::{Upstream, answer},
    },
};

#[tokio::test]
async fn an_error_of_the_service_itself_is_passed_on_and_told_as_its_own() {
    let upstream = Upstream::start(|_| async { answer(500, "its own page") }).await;
    let gate = gate(&route(upstream.address, "", "")).await;
    let reply = client::get(gate.web, "/").await;
    assert_eq!(reply.status, 500);
    assert_eq!(reply.text(), "its own page");
    assert_eq!(
        reply.header("proxy-status"),
        "tidegate; received-status=500"
    );
    let id = reply.header("x-request-id");
    let line = checks::line(&gate, |line| line["request_id"] == *id).await;
    assert_eq!(
        (&line["status"], &line["cause"]),
        (&500.into(), &Value::Null)
    );
    let counted = gate.gateway.telemetry().render();
    assert!(!counted.contains("\ntidegate_faults_total{"), "{counted}");
    let view = checks::explained(&gate, id).await;
    let sentence = view["verdict"]["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.starts_with("The service itself answered 500"),
        "{sentence}"
    );
}

#[tokio::test]
async fn what_http_itself_refuses_is_counted_without_a_route_and_explained_by_its_id() {
    let upstream = Upstream::saying("ok").await;
    let gate = gate(&route(upstream.address, "", "")).await;
    let bare = client::raw(gate.web, "NOT HTTP AT ALL\r\n\r\n").await;
    assert!(bare.starts_with("HTTP/1.1 400"), "{bare}");
    let line = checks::line(&gate, |line| line["reason"] == "framing").await;
    assert_eq!(
        (&line["route"], &line["upstream"]),
        (&"none".into(), &"none".into())
    );
    let series = "tidegate_faults_total{route=\"none\",upstream=\"none\",cause=\"client\",\
                  kind=\"http_request_error\",stage=\"head\"}";
    assert!(gate.metric(series).await >= 1.0);
    let id = line["request_id"].as_str().expect("an id");
    let view = checks::explained(&gate, id).await;
    assert_eq!(view["request"]["fault"]["reason"], "framing");
}

#[tokio::test]
async fn details_are_shown_only_where_the_operator_says_so() {
    let toml = route(origin::nobody().await, "", "");
    let quiet = gate(&toml).await;
    let reply = client::get(quiet.web, "/").await;
    assert!(!reply.text().contains("refused (os error"), "{reply:?}");
    assert!(
        proxy_status::read(reply.header("proxy-status"))
            .strings
            .is_empty()
    );
    let open = gate(&format!("[errors]\ndetails = true\n{toml}")).await;
    let reply = client::get(open.web, "/").await;
    let told = proxy_status::read(reply.header("proxy-status"));
    assert_eq!(told.tokens["error"], "connection_refused");
    assert!(
        told.strings["details"].contains("refused (os error"),
        "{told:?}"
    );
    assert!(reply.text().contains("refused (os error"), "{reply:?}");
}
