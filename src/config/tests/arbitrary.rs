//! Nothing that a file may hold makes the reader panic.

use proptest::prelude::*;

use super::read;

const EXAMPLES: [&str; 7] = [
    include_str!("../../../config/minimal.toml"),
    include_str!("../../../config/tidegate.toml"),
    include_str!("../../../config/canary.toml"),
    include_str!("../../../config/tenants.toml"),
    include_str!("../../../config/grpc.toml"),
    include_str!("../../../config/websocket.toml"),
    include_str!("../../../config/sites.toml"),
];

/// Pieces that mean something to the reader.
const PIECES: [&str; 24] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\"\"\"",
    "\\u00e9",
    "é",
    "0",
    "-1",
    "1e999",
    "true",
    "\"off\"",
    "[[routes]]\n",
    "[upstreams.x]\n",
    "99999999999999999999",
];

/// Reads it and shows all that is wrong: both must come to an end.
fn survives(text: &str) {
    match read(text) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                assert!(!warning.render(true).is_empty());
            }
        }
        Err(errors) => {
            assert!(errors.len() > 0);
            assert!(!errors.render(true).is_empty());
            assert!(serde_json::to_string(&errors).is_ok());
            let shown = errors.to_string();
            let types = [
                "alloc::",
                "std::",
                "Option<",
                "Vec<",
                "SocketAddr",
                "u32",
                "usize",
                "serde",
            ];
            assert!(
                types
                    .iter()
                    .all(|name| text.contains(name) || !shown.contains(name)),
                "{shown}"
            );
        }
    }
}

/// The text with pieces cut out, put in and swapped.
fn changed(text: &str, changes: &[(prop::sample::Index, prop::sample::Index, usize)]) -> String {
    let mut text = text.to_owned();
    for (at, piece, cut) in changes {
        let borders: Vec<_> = text.char_indices().map(|(index, _)| index).collect();
        if borders.is_empty() {
            break;
        }
        let start = *at.get(&borders);
        let end = borders
            .iter()
            .copied()
            .find(|end| *end >= start + cut)
            .unwrap_or(text.len());
        text.replace_range(start..end, piece.get::<&str>(&PIECES[..]));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        survives(&pieces.concat());
    }

    #[test]
    fn any_change_of_an_example_is_read_or_refused(
        example in prop::sample::select(&EXAMPLES[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..12), 1..6),
    ) {
        survives(&changed(example, &changes));
    }

    #[test]
    fn any_line_may_be_missing(example in prop::sample::select(&EXAMPLES[..]), line in any::<prop::sample::Index>()) {
        let mut lines: Vec<_> = example.lines().collect();
        lines.remove(line.index(lines.len()));
        survives(&lines.join("\n"));
    }
}
