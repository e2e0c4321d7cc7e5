//! Certificates, keys and authorities change on the disk while they are in use.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{
    client::{self, GENEROUS},
    dns::{DnsServer, Reply},
    gateway::TestGateway,
    tls::{Certificate, is_answered},
    until,
    upstream::Upstream,
};

const ROUTE: &str = "[[routes]]\nname = \"all\"\nrespond = { status = 200, body = \"ok\" }\n";

fn listener(name: &str, folder: &str, more: &str) -> String {
    format!(
        "[[listeners]]\nname = \"{name}\"\nbind = \"127.0.0.1:0\"\n\
         tls = {{ certificates = [{{ cert = \"{folder}cert.pem\", key = \"{folder}key.pem\" }}]{more} }}\n"
    )
}

/// A gateway that shows the first certificate, and the folder of its files.
fn start(text: &str) -> (TestGateway, Certificate, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, at) = (Certificate::new(), folder.path().to_path_buf());
    first.write(&at);
    (TestGateway::start_in(folder, text), first, at)
}

/// Waits until `gate` shows `wanted`, or no longer.
async fn shows(gate: &TestGateway, wanted: &Certificate, whether: bool) {
    let showing = async {
        while wanted.is_shown(gate.web).await != whether {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, showing).await.expect("it is not shown");
}

fn series(metric: &str, listener: &str, cert: &Path) -> String {
    let cert = cert.display();
    format!("tidegate_certificate_{metric}{{listener=\"{listener}\",certificate=\"{cert}\"}}")
}

/// Waits until the gateway says whether the files of a certificate are wrong.
async fn is_stale(gate: &TestGateway, listener: &str, cert: &Path, whether: bool) {
    let (series, wanted) = (
        series("stale", listener, cert),
        f64::from(u8::from(whether)),
    );
    let told = async {
        while (gate.metric(&series).await - wanted).abs() > f64::EPSILON {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, told).await.expect("it is not told");
}

/// What the API says of a file that is wrong; null where it says nothing.
async fn wrong_file(gate: &TestGateway, file: &Path) -> serde_json::Value {
    let reply = client::admin(gate.admin, "/api/v1/config").await;
    let view: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let wrong = view["wrong_files"].as_array().expect("a list").iter();
    let path = file.display().to_string();
    let mut found = wrong.filter(|one| one["file"] == *path);
    found.next().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_pair_is_in_force_once_it_fits_whichever_half_comes_first() {
    let text = format!("{}{ROUTE}", listener("web", "", ""));
    let (gate, first, at) = start(&text);
    let (cert, key) = (at.join("cert.pem"), at.join("key.pem"));
    let mut old = first.connect(gate.web, None).await.expect("connected");
    assert!(is_answered(&mut old).await);

    let second = Certificate::new();
    fs::write(&key, second.key()).expect("written");
    is_stale(&gate, "web", &cert, true).await;
    assert!(first.is_shown(gate.web).await, "the old pair stays");
    fs::write(&cert, second.pem()).expect("written");
    shows(&gate, &second, true).await;
    is_stale(&gate, "web", &cert, false).await;

    let third = Certificate::new();
    fs::write(&cert, third.pem()).expect("written");
    is_stale(&gate, "web", &cert, true).await;
    assert!(second.is_shown(gate.web).await, "the old pair stays");
    // Another change of the config goes in meanwhile.
    let since = wrong_file(&gate, &cert).await["since"].clone();
    gate.reload(&format!("{text}# while it is wrong\n")).await;
    assert!(second.is_shown(gate.web).await);
    let told = wrong_file(&gate, &cert).await;
    assert_eq!(
        told["since"], since,
        "since it was seen, not since a reload"
    );
    assert!(
        told["why"].as_str().is_some_and(|why| !why.is_empty()),
        "{told}"
    );
    fs::write(&key, third.key()).expect("written");
    shows(&gate, &third, true).await;
    assert_eq!(gate.gateway.snapshot().config.revision, 2, "no new config");
    assert!(
        wrong_file(&gate, &cert).await.is_null(),
        "it is right again"
    );
    let ends = gate
        .metric(&series("expiry_timestamp_seconds", "web", &cert))
        .await;
    assert!(ends > 2_000_000_000.0, "{ends}");
}

#[tokio::test]
async fn a_half_written_pair_keeps_the_old_and_holds_back_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = folder.path().join("more");
    fs::create_dir(&more).expect("a folder");
    Certificate::new().write(&more);
    let (first, at) = (Certificate::new(), folder.path().to_path_buf());
    first.write(&at);
    let text = format!(
        "{}{}{ROUTE}",
        listener("web", "", ""),
        listener("more", "more/", "")
    );
    let gate = TestGateway::start_in(folder, &text);
    let (cert, second) = (at.join("cert.pem"), Certificate::new());
    let half = second.pem();
    fs::write(&cert, &half[..half.len() / 2]).expect("written");
    is_stale(&gate, "web", &cert, true).await;
    let other = Certificate::new();
    other.write(&more);
    let address = gate.gateway.address("more").expect("bound");
    let shown = async {
        while !other.is_shown(address).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, shown)
        .await
        .expect("the other pair is in force");
    assert!(first.is_shown(gate.web).await);
    fs::remove_file(&cert).expect("removed");
    gate.gateway
        .reload()
        .reload(tidegate::reload::Trigger::Signal);
    is_stale(&gate, "web", &cert, true).await;
    assert!(first.is_shown(gate.web).await);
    second.write(&at);
    shows(&gate, &second, true).await;
}

#[tokio::test]
async fn a_swap_of_links_and_a_rename_are_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().to_path_buf();
    let version = |name: &str| {
        let certificate = Certificate::new();
        fs::create_dir(at.join(name)).expect("a folder");
        certificate.write(&at.join(name));
        std::os::unix::fs::symlink(name, at.join("..tmp")).expect("a link");
        fs::rename(at.join("..tmp"), at.join("..data")).expect("swapped");
        certificate
    };
    let first = version("..v1");
    for file in ["cert.pem", "key.pem"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), at.join(file)).expect("a link");
    }
    let gate = TestGateway::start_in(folder, &format!("{}{ROUTE}", listener("web", "", "")));
    assert!(first.is_shown(gate.web).await);
    let second = version("..v2");
    fs::remove_dir_all(at.join("..v1")).expect("removed");
    shows(&gate, &second, true).await;

    let third = Certificate::new();
    let beside = tempfile::tempdir_in(&at).expect("a folder");
    third.write(beside.path());
    for file in ["key.pem", "cert.pem"] {
        fs::rename(beside.path().join(file), at.join(file)).expect("renamed");
    }
    shows(&gate, &third, true).await;
}

