//! Which room may import which.

use std::path::Path;

use crate::{none, source::Source, tree};

/// A room, and the rooms that it may import. Every row names only rows above it, so there is no cycle.
type Row = (&'static str, &'static [&'static str]);

/// The table. A new arrow is a reviewed change here.
const ROOMS: &[Row] = &[
    ("names", &[]),
    ("fault", &["names"]),
    ("telemetry", &["names", "fault"]),
    ("config", &["names"]),
    ("route", &["names", "config"]),
    ("balance", &["names", "config"]),
    ("admission", &["names", "fault", "telemetry", "config"]),
    ("health", &["names", "telemetry", "config"]),
    ("resolve", &["names", "fault", "telemetry", "config"]),
    (
        "pool",
        &[
            "names",
            "fault",
            "telemetry",
            "config",
            "balance",
            "health",
            "resolve",
        ],
    ),
    (
        "upstream",
        &["names", "fault", "telemetry", "config", "health", "pool"],
    ),
    ("fleet", &["names", "telemetry", "config", "admission"]),
    ("respond", &["names", "fault", "telemetry", "config"]),
    (
        "snapshot",
        &[
            "names",
            "telemetry",
            "config",
            "route",
            "balance",
            "admission",
            "health",
            "resolve",
            "pool",
            "upstream",
            "fleet",
            "respond",
        ],
    ),
    (
        "proxy",
        &[
            "names",
            "fault",
            "telemetry",
            "config",
            "route",
            "balance",
            "admission",
            "pool",
            "upstream",
            "respond",
            "snapshot",
        ],
    ),
    ("reload", &["names", "telemetry", "config", "snapshot"]),
    (
        "listener",
        &["names", "fault", "telemetry", "config", "snapshot", "proxy"],
    ),
    (
        "doctor",
        &[
            "names",
            "telemetry",
            "config",
            "route",
            "admission",
            "health",
            "resolve",
            "pool",
            "upstream",
            "snapshot",
            "listener",
        ],
    ),
    (
        "admin",
        &[
            "names",
            "fault",
            "telemetry",
            "config",
            "admission",
            "health",
            "pool",
            "snapshot",
            "reload",
            "doctor",
        ],
    ),
    (
        "cli",
        &[
            "names",
            "fault",
            "telemetry",
            "config",
            "route",
            "balance",
            "admission",
            "health",
            "resolve",
            "pool",
            "upstream",
            "fleet",
            "respond",
            "snapshot",
            "proxy",
            "reload",
            "listener",
            "doctor",
            "admin",
        ],
    ),
];

#[test]
fn rooms_import_only_what_their_row_allows() {
    let complaints: Vec<String> = tree::sources("src")
        .iter()
        .flat_map(|source| check(source, ROOMS))
        .collect();
    none(&complaints);
}

#[test]
fn every_row_names_only_rows_above_it() {
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        for name in *allowed {
            assert!(
                ROOMS[..index].iter().any(|(above, _)| above == name),
                "the row of `{room}` names `{name}`, which is not above it"
            );
        }
    }
}

/// Every path of `source` into a room that its row does not allow.
fn check(source: &Source, rooms: &[Row]) -> Vec<String> {
    let Some(room) = room_of(&source.path) else {
        return Vec::new();
    };
    let Some((_, allowed)) = rooms.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{}: `{room}` has no row in the table of rooms",
            source.path.display()
        )];
    };
    reached(source)
        .into_iter()
        .filter(|(_, other)| *other != room && !allowed.contains(&other.as_str()))
        .map(|(at, other)| {
            format!(
                "{}:{}: `{room}` imports `{other}`, which its row in tests/tidy/imports.rs does not name",
                source.path.display(),
                source.line(at)
            )
        })
        .collect()
}

/// The room that a file belongs to; none for `lib.rs` and `main.rs`, which only name the rooms.
fn room_of(path: &Path) -> Option<String> {
    let mut parts = path.strip_prefix("src").ok()?.iter();
    let first = parts.next()?.to_str()?;
    match (first, first.strip_suffix(".rs")) {
        ("lib.rs" | "main.rs", _) => None,
        (_, Some(stem)) => Some(stem.to_owned()),
        (folder, None) => Some(folder.to_owned()),
    }
}

