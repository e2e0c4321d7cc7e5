//! The ways in which the file changes on disk, and what of it is taken (O01, O02, O04, O05, O07, O21).

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use http::StatusCode;
use tidegate::reload::{Trigger, Verdict};

use crate::support::{
    client,
    gateway::{TestGateway, complete},
    until,
};

/// Says `body`.
fn saying(body: &str) -> String {
    format!("[[routes]]\nrespond = {{ status = 200, body = \"{body}\" }}\n")
}

/// What it says is this, soon.
async fn says(gate: &TestGateway, body: &str) {
    let hash = tidegate::config::ConfigHash::of(complete(&saying(body)).as_bytes());
    until("it is in force", || {
        gate.gateway.snapshot().config.hash == hash
    })
    .await;
    assert_eq!(client::get(gate.web, "/").await.text(), body);
}

/// How the last file that was read ended, and when.
fn last(gate: &TestGateway) -> Option<(std::time::SystemTime, Verdict)> {
    let last = gate.gateway.reload().status().last;
    last.map(|last| (last.at, last.verdict))
}

/// Waits until another file was read and refused; what runs goes on.
async fn refused_after(gate: &TestGateway, change: impl FnOnce(&Path)) {
    let before = last(gate).map(|(at, _)| at);
    let running = gate.gateway.snapshot().config.clone();
    change(&gate.path());
    until("it is refused", || {
        last(gate).is_some_and(|(at, verdict)| Some(at) != before && !verdict.is_in_force())
    })
    .await;
    assert_eq!(gate.gateway.snapshot().config, running);
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn o01_a_half_written_file_changes_nothing_until_it_is_whole() {
    let gate = TestGateway::start(&saying("one")).await;
    let next = complete(&saying("two"));
    refused_after(&gate, |path| {
        fs::write(path, &next[..next.len() - 8]).expect("written");
    })
    .await;
    assert!(gate.metric("tidegate_config_last_reload_successful").await < 0.5);
    fs::write(gate.path(), &next).expect("written");
    says(&gate, "two").await;
    assert!(gate.metric("tidegate_config_last_reload_successful").await > 0.5);
}

#[tokio::test]
async fn o02_every_way_of_editors_to_write_is_noticed() {
    let gate = TestGateway::start(&saying("0")).await;
    let beside = |name: &str| gate.path().with_file_name(name);
    let mut body = 0;
    let mut next = || {
        body += 1;
        (body.to_string(), complete(&saying(&body.to_string())))
    };
    // vim with `backup`: the old file becomes the backup, a new one takes its name.
    let (said, text) = next();
    fs::rename(gate.path(), beside("tidegate.toml~")).expect("renamed");
    fs::write(gate.path(), text).expect("written");
    says(&gate, &said).await;
    // sed -i, and editors that write beside: renamed over it.
    let (said, text) = next();
    fs::write(beside("sedAbCdEf"), text).expect("written");
    fs::rename(beside("sedAbCdEf"), gate.path()).expect("renamed");
    says(&gate, &said).await;
    // In place.
    let (said, text) = next();
    fs::write(gate.path(), text).expect("written");
    says(&gate, &said).await;
    // A link that is swapped.
    let (said, text) = next();
    fs::write(beside("real.toml"), text).expect("written");
    symlink("real.toml", beside("link")).expect("a link");
    fs::rename(beside("link"), gate.path()).expect("renamed");
    says(&gate, &said).await;
    // And the file behind the link.
    let (said, text) = next();
    fs::write(beside("real.toml"), text).expect("written");
    says(&gate, &said).await;
}

#[tokio::test]
async fn o02_a_touch_is_no_reload() {
    let gate = TestGateway::start(&saying("one")).await;
    let text = fs::read(gate.path()).expect("the file");
    fs::write(gate.path(), text).expect("written");
    until("it was looked at", || {
        matches!(last(&gate), Some((_, Verdict::Unchanged)))
    })
    .await;
    assert_eq!(gate.gateway.snapshot().config.revision, 1);
    assert_eq!(gate.gateway.reload().history().newest_first().count(), 1);
}

#[tokio::test]
async fn o04_what_is_no_config_any_more_leaves_the_running_one_and_may_return() {
    let gate = TestGateway::start(&saying("0")).await;
    let fifo = |path: &Path| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a FIFO");
    };
    let sparse = |path: &Path| {
        let file = fs::File::create(path).expect("made");
        file.set_len(1 << 30).expect("a GiB of nothing");
    };
    let becomes: [&dyn Fn(&Path); 5] = [
        &|_| {}, // it is gone
        &|path| fs::create_dir(path).expect("a directory"),
        &fifo,
        &sparse,
        &|path| fs::write(path, [0xff, 0, 1]).expect("written"),
    ];
    for (round, become_it) in becomes.iter().enumerate() {
        refused_after(&gate, |path| {
            fs::remove_file(path).expect("removed");
            become_it(path);
        })
        .await;
        if gate.path().is_dir() {
            fs::remove_dir(gate.path()).expect("removed");
        }
        let body = (round + 1).to_string(); // another one, so that it is waited for
        gate.reload(&saying(&body)).await;
        assert_eq!(client::get(gate.web, "/").await.text(), body);
    }
    let windows = complete(&saying("last")).replace('\n', "\r\n");
    fs::write(gate.path(), format!("\u{feff}{windows}")).expect("written");
    until("a BOM and CRLF are fine", || {
        gate.gateway.snapshot().config.revision == 7
    })
    .await;
    assert_eq!(client::get(gate.web, "/").await.text(), "last");
}