#[tokio::test]
async fn clients_are_let_in_by_the_authorities_of_the_moment() {
    let (known, other) = (Certificate::new(), Certificate::new());
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    let (server, at) = (Certificate::new(), folder.path().to_path_buf());
    server.write(&at);
    fs::write(at.join("clients.pem"), known.pem()).expect("written");
    let asks = |more: &str| format!("{}{ROUTE}", listener("web", "", more));
    let gate = TestGateway::start_in(folder, &asks(", client_ca = \"clients.pem\""));
    assert!(server.serves(gate.web, Some(&known)).await);
    assert!(!server.serves(gate.web, Some(&other)).await);
    assert!(!server.serves(gate.web, None).await);
    let mut old = server
        .connect(gate.web, Some(&known))
        .await
        .expect("connected");

    fs::write(at.join("clients.pem"), other.pem()).expect("written");
    let changed = async {
        while !server.serves(gate.web, Some(&other)).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, changed).await.expect("the new authority");
    assert!(!server.serves(gate.web, Some(&known)).await);
    assert!(is_answered(&mut old).await, "who was let in stays");

    let optional = ", client_ca = \"clients.pem\", client_auth = \"optional\"";
    gate.reload(&asks(optional)).await;
    assert!(server.serves(gate.web, None).await);
    assert!(
        !server.serves(gate.web, Some(&known)).await,
        "a wrong one is refused"
    );
    gate.reload(&asks("")).await;
    assert!(
        server.serves(gate.web, Some(&known)).await,
        "nobody is asked"
    );
}

/// Waits until requests are answered with `status`.
async fn answers(gate: &TestGateway, status: u16) {
    let answered = async {
        while client::get(gate.web, "/").await.status.as_u16() != status {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, answered).await.expect("another status");
}

#[tokio::test]
async fn name_servers_over_tls_are_checked_against_the_authority_that_is_in_the_file_now() {
    let upstream = Upstream::saying("ok").await;
    let port = upstream.address.port();
    for of_upstream in [false, true] {
        let (right, wrong) = (Certificate::new(), Certificate::new());
        let server = DnsServer::start_tls(right.server()).await;
        server.says("shop.internal", Reply::addresses(["127.0.0.1"], 0));
        let asked = format!(
            "servers = [\"tls://{}#test\"]\nca = \"dns.pem\"\n",
            server.address()
        );
        let (all, own) = if of_upstream {
            (String::new(), format!("[upstreams.up.dns]\n{asked}"))
        } else {
            (asked, String::new())
        };
        let text = format!(
            "[dns]\nmin_ttl = \"100ms\"\nmax_ttl = \"100ms\"\nallow_addresses = [\"127.0.0.1/32\"]\n{all}\
             [[routes]]\nname = \"all\"\nupstream = \"up\"\n\
             [upstreams.up]\nendpoints = [{{ dns = \"shop.internal:{port}\" }}]\n{own}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("dns.pem");
        fs::write(&ca, wrong.pem()).expect("written");
        let gate = TestGateway::start_in(folder, &text);
        let failed = "tidegate_dns_lookups_total{upstream=\"up\",result=\"server_failure\"}";
        while gate.metric(failed).await < 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answers(&gate, 503).await;
        assert_eq!(server.asked().tcp, 0, "nobody asks who cannot be trusted");

        fs::write(&ca, right.pem()).expect("written");
        answers(&gate, 200).await;
        assert_eq!(gate.gateway.snapshot().config.revision, 1, "no new config");

        // What is no authority changes nothing: the one before stays, and so does what the name stands for.
        fs::write(&ca, "half a certif").expect("written");
        let reload = format!("{text}# another config meanwhile\n");
        gate.reload(&reload).await;
        let asked = server.asked().tcp;
        until("it is asked on", || server.asked().tcp > asked + 2).await;
        answers(&gate, 200).await;

        // Another authority ends the trust, and empties nothing.
        fs::write(&ca, wrong.pem()).expect("written");
        while gate.metric(failed).await < 2.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answers(&gate, 200).await;
    }
}
