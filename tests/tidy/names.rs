//! Names that say nothing are refused.

use std::path::{Path, PathBuf};

use crate::{
    none,
    source::{Source, is_word},
    tree,
};

/// A module of this name could hold anything.
const SAY_NOTHING: [&str; 10] = [
    "util", "utils", "helper", "helpers", "common", "manager", "data", "info", "misc", "context",
];

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let mut complaints = Vec::new();
    for folder in ["src", "tests", "benches"] {
        complaints.extend(
            tree::files(folder)
                .iter()
                .filter_map(|path| check_path(path)),
        );
        complaints.extend(tree::sources(folder).iter().flat_map(check_modules));
    }
    none(&complaints);
}

/// A file or folder whose name says nothing.
fn check_path(path: &Path) -> Option<String> {
    let rust = path.extension().is_some_and(|e| e == "rs");
    let stem = path.with_extension("");
    let empty = stem
        .iter()
        .filter_map(|part| part.to_str())
        .find(|part| SAY_NOTHING.contains(part));
    empty
        .filter(|_| rust)
        .map(|name| format!("{}: `{name}` says nothing", path.display()))
}

/// Modules declared inside a file.
fn check_modules(source: &Source) -> Vec<String> {
    source
        .words("mod")
        .filter_map(|at| {
            let rest = source.code[at + 3..].trim_start();
            let name: String = rest
                .bytes()
                .take_while(|b| is_word(*b))
                .map(char::from)
                .collect();
            SAY_NOTHING.contains(&name.as_str()).then(|| {
                format!(
                    "{}:{}: `mod {name}` says nothing",
                    source.path.display(),
                    source.line(at)
                )
            })
        })
        .collect()
}

#[test]
fn an_empty_name_is_found_in_paths_and_in_declarations() {
    assert!(check_path(&PathBuf::from("src/route/utils.rs")).is_some());
    assert!(check_path(&PathBuf::from("src/common/mod.rs")).is_some());
    assert!(check_path(&PathBuf::from("src/route/table.rs")).is_none());
    assert!(check_path(&PathBuf::from("src/admin/info.html")).is_none());
    let source = Source::new(
        "src/a/mod.rs".into(),
        "mod table;\npub(crate) mod helpers {}\n",
    );
    assert_eq!(
        check_modules(&source),
        ["src/a/mod.rs:2: `mod helpers` says nothing"]
    );
}
