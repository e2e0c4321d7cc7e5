//! `[admin]`, `[log]`, `[drain]`, `[dns]` and `[pressure]`: what the process has once.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    num::NonZeroU32,
    time::Duration,
};

use super::{hours, millis, secs, time};
use crate::config::{
    LogFormat,
    problem::At,
    shape::{Field, Preset, Section, Shape},
    value::{AccessTo, AskedServer, FilePath, Listen, Network, Word},
};

pub(crate) static ADMIN: Section = Section::of(
    "admin",
    "[admin]",
    "The admin listener: dashboard, API, `/metrics`, `/healthz`, `/readyz`. Another `bind` or token holds at once; another token ends the sessions of the dashboard.",
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
    "The access log, and what the gateway says of itself on stderr. A change holds at once; where the new access log cannot be opened, the whole config is refused.",
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
    "How the process ends after SIGTERM, and connections of a listener that left the config (by `timeout`).",
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

pub(crate) static DNS: Section = Section::of(
    "dns",
    "[dns]",
    "How the names of `dns` and `srv` endpoints are resolved and followed. An error keeps the last good answer.",
    &[
        &SERVERS,
        &DNS_CA,
        &RESOLV_CONF,
        &MIN_TTL,
        &MAX_TTL,
        &MAX_STALE,
        &GONE_AFTER,
        &HOLD,
        &ALLOW_ADDRESSES,
    ],
);
/// A name server, here and in `dns` of an upstream.
pub(crate) const SERVER: Shape =
    Shape::Text("an address like \"127.0.0.1:53\", or a URL like \"tls://192.0.2.1#dns.example\"");
pub(crate) static SERVERS: Field<Vec<At<AskedServer>>> = Field::optional(
    "servers",
    Shape::List {
        of: &SERVER,
        min: 0,
        max: 16,
    },
    "those of `resolv_conf`",
    "Name servers, asked one after the other. `udp://`, `tcp://` (port 53), `tls://` (853) or `https://` (443, path `/dns-query`) before an address; an address alone is UDP, with TCP for answers that do not fit. The certificate of an encrypted one must hold the name after `#`, else the address, and come from an authority of `ca`.",
);
/// Here and in `dns` of an upstream.
pub(crate) static DNS_CA: Field<FilePath> = Field::optional(
    "ca",
    super::listener::FILE,
    "the system's certificate authorities",
    "A PEM file with the certificate authorities that are trusted where `servers` are asked over `tls://` or `https://`. It is watched; once it changes, such servers are connected to anew.",
);
pub(crate) static RESOLV_CONF: Field<FilePath> = Field::optional(
    "resolv_conf",
    Shape::Text("the path of a file"),
    "`/etc/resolv.conf`",
    "The file that names servers and search domains where `servers` is left out. It is read again when it changes.",
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
pub(crate) static GONE_AFTER: Preset<NonZeroU32> = Preset::new(
    "gone_after",
    Shape::Count { min: 1, max: 1000 },
    super::upstream::count(3),
    "So many answers in a row that the name does not exist, or has no address, are believed once `hold` has passed since the first: the name then has no servers. Any other answer or error begins the count anew.",
);
pub(crate) static HOLD: Preset<Duration> = Preset::new(
    "hold",
    time(Duration::ZERO, hours(1)),
    secs(30),
    "How long servers that an answer lacks are kept at most, where it drops more than half of them: until the same answer is seen again. Servers that fail their checks, or are ejected, are not kept. `0s`: every answer is believed at once.",
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
