//! The history on disk: an index, and each config once, by its hash. Everything is bounded, written whole, and read
//! with doubt: what is broken is left out with a warning, never fatal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Entry, History, MOST_BYTES, MOST_ENTRIES, Outcome};
use crate::{
    config::{self, ConfigHash},
    reload::{
        Trigger,
        disk::{self, Readable},
    },
};

/// The index.
const INDEX: &str = "history.json";
/// What it calls itself.
const KIND: &str = "tidegate history";
/// The form that is written; a later one is not read.
const VERSION: u32 = 1;
/// The largest index, in bytes.
const MOST_INDEX: u64 = 256 << 10;
/// Before and after the hash in the name of a config's file.
const NAMED: (&str, &str) = ("config-", ".toml");

/// The index.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    kind: String,
    version: u32,
    entries: Vec<Line>,
}

/// An entry without its file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    number: u64,
    /// Milliseconds since 1970.
    at_ms: u64,
    hash: Box<str>,
    asked: Trigger,
    #[serde(flatten)]
    outcome: Outcome,
}

/// What is kept in `dir`; nothing where that cannot be used. Blocks.
pub(in crate::reload) fn load(dir: &Path) -> History {
    let path = dir.join(INDEX);
    if !path.exists() {
        return History::default();
    }
    let page = config::read_bounded(&path, MOST_INDEX)
        .map_err(|error| error.reason())
        .and_then(|bytes| page_of(&bytes));
    match page {
        Ok(page) => history_of(dir, page),
        Err(why) => {
            tracing::warn!(file = %path.display(), why, "the history of configs cannot be read; it begins anew");
            History::default()
        }
    }
}

fn page_of(bytes: &[u8]) -> Result<Page, String> {
    let page: Page = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if page.kind == KIND && page.version == VERSION {
        Ok(page)
    } else {
        Err(format!(
            "it is a {} of version {}",
            page.kind.escape_debug(),
            page.version
        ))
    }
}

fn history_of(dir: &Path, page: Page) -> History {
    let mut texts: BTreeMap<Box<str>, Option<Arc<str>>> = BTreeMap::new();
    let mut history = History::default();
    let skipped = page.entries.len().saturating_sub(MOST_ENTRIES);
    let mut last = 0;
    for line in page.entries.into_iter().skip(skipped) {
        if line.number <= last || !is_hash(&line.hash) {
            continue; // nobody else writes such a one
        }
        last = line.number;
        let rejected = matches!(line.outcome, Outcome::Rejected(_));
        let text = (!rejected)
            .then(|| {
                let known = texts.entry(line.hash.clone());
                known.or_insert_with(|| text_of(dir, &line.hash)).clone()
            })
            .flatten();
        history.entries.push_back(Arc::new(Entry {
            number: line.number,
            at: UNIX_EPOCH + Duration::from_millis(line.at_ms.min(LATEST_MS)),
            hash: line.hash,
            asked: line.asked,
            outcome: line.outcome,
            text,
        }));
    }
    history.bound();
    history
}

/// The last moment that is taken for one: the end of the year 9999.
const LATEST_MS: u64 = 253_402_300_799_999;

/// The config of this hash, where its file is there and has it.
fn text_of(dir: &Path, hash: &str) -> Option<Arc<str>> {
    let bytes = config::read_bounded(&file_of(dir, hash), MOST_BYTES as u64).ok()?;
    let same = ConfigHash::of(&bytes).as_str() == hash;
    let text = String::from_utf8(bytes).ok()?;
    same.then(|| text.into())
}

/// Writes each history that is told to `dir`, and the last one at `stop`. A burst of them is one.
///
/// # Cancel safety
/// Dropped, what was written last is whole.
pub(in crate::reload) async fn follow(
    dir: PathBuf,
    mut told: watch::Receiver<Arc<History>>,
    stop: CancellationToken,
) {
    told.mark_changed(); // that this process began is written at once
    let mut failing = false;
    loop {
        let last = tokio::select! {
            biased; // news first: what was told before the stop is written
            changed = told.changed() => changed.is_err(),
            () = stop.cancelled() => true,
        };
        let (dir, history) = (dir.clone(), Arc::clone(&told.borrow_and_update()));
        let save = tokio::task::spawn_blocking(move || save(&dir, &history));
        match save
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
        {
            Ok(()) => failing = false,
            // Told once: a full disk is full for long.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the history of configs cannot be written");
            }
            Err(_) => {}
        }
        if last {
            return;
        }
    }
}

