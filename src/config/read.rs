//! A file -> everything: the text, the plan, and what the named files hold.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{
    Plan,
    compile::{self, Folder, Named},
    diagnostic::{Diagnostic, Diagnostics, Source},
    load::{self, Files},
    problem::{Code, Problem, Problems, Span},
    source::{self, MAX_CONFIG},
    syntax,
};

/// A config file that is right.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// What the files that it names hold.
    pub files: Files,
    /// The file itself.
    pub text: Arc<str>,
    /// Of the file's bytes.
    pub hash: ConfigHash,
    /// What is legal and probably not meant, in the file's order.
    pub warnings: Vec<Diagnostic>,
    named: Arc<Named>,
}

/// Another look at the files that a config names.
#[derive(Debug)]
pub struct AnotherLook {
    named: Arc<Named>,
    before: Files,
}

/// The first 12 hex digits of the SHA-256 of a config file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConfigHash(Box<str>);

/// Reads the config file at `path`, at most 1 MiB, and the files that it names.
///
/// Relative paths in it start at its folder. Blocks on the disk, and on nothing else.
///
/// # Errors
/// All that is wrong with the file, in its order.
pub fn read(path: &Path) -> Result<Loaded, Diagnostics> {
    read_file(path, None)
}

/// Like [`read`], where `before` is what is in force: certificates, authorities and the token whose files are wrong now
/// stay what they were there, see [`Files::troubles`].
///
/// # Errors
/// All else that is wrong with the file, in its order.
pub fn read_after(path: &Path, before: &Files) -> Result<Loaded, Diagnostics> {
    read_file(path, Some(before))
}

fn read_file(path: &Path, before: Option<&Files>) -> Result<Loaded, Diagnostics> {
    let file = path.display().to_string();
    let bytes = source::read_bounded(path, MAX_CONFIG).map_err(|error| {
        let message = format!("the config file cannot be read: {}", error.reason());
        Diagnostics::unreadable(file.clone(), Problem::whole(Code::Unreadable, message))
    })?;
    let hash = ConfigHash::of(&bytes);
    match text_of(bytes) {
        Ok(text) => read_text(&text, path, hash, before),
        Err(NotText::Encoding(problem)) => Err(Diagnostics::unreadable(file, *problem)),
        Err(NotText::Line(text, problem)) => {
            let source = Arc::new(Source::new(file, text));
            Err(Diagnostics::new(vec![Diagnostic::new(&source, *problem)]))
        }
    }
}

/// Like [`read`], with the text of the file at hand. `path` is where it came from: it gives the folder of
/// relative paths, and the name in diagnostics.
///
/// # Errors
/// All that is wrong with the text, in its order.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Diagnostics> {
    read_text(text, path, ConfigHash::of(text.as_bytes()), None)
}

/// Like [`parse`], where `before` is what is in force; see [`read_after`].
///
/// # Errors
/// All else that is wrong with the text, in its order.
pub fn parse_after(text: &str, path: &Path, before: &Files) -> Result<Loaded, Diagnostics> {
    read_text(text, path, ConfigHash::of(text.as_bytes()), Some(before))
}

/// The hash of the file at `path` as it is now; `None` where it cannot be read. Blocks on the disk.
#[must_use]
pub fn hash_of(path: &Path) -> Option<ConfigHash> {
    source::read_bounded(path, MAX_CONFIG)
        .ok()
        .map(|bytes| ConfigHash::of(&bytes))
}

fn read_text(
    text: &str,
    path: &Path,
    hash: ConfigHash,
    before: Option<&Files>,
) -> Result<Loaded, Diagnostics> {
    let whole = text;
    let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    let source = Arc::new(Source::new(path.display().to_string(), text.to_owned()));
    let folder = path.parent().unwrap_or(Path::new(""));
    let problems = Problems::default();
    let tables = syntax::tables(source.text(), &problems);
    let broken = problems.places(Code::Syntax);
    let compiled = compile::compile(&tables, Folder(folder), &problems);
    let files = load::load(&compiled.named, before, &problems);
    let (warnings, mut errors): (Vec<_>, Vec<_>) = problems
        .into_inner()
        .into_iter()
        .partition(|problem| problem.warning);
    if !broken.is_empty() {
        keep_certain(&source, &mut errors, &broken);
    }
    if !errors.is_empty() {
        return Err(Diagnostics::new(in_order(&source, errors)));
    }
    Ok(Loaded {
        plan: compiled.plan,
        files,
        text: whole.into(),
        hash,
        warnings: in_order(&source, warnings),
        named: Arc::new(compiled.named),
    })
}

/// Where a line could not be read, what seems missing may be on it: only what holds whatever that line says
/// is kept, and of the line itself only that it cannot be read.
fn keep_certain(source: &Source, errors: &mut Vec<Problem>, broken: &[Span]) {
    let lines: BTreeSet<u32> = broken.iter().map(|at| source.line_of(*at)).collect();
    errors.retain(|error| {
        let apart = error
            .at
            .is_some_and(|at| !lines.contains(&source.line_of(at)));
        error.code == Code::Syntax || (error.code.is_local() && apart)
    });
}

/// Problems in the file's order; those without a place first.
fn in_order(source: &Arc<Source>, mut problems: Vec<Problem>) -> Vec<Diagnostic> {
    problems.sort_by_key(|problem| problem.at.map(|at| (at.start, at.end)));
    problems
        .into_iter()
        .map(|problem| Diagnostic::new(source, problem))
        .collect()
}

/// Why bytes are not text.
enum NotText {
    /// As a whole.
    Encoding(Box<Problem>),
    /// At one place; with what can be shown of the text.
    Line(String, Box<Problem>),
}

fn text_of(bytes: Vec<u8>) -> Result<String, NotText> {
    let whole = |message| NotText::Encoding(Box::new(Problem::whole(Code::NotText, message)));
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(whole("the config file is UTF-16; save it as UTF-8"));
    }
    if bytes.contains(&0) {
        return Err(whole("the config file is not text: it holds zero bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        // Each wrong stretch becomes one character, so everything before it keeps its place.
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let at = Span {
            start,
            end: start + '\u{fffd}'.len_utf8(),
        };
        let message = "the config file is not UTF-8";
        NotText::Line(
            text,
            Box::new(Problem::error(
                Code::NotText,
                at,
                message,
                "not a character",
            )),
        )
    })
}

// === impl Loaded ===

impl Loaded {
    /// The paths of the files that it names.
    #[must_use]
    pub fn named_files(&self) -> BTreeSet<PathBuf> {
        self.named.paths()
    }

    /// Another look at them.
    #[must_use]
    pub fn another_look(&self) -> AnotherLook {
        AnotherLook {
            named: Arc::clone(&self.named),
            before: self.files.clone(),
        }
    }
}

// === impl AnotherLook ===

impl AnotherLook {
    /// What the files hold now, and what they held before where that is wrong; `None`: nothing has changed. Blocks on
    /// the disk.
    #[must_use]
    pub fn read(self) -> Option<Files> {
        let problems = Problems::default();
        let files = load::load(&self.named, Some(&self.before), &problems);
        let errors = problems.into_inner().into_iter();
        let usable = errors.filter(|problem| !problem.warning).count() == 0;
        (usable && files.fingerprint != self.before.fingerprint).then_some(files)
    }
}

// === impl ConfigHash ===

impl ConfigHash {
    /// The hash of a file's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let hex: String = digest
            .iter()
            .take(6)
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect();
        Self(hex.into())
    }

    /// The 12 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ConfigHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
