//! Limits, instruments and pages under attack (C77 to C91), and files that are no config (O04, O06).

use std::{fmt::Write as _, path::Path};

use http::{Request, StatusCode};
use http_body_util::Full;
use tidegate::config;

use crate::{
    origin::{Origin, Then},
    support::{
        client::{self, Reply},
        gateway::{TestGateway, complete},
        until,
    },
    wire::{Talk, all_is_well, config as route, gate, shout, statuses},
};

const ONE_AN_HOUR: &str = "[[routes.rate_limits]]\nrate = \"1/h\"\nburst = 1\n";

/// The status of a GET with these fields.
async fn status(gate: &TestGateway, path: &str, fields: &str) -> u16 {
    let bytes = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n");
    statuses(&shout(gate.web, bytes).await)[0]
}

#[tokio::test]
async fn c77_a_host_does_not_escape_within_its_64() {
    let origin = Origin::fine().await;
    let listener = "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let gate =
        TestGateway::start(&(listener.to_owned() + &route(origin.address, "", ONE_AN_HOUR))).await;
    let wanted = [
        ("2001:db8:0:1::1", 200),
        ("2001:db8:0:1::2", 429),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", 429),
        ("2001:db8:0:2::1", 200),
        ("192.0.2.1", 200),
        ("192.0.2.2", 200),
        ("192.0.2.1", 429),
    ];
    for (address, told) in wanted {
        let fields = format!("X-Forwarded-For: {address}\r\n");
        assert_eq!(status(&gate, "/", &fields).await, told, "{address}");
    }
}

#[tokio::test]
async fn c79_a_key_that_is_absent_empty_or_odd_is_never_without_a_limit() {
    let origin = Origin::fine().await;
    let limit = "[[routes.rate_limits]]\nrate = \"1/h\"\nburst = 1\nkey = \"header:X-Key\"\n";
    let gate = gate(origin.address, "", limit).await;
    assert_eq!(status(&gate, "/", "").await, 200);
    assert_eq!(status(&gate, "/", "").await, 429, "no key, no limit");
    for fields in [
        "X-Key:\r\n",
        "X-Key: same\r\nX-Key: same\r\n",
        "X-Key: \u{e9}\r\n",
    ] {
        let _ = status(&gate, "/", fields).await;
        assert_eq!(status(&gate, "/", fields).await, 429, "{fields:?}");
    }
    assert_eq!(status(&gate, "/", "X-Key: own\r\n").await, 200);
    assert_eq!(
        status(&gate, "/", "x-key:    own   \r\n").await,
        429,
        "spaces make another key"
    );
}

#[tokio::test]
async fn c80_no_spelling_of_a_path_has_a_bucket_of_its_own() {
    let origin = Origin::fine().await;
    let gate = gate(
        origin.address,
        "",
        &format!("path = \"/login\"\n{ONE_AN_HOUR}"),
    )
    .await;
    assert_eq!(status(&gate, "/login", "").await, 200);
    for path in [
        "//login",
        "/login?x=1",
        "/%6cogin",
        "/./login",
        "/x/../login",
        "/login?",
    ] {
        assert_eq!(status(&gate, path, "").await, 429, "{path}");
    }
}

#[tokio::test]
async fn c87_a_log_line_is_one_line_whatever_is_in_it() {
    let origin = Origin::fine().await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let text = format!(
        "[log]\naccess = \"{}\"\n{}",
        log.display(),
        route(origin.address, "", "")
    );
    let gate = TestGateway::start(&text).await;
    let paths = [
        "/%0a%0d{\"status\":200}",
        "/\"quoted\"",
        "/%1b[31mred",
        "/%e2%80%a8",
        "/caf\u{e9}",
        "/<b>",
    ];
    for path in paths {
        let fields = "User-Agent: \x1b[31m\"evil\"\u{2028}\r\nReferer: \"}\r\n";
        let _ = shout(
            gate.web,
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n"),
        )
        .await;
    }
    until("all are logged", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.lines().count() >= paths.len())
    })
    .await;
    let text = std::fs::read_to_string(&log).expect("a log");
    assert_eq!(text.lines().count(), paths.len());
    for line in text.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["status"].is_number(), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[tokio::test]
