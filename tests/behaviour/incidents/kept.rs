//! What outlives a restart: requests that failed, and incidents.

use http::StatusCode;
use serde_json::Value;

use super::{SOON, all, config, fail, is_over, nobody, until};
use crate::support::{client, gateway::TestGateway, upstream::Upstream};

fn kept(rules: &str) -> String {
    format!("[history]\ndir = \"kept\"\n{rules}")
}

#[tokio::test]
async fn a_failed_request_is_explained_after_a_restart_and_its_incident_goes_on() {
    let down = nobody().await;
    let gate = TestGateway::start(&config(down, &kept(SOON))).await;
    let failed = client::get(gate.web, "/app").await;
    let id = failed.header("x-request-id").to_owned();
    fail(&gate, "/app", 5).await;
    let before = until(&gate, None, |all| !all.is_empty()).await;

    let gate = gate.restart().await;
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    let view: Value = serde_json::from_slice(&told.body).expect("JSON");
    assert_eq!(view["request"]["fault"]["kind"], "connection_refused");
    let after = all(&gate, "open=true").await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["id"], before[0]["id"]);
    assert_eq!(after[0]["began"], before[0]["began"]);

    let up = Upstream::saying("fine").await;
    gate.reload(&config(up.address, &kept(SOON))).await;
    until(&gate, Some("/app"), |all| all.iter().all(is_over)).await;
    let gate = gate.restart().await;
    let last = all(&gate, "").await;
    assert_eq!(last.len(), 1);
    assert_eq!(last[0]["id"], before[0]["id"]);
    assert!(is_over(&last[0]));
}

#[tokio::test]
async fn files_that_are_broken_are_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("kept");
    std::fs::create_dir(&dir).expect("a folder");
    for file in ["cases.json", "incidents.json"] {
        std::fs::write(dir.join(file), "{\"kind\":").expect("written");
    }
    let gate = TestGateway::start_in(folder, &config(nobody().await, &kept("")));
    assert!(all(&gate, "").await.is_empty());
    let failed = client::get(gate.web, "/app").await;
    let id = failed.header("x-request-id").to_owned();
    let gate = gate.restart().await;
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
}

#[tokio::test]
async fn without_a_folder_for_it_nothing_is_known_after_a_restart() {
    let gate = TestGateway::start(&config(nobody().await, "")).await;
    let failed = client::get(gate.web, "/app").await;
    let id = failed.header("x-request-id").to_owned();
    let gate = gate.restart().await;
    let told = client::admin(gate.admin, &format!("/api/v1/requests/{id}")).await;
    assert_eq!(told.status, StatusCode::NOT_FOUND);
}
