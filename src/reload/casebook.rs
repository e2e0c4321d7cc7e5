//! Requests that failed, and incidents, through restarts: two files in `[history] dir`, written where anything is new,
//! at most each [`EVERY`], and at the end.
//!
//! They are a help and never a condition: a file that is missing, broken or of another kind means that a start knows
//! nothing of what was before.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::disk::{self, Readable};
use crate::{
    config,
    telemetry::{Case, Incident, Telemetry},
};

/// How often it is looked whether anything is new.
const EVERY: Duration = Duration::from_secs(5);
/// For so many bytes written the next look is put off by [`EVERY`] more, so that a flood does not keep the disk busy.
const BYTES_A_TURN: usize = 2 << 20;
/// The form that is written; a later one is not read.
const VERSION: u32 = 1;
/// A clock may have been set back by so much since.
const CLOCK_STEP: Duration = Duration::from_secs(60);

/// A file: its name, what it calls itself, and its largest size in bytes.
#[derive(Debug, Clone, Copy)]
struct Book {
    file: &'static str,
    kind: &'static str,
    most_bytes: usize,
}

const CASES: Book = Book {
    file: "cases.json",
    kind: "tidegate cases",
    most_bytes: 32 << 20,
};
const INCIDENTS: Book = Book {
    file: "incidents.json",
    kind: "tidegate incidents",
    most_bytes: 4 << 20,
};

#[derive(Debug, Serialize, Deserialize)]
struct Page<T> {
    kind: String,
    version: u32,
    /// The newest first.
    entries: Vec<T>,
}

/// What is in the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    cases: u64,
    incidents: u64,
}

/// Takes in what is kept in `dir`. Blocks.
pub(super) fn recall(dir: &Path, telemetry: &Telemetry, now: Instant, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default() + CLOCK_STEP;
    let latest_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let mut cases: Vec<Case> = CASES.read(dir);
    cases.retain(|case| case.at_ms <= latest_ms);
    let mut incidents: Vec<Incident> = INCIDENTS.read(dir);
    incidents.retain(|incident| incident.last_fault_ms <= latest_ms);
    let count = (cases.len(), incidents.len());
    if count != (0, 0) {
        tracing::info!(
            cases = count.0,
            incidents = count.1,
            "failed requests and incidents of before are known"
        );
    }
    telemetry.cases().restore(cases);
    telemetry.incidents().restore(incidents, now);
}

/// Writes what is new to `dir`, and once more at `stop`.
///
/// # Cancel safety
/// Dropped, each file is as it was written last.
pub(super) async fn follow(dir: PathBuf, telemetry: Arc<Telemetry>, stop: CancellationToken) {
    let mut tick = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written = Written::default(); // a folder that is new here has none of it
    let mut failing = false;
    loop {
        let last = tokio::select! {
            biased; // stop first
            () = stop.cancelled() => true,
            _ = tick.tick() => false,
        };
        let (to, of) = (dir.clone(), Arc::clone(&telemetry));
        let write = move || write(&to, &of, written);
        let done = tokio::task::spawn_blocking(write).await;
        match done.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok((now, bytes)) => {
                (written, failing) = (now, false);
                let more = u32::try_from(bytes / BYTES_A_TURN).unwrap_or(u32::MAX);
                tick.reset_after(EVERY.saturating_mul(more.saturating_add(1)));
            }
            // Told once: a full disk is full for long.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "failed requests and incidents cannot be written down");
            }
            Err(_) => {}
        }
        if last {
            return;
        }
    }
}

/// Writes what is newer than `written`; what is in the files then, and how many bytes that took. Blocks.
fn write(dir: &Path, telemetry: &Telemetry, written: Written) -> io::Result<(Written, usize)> {
    let now = Written::now(telemetry);
    let mut bytes = 0;
    if now.cases != written.cases {
        bytes += CASES.write(dir, telemetry.cases().all())?;
    }
    if now.incidents != written.incidents {
        let incidents = telemetry.incidents().all(telemetry.cases());
        bytes += INCIDENTS.write(dir, incidents)?;
    }
    Ok((now, bytes))
}

// === impl Written ===

impl Written {
    fn now(telemetry: &Telemetry) -> Self {
        Self {
            cases: telemetry.cases().version(),
            incidents: telemetry.incidents().version(),
        }
    }
}

// === impl Book ===

impl Book {
    /// What is in it, the newest first; nothing where it cannot be used.
    fn read<T: DeserializeOwned>(self, dir: &Path) -> Vec<T> {
        let path = dir.join(self.file);
        if !path.exists() {
            return Vec::new();
        }
        let page = config::read_bounded(&path, self.most_bytes as u64)
            .map_err(|error| error.reason())
            .and_then(|bytes| self.parse(&bytes));
        page.unwrap_or_else(|why| {
            tracing::warn!(file = %path.display(), why, "what was kept cannot be used; it begins anew");
            Vec::new()
        })
    }

    fn parse<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<Vec<T>, String> {
        /// What is known of a file of any kind and version.
        #[derive(Deserialize)]
        struct Head {
            kind: String,
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if head.kind != self.kind || head.version != VERSION {
            let kind = head.kind.escape_debug();
            return Err(format!("it is a {kind} of version {}", head.version));
        }
        let page: Page<T> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        Ok(page.entries)
    }

    /// Writes as many of `entries` as fit, the newest first; how many bytes that took.
    fn write<T: Serialize>(self, dir: &Path, entries: Vec<T>) -> io::Result<usize> {
        let mut page = Page {
            kind: self.kind.to_owned(),
            version: VERSION,
            entries,
        };
        let mut bytes = serde_json::to_vec(&page)?;
        while bytes.len() > self.most_bytes {
            page.entries.truncate(page.entries.len() / 2);
            bytes = serde_json::to_vec(&page)?;
        }
        fs::create_dir_all(dir)?;
        disk::replace(&dir.join(self.file), &bytes, Readable::ByOwner)?;
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Book = Book {
        file: "small.json",
        kind: "tidegate small",
        most_bytes: 200,
    };

    #[test]
    fn what_was_written_is_read_and_of_too_much_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        assert!(SMALL.read::<u32>(&dir).is_empty());
        SMALL.write(&dir, vec![3, 2, 1]).unwrap();
        assert_eq!(SMALL.read::<u32>(&dir), [3, 2, 1]);
        SMALL.write(&dir, (0..1000_u32).rev().collect()).unwrap();
        let read = SMALL.read::<u32>(&dir);
        assert_eq!(read[..2], [999, 998]);
        assert!(read.len() < 60, "{}", read.len());
    }

    #[test]
    fn a_file_that_is_broken_foreign_too_new_or_huge_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SMALL.file);
        for change in [
            |text: &str| text[..text.len() / 2].to_owned(),
            |_: &str| String::new(),
            |text: &str| text.replace(SMALL.kind, "another"),
            |text: &str| text.replace("\"version\":1", "\"version\":2"),
            |text: &str| text.replace('7', "\"seven\""),
            |text: &str| format!("{text}{}", " ".repeat(SMALL.most_bytes)),
        ] {
            SMALL.write(folder.path(), vec![7]).unwrap();
            assert_eq!(SMALL.read::<u32>(folder.path()), [7]);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, change(&text)).unwrap();
            assert!(SMALL.read::<u32>(folder.path()).is_empty(), "{text}");
        }
    }
}