async fn c88_what_clients_send_makes_no_new_series() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "hosts = [\"a\"]").await;
    let series = || {
        let text = gate.gateway.telemetry().render();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let attack = async |n: u32| {
        for method in ["GET", "BREW"] {
            for host in ["a", "b"] {
                let bytes = format!(
                    "{method}{n} /{n} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {n}\r\nConnection: close\r\n\r\n"
                );
                let _ = shout(gate.web, bytes).await;
                let bytes =
                    format!("GET /{n} HTTP/1.1\r\nHost: {host}{n}\r\nConnection: close\r\n\r\n");
                let _ = shout(gate.web, bytes).await;
            }
        }
        all_is_well_at_a(&gate).await;
    };
    attack(0).await;
    let before = series();
    for n in 1..25 {
        attack(n).await;
    }
    assert_eq!(series(), before);
}

async fn all_is_well_at_a(gate: &TestGateway) {
    assert_eq!(status(gate, "/fine", "").await, 200);
}

#[tokio::test]
async fn c89_a_page_of_ours_holds_nothing_that_the_client_sent() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "path = \"/fine\"").await;
    for accept in [
        "text/html",
        "*/*",
        "application/json",
        "text/html;q=x, */*",
        ", ,;",
        "a/b, c/d",
    ] {
        let bytes = format!(
            "GET /evil-path?evil-query HTTP/1.1\r\nHost: evil-host\r\nX: evil-field\r\nReferer: evil\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        );
        let answer = shout(gate.web, bytes).await;
        assert_eq!(statuses(&answer), [404]);
        assert!(!answer.contains("evil"), "{answer}");
        let lower = answer.to_ascii_lowercase();
        assert!(
            lower.contains("x-content-type-options: nosniff") && lower.contains("content-type: "),
            "{answer}"
        );
    }
    all_is_well(&gate).await;
}

async fn grpc(gate: &TestGateway) -> Reply {
    let request = Request::post("http://a/s/m")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    client::send_h2(gate.web, request.body(Full::default()).expect("a request"))
        .await
        .expect("an answer")
}

#[tokio::test]
async fn c76_pages_of_the_gateway_are_not_served_to_its_clients() {
    let gate = TestGateway::start(
        "[[routes]]\nname = \"tea\"\npath = \"/tea\"\nrespond = { status = 418 }\n",
    )
    .await;
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/status"] {
        for host in [
            "localhost".to_owned(),
            gate.admin.to_string(),
            "127.0.0.1".into(),
        ] {
            let bytes = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            assert_eq!(
                statuses(&shout(gate.web, bytes).await),
                [404],
                "{path} at {host}"
            );
        }
    }
    let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let told = statuses(&shout(gate.admin, rebound).await);
    assert!(told[0] >= 400, "a foreign name reads the metrics: {told:?}");
}

#[tokio::test]
async fn c90_what_is_secret_is_not_logged() {
    let origin = Origin::fine().await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let text = format!(
        "[log]\naccess = \"{}\"\n{}",
        log.display(),
        route(origin.address, "", "path = \"/here\"")
    );
    let gate = TestGateway::start(&text).await;
    let fields = "Authorization: Bearer hush\r\nCookie: session=hush\r\n";
    assert_eq!(status(&gate, "/here?token=hush", fields).await, 200);
    assert_eq!(status(&gate, "/none?token=hush", fields).await, 404);
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    until("both are logged", || read().lines().count() == 2).await;
    assert!(!read().contains("hush"), "{}", read());
    assert!(!gate.gateway.telemetry().render().contains("hush"));
}

#[tokio::test]
async fn c91_grpc_clients_get_a_status_of_their_own() {
    let hung = Origin::saying("", Then::Hang).await;
    let shed = gate(hung.address, "concurrency = { mode = \"fixed\", limit = 1, queue = { max_waiting = 0, max_wait = \"1ms\" } }", "").await;
    let mut first = Talk::to(shed.web).await;
    first.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("the place is taken", || hung.heads() == 1).await;
    let late = gate(hung.address, "first_byte_timeout = \"100ms\"", "").await;
    let refused = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        listener.local_addr().expect("an address")
    };
    let down = gate(refused, "", "").await;
    let none = gate(refused, "", "path = \"/only\"").await;
    for (gate, code) in [(&shed, "14"), (&late, "4"), (&down, "14"), (&none, "12")] {
        let reply = grpc(gate).await;
        assert_eq!(
            (reply.status, reply.header("grpc-status")),
            (StatusCode::OK, code),
            "{reply:?}"
        );
        assert!(
            reply.header("content-type").starts_with("application/grpc"),
            "{reply:?}"
        );
        assert!(reply.body.is_empty(), "{reply:?}");
    }
}

