//! The config is changed, compared and taken back through the admin listener and by the guard.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tidegate::config::ConfigHash;

use crate::support::{
    client::{self, Reply},
    gateway::{TestGateway, complete},
    until,
    upstream::{Upstream, answer},
};

async fn ok() -> Upstream {
    Upstream::start(|_| async { answer(200, "ok") }).await
}

fn config(up: &Upstream, rate: u32) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n\
         [[routes.rate_limits]]\nname = \"wide\"\nkey = \"none\"\nrate = \"{rate}/s\"\n",
        up.address
    )
}

async fn post(gate: &TestGateway, path: &str, body: String, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::post(path).header("host", gate.admin.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body)));
    client::send(gate.admin, request.expect("a request")).await
}

async fn apply(gate: &TestGateway, toml: &str) -> Reply {
    post(gate, "/api/v1/config", complete(toml), &[]).await
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"))
}

async fn history(gate: &TestGateway) -> Vec<Value> {
    let reply = client::admin(gate.admin, "/api/v1/config/history").await;
    json(&reply).as_array().expect("a list").clone()
}

fn on_disk(gate: &TestGateway) -> String {
    std::fs::read_to_string(gate.path()).expect("the file")
}

fn hash_of(toml: &str) -> String {
    ConfigHash::of(complete(toml).as_bytes()).to_string()
}

#[tokio::test]
async fn a_config_that_is_posted_is_in_the_file_and_in_force_when_the_answer_comes() {
    let up = ok().await;
    let gate = TestGateway::start(&config(&up, 100)).await;
    let tag = client::admin(gate.admin, "/api/v1/config").await;
    let tag = tag.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", hash_of(&config(&up, 100))));
    let next = config(&up, 50);
    let reply = post(
        &gate,
        "/api/v1/config",
        complete(&next),
        &[("if-match", &tag)],
    )
    .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let told = json(&reply);
    assert_eq!(
        (&told["result"], &told["revision"]),
        (&"applied".into(), &2.into())
    );
    assert_eq!(told["changes"][0]["key"], "rate_limits.wide.rate");
    assert_eq!(told["touches"][0]["route"], "all");
    assert_eq!(on_disk(&gate), complete(&next));
    assert_eq!(gate.gateway.snapshot().config.hash.as_str(), hash_of(&next));
    let newest = &history(&gate).await[0];
    assert_eq!(
        (&newest["asked"], &newest["outcome"]),
        (&"api".into(), &"applied".into())
    );
    // The file's own event tells nothing new.
    gate.gateway
        .reload()
        .reload(tidegate::reload::Trigger::File);
    assert_eq!(history(&gate).await.len(), 2);
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let up = ok().await;
    let before = config(&up, 100);
    let gate = TestGateway::start(&before).await;
    let path = "/api/v1/config?dry_run=true";
    let reply = post(&gate, path, complete(&config(&up, 50)), &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let told = json(&reply);
    assert_eq!(
        (&told["result"], &told["dry_run"]),
        (&"applied".into(), &true.into())
    );
    assert_eq!(told["changes"][0]["new"], "\"50/s\"");
    assert_eq!(on_disk(&gate), complete(&before));
    assert_eq!(gate.gateway.snapshot().config.revision, 1);
    assert_eq!(history(&gate).await.len(), 1);
}

#[tokio::test]
async fn another_hash_is_412_and_a_bad_config_422_with_every_error() {
    let up = ok().await;
    let before = config(&up, 100);
    let gate = TestGateway::start(&before).await;
    let stale = [("if-match", "\"000000000000\"")];
    let reply = post(&gate, "/api/v1/config", complete(&config(&up, 50)), &stale).await;
    assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED, "{reply:?}");
    let reply = apply(&gate, "[drain]\ntimout = \"1s\"\ndelay = 3\n").await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
    let errors = json(&reply)["errors"].as_array().expect("errors").len();
    assert_eq!(errors, 2, "{reply:?}");
    let foreign = [("origin", "http://evil.example")];
    let reply = post(
        &gate,
        "/api/v1/config",
        complete(&config(&up, 50)),
        &foreign,
    )
    .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{reply:?}");
    assert_eq!(on_disk(&gate), complete(&before));
    assert_eq!(gate.gateway.snapshot().config.revision, 1);
}

#[tokio::test]
async fn a_file_that_holds_what_is_not_in_force_is_not_written_over() {
    let up = ok().await;
    let gate = TestGateway::start(&config(&up, 100)).await;
    gate.write("broken = ");
    let reply = apply(&gate, &config(&up, 50)).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    assert_eq!(on_disk(&gate), complete("broken = "));
}

#[tokio::test]
async fn a_link_is_refused_and_stays_one() {
    let up = ok().await;
    let gate = TestGateway::start(&config(&up, 100)).await;
    let real = gate.path().with_file_name("real.toml");
    std::fs::rename(gate.path(), &real).expect("moved");
    std::os::unix::fs::symlink(&real, gate.path()).expect("a link");
    let reply = apply(&gate, &config(&up, 50)).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    assert!(
        json(&reply)["detail"]
            .as_str()
            .expect("why")
            .contains("link")
    );
    assert!(gate.path().is_symlink());
    assert_eq!(gate.gateway.snapshot().config.revision, 1);
}

