//! What named files held the last time that they were right.
//!
//! A certificate whose files don't fit each other in the midst of their rotation, or are half written, stays what it
//! was, and so does an authority; the rest of what was read goes into force beside it.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use rustls::{RootCertStore, sign::CertifiedKey};
use sha2::{Digest, Sha256};

use super::{Files, Reader, Secret};
use crate::{
    config::{Template, problem::Problems},
    names::ListenerName,
};

/// SHA-256 of what decides about a thing.
pub(super) type Print = [u8; 32];

/// A certificate with its key.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) print: Print,
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) not_after: Option<i64>,
}

/// The authorities of one file.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    pub(super) print: Print,
    pub(super) store: Arc<RootCertStore>,
}

/// All that may have to stay, by the files that it came from.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) pairs: BTreeMap<(PathBuf, PathBuf), Pair>,
    pub(super) roots: BTreeMap<PathBuf, Roots>,
    pub(super) token: Option<(PathBuf, Secret)>,
    /// What routes answer with when nothing else can serve.
    pub(super) answers: BTreeMap<PathBuf, Bytes>,
    pub(super) page: Option<(PathBuf, Arc<Template>)>,
    /// Of the webhook.
    pub(super) hook_token: Option<(PathBuf, Secret)>,
    /// What decided about the TLS of listeners and upstreams.
    pub(super) servers: BTreeMap<String, Print>,
    pub(super) clients: BTreeMap<String, Print>,
}

/// A named file that is wrong, while what it held before stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The file; of a certificate and its key the certificate.
    pub file: PathBuf,
    /// What is wrong.
    pub why: String,
    /// Since when it was seen to be wrong.
    pub since: SystemTime,
}

/// A certificate that a listener shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Of which listener.
    pub listener: ListenerName,
    /// Its file.
    pub certificate: PathBuf,
    /// Until when it is valid, in seconds since 1970; `None` where it does not say.
    pub not_after: Option<i64>,
    /// Its files are wrong, and this is what they held before.
    pub stale: bool,
}

// === impl Reader ===

impl Reader<'_> {
    /// What `read` makes of `file`; where that is nothing, what was there `before`, which is noted.
    pub(super) fn or_before<T>(
        &mut self,
        file: &Path,
        before: impl FnOnce(&Files) -> Option<T>,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        let apart = Problems::default();
        let mut reader = Reader {
            problems: &apart,
            hash: mem::take(&mut self.hash),
            before: self.before,
            troubles: Vec::new(),
        };
        let found = read(&mut reader);
        self.hash = mem::take(&mut reader.hash);
        drop(reader);
        let problems = apart.into_inner();
        if found.is_none()
            && let Some(kept) = self.before.and_then(before)
        {
            let why: Vec<_> = problems
                .into_iter()
                .map(|problem| problem.message)
                .collect();
            let troubles = self.before.map_or(&[][..], |before| &before.troubles);
            let known = troubles.iter().find(|trouble| trouble.file == file);
            self.troubles.push(Trouble {
                file: file.to_path_buf(),
                why: why.join("; "),
                since: known.map_or_else(SystemTime::now, |trouble| trouble.since),
            });
            return Some(kept);
        }
        for problem in problems {
            self.problems.add(problem);
        }
        found
    }

    /// Whether what `file` holds is not in force.
    pub(super) fn is_troubled(&self, file: &Path) -> bool {
        self.troubles.iter().any(|trouble| trouble.file == file)
    }
}

/// The print of several parts, each told apart from the next.
pub(super) fn print_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Print {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
