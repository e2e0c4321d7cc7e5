//! Requests that failed are kept, and told of with a verdict.

use std::net::SocketAddr;

use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{
    client::{self, Reply},
    gateway::TestGateway,
    upstream::{Upstream, answer},
};

/// A port on which nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

fn config(endpoints: &[SocketAddr], more: &str) -> String {
    let listed: Vec<_> = endpoints
        .iter()
        .map(|address| format!("{{ address = \"{address}\" }}"))
        .collect();
    format!(
        "[upstreams.up]\nbalance = \"round_robin\"\nendpoints = [{}]\n\
         ejection = {{ enabled = false }}\n\
         [[routes]]\nname = \"all\"\npath_prefix = \"/app\"\nupstream = \"up\"\n{more}\n",
        listed.join(", ")
    )
}

async fn explained(gate: &TestGateway, reply: &Reply) -> Value {
    let id = reply.header("x-request-id");
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    serde_json::from_slice(&told.body).expect("JSON")
}

async fn faults(gate: &TestGateway, query: &str) -> Vec<Value> {
    let told = client::admin(gate.admin, &format!("/api/v1/faults?{query}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    serde_json::from_slice(&told.body).expect("JSON")
}

fn evidence(view: &Value) -> String {
    let lines = view["verdict"]["evidence"].as_array().expect("evidence");
    let lines: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_request_that_failed_is_found_by_its_id_with_every_try() {
    let down = nobody().await;
    let gate = TestGateway::start(&config(&[down], "retry = { attempts = 2 }")).await;
    let reply = client::get(gate.web, "/app").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    let view = explained(&gate, &reply).await;
    assert_eq!(view["request"]["route"], "all");
    assert_eq!(view["request"]["fault"]["kind"], "connection_refused");
    assert_eq!(view["request"]["attempts"], 2);
    let tries = view["request"]["tries"].as_array().expect("tries");
    assert_eq!(tries.len(), 2);
    for tried in tries {
        assert_eq!(tried["endpoint"], down.to_string());
        assert_eq!(tried["met"]["fault"]["cause"], "network");
    }
    let sentence = view["verdict"]["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.starts_with("The service refused the connection. Cause: network; "),
        "{sentence}"
    );
    assert!(evidence(&view).contains("Failed try 2"), "{view}");
    let verdict = &view["verdict"];
    assert_eq!(verdict["cause"], "network");
    assert_eq!(verdict["finer"], "refused: process not listening");
    assert_eq!(verdict["confidence"], "likely");
    assert!(!view["verdict"]["next"].as_array().expect("next").is_empty());
    let next = view["verdict"]["next"].as_array().expect("steps");
    let doctor = next.iter().filter_map(Value::as_str);
    let doctor = doctor.filter(|step| step.contains("doctor up`")).count();
    assert_eq!(doctor, 1, "the upstream is named: {next:?}");
}

#[tokio::test]
async fn a_try_that_failed_is_told_where_another_was_answered() {
    let up = Upstream::saying("fine").await;
    let down = nobody().await;
    let gate = TestGateway::start(&config(&[down, up.address], "retry = { attempts = 2 }")).await;
    // The first good request of a route is kept; which endpoint comes first is not known.
    let mut found = false;
    for _ in 0..40 {
        let reply = client::get(gate.web, "/app").await;
        assert_eq!(reply.status, StatusCode::OK);
        let id = reply.header("x-request-id").to_owned();
        let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
        if told.status == StatusCode::OK && told.text().contains("Failed try 1") {
            found = true;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(found, "no request was kept that was tried twice");
    assert!(faults(&gate, "").await.is_empty());
}

#[tokio::test]
async fn the_verdict_names_the_one_endpoint_that_fails_beside_good_ones() {
    let up = Upstream::saying("fine").await;
    let down = nobody().await;
    let gate = TestGateway::start(&config(&[down, up.address], "retry = { attempts = 1 }")).await;
    for _ in 0..8 {
        client::get(gate.web, "/app").await;
    }
    let listed = faults(&gate, "route=all&since=60").await;
    assert_eq!(listed.len(), 4);
    let told = evidence(&listed[0]);
    assert!(
        told.contains(&format!(
            "all at {down}, while {} answered well: it is this one alone",
            up.address
        )),
        "{told}"
    );
    let verdict = &listed[0]["verdict"];
    assert_eq!(verdict["subject"], down.to_string());
    assert_eq!(verdict["confidence"], "certain");
}

#[tokio::test]
async fn an_error_of_the_service_itself_is_kept_as_its_own() {
    let up = Upstream::start(|_| async { answer(500, "no") }).await;
    let gate = TestGateway::start(&config(&[up.address], "")).await;
    let reply = client::get(gate.web, "/app").await;
    let view = explained(&gate, &reply).await;
    assert_eq!(view["request"]["fault"], Value::Null);
    let sentence = view["verdict"]["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.starts_with("The service itself answered 500"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_change_of_the_config_just_before_is_told() {
    let up = Upstream::saying("fine").await;
    let gate = TestGateway::start(&config(&[up.address], "")).await;
    let served = client::get(gate.web, "/app/cart").await;
    assert_eq!(served.status, StatusCode::OK);
    gate.reload(&config(&[up.address], "").replace("/app", "/shop"))
        .await;
    let reply = client::get(gate.web, "/app/cart").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let view = explained(&gate, &reply).await;
    let hash = gate.gateway.snapshot().config.hash.as_str().to_owned();
    assert!(
        evidence(&view).contains(&format!("The config in force ({hash}) was applied")),
        "{view}"
    );
    let verdict = &view["verdict"];
    assert_eq!(verdict["cause"], "config");
    assert_eq!(verdict["finer"], "config change");
    assert_eq!(verdict["subject"], "route all path_prefix");
    assert_eq!(verdict["confidence"], "certain");
    let next = verdict["next"][0].as_str().expect("a step");
    assert!(next.contains("tidegate config diff"), "{next}");
}

#[tokio::test]
async fn what_ejected_the_endpoints_is_told_where_none_can_serve() {
    let up = Upstream::start(|_| async { answer(500, "no") }).await;
    let fast = "health = { path = \"/\", interval = \"1s\" }\nejection = { enabled = false }";
    let text = config(&[up.address], "").replace("ejection = { enabled = false }", fast);
    let gate = TestGateway::start(&text).await;
    let mut reply = client::get(gate.web, "/app").await;
    while reply.status != StatusCode::SERVICE_UNAVAILABLE {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // until its check has failed
        reply = client::get(gate.web, "/app").await;
    }
    let view = explained(&gate, &reply).await;
    assert_eq!(view["verdict"]["cause"], "application", "{view}");
    let told = evidence(&view);
    assert!(told.contains(&format!("{} went out", up.address)), "{told}");
}

#[tokio::test]
async fn faults_are_chosen_by_route_kind_and_number() {
    let down = nobody().await;
    let gate = TestGateway::start(&config(&[down], "")).await;
    for path in ["/app", "/app", "/none"] {
        client::get(gate.web, path).await;
    }
    assert_eq!(faults(&gate, "").await.len(), 3);
    assert_eq!(faults(&gate, "route=all").await.len(), 2);
    assert_eq!(faults(&gate, "kind=no_route").await.len(), 1);
    assert_eq!(faults(&gate, "most=1").await.len(), 1);
    assert_eq!(faults(&gate, "upstream=other").await.len(), 0);
    let unknown = client::admin(gate.admin, "/api/v1/requests/nobody").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
