//! What to make of what was seen. Pure: facts in, findings out; time is handed in.

mod certificate;
mod connect;
mod http;
mod machine;
mod names;
mod ways;

pub(super) use certificate::{Shown, certificate};
pub(super) use connect::{Hop, connect, hops};
pub(super) use http::{Answered, KeepAlive, answer, keep_alive, skew};
pub(super) use machine::{Machine, machine};
pub(super) use names::{SystemSaid, names};
pub(super) use ways::{Way, way};

use std::{fmt::Display, time::Duration};

/// Some of them, and how many more there are.
fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 8;
    let all: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    let shown = all
        .iter()
        .take(MOST)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match all.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 address`, `2 addresses`.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A time as people say it.
fn said(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        return format!("{:.1} ms", seconds * 1e3);
    }
    let rounded = (seconds * 10.0).round() / 10.0;
    format!("{rounded} s")
}
