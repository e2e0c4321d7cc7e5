//! Logs and the folder of the history change while the gateway runs, as everything else does.

use std::{fs, path::Path};

use http::StatusCode;

use crate::support::{client, gateway::TestGateway, until};

/// A config whose `[log]` and `[history]` hold these lines; `status` tells two apart.
fn config(log: &str, history: &str, status: u16) -> String {
    format!(
        "[log]\n{log}\n[history]\n{history}\n[[routes]]\nname = \"all\"\nrespond = {{ status = {status} }}\n"
    )
}

const OFF: &str = "access = \"off\"";

fn folder(gate: &TestGateway) -> std::path::PathBuf {
    gate.path().parent().expect("a folder").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Why the last file is not in force.
async fn refusal(gate: &TestGateway) -> String {
    let status = || gate.gateway.reload().status();
    until("it is refused", || {
        status()
            .last
            .is_some_and(|last| !last.verdict.is_in_force())
    })
    .await;
    let last = status().last.expect("an outcome");
    last.verdict.errors().expect("errors")
}

#[tokio::test]
async fn the_access_log_moves_between_files_and_off_and_loses_no_line() {
    let gate = TestGateway::start(&config("access = \"a.log\"", "", 200)).await;
    let at = |name: &str| folder(&gate).join(name);
    let lines = |name: &str, part: &str| {
        let text = read(&at(name));
        text.lines().filter(|line| line.contains(part)).count()
    };
    let ask = async |count: usize| {
        for _ in 0..count {
            client::get(gate.web, "/").await;
        }
    };
    ask(20).await;
    gate.reload(&config("access = \"b.log\"\nformat = \"text\"", "", 201))
        .await;
    ask(30).await;
    gate.reload(&config(OFF, "", 202)).await;
    ask(5).await;
    gate.reload(&config("access = \"b.log\"", "", 203)).await;
    ask(7).await;
    until("every line is written", || {
        lines("a.log", "200") >= 20 && lines("b.log", "201") >= 30 && lines("b.log", "203") >= 7
    })
    .await;
    assert_eq!(read(&at("a.log")).lines().count(), 20);
    assert_eq!(read(&at("b.log")).lines().count(), 37);
    assert!(read(&at("a.log")).lines().all(|line| line.starts_with('{')));
    assert_eq!(lines("b.log", "{"), 7, "the rest is text");
    assert!(gate.metric("tidegate_access_log_dropped_total").await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn an_access_log_that_cannot_be_opened_refuses_the_whole_config() {
    let gate = TestGateway::start(&config("access = \"a.log\"", "", 200)).await;
    gate.write(&config("access = \"missing/b.log\"", "", 201));
    let why = refusal(&gate).await;
    assert!(
        why.contains("cannot open the access log") && why.contains("missing/b.log"),
        "{why}"
    );
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    until("the line is in the old file", || {
        read(&folder(&gate).join("a.log")).lines().count() == 1
    })
    .await;
    gate.reload(&config(OFF, "", 204)).await;
}

#[tokio::test]
async fn the_history_is_kept_from_when_its_folder_is_set_moves_with_it_and_ends_without_it() {
    let gate = TestGateway::start(&config(OFF, "", 200)).await;
    let at = |name: &str| folder(&gate).join(name);
    let entries = |name: &str| {
        read(&at(name).join("history.json"))
            .matches("\"number\"")
            .count()
    };
    gate.reload(&config(OFF, "dir = \"one\"", 201)).await;
    until("what is in memory is there", || entries("one") == 2).await;
    gate.reload(&config(OFF, "dir = \"two\"", 202)).await;
    until("it is at the new place", || entries("two") == 3).await;
    gate.reload(&config(OFF, "", 203)).await;
    gate.reload(&config(OFF, "dir = \"one\"", 204)).await;
    until("what was there before is replaced", || entries("one") == 5).await;
    assert!(entries("two") <= 4, "the last words at the old place");
    let gate = gate.restart().await;
    let history = gate.gateway.reload().history();
    assert_eq!(history.newest_first().count(), 5);
    assert_eq!(history.in_force().map(|entry| entry.number), Some(5));
}

#[tokio::test]
async fn a_folder_for_the_history_that_cannot_be_had_refuses_the_whole_config() {
    let gate = TestGateway::start(&config(OFF, "dir = \"kept\"", 200)).await;
    fs::write(folder(&gate).join("file"), "").expect("written");
    gate.write(&config(OFF, "dir = \"file/below\"", 201));
    let why = refusal(&gate).await;
    assert!(why.contains("the history cannot be kept in"), "{why}");
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_dry_run_opens_no_access_log_for_good_and_leaves_no_folder() {
    let gate = TestGateway::start(&config(OFF, "", 200)).await;
    let text = read(&gate.path()).replace("[history]\n", "[history]\ndir = \"a/b\"\n");
    let handle = gate.gateway.reload();
    let answer = handle.apply(text.into(), None, tidegate::reload::Try::Dry);
    answer.await.expect("it would be applied");
    assert!(!folder(&gate).join("a").exists());
}
