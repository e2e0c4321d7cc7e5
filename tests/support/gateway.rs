//! A gateway in this process, on ports of its own.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tempfile::TempDir;
use tidegate::{
    admission::{Signals, SystemSignals},
    cli::gateway::Gateway,
    config,
};

use super::{client, until};

/// A running gateway and the file it was started with.
pub struct TestGateway {
    pub web: SocketAddr,
    pub admin: SocketAddr,
    pub gateway: Gateway,
    folder: TempDir,
}

impl TestGateway {
    /// Starts with `toml`, to which `[admin]` and a listener `web` on port 0 are added where they are missing.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and says so")]
    pub async fn start(toml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, toml)
    }

    /// The same, where `signals` say how this process is.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and says so")]
    pub async fn start_with(toml: &str, signals: impl Signals + 'static) -> Self {
        Self::start_of(tempfile::tempdir().expect("a folder"), toml, signals)
    }

    /// The same, in a folder that already holds named files.
    pub fn start_in(folder: TempDir, toml: &str) -> Self {
        Self::start_of(folder, toml, SystemSignals::new())
    }

    fn start_of(folder: TempDir, toml: &str, signals: impl Signals + 'static) -> Self {
        let path = folder.path().join("tidegate.toml");
        std::fs::write(&path, complete(toml)).expect("written");
        let loaded = config::read(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let gateway = Gateway::start_with(loaded, Some(path), signals).expect("it starts");
        let web = gateway.address("web").expect("a listener named web");
        let admin = gateway.address("admin").expect("an admin listener");
        Self {
            web,
            admin,
            gateway,
            folder,
        }
    }

    /// Where its file is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// Writes another file in its place, as an editor does: beside it, then renamed over it.
    pub fn write(&self, toml: &str) {
        let beside = self.folder.path().join(".tidegate.toml.swp");
        std::fs::write(&beside, complete(toml)).expect("written");
        std::fs::rename(&beside, self.path()).expect("renamed");
    }

    /// Writes another file and waits until it is in force.
    pub async fn reload(&self, toml: &str) {
        self.write(toml);
        let hash = config::ConfigHash::of(complete(toml).as_bytes());
        until("the new file is in force", || {
            self.gateway.snapshot().config.hash == hash
        })
        .await;
    }

    /// Ends it as SIGTERM does, and starts another in its place, with the same file and folder.
    pub async fn restart(self) -> Self {
        let toml = std::fs::read_to_string(self.path()).expect("its file");
        let Self {
            gateway, folder, ..
        } = self;
        gateway.drain(Duration::ZERO, client::GENEROUS).await;
        Self::start_in(folder, &toml)
    }

    /// What `/metrics` says of the series that begins with `series`; 0 where it is not there.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = client::admin(self.admin, "/metrics").await.text();
        text.lines()
            .find_map(|line| {
                line.strip_prefix(series)
                    .filter(|rest| rest.starts_with(' '))
            })
            .map_or(0.0, |value| value.trim().parse().expect("a number"))
    }
}

/// `toml` with what every test needs and most don't care about.
pub fn complete(toml: &str) -> String {
    let mut text = String::new();
    if !toml.contains("[admin]") {
        text.push_str("[admin]\nbind = \"127.0.0.1:0\"\n");
    }
    if !toml.contains("[log]") {
        text.push_str("[log]\naccess = \"off\"\n");
    }
    if !toml.contains("[[listeners]]") {
        text.push_str("[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n");
    }
    text.push_str(toml);
    text
}