/// Each first segment after the crate's root, with where it stands.
fn reached(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in source.words("crate") {
        if let Some(after) = source.code[at + "crate".len()..].strip_prefix("::") {
            heads(after, at, &mut found);
        }
    }
    let climb = "super::".repeat(depth_of(&source.path));
    for at in source.words("super") {
        let continues = source.code[..at].ends_with("super::");
        if !continues
            && let Some(after) = source.code[at..].strip_prefix(&climb)
            && !after.starts_with("super::")
        {
            heads(after, at, &mut found);
        }
    }
    found
}

/// How many `super` lead from a file to the crate's root.
fn depth_of(path: &Path) -> usize {
    let below = path.iter().count() - 1;
    if path.ends_with("mod.rs") {
        below - 1
    } else {
        below
    }
}

/// The first segments of a use tree: one, or those of a `{ … }` list.
fn heads(tree: &str, at: usize, found: &mut Vec<(usize, String)>) {
    let tree = tree.trim_start();
    let Some(list) = tree.strip_prefix('{') else {
        let head: String = tree
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if !head.is_empty() {
            found.push((at, head));
        }
        return;
    };
    let mut depth = 0_usize;
    let mut start = 0;
    for (index, byte) in list.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                heads(&list[start..index], at, found);
                return;
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                heads(&list[start..index], at, found);
                start = index + 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[Row] = &[("low", &[]), ("mid", &["low"]), ("high", &["low", "mid"])];

    fn complaints(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path.into(), text), SMALL)
    }

    #[test]
    fn an_arrow_that_the_row_lacks_is_named_with_file_line_and_room() {
        let found = complaints(
            "src/mid/file.rs",
            "use std::fmt;\n\nuse crate::high::Thing;\n",
        );
        assert_eq!(
            found,
            [
                "src/mid/file.rs:3: `mid` imports `high`, which its row in tests/tidy/imports.rs does not name"
            ]
        );
    }

    #[test]
    fn arrows_of_the_row_and_into_the_room_itself_are_free() {
        let text = "use crate::{low::{A, b::C}, mid::D};\nfn f() { crate::low::g(); }\n";
        assert_eq!(complaints("src/mid/file.rs", text), [""; 0]);
    }

    #[test]
    fn every_branch_of_a_nested_list_is_read() {
        let text = "use crate::{\n    low::{A, b::{C, D}},\n    high::{E},\n    mid::F,\n    high as other,\n};\n";
        assert_eq!(complaints("src/mid/mod.rs", text).len(), 2);
    }

    #[test]
    fn a_path_inside_a_body_counts() {
        assert_eq!(
            complaints(
                "src/low/mod.rs",
                "fn f() -> crate::mid::T { crate::high::g() }"
            )
            .len(),
            2
        );
    }

    #[test]
    fn climbing_to_the_root_by_super_counts() {
        assert_eq!(complaints("src/low/mod.rs", "use super::mid::T;").len(), 1);
        assert_eq!(
            complaints("src/low/file.rs", "use super::super::mid::T;").len(),
            1
        );
        assert_eq!(complaints("src/low/file.rs", "use super::mid::T;"), [""; 0]);
    }

    #[test]
    fn tests_comments_and_literals_may_name_any_room() {
        let text = "// crate::high::A\nconst A: &str = \"crate::high\";\n#[cfg(test)]\nmod tests { use crate::high::B; }\n";
        assert_eq!(complaints("src/low/mod.rs", text), [""; 0]);
        assert_eq!(
            complaints("src/low/tests.rs", "use crate::high::B;"),
            [""; 0]
        );
    }

    #[test]
    fn a_room_without_a_row_is_refused() {
        assert_eq!(complaints("src/cellar/mod.rs", "fn f() {}").len(), 1);
        assert_eq!(complaints("src/lib.rs", "pub use crate::high::T;"), [""; 0]);
    }
}