/// A directory that is not there when the watch begins gives no events: the look each five seconds finds the file.
#[tokio::test]
async fn o05_without_events_the_file_is_looked_at_every_few_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    let (real, away) = (folder.path().join("etc"), folder.path().join("away"));
    fs::create_dir(&real).expect("a folder");
    let file = real.join("tidegate.toml");
    fs::write(&file, complete(&saying("one"))).expect("written");
    let loaded = tidegate::config::read(&file).expect("right");
    fs::rename(&real, &away).expect("moved away");
    let gateway =
        tidegate::cli::gateway::Gateway::start(loaded, Some(file.clone())).expect("it starts");
    fs::write(away.join("tidegate.toml"), complete(&saying("two"))).expect("written");
    fs::rename(&away, &real).expect("back");
    until("the poll finds it", || {
        gateway.snapshot().config.revision == 2
    })
    .await;
    let last = gateway.reload().status().last.expect("a reload");
    assert_eq!(last.trigger, Trigger::Poll);
}

#[tokio::test]
async fn o07_the_state_follows_the_last_valid_file_and_the_history_has_them_all() {
    let gate = TestGateway::start(&saying("one")).await;
    refused_after(&gate, |path| fs::write(path, "broken =").expect("written")).await;
    gate.reload(&saying("two")).await;
    refused_after(&gate, |path| fs::write(path, "again =").expect("written")).await;
    assert_eq!(client::get(gate.web, "/").await.text(), "two");
    let history = gate.gateway.reload().history();
    let in_force = history.in_force().expect("an entry").number;
    let all: Vec<_> = history.newest_first().map(|entry| entry.number).collect();
    assert_eq!((all, in_force), (vec![4, 3, 2, 1], 3));
    for (result, times) in [("applied", 1.0), ("rejected", 2.0)] {
        let series = format!("tidegate_config_reloads_total{{result=\"{result}\"}}");
        let told = gate.metric(&series).await;
        assert!((told - times).abs() < 0.5, "{series} {told}");
    }
}

#[tokio::test]
async fn o21_a_key_of_a_newer_version_is_refused_by_its_name() {
    let gate = TestGateway::start(&saying("one")).await;
    let newer = complete(&format!("{}telepathy = true\n", saying("two")));
    refused_after(&gate, |path| fs::write(path, newer).expect("written")).await;
    let (_, verdict) = last(&gate).expect("a verdict");
    let told = verdict.errors().expect("errors");
    assert!(told.contains("telepathy"), "{told}");
}

/// 100 writes in a second become few reloads, the last of which is in force.
#[tokio::test]
async fn o09_a_storm_of_writes_is_a_few_reloads() {
    let gate = TestGateway::start(&saying("one")).await;
    for round in 0..100 {
        gate.write(&saying(&format!("round {round}")));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    says(&gate, "round 99").await;
    let revision = gate.gateway.snapshot().config.revision;
    assert!(revision < 50, "{revision} configs came into force");
}
