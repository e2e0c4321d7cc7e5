//! Every key of the file, section by section: its form, bounds, default and meaning. Nothing else says them.

pub(crate) mod change;
pub(crate) mod errors;
pub(crate) mod health;
pub(crate) mod incidents;
pub(crate) mod listener;
pub(crate) mod process;
pub(crate) mod route;
pub(crate) mod upstream;

use std::time::Duration;

use super::shape::{Nested, Section, Shape};

/// The file as a whole.
pub(crate) static ROOT: Section = Section::of(
    "file",
    "",
    "The config file of Tidegate.",
    &[
        &ADMIN, &LOG, &DRAIN, &UPGRADE, &ERRORS, &DNS, &PRESSURE, &RELOAD, &HISTORY, &INCIDENTS,
        &LISTENERS, &UPSTREAMS, &ROUTES,
    ],
);

pub(crate) static ADMIN: Nested = Nested::optional(
    "admin",
    Shape::Table(&process::ADMIN),
    "its defaults",
    "The admin listener.",
);
pub(crate) static LOG: Nested = Nested::optional(
    "log",
    Shape::Table(&process::LOG),
    "its defaults",
    "Access log and the gateway's own log.",
);
pub(crate) static DRAIN: Nested = Nested::optional(
    "drain",
    Shape::Table(&process::DRAIN),
    "its defaults",
    "How the process ends.",
);
pub(crate) static UPGRADE: Nested = Nested::optional(
    "upgrade",
    Shape::Table(&change::UPGRADE),
    "its defaults",
    "How a newer binary takes over.",
);
pub(crate) static ERRORS: Nested = Nested::optional(
    "errors",
    Shape::Table(&errors::ERRORS),
    "its defaults",
    "What clients see of a fault.",
);
pub(crate) static DNS: Nested = Nested::optional(
    "dns",
    Shape::Table(&process::DNS),
    "its defaults",
    "How names of endpoints are resolved.",
);
pub(crate) static PRESSURE: Nested = Nested::optional(
    "pressure",
    Shape::Table(&process::PRESSURE),
    "its defaults",
    "What is shed when the process itself runs short.",
);
pub(crate) static RELOAD: Nested = Nested::optional(
    "reload",
    Shape::Table(&change::RELOAD),
    "its defaults",
    "How a new config is watched once it is in force.",
);
pub(crate) static HISTORY: Nested = Nested::optional(
    "history",
    Shape::Table(&change::HISTORY),
    "its defaults",
    "What outlives the process.",
);
pub(crate) static INCIDENTS: Nested = Nested::optional(
    "incidents",
    Shape::Table(&incidents::INCIDENTS),
    "its defaults",
    "From when on faults are an incident, and who is told.",
);
pub(crate) static LISTENERS: Nested = Nested::required(
    "listeners",
    Shape::Tables {
        of: &listener::LISTENER,
        min: 1,
        max: 64,
    },
    "Where requests come in.",
);
pub(crate) static UPSTREAMS: Nested = Nested::optional(
    "upstreams",
    Shape::Named {
        of: &upstream::UPSTREAM,
        max: 4096,
    },
    "none",
    "Groups of servers, by name.",
);
pub(crate) static ROUTES: Nested = Nested::optional(
    "routes",
    Shape::Tables {
        of: &route::ROUTE,
        min: 0,
        max: 16_384,
    },
    "none: every request is answered with 404",
    "Which requests go where. Their order in the file means nothing.",
);

/// A duration between two bounds.
const fn time(min: Duration, max: Duration) -> Shape {
    Shape::Time {
        min,
        max,
        off: false,
    }
}

/// A size between two bounds.
const fn size(min: u64, max: u64) -> Shape {
    Shape::Size {
        min,
        max,
        off: false,
    }
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
