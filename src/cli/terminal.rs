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
    colours_allowed() && std::io::stderr().is_terminal()
}

fn colours_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard output takes colours: a terminal, and `NO_COLOR` does not forbid it.
pub(super) fn says_in_colour() -> bool {
    colours_allowed() && std::io::stdout().is_terminal()
}

/// A line on a terminal that the next one takes the place of; nothing where standard error is none.
pub(super) fn sketch(text: &str) {
    if std::io::stderr().is_terminal() {
        drop(write!(std::io::stderr().lock(), "\r\u{1b}[K{text}"));
    }
}

/// Takes the last [`sketch`] away.
pub(super) fn erase() {
    sketch("");
}
