//! The files of a clone, without what builds and package managers put beside them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::source::Source;

/// Folders that hold no source of ours.
const NOT_OURS: [&str; 6] = [
    ".git",
    ".venv",
    "node_modules",
    "target",
    "__pycache__",
    ".pytest_cache",
];

/// The root of the clone.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under `folder` (relative to the root), relative to the root, sorted.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    found
}

/// The text of a file of the clone; `None` where it is not UTF-8.
pub(crate) fn text(path: &Path) -> Option<String> {
    let bytes = fs::read(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8(bytes).ok()
}

/// All Rust files under `folder`.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    files(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let text = text(&path).expect("Rust is UTF-8");
            Source::new(path, &text)
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("a folder of the clone can be listed");
        let path = entry.path();
        let kind = entry.file_type().expect("an entry has a type");
        if NOT_OURS.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if kind.is_dir() {
            walk(&path, found);
        } else if kind.is_file() {
            let relative = path.strip_prefix(root()).expect("under the root");
            found.push(relative.to_owned());
        }
    }
}

#[test]
fn the_walk_finds_the_manifest_and_leaves_the_build_out() {
    let all = files("");
    assert!(all.contains(&PathBuf::from("Cargo.toml")));
    assert!(all.contains(&PathBuf::from("tests/tidy/tree.rs")));
    for folder in ["target", ".git"] {
        assert!(!all.iter().any(|path| path.starts_with(folder)), "{folder}");
    }
}
