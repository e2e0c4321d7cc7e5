//! The room as a whole: examples, keys, diagnostics, files.

mod arbitrary;
mod diagnostics;
mod errors;
mod examples;
mod failover;
mod files;
mod health;
mod incidents;
mod keys;
mod meaning;
mod overload;

use std::path::Path;

use super::{Diagnostics, Loaded, parse};

/// The smallest file that is right.
pub(super) const MINIMAL: &str = include_str!("../../../config/minimal.toml");

/// Reads `text` as `tidegate.toml`.
pub(super) fn read(text: &str) -> Result<Loaded, Diagnostics> {
    parse(text, Path::new("tidegate.toml"))
}

/// What `text` means.
pub(super) fn loaded(text: &str) -> Loaded {
    read(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is wrong with `text`, as it is shown.
pub(super) fn errors(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("nothing is wrong with it"),
        Err(errors) => errors.to_string(),
    }
}

/// What is doubtful in `text`, as it is shown.
pub(super) fn warnings(text: &str) -> String {
    let shown: Vec<_> = loaded(text)
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    shown.join("\n")
}
