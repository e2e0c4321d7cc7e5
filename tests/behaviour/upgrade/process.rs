//! The built program as a process, and those that take over from it.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    thread::JoinHandle,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{client, gateway::complete, until};

/// A process, its heirs, and what they all write to standard error. Dropped, all are killed.
pub struct Process {
    pub web: SocketAddr,
    pub admin: SocketAddr,
    first: Mutex<Child>,
    folder: TempDir,
    log: Log,
}

type Log = Arc<Mutex<String>>;

/// What became of a start.
pub enum Started {
    Runs(Box<Process>),
    /// With this code, and this said.
    Ended(Option<i32>, String),
}

/// A folder for one process.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Starts the program, by a link in its folder, until it serves or ends.
pub fn launch(folder: TempDir, toml: &str, more: impl FnOnce(&mut Command)) -> Started {
    let file = folder.path().join("tidegate.toml");
    std::fs::write(&file, complete(toml)).expect("written");
    let program = folder.path().join("tidegate");
    symlink(env!("CARGO_BIN_EXE_tidegate"), &program).expect("linked");
    let mut command = Command::new(&program);
    command
        .args(["run", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for variable in [
        "TIDEGATE_ADMIN",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "LISTEN_FDS",
    ] {
        command.env_remove(variable);
    }
    more(&mut command);
    let mut child = command.spawn().expect("it starts");
    drop(command);
    let (log, reader) = follow(&mut child);
    loop {
        if let (Some(web), Some(admin)) = (listening(&log, "web"), listening(&log, "admin")) {
            let first = Mutex::new(child);
            return Started::Runs(Box::new(Process {
                web,
                admin,
                first,
                folder,
                log,
            }));
        }
        if let Some(status) = child.try_wait().expect("asked") {
            reader.join().expect("read");
            let said = log.lock().clone();
            return Started::Ended(status.code(), said);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Reads what it and its heirs say, to the end.
fn follow(child: &mut Child) -> (Log, JoinHandle<()>) {
    let log = Log::default();
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let written = Arc::clone(&log);
    let reader = std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let mut log = written.lock();
            log.push_str(&line);
            log.push('\n');
        }
    });
    (log, reader)
}

/// Where a listener was last said to listen.
fn listening(log: &Log, name: &str) -> Option<SocketAddr> {
    let start = format!("listening name={name} address=");
    let log = log.lock();
    let line = log.lines().rev().find_map(|line| line.strip_prefix(&start));
    line.map(|address| address.parse().expect("an address"))
}

/// Whether a process runs. One that nobody reaps does not.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        !state.starts_with(['Z', 'X'])
    })
}

/// Sends a signal. Who has ended needs none.
pub fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("small")).expect("an id");
    let _ = kill_process(pid, signal);
}

impl Process {
    pub async fn start(toml: &str) -> Self {
        Self::start_with(folder(), toml, |_| {}).await
    }

    #[expect(clippy::unused_async, reason = "it needs a runtime, and says so")]
    pub async fn start_with(folder: TempDir, toml: &str, more: impl FnOnce(&mut Command)) -> Self {
        match launch(folder, toml, more) {
            Started::Runs(process) => *process,
            Started::Ended(code, log) => panic!("it ended with {code:?}:\n{log}"),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Waits until this was said.
    pub async fn logged(&self, what: &str) {
        until(what, || self.log().contains(what)).await;
    }

    /// Where a listener listens, once that was said.
    pub async fn address(&self, name: &str) -> SocketAddr {
        until("it is said to listen", || {
            listening(&self.log, name).is_some()
        })
        .await;
        listening(&self.log, name).expect("said")
    }

    /// The id of the process that answers at the admin listener.
    pub async fn pid(&self) -> u32 {
        let status = client::admin(self.admin, "/api/v1/status").await.text();
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        let pid = status["pid"].as_u64().expect("an id");
        u32::try_from(pid).expect("small")
    }

    /// Waits until another one than `before` answers alone, and says which.
    pub async fn succeeded(&self, before: u32) -> u32 {
        let waiting = async {
            let mut in_a_row = 0;
            loop {
                let pid = self.pid().await;
                in_a_row = if pid == before { 0 } else { in_a_row + 1 };
                if in_a_row == 3 {
                    return pid;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let heir = tokio::time::timeout(client::GENEROUS, waiting).await;
        heir.unwrap_or_else(|_| panic!("nobody took over from {before}:\n{}", self.log()))
    }

    /// Runs a verb that asks its admin listener.
    pub async fn verb(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(words).arg("--admin");
        command.arg(format!("http://{}", self.admin));
        let asking = tokio::task::spawn_blocking(move || command.output());
        asking.await.expect("no panic").expect("it runs")
    }

    /// Puts another config in the place of its file.
    pub fn write(&self, toml: &str) {
        let beside = self.folder().join("beside");
        std::fs::write(&beside, complete(toml)).expect("written");
        std::fs::rename(beside, self.folder().join("tidegate.toml")).expect("renamed");
    }

    fn program(&self) -> PathBuf {
        self.folder().join("tidegate")
    }

    /// Puts a script in the place of its program.
    pub fn replace_program(&self, script: &str) {
        let beside = self.folder().join("script");
        std::fs::write(&beside, script).expect("written");
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&beside, mode).expect("set");
        std::fs::rename(beside, self.program()).expect("renamed");
    }

    /// Puts the program where the script was.
    pub fn restore_program(&self) {
        let beside = self.folder().join("link");
        symlink(env!("CARGO_BIN_EXE_tidegate"), &beside).expect("linked");
        std::fs::rename(beside, self.program()).expect("renamed");
    }

    /// Waits until the first one has ended, and says how.
    pub async fn first_ended(&self) -> Option<i32> {
        let ended = || {
            let mut first = self.first.lock();
            first.try_wait().expect("asked").is_some()
        };
        until("the first one ends", ended).await;
        let mut first = self.first.lock();
        first.wait().expect("ended").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever was started with its file is it, or one of its heirs.
        let file = self.folder().join("tidegate.toml");
        let file = file.to_string_lossy().into_owned();
        for found in std::fs::read_dir("/proc").expect("processes").flatten() {
            let words = std::fs::read(found.path().join("cmdline")).unwrap_or_default();
            let own = String::from_utf8_lossy(&words)
                .split('\0')
                .any(|word| word == file);
            if let (true, Ok(pid)) = (own, found.file_name().to_string_lossy().parse()) {
                kill(pid, Signal::KILL);
            }
        }
        let _ = self.first.get_mut().wait();
    }
}
