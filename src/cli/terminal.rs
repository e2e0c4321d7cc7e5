//! What verbs say to whoever started them. A reader that has gone is no reason to fail.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
};

/// A line on standard output: what was asked for.
pub(super) fn say(text: impl Display) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// A line on standard error: everything else.
pub(super) fn tell(text: impl Display) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Whether standard error takes colours: a terminal, and `NO_COLOR` does not forbid it.
pub(super) fn in_colour() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && std::io::stderr().is_terminal()
}