#[tokio::test]
async fn a_folder_or_a_file_that_cannot_be_had_is_409_and_written_nowhere() {
    let up = ok().await;
    let before = config(&up, 100);
    let gate = TestGateway::start(&before).await;
    for (wanted, why) in [
        (
            "[history]\ndir = \"tidegate.toml/kept\"\n",
            "the history cannot be kept in",
        ),
        (
            "[log]\naccess = \"missing/access.log\"\n",
            "cannot open the access log",
        ),
    ] {
        let reply = apply(&gate, &format!("{wanted}{before}")).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
        let detail = json(&reply)["detail"].as_str().map(str::to_owned);
        assert!(detail.expect("why").contains(why), "{reply:?}");
        assert_eq!(on_disk(&gate), complete(&before));
    }
}

#[tokio::test]
async fn an_earlier_config_comes_back_by_its_number_also_over_a_broken_file() {
    let up = ok().await;
    let first = config(&up, 100);
    let gate = TestGateway::start(&first).await;
    gate.reload(&config(&up, 50)).await;
    gate.write("broken = ");
    until("the broken file was read", || {
        gate.gateway.reload().history().newest_first().count() == 3
    })
    .await;
    let entries = history(&gate).await;
    let outcomes: Vec<_> = entries.iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["rejected", "applied", "applied"]);
    assert!(
        entries[0]["why"]
            .as_str()
            .expect("why")
            .starts_with("error[C003]")
    );
    let reply = post(&gate, "/api/v1/config/rollback?to=1", String::new(), &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(on_disk(&gate), complete(&first));
    assert_eq!(
        gate.gateway.snapshot().config.hash.as_str(),
        hash_of(&first)
    );
    assert_eq!(history(&gate).await[0]["asked"], "rollback");
    let reply = post(&gate, "/api/v1/config/rollback?to=77", String::new(), &[]).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND, "{reply:?}");
    let reply = post(&gate, "/api/v1/config/rollback?to=3", String::new(), &[]).await;
    assert_eq!(
        reply.status,
        StatusCode::CONFLICT,
        "it was never valid: {reply:?}"
    );
}

