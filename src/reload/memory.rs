//! What limits have learned, through restarts: one file in `[history] dir`, written each [`EVERY`] and at the end.
//!
//! It is a help and never a condition: a file that is missing, broken, of another kind or too old means that limits
//! begin as they do without it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::disk::{self, Readable};
use crate::{
    config,
    snapshot::{FORGOTTEN, Remembered, Snapshot},
};

/// How often what was learned is written down.
const EVERY: Duration = Duration::from_secs(10);
/// The file's name.
const FILE: &str = "limits.json";
/// What the file calls itself.
const KIND: &str = "tidegate limits";
/// The form that is written; a later one is not read.
const VERSION: u32 = 1;
/// The largest file, in bytes.
const MOST_BYTES: usize = 4 << 20;
/// The most endpoints in it.
const MOST_ENDPOINTS: usize = 4096;
/// Clocks of one machine differ by no more from one start to the next.
const CLOCK_STEP: Duration = Duration::from_secs(60);

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    kind: String,
    version: u32,
    /// Milliseconds since 1970.
    saved_at_ms: u64,
    endpoints: Vec<Remembered>,
}

/// What limits of another process have learned, and how long ago.
#[derive(Debug)]
pub struct Learned {
    pub(super) endpoints: Vec<Remembered>,
    pub(super) ago: Duration,
}

/// Why a file is not used.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// It is not such a file.
    Broken(String),
    /// A later program wrote it.
    Version(u32),
    /// It comes from the future.
    Future,
    /// It is older than [`FORGOTTEN`]. Nothing is wrong with it.
    Old,
}

/// What was written down in `dir`, and how long ago; `None` where nothing usable is there. Blocks.
pub(super) fn read(dir: &Path, now: SystemTime) -> Option<Learned> {
    let path = dir.join(FILE);
    if !path.exists() {
        return None;
    }
    let page = config::read_bounded(&path, MOST_BYTES as u64)
        .map_err(|error| Unusable::Broken(error.reason()))
        .and_then(|bytes| parse(&bytes, now));
    match page {
        Ok(Learned { endpoints, ago }) => {
            let (count, seconds) = (endpoints.len(), ago.as_secs());
            tracing::info!(
                endpoints = count,
                seconds_ago = seconds,
                "limits begin where they were"
            );
            Some(Learned { endpoints, ago })
        }
        Err(Unusable::Old) => None,
        Err(why) => {
            tracing::warn!(file = %path.display(), why = %why.text(), "what limits had learned cannot be used; they begin anew");
            None
        }
    }
}

// === impl Learned ===

impl Learned {
    /// What the limits in force have learned, for another process.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn bytes_of(snapshot: &Snapshot) -> io::Result<Vec<u8>> {
        page(snapshot.remember(), SystemTime::now())
    }

    /// Reads what another process wrote; `None` where it cannot be used, which is told.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match parse(bytes, SystemTime::now()) {
            Ok(learned) => Some(learned),
            Err(why) => {
                tracing::warn!(why = %why.text(), "what limits had learned cannot be used; they begin anew");
                None
            }
        }
    }
}

/// What `bytes` hold, and how long before `now` that was.
fn parse(bytes: &[u8], now: SystemTime) -> Result<Learned, Unusable> {
    let broken = |error: serde_json::Error| Unusable::Broken(error.to_string());
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(broken)?;
    if json.get("kind").and_then(serde_json::Value::as_str) != Some(KIND) {
        return Err(Unusable::Broken("it is another kind of file".to_owned()));
    }
    let version = json.get("version").and_then(serde_json::Value::as_u64);
    let version = version.and_then(|version| u32::try_from(version).ok());
    match version {
        Some(VERSION) => {}
        Some(later) => return Err(Unusable::Version(later)),
        None => return Err(Unusable::Broken("it has no version".to_owned())),
    }
    let page: Page = serde_json::from_value(json).map_err(broken)?;
    let saved = UNIX_EPOCH
        .checked_add(Duration::from_millis(page.saved_at_ms))
        .ok_or(Unusable::Future)?;
    let ago = match now.duration_since(saved) {
        Ok(ago) => ago,
        Err(ahead) if ahead.duration() <= CLOCK_STEP => Duration::ZERO,
        Err(_) => return Err(Unusable::Future),
    };
    if ago >= FORGOTTEN {
        return Err(Unusable::Old);
    }
    let sound = page.endpoints.into_iter().filter(Remembered::is_sound);
    Ok(Learned {
        endpoints: sound.take(MOST_ENDPOINTS).collect(),
        ago,
    })
}

/// Writes down what the limits in force have learned, each [`EVERY`] and once more at `stop`.
///
/// # Cancel safety
/// Dropped, the file is as it was written last.
pub(super) async fn remember(
    snapshot: Arc<ArcSwap<Snapshot>>,
    dir: PathBuf,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let last = tokio::select! {
            biased; // stop first
            () = stop.cancelled() => true,
            _ = tick.tick() => false,
        };
        let (snapshot, dir) = (snapshot.load_full(), dir.clone());
        let write = move || write(&dir, snapshot.remember(), SystemTime::now());
        let written = match tokio::task::spawn_blocking(write).await {
            Ok(written) => written,
            Err(error) => Err(io::Error::other(error)),
        };
        match written {
            Ok(()) => failing = false,
            // Told once: a full disk is full for long.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "what limits have learned cannot be written down");
            }
            Err(_) => {}
        }
        if last {
            return;
        }
    }
}

