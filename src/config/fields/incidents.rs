//! `[incidents]`: from when on faults are an incident, and who is told.

use std::{num::NonZeroU32, time::Duration};

use super::{hours, listener::FILE, millis, secs, time};
use crate::config::{
    shape::{Field, Nested, Preset, Section, Shape},
    value::{FilePath, WebUrl},
};

pub(crate) static INCIDENTS: Section = Section::of(
    "incidents",
    "[incidents]",
    "From when on faults are an incident, and who is told. What happens at one upstream at one time is one incident, whatever the routes and kinds; what a route's rate limits refuse is one of low severity; what clients do themselves is none, unless it is most of all requests. Three failures in a row are enough where little comes.",
    &[&MIN_FAULTS, &MIN_SHARE, &WINDOW, &END_AFTER, &WEBHOOK],
);
pub(crate) static MIN_FAULTS: Preset<NonZeroU32> = Preset::new(
    "min_faults",
    Shape::Count {
        min: 1,
        max: 1_000_000,
    },
    NonZeroU32::new(5).unwrap(),
    "So many faults of one route within `window` begin an incident, where they are `min_share` of its requests too.",
);
pub(crate) static MIN_SHARE: Preset<f64> = Preset::new(
    "min_share",
    Shape::Share { min: 0.0, max: 1.0 },
    0.01,
    "The share of a route's requests within `window` from which on it is ill. A smaller one neither begins an incident nor keeps one open.",
);
pub(crate) static WINDOW: Preset<Duration> = Preset::new(
    "window",
    time(secs(1), secs(60)),
    secs(10),
    "How far back is looked, each second.",
);
pub(crate) static END_AFTER: Preset<Duration> = Preset::new(
    "end_after",
    time(secs(1), hours(1)),
    secs(60),
    "An incident is over when there was no fault of it for so long and requests are answered well again. Where none come at all, after ten times that.",
);
pub(crate) static WEBHOOK: Nested = Nested::optional(
    "webhook",
    Shape::Table(&HOOK),
    "nobody is told",
    "Who is told when an incident begins and when it ends.",
);

pub(crate) static HOOK: Section = Section::of(
    "webhook",
    "webhook of [incidents]",
    "A POST of JSON for each begin and each end: `event` (`incident_began` or `incident_ended`) and `incident`, as `/api/v1/incidents` has it. Anything from 200 to 299 takes it. What fails (no connection, no answer in time, 408, 429, 500 and above) is tried again up to 4 times, after 1, 2, 4 and 8 seconds; other answers are not, and redirects are not followed. At most 64 wait; one more is dropped. The `idempotency-key` field is the same for each try.",
    &[&URL, &TOKEN_FILE, &CA, &TIMEOUT],
);
pub(crate) static URL: Field<WebUrl> = Field::required(
    "url",
    Shape::Text("a URL like \"https://alerts.internal/tidegate\""),
    "Where it goes. The name is looked up as the system does.",
);
pub(crate) static TOKEN_FILE: Field<FilePath> = Field::optional(
    "token_file",
    FILE,
    "no token is shown",
    "A file with a token, shown as `Authorization: Bearer`. It is watched.",
);
pub(crate) static CA: Field<FilePath> = Field::optional(
    "ca",
    FILE,
    "the system's authorities",
    "A PEM file with the authorities that the receiver's certificate may come from. It is watched.",
);
pub(crate) static TIMEOUT: Preset<Duration> = Preset::new(
    "timeout",
    time(millis(100), secs(60)),
    secs(5),
    "How long one try may take in all.",
);
