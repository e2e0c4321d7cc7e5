//! `[[listeners]]`

use std::{num::NonZeroUsize, time::Duration};

use super::{KIB, MIB, hours, millis, secs, size, time};
use crate::config::{
    ClientAuth,
    problem::At,
    shape::{Field, Nested, Preset, Section, Shape},
    value::{ByteSize, FilePath, Identity, Listen, Network, Word},
};

pub(crate) static LISTENER: Section = Section::of(
    "listener",
    "[[listeners]]",
    "A socket where requests come in: HTTP/1.1 and HTTP/2, with TLS or without. Any key may change while it runs: a socket is known by its `bind` and stays open while any listener has that, whatever its name; what holds for connections holds for those that come then. A new socket that cannot be bound refuses the whole reload. Where one is removed, its connections are asked to leave one after the other, within `[drain] timeout`.",
    &[
        &NAME,
        &BIND,
        &TLS,
        &TRUSTED_PROXIES,
        &PROXY_PROTOCOL,
        &HEADER_TIMEOUT,
        &BODY_TIMEOUT,
        &IDLE_TIMEOUT,
        &TUNNEL_IDLE_TIMEOUT,
        &MAX_HEADER,
        &MAX_CONNECTIONS,
    ],
);
pub(crate) static NAME: Field<Identity> = Field::optional(
    "name",
    Shape::Text("a name like \"web\""),
    "`default` where there is one listener; required with several",
    "Its name in logs and metrics.",
);
pub(crate) static BIND: Field<Listen> = Field::required(
    "bind",
    Shape::Text("an address with a port, like \"0.0.0.0:8080\""),
    "Where it binds. Port 0 lets the system choose.",
);
pub(crate) static TLS: Nested = Nested::optional(
    "tls",
    Shape::Table(&LISTENER_TLS),
    "plain text",
    "Speaks TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN.",
);
pub(crate) static TRUSTED_PROXIES: Field<Vec<At<Network>>> = Field::optional(
    "trusted_proxies",
    Shape::List {
        of: &NETWORK,
        min: 0,
        max: 1024,
    },
    "nobody",
    "Networks of proxies whose forwarding headers, request ids and PROXY headers count.",
);
pub(crate) static PROXY_PROTOCOL: Preset<bool> = Preset::new(
    "proxy_protocol",
    Shape::Flag,
    false,
    "Requires a PROXY protocol header (v1 or v2) from `trusted_proxies`; connections from others are closed.",
);
pub(crate) static HEADER_TIMEOUT: Preset<Duration> = Preset::new(
    "header_timeout",
    time(millis(100), secs(600)),
    secs(10),
    "How long the head of a request may take; then the connection is closed.",
);
pub(crate) static BODY_TIMEOUT: Preset<Duration> = Preset::new(
    "body_timeout",
    time(millis(100), hours(1)),
    secs(30),
    "Longest time without progress of a request or response body; then 408, or the connection is aborted.",
);
pub(crate) static IDLE_TIMEOUT: Preset<Duration> = Preset::new(
    "idle_timeout",
    time(millis(100), hours(24)),
    secs(75),
    "How long a connection may rest between requests.",
);
pub(crate) static TUNNEL_IDLE_TIMEOUT: Preset<Duration> = Preset::new(
    "tunnel_idle_timeout",
    time(millis(100), hours(24 * 30)),
    hours(1),
    "How long a tunnel (a WebSocket or another upgrade) may rest.",
);
pub(crate) static MAX_HEADER: Preset<ByteSize> = Preset::new(
    "max_header",
    size(8 * KIB, MIB),
    ByteSize(32 * KIB),
    "Largest request head; beyond it 431, or 414 where it is the path.",
);
pub(crate) static MAX_CONNECTIONS: Field<NonZeroUsize> = Field::optional(
    "max_connections",
    Shape::Count {
        min: 1,
        max: 1_000_000,
    },
    "80 % of the limit on open files, halved",
    "Most connections at a time; beyond it new ones wait to be accepted.",
);

pub(crate) static LISTENER_TLS: Section = Section::of(
    "listener_tls",
    "tls of [[listeners]]",
    "Certificates; the one whose names hold the client's is shown.",
    &[&CERTIFICATES, &CLIENT_CA, &CLIENT_AUTH],
);
pub(crate) static CLIENT_CA: Field<FilePath> = Field::optional(
    "client_ca",
    FILE,
    "clients are asked for no certificate",
    "A PEM file with the authorities whose certificates clients show. It is watched; a change holds for new handshakes.",
);
pub(crate) static CLIENT_AUTH: Field<ClientAuth> = Field::optional(
    "client_auth",
    ClientAuth::SHAPE,
    "`\"required\"` with `client_ca`",
    "Whether who shows no certificate is refused in the handshake. Who shows a wrong one always is.",
);
pub(crate) static CERTIFICATES: Nested = Nested::required(
    "certificates",
    Shape::Tables {
        of: &CERTIFICATE,
        min: 1,
        max: 64,
    },
    "Certificates with their keys. The first serves clients that name no host, or one that none of them holds.",
);

pub(crate) static CERTIFICATE: Section = Section::of(
    "certificate",
    "a certificate",
    "A certificate chain and its private key, as PEM files. Both are watched: once they are changed and fit each other they hold for new handshakes; until then the pair before stays in force, which the log and `tidegate_certificate_stale` tell.",
    &[&CERT, &KEY],
);
pub(crate) static CERT: Field<FilePath> = Field::required(
    "cert",
    FILE,
    "A PEM file with the chain, leaf first. Relative paths are relative to the config file's folder.",
);
pub(crate) static KEY: Field<FilePath> = Field::required(
    "key",
    FILE,
    "A PEM file with the private key of the leaf, not encrypted.",
);

/// The path of a file.
pub(super) const FILE: Shape = Shape::Text("the path of a file");

/// A network.
pub(super) static NETWORK: Shape = Shape::Text("a network like \"10.0.0.0/8\"");
