//! The built binary: what it says, where, and with which exit code.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod secrets;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const VALID: &str = r#"
[admin]
bind = "127.0.0.1:0"
[drain]
delay = "0s"
timeout = "20s"
[[listeners]]
bind = "127.0.0.1:0"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:9" }]
[[routes]]
path = "/hello"
respond = { status = 200, body = "hello" }
name = "hello"
[[routes.rate_limits]]
rate = "100/s"
[[routes]]
name = "app"
upstream = "app"
"#;

fn tidegate(folder: &Path, words: &[&str]) -> Output {
    command(folder, words).output().expect("it runs")
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(words)
        .current_dir(folder)
        .env_remove("TIDEGATE_ADMIN");
    command
}

fn folder(config: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tidegate.toml");
    std::fs::write(&file, config).unwrap();
    (folder, file)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A gateway of [`VALID`], killed where a test fails.
struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    web: String,
    admin: String,
    folder: TempDir,
}

impl Running {
    fn start() -> Self {
        Self::start_with(VALID)
    }

    fn start_with(config: &str) -> Self {
        let (folder, _) = folder(config);
        let mut child = command(folder.path(), &["run"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut address = |name: &str| loop {
            let mut line = String::new();
            assert!(
                stderr.read_line(&mut line).unwrap() > 0,
                "no line for {name}"
            );
            let start = format!("listening name={name} address=");
            if let Some(address) = line.strip_prefix(&start) {
                break address.trim().to_owned();
            }
        };
        let (web, admin) = (address("default"), address("admin"));
        Self {
            child,
            stderr,
            web,
            admin,
            folder,
        }
    }

    /// Puts another file in the place of its config.
    fn write(&self, config: &str) {
        let at = |name: &str| self.folder.path().join(name);
        std::fs::write(at("next"), config).unwrap();
        std::fs::rename(at("next"), at("tidegate.toml")).unwrap();
    }

    /// The next line of its own log that holds `part`, and those before it.
    fn lines_until(&mut self, part: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains(part)) {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "{lines:?}");
            lines.push(line);
        }
        lines
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// The whole answer to a request for `path`.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.web).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What a verb says that asks its admin listener.
    fn asked(&self, words: &[&str]) -> Output {
        let url = format!("http://{}", self.admin);
        tidegate(
            Path::new("/"),
            &[words, &["--admin", url.as_str()]].concat(),
        )
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_configs_of_a_running_gateway_are_shown_compared_and_put_back() {
    let running = Running::start();
    let url = format!("http://{}", running.admin);
    let config = |words: &[&str]| {
        let words = [&["config"], words, &["--admin", &url]].concat();
        tidegate(Path::new("/"), &words)
    };
    let history = config(&["history"]);
    assert_eq!(history.status.code(), Some(0), "{history:?}");
    let shown = text(&history.stdout);
    assert!(
        shown.lines().nth(1).is_some_and(|line| line.starts_with("*    1  ") && line.ends_with("start     applied")),
        "{shown}"
    );
    let alone = config(&["diff"]);
    assert_eq!(alone.status.code(), Some(1), "{alone:?}");
    assert!(text(&alone.stderr).contains("no other config was in force before"));
    let again = config(&["rollback", "1"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(text(&again.stdout).starts_with("entry 1 is in force already"));
    let none = config(&["rollback", "9", "--json"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    assert!(text(&none.stderr).contains("the history has no entry 9"));
}

#[test]
fn a_valid_file_is_said_to_be_valid_on_standard_output() {
    let (folder, _) = folder(VALID);
    let output = tidegate(folder.path(), &["check", "tidegate.toml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "tidegate.toml is valid\n");
}

#[test]
fn every_error_is_told_on_standard_error_without_colours() {
    let (folder, _) = folder("[[listners]]\n[[routes]]\nupstrem = \"a\"\n");
    for words in [&["check", "tidegate.toml"][..], &["run"]] {
        let output = tidegate(folder.path(), words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert_eq!(text(&output.stdout), "");
        let errors = text(&output.stderr);
        assert!(
            errors.contains("listners") && errors.contains("tidegate.toml:3"),
            "{errors}"
        );
        assert!(!errors.contains('\u{1b}'), "{errors}");
    }
}

#[test]
fn without_a_file_run_says_how_to_get_one() {
    let empty = TempDir::new().unwrap();
    let output = tidegate(empty.path(), &["run"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("no config file `tidegate.toml`"), "{told}");
    assert!(
        told.contains("[[listeners]]") && told.contains("tidegate demo"),
        "{told}"
    );
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let root = Path::new("/");
    assert_eq!(tidegate(root, &["fly"]).status.code(), Some(2));
    assert_eq!(tidegate(root, &["check"]).status.code(), Some(2));
    let version = tidegate(root, &["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).starts_with("tidegate "));
}

#[test]
fn the_schema_is_json_on_standard_output() {
    let output = tidegate(Path::new("/"), &["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn the_demo_has_a_row_a_second_for_each_of_three_services() {
    let output = tidegate(Path::new("/"), &["demo", "--seconds", "2", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (opening, row) = (lines.first().unwrap(), lines.last().unwrap());
    for address in ["gateway", "admin", "upstream", "unprotected"] {
        assert!(opening[address].is_string(), "{opening}");
    }
    assert_eq!(row["second"], 2);
    assert!(row["limit"].as_u64().unwrap() >= 1, "{row}");
    for service in [row, &row["fixed"], &row["unprotected"]] {
        let count = |name: &str| service[name].as_u64().unwrap();
        assert!(count("offered") > 0 && count("goodput") > 0, "{row}");
        assert!(count("goodput") <= count("admitted"), "{row}");
        assert_eq!(
            count("late"),
            count("admitted") - count("goodput") + count("failed")
        );
        assert!(
            service["shed"].is_u64() && service["p99_ms"].is_f64(),
            "{row}"
        );
    }
}

#[test]
fn its_own_log_takes_another_level_and_format_while_it_runs() {
    let config = |level: &str, format: &str| {
        format!("[log]\naccess = \"off\"\nlevel = \"{level}\"\nformat = \"{format}\"\n{VALID}")
    };
    let mut gateway = Running::start_with(&config("warn", "json"));
    gateway.write(&config("info", "text"));
    let told = gateway.lines_until("config read").pop().unwrap();
    assert!(told.contains(" INFO tidegate::"), "{told}");
    gateway.write(&config("error", "json"));
    let until = |gateway: &Running, result: &str| {
        // The outcome is told in the history when it has been told in the log.
        let told = || gateway.asked(&["config", "history"]).stdout;
        while !text(&told()).lines().nth(1).unwrap().contains(result) {
            std::thread::yield_now();
        }
    };
    until(&gateway, "*    3 ");
    gateway.write("nonsense");
    let lines = gateway.lines_until("config rejected");
    assert!(lines[0].starts_with('{'), "{lines:?}");
    assert_eq!(lines.len(), 1, "what is not an error is told: {lines:?}");
}

#[test]
fn a_gateway_serves_is_healthy_and_ends_with_0_on_sigterm() {
    let mut gateway = Running::start();
    let answer = gateway.get("/hello");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"),
        "{answer}"
    );
    let healthy = gateway.asked(&["healthcheck"]);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    gateway.signal(Signal::HUP);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.code(), Some(0));
    assert_eq!(gateway.asked(&["healthcheck"]).status.code(), Some(1));
}

#[test]
fn recommendations_are_lines_to_paste_and_all_else_is_comments() {
    let gateway = Running::start();
    let silent = gateway.asked(&["recommend"]);
    let told = text(&silent.stdout);
    assert!(
        told.contains("# nothing was asked for in the last hour"),
        "{silent:?}"
    );
    for _ in 0..20 {
        assert!(gateway.get("/hello").starts_with("HTTP/1.1 200 "));
    }
    let output = gateway.asked(&["recommend"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stdout);
    for line in [
        "# route hello, rate limit client_ip: \"100/s\" with a burst of 100 now\n",
        "# upstream app: a learned limit now, seen for 0 minutes\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let pasted: toml::Table = toml::from_str(told).expect("TOML");
    assert!(pasted["rate"].as_str().unwrap().contains('/'), "{told}");
    assert!(
        (1..100).contains(&pasted["burst"].as_integer().unwrap()),
        "{told}"
    );
    assert_eq!(pasted.len(), 2, "{told}");
}

#[test]
fn recommendations_as_json_are_those_of_the_api() {
    let gateway = Running::start();
    assert!(gateway.get("/hello").ends_with("hello"));
    let output = gateway.asked(&["recommend", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let advice: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let limit = &advice["limits"][0];
    assert_eq!(
        (&limit["route"], &limit["rate"]),
        (&"hello".into(), &"100/s".into())
    );
    assert_eq!(limit["proposed"]["seen"], 1, "{advice}");
    assert_eq!(advice["upstreams"][0]["mode"], "learned");
}

#[test]
fn without_a_gateway_there_are_no_recommendations_and_it_ends_with_1() {
    let mut gateway = Running::start();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.code(), Some(0));
    let output = gateway.asked(&["recommend"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    assert!(told.starts_with("no recommendations: "), "{told}");
}

#[test]
fn a_request_that_failed_is_explained_by_its_id_as_the_last_and_by_its_route() {
    let gateway = Running::start();
    let answer = gateway.get("/fails");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "))
        .expect("an id");
    let by_id = gateway.asked(&["explain", id]);
    assert_eq!(by_id.status.code(), Some(0), "{by_id:?}");
    let told = text(&by_id.stdout);
    for line in [
        id,
        "route app, upstream app, endpoint 127.0.0.1:9, attempts ",
        "The service refused the connection. Cause: network; ",
        "Failed try 1, ",
        "What to look at\n",
        "More of this kind: tidegate explain --kind connection_refused\n",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    for words in [
        &["explain", "--last-fault"][..],
        &["explain", "--route", "app", "--since", "10m"],
    ] {
        let output = gateway.asked(words);
        assert_eq!(text(&output.stdout), told, "{words:?}");
    }
    let json = gateway.asked(&["explain", id, "--json"]);
    let view: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(view["request"]["request_id"], id);
    let unknown = gateway.asked(&["explain", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stderr), "This request is not kept.\n");
    let none = gateway.asked(&["explain", "--route", "hello"]);
    assert_eq!(text(&none.stdout), "no request that failed is kept\n");
}

#[test]
fn the_doctor_ends_by_the_worst_that_it_finds() {
    let gateway = Running::start();
    let refused = gateway.asked(&["doctor", "app", "--idle", "0s"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = text(&refused.stdout);
    for line in [
        "upstream app\n  127.0.0.1:9\n",
        "    ok   way          this machine itself\n",
        "    bad  connect      refused: ",
        "1 well, 1 bad in ",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    let itself = gateway.asked(&["doctor", "hello"]);
    assert_eq!(itself.status.code(), Some(0), "{itself:?}");
    assert!(text(&itself.stdout).contains("route hello answers by itself"));
    let nobody = gateway.asked(&["doctor", "nobody"]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    assert!(text(&nobody.stderr).contains("there is no route and no upstream `nobody`"));
    let wrong = gateway.asked(&["doctor", "--idle", "2m"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn the_doctor_looks_at_everything_and_the_machine_where_nothing_is_named() {
    let gateway = Running::start();
    let output = gateway.asked(&["doctor", "--idle", "0s", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["mark"], &report["target"]),
        (&"bad".into(), &serde_json::Value::Null)
    );
    let sections = report["sections"].as_array().unwrap();
    assert_eq!(sections[0]["upstream"], "app");
    assert_eq!(sections[0]["findings"][1]["code"], "refused", "{report}");
    assert_eq!(sections[1]["about"], "machine");
    assert_eq!(sections[1]["findings"][0]["stage"], "descriptors");
}

#[test]
fn the_doctor_looks_alone_where_no_gateway_runs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = listener.local_addr().unwrap();
    drop(listener);
    let config = VALID.replacen("127.0.0.1:0", &admin.to_string(), 1);
    let (folder, _) = folder(&config);
    for words in [&["doctor", "hello"][..], &["doctor", "hello", "--alone"]] {
        let output = tidegate(folder.path(), words);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text(&output.stdout).contains("route hello answers by itself"));
        let said = text(&output.stderr).contains("no gateway answers");
        assert_eq!(said, words.len() == 2, "{output:?}");
    }
    for (words, code) in [
        (&["doctor", "app", "--idle", "0s", "--json"][..], 1),
        (&["doctor", "nobody"], 2),
        (&["doctor", "--config", "missing.toml"], 1),
    ] {
        let output = tidegate(folder.path(), words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
    }
    // Who says which gateway is not answered by another process.
    let url = format!("http://{admin}");
    let output = tidegate(folder.path(), &["doctor", "hello", "--admin", &url]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn check_goes_the_road_only_where_it_is_to() {
    let (folder, _) = folder(VALID);
    let output = tidegate(folder.path(), &["check", "--live", "tidegate.toml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stdout);
    assert!(told.starts_with("tidegate.toml is valid\n"), "{told}");
    assert!(told.contains("bad  connect      refused: "), "{told}");
    assert!(!told.contains("\nmachine\n"), "{told}");
    let well = VALID.replace("[[routes]]\nname = \"app\"\nupstream = \"app\"\n", "");
    let well = well.replace(
        "[upstreams.app]\nendpoints = [{ address = \"127.0.0.1:9\" }]\n",
        "",
    );
    std::fs::write(folder.path().join("well.toml"), well).unwrap();
    let output = tidegate(folder.path(), &["check", "--live", "well.toml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_fails_together_is_listed_as_an_incident() {
    let gateway = Running::start();
    let none = gateway.asked(&["incidents"]);
    assert_eq!(text(&none.stdout), "no incident\n");
    for _ in 0..6 {
        gateway.get("/fails");
    }
    // It is looked for once a second; a look by the verb takes some milliseconds.
    let told = (0..2000).find_map(|_| {
        let told = gateway.asked(&["incidents", "--open", "--since", "10m"]);
        assert_eq!(told.status.code(), Some(0), "{told:?}");
        let told = text(&told.stdout).to_owned();
        (told != "no incident\n").then_some(told)
    });
    let told = told.expect("an incident");
    for part in [
        ", open, high\n",
        ", goes on\n",
        "where     upstream app, route app\n",
        "kinds     connection_refused (",
        "The service refused the connection. Cause: network; ",
        "Evidence\n",
        "tidegate explain ",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let json = gateway.asked(&["incidents", "--json"]);
    let all: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let id = all[0]["id"].as_str().unwrap();
    let one = gateway.asked(&["incidents", id]);
    assert!(
        text(&one.stdout).starts_with(&format!("incident  {id}, open")),
        "{one:?}"
    );
    let unknown = gateway.asked(&["incidents", "another"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stderr), "There is no such incident.\n");
}

#[test]
fn a_kind_of_fault_is_explained_without_a_gateway() {
    let (folder, _) = folder(VALID);
    let output = tidegate(folder.path(), &["explain", "--kind", "queue_full"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("connection_limit_reached/queue_full: "));
    let output = tidegate(folder.path(), &["explain", "--kind", "queue_ful"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did you mean `queue_full`?"));
    let output = tidegate(folder.path(), &["explain"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_second_signal_does_not_wait_for_what_runs() {
    let mut gateway = Running::start();
    // A body that never comes: the drain waits for it.
    let mut stream = TcpStream::connect(&gateway.web).unwrap();
    stream
        .write_all(b"POST /app HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n")
        .unwrap();
    gateway.signal(Signal::INT);
    // The listening socket closes when the drain has begun.
    while TcpStream::connect(&gateway.web).is_ok() {
        std::thread::yield_now();
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.code(), Some(3));
    let mut log = String::new();
    gateway.stderr.read_to_string(&mut log).unwrap();
    assert!(log.contains("second signal"), "{log}");
}

#[test]
fn o17_a_storm_of_hangups_and_a_broken_pipe_end_nothing_and_the_first_term_drains() {
    let mut running = Running::start();
    for _ in 0..200 {
        running.signal(Signal::HUP);
    }
    running.signal(Signal::PIPE);
    assert!(running.get("/hello").ends_with("hello"));
    running.signal(Signal::HUP);
    running.signal(Signal::TERM); // during the reload
    assert_eq!(running.code(), Some(0));
}

#[test]
fn check_shows_what_a_file_changes_against_another() {
    let (folder, _) = folder(VALID);
    let typo = VALID.replace("100/s", "1/s");
    std::fs::write(folder.path().join("next.toml"), typo).unwrap();
    let words = ["check", "next.toml", "--diff", "tidegate.toml"];
    let output = tidegate(folder.path(), &words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stdout);
    assert_eq!(
        told,
        "next.toml is valid\n\
         route hello\n  rate_limits.client_ip.rate: \"100/s\" -> \"1/s\"\n\
         touches hello\n"
    );
    let same = tidegate(
        folder.path(),
        &["check", "next.toml", "--diff", "next.toml"],
    );
    assert_eq!(text(&same.stdout), "next.toml is valid\nnothing changes\n");
    std::fs::write(folder.path().join("broken.toml"), "[nothing]\n").unwrap();
    let broken = tidegate(
        folder.path(),
        &["check", "next.toml", "--diff", "broken.toml"],
    );
    assert_eq!(broken.status.code(), Some(1));
    assert!(
        text(&broken.stderr).contains("broken.toml:1:2"),
        "{broken:?}"
    );
}
