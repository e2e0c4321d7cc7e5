//! `[admin]`, `[log]`, `[drain]`, `[dns]`, `[pressure]`

use std::path::PathBuf;

use ipnet::IpNet;

use super::{Folder, NamedTrust};
use crate::config::{
    AccessTarget, AdminPlan, DnsPlan, DrainPlan, LogPlan, NameServers, PressurePlan,
    fields::process as keys,
    problem::{At, Code, Problem, Problems, Span},
    row::Row,
    value::{AccessTo, AskedServer, Network, time_text},
};

/// The admin listener, and where its bind stands.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) plan: AdminPlan,
    pub(super) bind_at: Option<Span>,
}

pub(super) fn admin(row: &Row<'_>, folder: Folder<'_>) -> (Admin, Option<At<PathBuf>>) {
    let (bind, bind_at) = row.placed(&keys::ADMIN_BIND);
    let token = row.get(&keys::TOKEN_FILE).map(|file| folder.path(file));
    if let Some(at) = bind_at
        && !bind.0.ip().is_loopback()
        && !row.has("token_file")
    {
        row.problems().add(
            Problem::error(
                Code::OpenAdmin,
                at,
                "the admin listener is open to others and asks for no token",
                "not a loopback address",
            )
            .help("add `token_file`, or bind to 127.0.0.1"),
        );
    }
    let plan = AdminPlan {
        bind: bind.0,
        token_file: token.clone().map(|file| file.it),
    };
    (Admin { plan, bind_at }, token)
}

pub(super) fn log(row: &Row<'_>, folder: Folder<'_>) -> LogPlan {
    LogPlan {
        access: match row.value(&keys::ACCESS) {
            AccessTo::Stdout => AccessTarget::Stdout,
            AccessTo::Off => AccessTarget::Off,
            AccessTo::File(path) => AccessTarget::File(folder.join(&path)),
        },
        format: row.value(&keys::FORMAT),
        level: row.value(&keys::LEVEL),
    }
}

pub(super) fn pressure(row: &Row<'_>) -> PressurePlan {
    PressurePlan {
        enabled: row.value(&keys::PRESSURE_ENABLED),
        shadow: row.value(&keys::PRESSURE_SHADOW),
    }
}

pub(super) fn drain(row: &Row<'_>) -> DrainPlan {
    DrainPlan {
        delay: row.value(&keys::DELAY),
        timeout: row.value(&keys::DRAIN_TIMEOUT),
    }
}

/// Where name servers are asked for, when the file does not say.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The plan, and what its servers need where they are asked over TLS.
pub(super) fn dns(row: &Row<'_>, folder: Folder<'_>) -> (DnsPlan, Option<NamedTrust>) {
    let (min_ttl, min_at) = row.placed(&keys::MIN_TTL);
    let (max_ttl, max_at) = row.placed(&keys::MAX_TTL);
    ordered(
        row,
        ("min_ttl", min_ttl, min_at),
        ("max_ttl", max_ttl, max_at),
    );
    let (servers, trust) = name_servers(row, row.get(&keys::SERVERS), folder);
    let allowed = row.get(&keys::ALLOW_ADDRESSES).map(|list| list.it);
    let resolv_conf = row.get(&keys::RESOLV_CONF);
    let plan = DnsPlan {
        servers,
        resolv_conf: resolv_conf.map_or_else(|| RESOLV_CONF.into(), |file| folder.path(file).it),
        min_ttl,
        max_ttl,
        max_stale: row.value(&keys::MAX_STALE),
        gone_after: row.value(&keys::GONE_AFTER),
        hold: row.value(&keys::HOLD),
        allow_addresses: networks(allowed.unwrap_or_default(), row.problems()),
    };
    (plan, trust)
}

/// The servers of the table `row`, which are `list`, and what they need where any is asked over TLS.
pub(super) fn name_servers(
    row: &Row<'_>,
    list: Option<At<Vec<At<AskedServer>>>>,
    folder: Folder<'_>,
) -> (NameServers, Option<NamedTrust>) {
    let list = list.map(|list| list.it).unwrap_or_default();
    let ca = row.get(&keys::DNS_CA).map(|file| folder.path(file));
    let encrypted = list.iter().find(|server| server.it.0.is_encrypted());
    if let (Some(ca), None) = (&ca, encrypted) {
        row.problems().add(
            Problem::warning(
                Code::Doubtful,
                ca.at,
                "no name server here is asked over TLS",
                "has no effect",
            )
            .help("servers that are begin with `tls://` or `https://`"),
        );
    }
    let trust = encrypted.map(|server| NamedTrust {
        at: server.at,
        ca: ca.clone(),
    });
    let servers = NameServers {
        list: list.into_iter().map(|server| server.it.0).collect(),
        ca: ca.map(|ca| ca.it),
    };
    (servers, trust)
}

/// The networks of a list; one with bits beyond its prefix is probably mistyped.
pub(super) fn networks(list: Vec<At<Network>>, problems: &Problems) -> Vec<IpNet> {
    for network in &list {
        if network.it.had_host_bits {
            let net = network.it.net;
            problems.add(Problem::warning(
                Code::Doubtful,
                network.at,
                "this network has bits beyond its prefix",
                format!("read as \"{net}\""),
            ));
        }
    }
    list.into_iter().map(|network| network.it.net).collect()
}

/// A key with its value and place.
type Keyed = (&'static str, std::time::Duration, Option<Span>);

/// Notes where `lower` is above `upper`, unless one of them was wrong by itself.
pub(super) fn ordered(row: &Row<'_>, lower: Keyed, upper: Keyed) {
    let sound = |(key, _, at): Keyed| at.is_some() || !row.has(key);
    if lower.1 > upper.1 && sound(lower) && sound(upper) {
        row.problems().add(above(lower, upper));
    }
}

/// `lower` is above `upper`: told where it was typed, with the other place.
fn above(lower: Keyed, upper: Keyed) -> Problem {
    let (low, low_value, low_at) = lower;
    let (high, high_value, high_at) = upper;
    let message = format!("`{low}` is longer than `{high}`");
    match (low_at, high_at) {
        (Some(at), other) => {
            let label = format!("at most \"{}\"", time_text(high_value));
            let problem = Problem::error(Code::Conflict, at, message, label);
            match other {
                Some(other) => problem.and(other, format!("`{high}` is here")),
                None => problem.help(format!(
                    "`{high}` is \"{}\" where it is left out",
                    time_text(high_value)
                )),
            }
        }
        (None, at) => Problem::error(
            Code::Conflict,
            at.unwrap_or_default(),
            message,
            format!("at least \"{}\"", time_text(low_value)),
        )
        .help(format!(
            "`{low}` is \"{}\" where it is left out",
            time_text(low_value)
        )),
    }
}
