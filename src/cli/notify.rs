//! What systemd is told: ready, reloading, stopping, alive (sd_notify(3)). Nothing where it does not listen.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::reload::Status;

/// Where to tell it, and how often that this process lives.
#[derive(Debug)]
pub(super) struct Notify {
    line: Option<Line>,
    alive_each: Option<Duration>,
}

/// A socket that systemd, or a test, listens on.
#[derive(Debug, Clone)]
struct Line {
    socket: Arc<UnixDatagram>,
    to: SocketAddr,
}

/// What is told by itself while the gateway runs; dropped, it is told no more.
#[derive(Debug)]
pub(super) struct Telling {
    _tasks: TaskTracker,
    _stop: DropGuard,
}

// === impl Notify ===

impl Notify {
    /// As the environment says.
    pub(super) fn of_process() -> Self {
        let line = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let line = Line::to(&name);
            line.inspect_err(|error| tracing::warn!(%error, "NOTIFY_SOCKET cannot be used"))
                .ok()
        });
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let mine = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        // Twice as often as is asked for, as sd_watchdog_enabled(3) recommends.
        let alive_each = number("WATCHDOG_USEC")
            .filter(|micros| mine && *micros > 0)
            .map(|micros| Duration::from_micros(micros).div_f64(2.0));
        Self { line, alive_each }
    }

    /// This process serves, and is the one to be watched.
    pub(super) fn ready(&self, status: &str) {
        let pid = std::process::id();
        self.tell(&format!("READY=1\nMAINPID={pid}\nSTATUS={status}"));
    }

    /// The config is read again; [`Self::begin`] tells how that ended.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The process ends.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    /// From now on tells what becomes of each config, and that the runtime works.
    pub(super) fn begin(&self, status: watch::Receiver<Status>) -> Telling {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        if let Some(line) = self.line.clone() {
            tasks.spawn(follow(line.clone(), status, stop.clone()));
            if let Some(each) = self.alive_each {
                tasks.spawn(live(line, each, stop.clone()));
            }
        }
        Telling {
            _tasks: tasks,
            _stop: stop.drop_guard(),
        }
    }

    fn tell(&self, what: &str) {
        if let Some(line) = &self.line {
            line.tell(what);
        }
    }
}

/// Says what is in force whenever a config was read.
async fn follow(line: Line, mut status: watch::Receiver<Status>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
        let told = in_words(&status.borrow_and_update());
        line.tell(&format!("READY=1\nSTATUS={told}"));
    }
}

/// Says that tasks of the runtime run.
async fn live(line: Line, each: Duration, stop: CancellationToken) {
    let mut tick = tokio::time::interval(each);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => return,
            _ = tick.tick() => line.tell("WATCHDOG=1"),
        }
    }
}

/// What is in force, in a line.
pub(super) fn in_words(status: &Status) -> String {
    let config = &status.config;
    let refused = status
        .last
        .as_ref()
        .is_some_and(|last| !last.verdict.is_in_force());
    let and = if refused {
        "; the file's newest content is refused"
    } else {
        ""
    };
    format!(
        "serving, config {} (revision {}){and}",
        config.hash, config.revision
    )
}

// === impl Line ===

impl Line {
    /// A path, or `@` and an abstract name.
    fn to(name: &OsStr) -> io::Result<Self> {
        let to = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(OsString::from(name))?,
        };
        let socket = UnixDatagram::unbound()?;
        // Nobody who listens slowly stops a gateway.
        socket.set_nonblocking(true)?;
        let socket = Arc::new(socket);
        Ok(Self { socket, to })
    }

    fn tell(&self, what: &str) {
        if let Err(error) = self.socket.send_to_addr(what.as_bytes(), &self.to) {
            tracing::debug!(%error, "systemd cannot be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listening: &UnixDatagram) -> String {
        listening
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut bytes = [0; 512];
        let count = listening.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    fn to(name: &OsStr, alive_each: Option<Duration>) -> Notify {
        let line = Some(Line::to(name).unwrap());
        Notify { line, alive_each }
    }

    #[test]
    fn it_is_told_by_a_path_and_by_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listening = UnixDatagram::bind(&path).unwrap();
        to(path.as_os_str(), None).ready("well");
        let wanted = format!("READY=1\nMAINPID={}\nSTATUS=well", std::process::id());
        assert_eq!(heard(&listening), wanted);
        let name = format!("tidegate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listening = UnixDatagram::bind_addr(&address).unwrap();
        let notify = to(OsStr::new(&format!("@{name}")), None);
        notify.reloading();
        let told = heard(&listening);
        let micros = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0, "{told}");
    }

    #[test]
    fn nobody_who_listens_is_no_error() {
        to(OsStr::new("/nowhere/at/all"), None).stopping();
        let line = None;
        Notify {
            line,
            alive_each: None,
        }
        .stopping();
    }
}
