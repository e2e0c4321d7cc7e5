//! `[reload]`, `[history]` and `[upgrade]`: how a new config is watched, what is kept of past ones, and how long a newer
//! binary may take.

use std::{num::NonZeroU32, time::Duration};

use super::{hours, millis, secs, time};
use crate::config::{
    shape::{Field, Nested, Preset, Section, Shape},
    value::FilePath,
};

pub(crate) static RELOAD: Section = Section::of(
    "reload",
    "[reload]",
    "How a new config is watched once it is in force.",
    &[&GUARD],
);
pub(crate) static GUARD: Nested = Nested::optional(
    "guard",
    Shape::Table(&GUARD_RULE),
    "a new config is not watched",
    "Takes a new config back where requests fail under it, or where no route takes them any more. An empty table is enough.",
);

pub(crate) static GUARD_RULE: Section = Section::of(
    "guard",
    "guard of [reload]",
    "Watches the routes that a reload touches. Where the share of their requests that end badly (500 and above, 429, 499) rises against the minute before, and that of all other routes does not, the config before comes back, once: in the file too, where it may be written. The same file applied again is not taken back again.",
    &[&WINDOW, &MAX_FAILURE_INCREASE, &MIN_REQUESTS],
);
pub(crate) static WINDOW: Preset<Duration> = Preset::new(
    "window",
    time(secs(1), hours(1)),
    secs(60),
    "How long after a reload it watches.",
);
pub(crate) static MAX_FAILURE_INCREASE: Preset<f64> = Preset::new(
    "max_failure_increase",
    Shape::Share { min: 0.0, max: 1.0 },
    0.05,
    "By how much the share may rise: from 0.01 to 0.06 with the default. A route that nobody asked in the minute before is held against all routes together.",
);
pub(crate) static MIN_REQUESTS: Preset<NonZeroU32> = Preset::new(
    "min_requests",
    Shape::Count {
        min: 1,
        max: 1_000_000,
    },
    NonZeroU32::new(100).unwrap(),
    "Of fewer requests of a route since the reload nothing is concluded.",
);

pub(crate) static HISTORY: Section = Section::of(
    "history",
    "[history]",
    "What outlives the process: the configs that were in force, what limits have learned, the requests that failed, and incidents. A change holds at once.",
    &[&DIR],
);
pub(crate) static DIR: Field<FilePath> = Field::optional(
    "dir",
    Shape::Text("the path of a folder"),
    "nothing is kept on disk",
    "A folder, made where it is missing, for the last 50 configs and, each 10 seconds, for what learned limits have come to; a start within the hour goes on from there. Each few seconds, where there are new ones, for the requests that failed (at most 8 MiB) and for incidents. One folder for one gateway. Set or moved while it runs, it begins with what is in memory, and replaces what an earlier gateway left there; where no file can be made in it, the whole config is refused.",
);

pub(crate) static UPGRADE: Section = Section::of(
    "upgrade",
    "[upgrade]",
    "How a newer binary takes over, at SIGUSR2 or `tidegate upgrade`.",
    &[&UPGRADE_TIMEOUT],
);
pub(crate) static UPGRADE_TIMEOUT: Preset<Duration> = Preset::new(
    "timeout",
    time(millis(100), secs(600)),
    secs(30),
    "How long the new process may take until it is ready. Then it is killed, and the old one goes on.",
);