const GOOD: &str = "[upstreams.up]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n";

/// What reading `bytes` says is wrong; nothing where they are a config.
fn wrong(folder: &Path, bytes: &[u8]) -> Option<String> {
    let path = folder.join("tidegate.toml");
    std::fs::write(&path, bytes).expect("written");
    config::read(&path).err().map(|errors| errors.to_string())
}

#[test]
fn o04_what_is_no_readable_file_is_an_error_and_blocks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let fails = |name: &str| {
        let (done, end) = std::sync::mpsc::channel();
        let path = at(name);
        std::thread::spawn(move || done.send(config::read(&path).is_err()));
        let failed = end.recv_timeout(client::GENEROUS);
        assert_eq!(failed, Ok(true), "{name}");
    };
    std::fs::create_dir(at("directory")).expect("made");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("made");
    std::fs::File::create(at("sparse"))
        .and_then(|file| file.set_len(1 << 30))
        .expect("made");
    for name in ["missing", "directory", "fifo", "sparse"] {
        fails(name);
    }
    let good = complete(GOOD);
    let folder = folder.path();
    assert_eq!(wrong(folder, good.as_bytes()), None);
    assert_eq!(
        wrong(folder, format!("\u{feff}{good}").as_bytes()),
        None,
        "a BOM"
    );
    assert_eq!(
        wrong(folder, good.replace('\n', "\r\n").as_bytes()),
        None,
        "CRLF"
    );
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [
        &wide,
        &b"\xff\xfe\0\x01binary\x80"[..],
        &good.as_bytes()[..good.len() - 3],
        &[0; 64],
    ] {
        assert!(wrong(folder, bytes).is_some(), "{bytes:?}");
    }
}

#[test]
fn o06_a_mistake_in_the_file_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let upstream = |line: &str| GOOD.replace("[[routes]]", &format!("{line}\n[[routes]]"));
    let on_route = |line: &str| format!("{GOOD}{line}\n");
    let mut mistakes = vec![
        (upstream("conect_timeout = \"1s\""), "connect_timeout"),
        (on_route("metods = [\"GET\"]"), "methods"),
        (on_route("name = \"twice\""), ""),
        (upstream("connect_timeout = \"250\""), ""),
        (upstream("connect_timeout = 250"), ""),
        (upstream("connect_timeout = \"0s\""), ""),
        (upstream("connect_timeout = \"-1s\""), ""),
        (upstream("connect_timeout = \"1000000000000000000s\""), ""),
        (on_route("timeout = \"1 fortnight\""), ""),
        (upstream("slow_start = yes"), ""),
        (upstream("panic_threshold = 010"), ""),
        (GOOD.replace("upstream = \"up\"", ""), "upstream"),
        (
            GOOD.replace("upstream = \"up\"", "upstream = \"upp\""),
            "up",
        ),
        (
            GOOD.replace(
                "upstream = \"up\"",
                "split = [{ upstream = \"up\", weight = 0 }]",
            ),
            "",
        ),
        (GOOD.replace("127.0.0.1:1", "127.0.0.1"), ""),
        (
            format!("{GOOD}[[routes]]\nname = \"all\"\nupstream = \"up\"\npath = \"/x\"\n"),
            "all",
        ),
        (
            format!("{GOOD}[[routes]]\nname = \"again\"\nupstream = \"up\"\n"),
            "",
        ),
    ];
    let mut twice = String::new();
    for name in ["a", "b"] {
        let _ = write!(
            twice,
            "[[listeners]]\nname = \"{name}\"\nbind = \"127.0.0.1:4711\"\n"
        );
    }
    mistakes.push((twice + GOOD, "4711"));
    assert_eq!(wrong(folder, complete(GOOD).as_bytes()), None);
    for (text, told) in mistakes {
        let text = complete(&text);
        let error = wrong(folder, text.as_bytes()).unwrap_or_else(|| panic!("accepted:\n{text}"));
        assert!(error.contains(told), "{told} is not in\n{error}");
    }
}