/// Writes `endpoints` to the file in `dir`: at most [`MOST_ENDPOINTS`], in at most [`MOST_BYTES`]. Blocks.
fn write(dir: &Path, endpoints: Vec<Remembered>, now: SystemTime) -> io::Result<()> {
    let bytes = page(endpoints, now)?;
    fs::create_dir_all(dir)?;
    disk::replace(&dir.join(FILE), &bytes, Readable::ByOwner)
}

/// The file with `endpoints`.
fn page(mut endpoints: Vec<Remembered>, now: SystemTime) -> io::Result<Vec<u8>> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    endpoints.truncate(MOST_ENDPOINTS);
    let mut page = Page {
        kind: KIND.to_owned(),
        version: VERSION,
        saved_at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        endpoints,
    };
    let mut bytes = serde_json::to_vec(&page)?;
    while bytes.len() > MOST_BYTES {
        page.endpoints.truncate(page.endpoints.len() / 2);
        bytes = serde_json::to_vec(&page)?;
    }
    Ok(bytes)
}

// === impl Unusable ===

impl Unusable {
    fn text(&self) -> String {
        match self {
            Self::Broken(why) => why.clone(),
            Self::Version(version) => {
                format!("it has version {version}, this program knows version {VERSION}")
            }
            Self::Future => "it comes from the future".to_owned(),
            Self::Old => "it is too old".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn at(now: Duration) -> SystemTime {
        UNIX_EPOCH + now
    }

    fn endpoint(port: u16) -> Remembered {
        Remembered {
            upstream: "up".to_owned(),
            address: ([127, 0, 0, 1], port).into(),
            limit: 16.5,
            belief: None,
        }
    }

    fn pair(learned: Option<Learned>) -> Option<(Vec<Remembered>, Duration)> {
        learned.map(|learned| (learned.endpoints, learned.ago))
    }

    /// What a file written at [`NOW`] and changed by `change` gives `later`.
    fn read_of(
        later: Duration,
        change: impl Fn(&str) -> String,
    ) -> Option<(Vec<Remembered>, Duration)> {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        write(&dir, vec![endpoint(1), endpoint(2)], at(NOW)).unwrap();
        let text = fs::read_to_string(dir.join(FILE)).unwrap();
        fs::write(dir.join(FILE), change(&text)).unwrap();
        pair(read(&dir, at(NOW + later)))
    }

    #[test]
    fn what_was_written_is_read_with_its_age() {
        let later = Duration::from_secs(7);
        assert_eq!(
            read_of(later, str::to_owned),
            Some((vec![endpoint(1), endpoint(2)], later))
        );
    }

    #[test]
    fn what_is_an_hour_old_is_forgotten() {
        let nearly = FORGOTTEN.saturating_sub(Duration::from_secs(1));
        assert!(read_of(nearly, str::to_owned).is_some());
        assert_eq!(read_of(FORGOTTEN, str::to_owned), None);
    }

    #[test]
    fn a_file_that_is_broken_foreign_too_new_or_huge_is_not_used() {
        type Change = fn(&str) -> String;
        let changes: [(&str, Change); 6] = [
            ("half", |text| text[..text.len() / 2].to_owned()),
            ("empty", |_| String::new()),
            ("foreign", |text| text.replace(KIND, "another")),
            ("too new", |text| {
                text.replace("\"version\":1", "\"version\":2")
            }),
            ("wrong", |text| text.replace("16.5", "\"many\"")),
            ("huge", |text| format!("{text}{}", " ".repeat(MOST_BYTES))),
        ];
        for (what, change) in changes {
            assert_eq!(read_of(Duration::ZERO, change), None, "{what}");
        }
        assert!(read(Path::new("/nowhere/at/all"), at(NOW)).is_none());
    }

    #[test]
    fn a_file_from_the_future_is_not_used_but_a_clock_may_step_back() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), vec![endpoint(1)], at(NOW)).unwrap();
        let early = |seconds| {
            let then = NOW.saturating_sub(Duration::from_secs(seconds));
            pair(read(folder.path(), at(then)))
        };
        assert_eq!(early(30), Some((vec![endpoint(1)], Duration::ZERO)));
        assert_eq!(early(300), None);
    }

    #[test]
    fn an_endpoint_with_senseless_numbers_is_left_out_alone() {
        let read = read_of(Duration::ZERO, |text| text.replacen("16.5", "-1.0", 1));
        assert_eq!(read.unwrap().0, [endpoint(2)]);
    }

    #[test]
    fn what_is_written_never_outgrows_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let long = |port| Remembered {
            upstream: "u".repeat(8000),
            ..endpoint(port)
        };
        write(folder.path(), (1..2000).map(long).collect(), at(NOW)).unwrap();
        let Learned { endpoints, .. } = read(folder.path(), at(NOW)).unwrap();
        assert!(
            (100..2000).contains(&endpoints.len()),
            "{}",
            endpoints.len()
        );
    }
}
