//! What a server said, read: addresses, TTL, or why there are none.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record},
    },
};

use super::Why;

/// Links of a CNAME chain that are followed (RFC 1034, 3.6.2, names no number).
const MAX_CHAIN: usize = 16;
/// A larger TTL has its sign bit set and counts as 0 (RFC 2181, 8).
const MAX_WIRE_TTL: u32 = i32::MAX as u32;

/// A good answer to the questions for A and AAAA. Not yet filtered, sorted or capped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// At least one address.
    pub addresses: Vec<IpAddr>,
    /// The least of the chain and of both families; not yet clamped.
    pub ttl: Duration,
    /// The family of which nothing is known, because only the other one was answered in time.
    pub missing: Option<Family>,
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

// === impl Family ===

impl Family {
    /// Whether `address` is of this family.
    #[must_use]
    pub const fn holds(self, address: &IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Absolute, in lower case.
    pub(super) name: Arc<str>,
    pub(super) port: u16,
    pub(super) priority: u16,
    pub(super) weight: u16,
}

/// The targets of `name` among `records`, following CNAMEs, and the least TTL on the way. The target `.` says that
/// there is no service here (RFC 2782); one with port 0 cannot be connected to.
pub(super) fn read_targets(
    name: &Name,
    records: &[Record],
) -> Result<(Vec<Target>, Duration), Why> {
    let (owner, mut ttl) = end_of(name, records)?;
    let mut targets = Vec::new();
    for record in records.iter().filter(|record| record.name == *owner) {
        let RData::SRV(srv) = &record.data else {
            continue;
        };
        ttl = ttl.min(sane_ttl(record.ttl));
        if !srv.target.is_root() && srv.port != 0 {
            let mut target = srv.target.to_lowercase();
            target.set_fqdn(true);
            targets.push(Target {
                name: target.to_ascii().into(),
                port: srv.port,
                priority: srv.priority,
                weight: srv.weight,
            });
        }
    }
    if targets.is_empty() {
        return Err(Why::Empty);
    }
    Ok((targets, Duration::from_secs(ttl.into())))
}

/// The addresses of `name` among `records`, following CNAMEs; the TTL is the least on the way.
pub(super) fn read(name: &Name, records: &[Record]) -> Result<Found, Why> {
    let (owner, mut ttl) = end_of(name, records)?;
    let mut addresses = Vec::new();
    for record in records.iter().filter(|record| record.name == *owner) {
        if let Some(address) = record.data.ip_addr() {
            addresses.push(address);
            ttl = ttl.min(sane_ttl(record.ttl));
        }
    }
    if addresses.is_empty() {
        return Err(Why::Empty);
    }
    Ok(Found {
        addresses,
        ttl: Duration::from_secs(ttl.into()),
        missing: None,
    })
}

/// Where `name` leads among `records`: what its last alias stands for, or itself, and the least TTL of the aliases.
pub(super) fn end_of<'a>(name: &'a Name, records: &'a [Record]) -> Result<(&'a Name, u32), Why> {
    let (mut owner, mut ttl) = (name, u32::MAX);
    for _ in 0..=MAX_CHAIN {
        let Some((target, link_ttl)) = alias_of(owner, records) else {
            return Ok((owner, ttl));
        };
        owner = target;
        ttl = ttl.min(sane_ttl(link_ttl));
    }
    Err(Why::AliasLoop)
}

/// Joins what was heard of A and AAAA. One family suffices; `None` is one that was not waited for.
pub(super) fn join(
    v4: Option<Result<Found, Why>>,
    v6: Option<Result<Found, Why>>,
) -> Result<Found, Why> {
    match (v4, v6) {
        (Some(Ok(v4)), Some(Ok(v6))) => Ok(both(v4, v6)),
        (Some(Ok(found)), other) => Ok(alone(found, other.as_ref(), Family::V6)),
        (other, Some(Ok(found))) => Ok(alone(found, other.as_ref(), Family::V4)),
        (v4, v6) => {
            let why = |heard: Option<Result<Found, Why>>| {
                heard.and_then(Result::err).unwrap_or(Why::Timeout)
            };
            Err(worse(why(v4), why(v6)))
        }
    }
}

/// Refuses a message with a code that says nothing of the name. One that says that a name does not exist may still
/// have the aliases that lead to it.
pub(super) fn check(code: ResponseCode) -> Result<(), NetError> {
    match code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(()),
        code => Err(DnsError::ResponseCode(code).into()),
    }
}

/// Classifies an error of the resolver; the one place that opens it.
pub(super) fn why(error: &NetError) -> Why {
    match error {
        NetError::Timeout => Why::Timeout,
        NetError::Io(error) if error.kind() == io::ErrorKind::TimedOut => Why::Timeout,
        NetError::Truncated => Why::Truncated,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError => Why::Empty,
            code => of_code(code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => of_code(*code),
        _ => Why::ServerFailure,
    }
}

fn of_code(code: ResponseCode) -> Why {
    match code {
        ResponseCode::NXDomain => Why::NotFound,
        ResponseCode::Refused => Why::Refused,
        _ => Why::ServerFailure,
    }
}

/// The one of two failures to report: what says least of the name first, since more must not be claimed.
/// NXDOMAIN for one family and no records for the other: the name is there.
pub(super) fn worse(a: Why, b: Why) -> Why {
    let rank = |why| match why {
        Why::ServerFailure => 0,
        Why::Refused => 1,
        Why::Truncated => 2,
        Why::AliasLoop => 3,
        Why::Timeout => 4,
        Why::Prohibited => 5,
        Why::Empty => 6,
        Why::NotFound => 7,
    };
    if rank(a) <= rank(b) { a } else { b }
}

fn alias_of<'a>(owner: &Name, records: &'a [Record]) -> Option<(&'a Name, u32)> {
    records.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *owner => Some((&target.0, record.ttl)),
        _ => None,
    })
}

fn sane_ttl(ttl: u32) -> u32 {
    if ttl > MAX_WIRE_TTL { 0 } else { ttl }
}

fn both(mut v4: Found, v6: Found) -> Found {
    v4.addresses.extend(v6.addresses);
    v4.ttl = v4.ttl.min(v6.ttl);
    v4
}

/// An answer of one family. The other is missing unless the servers said that there is none.
fn alone(mut found: Found, other: Option<&Result<Found, Why>>, family: Family) -> Found {
    let known_empty = matches!(other, Some(Err(why)) if why.is_of_the_name());
    found.missing = (!known_empty).then_some(family);
    found
}

#[cfg(test)]
mod tests;
