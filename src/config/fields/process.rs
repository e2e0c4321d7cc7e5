//! `[admin]`, `[log]`, `[drain]`, `[errors]`, `[dns]` and `[pressure]`: what the process has once.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use super::{hours, millis, secs, time};
use crate::config::{
    LogFormat,
    problem::At,
    shape::{Field, Preset, Section, Shape},
    value::{AccessTo, FilePath, Listen, NameServer, Network, Word},
};

pub(crate) static ADMIN: Section = Section::of(
    "admin",
    "[admin]",
    "The admin listener: dashboard, API, `/metrics`, `/healthz`, `/readyz`. A change needs a restart.",
    &[&ADMIN_BIND, &TOKEN_FILE],
);
pub(crate) static ADMIN_BIND: Preset<Listen> = Preset::new(
    "bind",
    Shape::Text("an address with a port, like \"127.0.0.1:9900\""),
    Listen(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9900))),
    "Where the admin listener binds. Port 0 lets the system choose.",
);
pub(crate) static TOKEN_FILE: Field<FilePath> = Field::optional(
    "token_file",
    Shape::Text("the path of a file"),
    "no token is asked for",
    "A file that holds the token which callers must show, at most 4 KiB. Required where `bind` is not loopback.",
);

pub(crate) static LOG: Section = Section::of(
    "log",
    "[log]",
    "The access log, and what the gateway says of itself on stderr. A change needs a restart.",
    &[&ACCESS, &FORMAT, &LEVEL],
);
pub(crate) static ACCESS: Preset<AccessTo> = Preset::new(
    "access",
    Shape::Text("\"stdout\", \"off\" or the path of a file"),
    AccessTo::Stdout,
    "Where access lines go: `\"stdout\"`, `\"off\"` or a file, which is appended to.",
);
pub(crate) static FORMAT: Preset<LogFormat> = Preset::new(
    "format",
    LogFormat::SHAPE,
    LogFormat::Json,
    "How log lines look: one JSON object a line, or text for eyes.",
);
pub(crate) static LEVEL: Preset<tracing::Level> = Preset::new(
    "level",
    <tracing::Level as Word>::SHAPE,
    tracing::Level::INFO,
    "From which level on the gateway's own log speaks.",
);

pub(crate) static DRAIN: Section = Section::of(
    "drain",
    "[drain]",
    "How the process ends after SIGTERM.",
    &[&DELAY, &DRAIN_TIMEOUT],
);
pub(crate) static DELAY: Preset<Duration> = Preset::new(
    "delay",
    time(Duration::ZERO, hours(1)),
    Duration::ZERO,
    "How long listeners still accept, while `/readyz` already says no.",
);
pub(crate) static DRAIN_TIMEOUT: Preset<Duration> = Preset::new(
    "timeout",
    time(Duration::ZERO, hours(24)),
    secs(30),
    "How long running requests and tunnels may go on after that. What is left is cut, and the exit code is 3.",
);

pub(crate) static ERRORS: Section = Section::of(
    "errors",
    "[errors]",
    "What clients see of a fault.",
    &[&DETAILS],
);
pub(crate) static DETAILS: Preset<bool> = Preset::new(
    "details",
    Shape::Flag,
    false,
    "Whether clients see details: addresses and errors of the operating system. They help attackers too.",
);

pub(crate) static DNS: Section = Section::of(
    "dns",
    "[dns]",
    "How the names of `dns` endpoints are resolved and followed.",
    &[
        &SERVERS,
        &MIN_TTL,
        &MAX_TTL,
        &MAX_STALE,
        &HOLD,
        &ALLOW_ADDRESSES,
    ],
);
pub(crate) static SERVERS: Field<Vec<At<NameServer>>> = Field::optional(
    "servers",
    Shape::List {
        of: &Shape::Text("an address like \"127.0.0.1:53\""),
        min: 0,
        max: 16,
    },
    "those of /etc/resolv.conf",
    "Name servers, each an address with a port (53 where it has none).",
);
pub(crate) static MIN_TTL: Preset<Duration> = Preset::new(
    "min_ttl",
    time(millis(100), hours(1)),
    secs(1),
    "A shorter TTL counts as this.",
);
pub(crate) static MAX_TTL: Preset<Duration> = Preset::new(
    "max_ttl",
    time(millis(100), hours(24)),
    secs(300),
    "A longer TTL counts as this. Not less than `min_ttl`.",
);
pub(crate) static MAX_STALE: Preset<Duration> = Preset::new(
    "max_stale",
    time(Duration::ZERO, hours(24 * 30)),
    hours(1),
    "How long the last good answer serves while lookups fail.",
);
pub(crate) static HOLD: Preset<Duration> = Preset::new(
    "hold",
    time(Duration::ZERO, hours(1)),
    secs(30),
    "How long an answer that drops more than half of the addresses is doubted.",
);
pub(crate) static ALLOW_ADDRESSES: Field<Vec<At<Network>>> = Field::optional(
    "allow_addresses",
    Shape::List {
        of: &super::listener::NETWORK,
        min: 0,
        max: 256,
    },
    "none",
    "Networks let through although they are loopback, link-local or a cloud's metadata service.",
);

pub(crate) static PRESSURE: Section = Section::of(
    "pressure",
    "[pressure]",
    "What the gateway does when the process itself runs short of memory, processor time or descriptors: first no hedges and no retries, then it sheds `low`, then `normal`, at last all but `critical`, with 503 and `process_pressure`.",
    &[&PRESSURE_ENABLED, &PRESSURE_SHADOW],
);
pub(crate) static PRESSURE_ENABLED: Preset<bool> = Preset::new(
    "enabled",
    Shape::Flag,
    true,
    "Whether the process looks after itself at all.",
);
pub(crate) static PRESSURE_SHADOW: Preset<bool> = Preset::new(
    "shadow",
    Shape::Flag,
    false,
    "Counts what it would refuse, and refuses nothing.",
);