/// Writes `history` to `dir`: configs that are new there, then the index; then what the index does not name goes.
fn save(dir: &Path, history: &History) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut named = BTreeSet::new();
    for entry in &history.entries {
        let Some(text) = &entry.text else { continue };
        let file = file_of(dir, &entry.hash);
        if named.insert(entry.hash.clone()) && !file.exists() {
            disk::replace(&file, text.as_bytes(), Readable::ByOwner)?;
        }
    }
    let page = Page {
        kind: KIND.to_owned(),
        version: VERSION,
        entries: history
            .entries
            .iter()
            .map(|entry| Line::of(entry))
            .collect(),
    };
    disk::replace(
        &dir.join(INDEX),
        &serde_json::to_vec(&page)?,
        Readable::ByOwner,
    )?;
    for found in fs::read_dir(dir)? {
        let found = found?;
        let name = found.file_name();
        let hash = name.to_str().and_then(hash_in);
        if hash.is_some_and(|hash| !named.contains(hash)) {
            fs::remove_file(found.path())?;
        }
    }
    Ok(())
}

fn file_of(dir: &Path, hash: &str) -> PathBuf {
    dir.join(format!("{}{hash}{}", NAMED.0, NAMED.1))
}

/// The hash in the name of a config's file; `None` for all other files, which are left alone.
fn hash_in(name: &str) -> Option<&str> {
    let hash = name.strip_prefix(NAMED.0)?.strip_suffix(NAMED.1)?;
    (is_hash(hash) && !hash.is_empty()).then_some(hash)
}

/// Twelve hex digits, or nothing.
fn is_hash(text: &str) -> bool {
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    digits && matches!(text.len(), 0 | 12)
}

// === impl Line ===

impl Line {
    fn of(entry: &Entry) -> Self {
        Self {
            number: entry.number,
            at_ms: millis(entry.at),
            hash: entry.hash.clone(),
            asked: entry.asked,
            outcome: entry.outcome.clone(),
        }
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> History {
        let mut history = History::default();
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        for text in ["one", "two", "one"] {
            history.applied(
                at,
                &ConfigHash::of(text.as_bytes()),
                Trigger::Api,
                text.into(),
            );
        }
        history.rolled_back("it failed");
        history.rejected(at, None, Trigger::File, "it is not there");
        history
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        save(&dir, &sample()).unwrap();
        assert_eq!(load(&dir), sample());
        assert_eq!(files(&dir), 3, "an index and each config once");
    }

    #[test]
    fn configs_that_no_entry_names_are_removed_and_foreign_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        save(dir, &sample()).unwrap();
        fs::write(dir.join("config-mine.toml"), "kept").unwrap();
        let mut history = History::default();
        let text = "three";
        let hash = ConfigHash::of(text.as_bytes());
        history.applied(UNIX_EPOCH, &hash, Trigger::File, text.into());
        save(dir, &history).unwrap();
        assert_eq!(load(dir), history);
        assert_eq!(files(dir), 3);
        assert!(dir.join("config-mine.toml").exists());
    }

    #[test]
    fn an_index_that_is_broken_foreign_or_too_new_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join(INDEX);
        for change in [
            |text: &str| text[..text.len() / 2].to_owned(),
            |text: &str| text.replace(KIND, "another"),
            |text: &str| text.replace("\"version\":1", "\"version\":2"),
            |text: &str| format!("{text}{}", " ".repeat(1 << 20)),
        ] {
            save(folder.path(), &sample()).unwrap();
            let text = fs::read_to_string(&index).unwrap();
            fs::write(&index, change(&text)).unwrap();
            assert_eq!(load(folder.path()), History::default());
        }
    }

    #[test]
    fn a_config_that_was_tampered_with_is_not_taken_for_the_one_it_was() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &sample()).unwrap();
        let hash = ConfigHash::of(b"two");
        fs::write(file_of(folder.path(), hash.as_str()), "other").unwrap();
        let loaded = load(folder.path());
        assert_eq!(loaded.get(2).unwrap().text, None);
        assert!(loaded.get(1).unwrap().text.is_some());
    }

    #[test]
    fn a_hash_is_never_a_path() {
        assert!(is_hash("0123456789ab") && is_hash(""));
        for text in [
            "../../../etc",
            "0123456789AB",
            "0123456789a",
            "0123456789abc",
        ] {
            assert!(!is_hash(text), "{text}");
        }
    }
}