#[tokio::test]
async fn a_rollback_writes_a_file_that_was_taken_away_and_a_posted_config_does_not() {
    let up = ok().await;
    let gate = TestGateway::start(&config(&up, 100)).await;
    gate.reload(&config(&up, 50)).await;
    std::fs::remove_file(gate.path()).expect("removed");
    let refused = apply(&gate, &config(&up, 70)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert!(
        refused.text().contains("a rollback writes it anew"),
        "{refused:?}"
    );
    assert!(!gate.path().exists());
    for (number, rate) in [(1, 100), (1, 100), (2, 50)] {
        let path = format!("/api/v1/config/rollback?to={number}");
        let reply = post(&gate, &path, String::new(), &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert_eq!(on_disk(&gate), complete(&config(&up, rate)));
        let mode = gate.path().metadata().expect("facts").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read it");
        std::fs::remove_file(gate.path()).expect("removed");
    }
    std::os::unix::fs::symlink("elsewhere.toml", gate.path()).expect("a link");
    let reply = post(&gate, "/api/v1/config/rollback?to=1", String::new(), &[]).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
}

#[tokio::test]
async fn two_configs_are_compared_by_route_and_limit_with_the_traffic_of_the_last_minute() {
    let up = ok().await;
    let gate = TestGateway::start(&config(&up, 100)).await;
    for _ in 0..7 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    gate.reload(&config(&up, 50)).await;
    let reply = client::admin(gate.admin, "/api/v1/config/diff").await;
    let told = json(&reply);
    assert_eq!(
        (&told["from"]["number"], &told["to"]["number"]),
        (&1.into(), &2.into())
    );
    assert_eq!(
        told["changes"],
        serde_json::json!([{
            "of": "route all", "key": "rate_limits.wide.rate", "old": "\"100/s\"", "new": "\"50/s\""
        }])
    );
    assert_eq!(
        told["touches"],
        serde_json::json!([{ "route": "all", "requests": 7, "faulted": 0 }])
    );
    let back = client::admin(gate.admin, "/api/v1/config/diff?from=2&to=1").await;
    assert_eq!(json(&back)["changes"][0]["new"], "\"100/s\"");
    let none = client::admin(gate.admin, "/api/v1/config/diff?from=9").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_history_outlives_the_process_where_it_has_a_folder() {
    let up = ok().await;
    let kept = |rate| format!("[history]\ndir = \"kept\"\n{}", config(&up, rate));
    let gate = TestGateway::start(&kept(100)).await;
    gate.reload(&kept(50)).await;
    let gate = gate.restart().await;
    let entries = history(&gate).await;
    let asked: Vec<_> = entries.iter().map(|one| &one["asked"]).collect();
    assert_eq!(asked, ["file", "start"]);
    let reply = post(&gate, "/api/v1/config/rollback?to=1", String::new(), &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(on_disk(&gate), complete(&kept(100)));
    let folder = gate.path().with_file_name("kept");
    let open = |path: &Path| path.metadata().expect("facts").permissions().mode() & 0o077;
    until("the history is written", || {
        folder.join("history.json").exists()
    })
    .await;
    assert_eq!(open(&folder.join("history.json")), 0, "others may read it");
}

/// `all` goes to `up`, but for a part of the `split` that fails; `rest` is left alone.
fn split(up: &Upstream, bad: &Upstream, weight: u32) -> String {
    format!(
        "[reload]\nguard = {{ window = \"60s\", max_failure_increase = 0.05, min_requests = 20 }}\n\
         [upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [upstreams.bad]\nendpoints = [{{ address = \"{}\" }}]\nejection = {{ enabled = false }}\n\
         [[routes]]\nname = \"all\"\npath_prefix = \"/all\"\nretry = {{ attempts = 1 }}\n\
         split = [{{ upstream = \"up\", weight = 10 }}, {{ upstream = \"bad\", weight = {weight} }}]\n\
         [[routes]]\nname = \"rest\"\nupstream = \"up\"\n",
        up.address, bad.address
    )
}

async fn ask(gate: &TestGateway, times: usize) {
    for _ in 0..times {
        client::get(gate.web, "/all").await;
        client::get(gate.web, "/").await;
    }
}

/// The guard looks once a second: twice that has passed since the config came into force.
async fn looked_at(gate: &TestGateway) {
    let since = gate.gateway.snapshot().config.applied_at;
    until("the guard has looked", || {
        since.elapsed().unwrap_or_default() > Duration::from_secs(2)
    })
    .await;
}

#[tokio::test]
async fn a_split_to_what_fails_is_taken_back_once_in_the_file_too() {
    let up = ok().await;
    let bad = Upstream::start(|_| async { answer(500, "no") }).await;
    let (good, wrong) = (split(&up, &bad, 0), split(&up, &bad, 30));
    let gate = TestGateway::start(&good).await;
    ask(&gate, 30).await;
    gate.reload(&wrong).await;
    ask(&gate, 60).await;
    until("the config before is back", || {
        gate.gateway.snapshot().config.hash.as_str() == hash_of(&good)
    })
    .await;
    assert_eq!(on_disk(&gate), complete(&good));
    let entries = history(&gate).await;
    assert_eq!(
        (&entries[0]["asked"], &entries[0]["in_force"]),
        (&"guard".into(), &true.into())
    );
    assert_eq!(entries[1]["outcome"], "rolled_back");
    let why = entries[1]["why"].as_str().expect("why");
    assert!(
        why.contains("route all") && why.contains("0.0 % in the minute before"),
        "{why}"
    );
    assert!(gate.metric("tidegate_config_rollbacks_total").await > 0.0);
    // Whoever applies it again means it.
    gate.reload(&wrong).await;
    ask(&gate, 60).await;
    looked_at(&gate).await;
    assert_eq!(
        gate.gateway.snapshot().config.hash.as_str(),
        hash_of(&wrong)
    );
}

#[tokio::test]
async fn a_path_that_was_mistyped_is_taken_back_for_what_no_route_takes_any_more() {
    let up = ok().await;
    let good = format!(
        "[reload]\nguard = {{ window = \"60s\", max_failure_increase = 0.05, min_requests = 20 }}\n\
         [upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"all\"\npath_prefix = \"/all\"\nupstream = \"up\"\n\
         [[routes]]\nname = \"rest\"\npath = \"/\"\nupstream = \"up\"\n",
        up.address
    );
    let gate = TestGateway::start(&good).await;
    ask(&gate, 30).await;
    gate.reload(&good.replace("/all", "/al1")).await;
    ask(&gate, 60).await;
    until("the config before is back", || {
        gate.gateway.snapshot().config.hash.as_str() == hash_of(&good)
    })
    .await;
    let entries = history(&gate).await;
    let why = entries[1]["why"].as_str().expect("why");
    assert!(why.contains("taken by no route"), "{why}");
    assert_eq!(client::get(gate.web, "/all").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_under_which_nothing_fails_stays() {
    let up = ok().await;
    let gate = TestGateway::start(&split(&up, &up, 0)).await;
    ask(&gate, 30).await;
    let next = split(&up, &up, 30).replace("60s", "1s");
    gate.reload(&next).await;
    ask(&gate, 40).await;
    looked_at(&gate).await;
    assert_eq!(gate.gateway.snapshot().config.hash.as_str(), hash_of(&next));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_keeps_nobody_from_starting() {
    let up = ok().await;
    let toml = format!(
        "[history]\ndir = \"tidegate.toml/inside\"\n{}",
        config(&up, 100)
    );
    let gate = TestGateway::start(&toml).await;
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    assert_eq!(history(&gate).await.len(), 1);
    gate.gateway
        .drain(Duration::ZERO, Duration::from_secs(5))
        .await;
}
