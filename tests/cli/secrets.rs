//! What must be seen nowhere: the operator's token, and what clients bring to prove who they are.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{command, folder, tidegate};

/// The operator's.
const TOKEN: &str = "tide-token-5a1f";
/// A client's: in its fields, its query and its body.
const CLIENTS: &str = "clients-secret-77b0";
const CONFIG: &str = r#"
[admin]
bind = "127.0.0.1:0"
token_file = "token"
[log]
access = "access.log"
level = "debug"
[errors]
details = true
[[listeners]]
bind = "127.0.0.1:0"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:9" }]
[[routes]]
name = "app"
path_prefix = "/app"
upstream = "app"
retry = { attempts = 2 }
[[routes.rate_limits]]
rate = "1/h"
burst = 3
key = "header:authorization"
"#;
/// Everything that the admin listener tells.
const PAGES: &[&str] = &[
    "/",
    "/metrics",
    "/api/v1/status",
    "/api/v1/config",
    "/api/v1/config/history",
    "/api/v1/upstreams",
    "/api/v1/limits",
    "/api/v1/routes",
    "/api/v1/faults",
    "/api/v1/recommendations",
];

/// Killed where the test fails.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn o16_no_output_tells_a_secret() {
    let (folder, _) = folder(CONFIG);
    let folder = folder.path();
    fs::write(folder.join("token"), TOKEN).unwrap();
    let mut gateway = start(folder);
    let (web, admin) = (address(folder, "default"), address(folder, "admin"));
    for _ in 0..5 {
        let asks = format!(
            "POST /app?key={CLIENTS} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {CLIENTS}\r\n\
             cookie: session={CLIENTS}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{CLIENTS}",
            CLIENTS.len()
        );
        ask(&web, &asks); // refused by the service, later by the limit
    }
    let mut told = String::new();
    for page in PAGES {
        let asks = format!(
            "GET {page} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
        );
        let answer = ask(&admin, &asks);
        assert!(answer.starts_with("HTTP/1.1 200"), "{page}: {answer}");
        told.push_str(&answer);
    }
    let events = ask(
        &admin,
        &format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
             accept: application/json\r\nconnection: close\r\n\r\n"
        ),
    );
    assert!(events.contains("\"events\":"), "{events}");
    told.push_str(&events);
    let without = ask(
        &admin,
        "GET /api/v1/config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    told.push_str(&without);
    let of = format!("http://{admin}");
    let explained = tidegate(
        folder,
        &[
            "explain",
            "--last-fault",
            "--admin",
            &of,
            "--token-file",
            "token",
        ],
    );
    assert!(explained.status.success(), "{explained:?}");
    kill_process(Pid::from_child(&gateway.0), Signal::TERM).unwrap();
    assert_eq!(gateway.0.wait().unwrap().code(), Some(0));
    for output in [explained.stdout, explained.stderr] {
        told.push_str(&String::from_utf8(output).unwrap());
    }
    for file in ["access.log", "out", "err"] {
        told.push_str(&fs::read_to_string(folder.join(file)).unwrap());
    }
    assert!(told.contains("connection_refused"), "{told}");
    for secret in [TOKEN, CLIENTS] {
        let line = told.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is told");
    }
}

fn start(folder: &Path) -> Gateway {
    let file = |name: &str| Stdio::from(File::create(folder.join(name)).unwrap());
    let mut command = command(folder, &["run"]);
    Gateway(
        command
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap(),
    )
}

/// Where the listener of this name listens, once it says so.
fn address(folder: &Path, name: &str) -> String {
    let start = format!("listening name={name} address=");
    for _ in 0..3000 {
        let said = fs::read_to_string(folder.join("err")).unwrap();
        let line = said.lines().find_map(|line| line.strip_prefix(&start));
        if let Some(address) = line.filter(|_| said.ends_with('\n')) {
            return address.to_owned();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{name} never listens");
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}
