//! `[upstreams.NAME.concurrency]`

use std::num::NonZeroU32;

use crate::config::{
    ConcurrencyMode, ConcurrencyPlan, LimitBounds, QueuePlan, Stretch,
    fields::upstream as keys,
    problem::{At, Code, Problem, Span},
    row::Row,
    shape::Preset,
    value::{ConcurrencyWord, Word as _, grouped},
};

/// Keys that only a limit that is found makes use of.
const LEARNED: [&str; 4] = ["min", "max", "initial", "total"];

/// What the table says, and where `max_wait` stands.
pub(super) fn compile(row: &Row<'_>) -> (ConcurrencyPlan, Option<Span>) {
    let queue_row = row.table_or_empty(&keys::QUEUE);
    let (max_wait, max_wait_at) = queue_row.placed(&keys::MAX_WAIT);
    let plan = ConcurrencyPlan {
        mode: mode(row),
        queue: QueuePlan {
            max_waiting: queue_row.value(&keys::MAX_WAITING),
            stretch: if queue_row.has("max_waiting") {
                Stretch::Never
            } else {
                Stretch::WithDrain
            },
            max_wait,
        },
        shadow: row.value(&keys::LIMIT_SHADOW),
    };
    (plan, max_wait_at)
}

/// All keys are looked at whatever the mode, so that errors in each are seen.
fn mode(row: &Row<'_>) -> ConcurrencyMode {
    let limit = row.get(&keys::LIMIT);
    let total = row.get(&keys::TOTAL);
    let bounds = bounds(row, total);
    let (word, at) = row.placed(&keys::MODE);
    if row.has("mode") && at.is_none() {
        // A wrong word was noted where it was read; what it should have been is not known.
        return ConcurrencyMode::Off;
    }
    match word {
        ConcurrencyWord::Off => {
            let help = "leave `mode` out: the limit is then found";
            idle(row, "off", &["limit"], "for this limit: mode = \"fixed\"");
            idle(row, "off", &["queue", "shadow"], help);
            idle(row, "off", &LEARNED, help);
            ConcurrencyMode::Off
        }
        ConcurrencyWord::Fixed => {
            let help = "for a limit that is found: mode = \"adaptive\"";
            idle(row, "fixed", &LEARNED, help);
            fixed(row, limit, at)
        }
        ConcurrencyWord::Learned(law) => {
            let help = "for this limit: mode = \"fixed\"; to bound what is found: `max` or `total`";
            idle(row, word.text(), &["limit"], help);
            ConcurrencyMode::Learned {
                law,
                bounds,
                total: total.map(|total| total.it),
            }
        }
    }
}

fn fixed(row: &Row<'_>, limit: Option<At<NonZeroU32>>, mode_at: Option<Span>) -> ConcurrencyMode {
    if !row.has("limit") {
        row.problems().add(
            Problem::error(
                Code::MissingKey,
                mode_at.unwrap_or(row.at),
                "a fixed concurrency limit has no `limit`",
                "expected `limit` beside it",
            )
            .help("add limit = 64, or as many requests as the upstream can work on at once"),
        );
    }
    limit.map_or(ConcurrencyMode::Off, |limit| {
        ConcurrencyMode::Fixed(limit.it)
    })
}

/// Keys that the mode makes no use of.
fn idle(row: &Row<'_>, mode: &str, keys: &[&str], help: &str) {
    for key in keys {
        if let Some(at) = row.key_at(key) {
            row.problems().add(
                Problem::warning(
                    Code::Doubtful,
                    at,
                    format!("`{key}` has no effect while `mode` is \"{mode}\""),
                    "",
                )
                .help(help),
            );
        }
    }
}

/// A number that another may not pass.
#[derive(Debug, Clone, Copy)]
struct Bound {
    key: &'static str,
    value: NonZeroU32,
    /// Where it stands; `None`: its default.
    at: Option<Span>,
    /// Whether it is what was meant: not the default in place of a wrong value.
    sound: bool,
}

/// `min`, `max` and `initial`, and that `total` leaves one endpoint its `min`. An `initial` that is left out
/// gives way to the two others.
fn bounds(row: &Row<'_>, total: Option<At<NonZeroU32>>) -> LimitBounds {
    let min = Bound::read(row, &keys::MIN);
    let max = Bound::read(row, &keys::MAX);
    let initial = Bound::read(row, &keys::INITIAL);
    if !ordered(row, min, max) && initial.at.is_some() {
        let _ = ordered(row, min, initial) || ordered(row, initial, max);
    }
    if let Some(total) = total {
        ordered(row, min, Bound::given("total", total));
    }
    LimitBounds {
        min: min.value,
        max: max.value,
        initial: initial.value.max(min.value).min(max.value),
    }
}

/// Whether `lower` is above `upper`, which is noted.
fn ordered(row: &Row<'_>, lower: Bound, upper: Bound) -> bool {
    let wrong = lower.value > upper.value && lower.sound && upper.sound;
    if wrong {
        row.problems().add(above(lower, upper));
    }
    wrong
}

/// `lower` is above `upper`: told where the first of them was typed, with the other place.
fn above(lower: Bound, upper: Bound) -> Problem {
    let message = format!("`{}` is more than `{}`", lower.key, upper.key);
    let at_most = format!("at most {}", upper.text());
    let at_least = format!("at least {}", lower.text());
    match (lower.at, upper.at) {
        (Some(at), Some(other)) => Problem::error(Code::Conflict, at, message, at_most)
            .and(other, format!("`{}` is here", upper.key)),
        (Some(at), None) => {
            Problem::error(Code::Conflict, at, message, at_most).help(upper.left_out())
        }
        (None, at) => Problem::error(Code::Conflict, at.unwrap_or_default(), message, at_least)
            .help(lower.left_out()),
    }
}

// === impl Bound ===

impl Bound {
    fn read(row: &Row<'_>, preset: &'static Preset<NonZeroU32>) -> Self {
        let (value, at) = row.placed(preset);
        let key = preset.field.name;
        Self {
            key,
            value,
            at,
            sound: at.is_some() || !row.has(key),
        }
    }

    fn given(key: &'static str, number: At<NonZeroU32>) -> Self {
        Self {
            key,
            value: number.it,
            at: Some(number.at),
            sound: true,
        }
    }

    fn text(self) -> String {
        grouped(u64::from(self.value.get()))
    }

    fn left_out(self) -> String {
        format!("`{}` is {} where it is left out", self.key, self.text())
    }
}
