//! Faults that belong together begin an incident, and it ends; a receiver is told of both, and a restart forgets none.

mod kept;
mod told;

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use serde_json::Value;
use tidegate::telemetry::{EventKind, Severity};
use tokio::net::TcpListener;

use crate::support::{
    client::{self, GENEROUS},
    gateway::TestGateway,
    upstream::{Upstream, answer},
};

/// A port on which nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// A route `app` to the upstream `up` at `address`; `more` stands before it.
fn config(address: SocketAddr, more: &str) -> String {
    format!(
        "{more}[upstreams.up]\nendpoints = [{{ address = \"{address}\" }}]\n\
         ejection = {{ enabled = false }}\n\
         [[routes]]\nname = \"app\"\npath_prefix = \"/app\"\nupstream = \"up\"\nretry = {{ attempts = 1 }}\n"
    )
}

/// An incident is over a second after its last fault.
const SOON: &str = "[incidents]\nend_after = \"1s\"\nwindow = \"1s\"\n";

/// Fails so many requests, one after the other.
async fn fail(gate: &TestGateway, path: &str, times: usize) {
    for _ in 0..times {
        let reply = client::get(gate.web, path).await;
        assert!(!reply.status.is_success(), "{reply:?}");
    }
}

async fn all(gate: &TestGateway, query: &str) -> Vec<Value> {
    let told = client::admin(gate.admin, &format!("/api/v1/incidents?{query}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    serde_json::from_slice(&told.body).expect("JSON")
}

/// The incidents, once `holds` of them; `meanwhile` is asked for between two looks.
async fn until(
    gate: &TestGateway,
    meanwhile: Option<&str>,
    holds: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let waiting = async {
        loop {
            let found = all(gate, "").await;
            if holds(&found) {
                return found;
            }
            if let Some(path) = meanwhile {
                client::get(gate.web, path).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(GENEROUS, waiting)
        .await
        .expect("it never holds")
}

fn is_over(incident: &Value) -> bool {
    !incident["ended"].is_null()
}

fn texts(list: &Value) -> String {
    let items = list.as_array().expect("a list").iter();
    items
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn what_fails_at_an_upstream_begins_an_incident_that_ends_when_it_is_answered_again() {
    let down = nobody().await;
    let gate = TestGateway::start(&config(down, SOON)).await;
    fail(&gate, "/app", 6).await;
    let found = until(&gate, None, |all| !all.is_empty()).await;
    let incident = &found[0];
    assert_eq!(incident["scope"], "upstream");
    assert_eq!(incident["upstream"], "up");
    assert_eq!(incident["routes"], serde_json::json!(["app"]));
    assert_eq!(incident["cause"], "network");
    assert_eq!(incident["severity"], "high");
    assert_eq!(incident["kinds"][0]["kind"], "connection_refused");
    assert_eq!(incident["share"], 1.0);
    let sentence = incident["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.starts_with("The service refused the connection."),
        "{sentence}"
    );
    let evidence = texts(&incident["evidence"]);
    assert!(
        evidence.contains(&format!("failed at {down}")),
        "{evidence}"
    );
    assert!(evidence.contains("tidegate explain "), "{evidence}");
    assert!((gate.metric("tidegate_incidents_open").await - 1.0).abs() < 0.1);
    let began = gate
        .metric("tidegate_incidents_total{cause=\"network\"}")
        .await;
    assert!((began - 1.0).abs() < 0.1);

    let up = Upstream::saying("fine").await;
    gate.reload(&config(up.address, SOON)).await;
    let found = until(&gate, Some("/app"), |all| all.iter().all(is_over)).await;
    assert_eq!(found.len(), 1);
    let ended = &found[0]["ended"];
    let by = ended["by"].as_str().expect("a sentence");
    assert!(
        by.starts_with("No fault came any more after this: "),
        "{by}"
    );
    assert_eq!(ended["after"]["kind"], "config_applied");
    let kinds: Vec<_> = gate
        .gateway
        .telemetry()
        .events()
        .select(0, 10, |event| event.kind.as_str().starts_with("incident_"))
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(kinds, ["incident_began", "incident_ended"]);
    assert_eq!(found[0]["faulted"], 6);
    assert!(found[0]["requests"].as_u64() > Some(6), "{}", found[0]);
    assert!(gate.metric("tidegate_incidents_open").await < 0.1);
    assert!(all(&gate, "open=true").await.is_empty());

    let id = found[0]["id"].as_str().expect("an id");
    let one = client::admin(gate.admin, &format!("/api/v1/incidents/{id}")).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&one.body).expect("JSON"),
        found[0]
    );
    let none = client::admin(gate.admin, "/api/v1/incidents/another").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(all(&gate, "route=other").await.is_empty());
    assert_eq!(all(&gate, "since=600&upstream=up").await.len(), 1);
}

#[tokio::test]
async fn a_config_that_began_it_is_what_the_verdict_names() {
    let up = Upstream::saying("fine").await;
    let gate = TestGateway::start(&config(up.address, SOON)).await;
    for _ in 0..5 {
        assert!(client::get(gate.web, "/app").await.status.is_success());
    }
    gate.reload(&config(nobody().await, SOON)).await;
    fail(&gate, "/app", 6).await;
    let found = until(&gate, None, |all| !all.is_empty()).await;
    let incident = &found[0];
    assert_eq!(incident["cause"], "network", "its faults are refusals");
    assert_eq!(incident["verdict"]["cause"], "config", "{incident}");
    let example = incident["example"].as_str().expect("an id");
    let path = format!("/api/v1/requests/{example}");
    let explained = client::admin(gate.admin, &path).await;
    let explained: Value = serde_json::from_slice(&explained.body).expect("JSON");
    assert_eq!(explained["verdict"], incident["verdict"]);
}

#[tokio::test]
async fn its_share_is_that_of_the_route_s_requests_and_the_service_s_own_errors_count() {
    let up = Upstream::start(|request| async move {
        let bad = request.uri().path().ends_with("bad");
        answer(if bad { 500 } else { 200 }, "as asked")
    })
    .await;
    let gate = TestGateway::start(&config(up.address, "")).await;
    for _ in 0..5 {
        fail(&gate, "/app/bad", 1).await;
        for _ in 0..3 {
            client::get(gate.web, "/app/good").await;
        }
    }
    let found = until(&gate, None, |all| !all.is_empty()).await;
    assert_eq!(found[0]["kinds"][0]["kind"], "own_error");
    assert_eq!(found[0]["cause"], "application");
    assert_eq!(found[0]["faulted"], 5);
    // The last look may be between two of them.
    let share = found[0]["share"].as_f64().expect("a share");
    assert!((0.2..0.4).contains(&share), "{share}");
}

#[tokio::test]
async fn what_clients_do_is_none_and_what_a_rate_limit_refuses_is_one_of_low_severity() {
    let up = Upstream::saying("fine").await;
    let text = format!(
        "{}rate_limits = [{{ rate = \"1/h\", burst = 40 }}]\n",
        config(up.address, "")
    );
    let gate = TestGateway::start(&text).await;
    for _ in 0..40 {
        client::get(gate.web, "/app").await;
    }
    fail(&gate, "/nowhere", 30).await;
    fail(&gate, "/app", 6).await;
    let found = until(&gate, None, |all| !all.is_empty()).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["scope"], "limits");
    assert_eq!(found[0]["cause"], "overload");
    assert_eq!(found[0]["severity"], "low");
    let events = gate.gateway.telemetry().events();
    let events = events.select(0, 10, |event| event.kind == EventKind::IncidentBegan);
    let severities: Vec<_> = events.iter().map(|event| event.severity).collect();
    assert_eq!(severities, [Severity::Warn]);
    assert_eq!(found[0]["routes"], serde_json::json!(["app"]));
}

#[tokio::test]
async fn an_ejection_after_which_nothing_fails_is_told_as_what_ended_it() {
    let (down, up) = (nobody().await, Upstream::saying("fine").await);
    let both = format!(
        "{{ address = \"{down}\" }}, {{ address = \"{}\" }}",
        up.address
    );
    let text = config(down, SOON)
        .replace(&format!("{{ address = \"{down}\" }}"), &both)
        .replace(
            "ejection = { enabled = false }",
            "balance = \"round_robin\"\nejection = { consecutive_failures = 8, consecutive_local_failures = 8 }",
        );
    let gate = TestGateway::start(&text).await;
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(!client::get(gate.web, "/app").await.status.is_success());
    }
    assert_eq!(failed, 8);
    until(&gate, Some("/app"), |all| !all.is_empty()).await;
    let found = until(&gate, Some("/app"), |all| all.iter().all(is_over)).await;
    assert_eq!(
        found[0]["ended"]["after"]["kind"], "endpoint_ejected",
        "{found:?}"
    );
    let evidence = texts(&found[0]["evidence"]);
    assert!(evidence.contains("it is this one alone"), "{evidence}");
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_one_incident_of_several_kinds() {
    let up = Upstream::saying("fine").await;
    let address = up.address;
    let checks = "health = { interval = \"500ms\", timeout = \"500ms\", unhealthy_after = 1, healthy_after = 1 }";
    let text = config(address, SOON).replace("ejection = { enabled = false }", checks);
    let gate = TestGateway::start(&text).await;
    assert_eq!(client::get(gate.web, "/app").await.status, StatusCode::OK);
    up.kill();
    drop(up);
    let kinds = |all: &[Value]| {
        all.iter()
            .map(|one| one["kinds"].to_string())
            .collect::<String>()
    };
    let is_out = |all: &[Value]| kinds(all).contains("no_endpoint");
    let found = until(&gate, Some("/app"), is_out).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let up = Upstream::start_at(address, |_| async { answer(200, "again") }).await;
    let found = until(&gate, Some("/app"), |all| all.iter().all(is_over)).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0]["ended"]["after"]["kind"], "endpoint_up",
        "{found:?}"
    );
    drop(up);
}
