//! What changes in a head on its way through: hop-by-hop fields go, the forwarding family is written anew.
//!
//! The order matters and is kept by [`prepare_request`] and [`prepare_response`]: first goes what belongs to
//! the other connection, then comes what is ours, so that no client can have one of our fields removed. Maps
//! are edited in place, never cloned. What is the same for all requests of a connection is made once ([`Hop`]).

use std::{
    net::IpAddr,
    ops::RangeInclusive,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, MAX_FORWARDS,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
    },
};
use rand::Rng;

use crate::{config::HeaderEdits, names::TrafficClass};

use super::head::{Checked, Peer, Transport, X_REQUEST_ID, elements, forwards_left};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// What CDNs tell the client's address by.
const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const TRUE_CLIENT_IP: HeaderName = HeaderName::from_static("true-client-ip");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// What CGI programs would take for the proxy to use ("httpoxy").
const PROXY: HeaderName = HeaderName::from_static("proxy");

/// What we write into `Via`.
const VIA_US: HeaderValue = HeaderValue::from_static("1.1 tidegate");

/// Entries of `X-Forwarded-For` that are walked; beyond them nothing is believed.
const MAX_ENTRIES: usize = 64;

/// What one connection adds to each of its requests. Made once for each connection.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    address: IpAddr,
    /// `address` as text.
    client: HeaderValue,
    /// `http` or `https`.
    proto: &'static str,
    port: HeaderValue,
    peer: Peer,
}

// === impl Hop ===

impl Hop {
    /// The hop from `address` to our `port`. An IPv4-mapped IPv6 address counts as IPv4.
    pub(crate) fn new(address: IpAddr, port: u16, transport: Transport, peer: Peer) -> Self {
        let address = address.to_canonical();
        let proto = match transport {
            Transport::Plain => "http",
            Transport::Tls => "https",
        };
        Self {
            address,
            client: address_value(address),
            proto,
            port: HeaderValue::from(port),
            peer,
        }
    }
}

fn address_value(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The address of the client itself: `peer`, or where that is trusted, what `X-Forwarded-For` says.
///
/// The list is walked from the right, over all its lines, as far as the hops are trusted; the first that is
/// not is the client. An entry that is no address stops the walk at the hop before it. At most
/// [`MAX_ENTRIES`] are walked. To be called before [`prepare_request`] appends to the list.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusts(client) {
        return client;
    }
    for entry in elements(headers, &X_FORWARDED_FOR).rev().take(MAX_ENTRIES) {
        let Some(address) = entry_address(entry) else {
            break;
        };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    client
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`; no names, no zones.
fn entry_address(entry: &str) -> Option<IpAddr> {
    let address = match entry.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            is_port(port).then(|| address.parse().ok().map(IpAddr::V6))?
        }
        None => match entry.split_once(':') {
            Some((address, port)) if !port.contains(':') => {
                let ok = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                ok.then(|| address.parse().ok().map(IpAddr::V4))?
            }
            _ => entry.parse().ok(),
        },
    };
    address.map(|address| address.to_canonical())
}

/// Nothing, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// The id of a request: the one that was kept, else a new `UUIDv7` (RFC 9562 section 5.7). No lock is shared.
pub(crate) fn request_id(
    kept: Option<HeaderValue>,
    now: SystemTime,
    rng: &mut impl Rng,
) -> HeaderValue {
    if let Some(id) = kept {
        return id;
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or_default();
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    let text: &str = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
}

/// What [`prepare_request`] works by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    /// What was read from the head.
    pub(crate) checked: &'a Checked,
    /// The connection that it came by.
    pub(crate) hop: &'a Hop,
    /// The client itself, see [`client_address`].
    pub(crate) client: IpAddr,
    /// The request's id.
    pub(crate) request_id: &'a HeaderValue,
    /// The request's method.
    pub(crate) method: &'a Method,
}

/// Makes a client's fields into those that an upstream gets; a route's edits come after.
///
/// Hop-by-hop fields go (`Upgrade` stays for what may become a tunnel, `TE: trailers` always), `Expect` goes
/// since it was answered here. `Transfer-Encoding: chunked` stays, so that an HTTP/1 connection sends a body
/// with any method; over HTTP/2 it must be left out. Host is what the request is for.
pub(crate) fn prepare_request(headers: &mut HeaderMap, out: &Outgoing<'_>) {
    remove_hop_by_hop(headers);
    keep_trailers(headers);
    headers.remove(HTTP2_SETTINGS);
    headers.remove(PROXY);
    headers.remove(PROXY_STATUS); // it speaks of answers, and only a gateway may say it
    headers.remove(EXPECT);
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")); // written anew, not as sent
    }
    keep_upgrade(headers, out.checked.class == TrafficClass::Upgrade);
    if let Some(authority) = &out.checked.authority {
        headers.insert(HOST, authority.clone());
    }
    join_cookies(headers);
    if *out.method == Method::OPTIONS
        && let Some(left) = forwards_left(headers)
    {
        headers.insert(MAX_FORWARDS, HeaderValue::from(left.saturating_sub(1)));
    }
    match out.hop.peer {
        Peer::Trusted => append_forwarding(headers, out),
        Peer::Untrusted => replace_forwarding(headers, out),
    }
    headers.append(VIA, VIA_US);
    headers.insert(X_REQUEST_ID, out.request_id.clone());
}

/// Makes an upstream's fields into those that a client gets; a route's edits come after.
///
/// Hop-by-hop fields go; `Upgrade` stays with 101 and 426 over HTTP/1.1. Framing is left to the server side:
/// `Transfer-Encoding` goes, and with it a `Content-Length` that stood beside it; 1xx and 204 have no length.
/// [`sign`] comes last.
pub(crate) fn prepare_response(headers: &mut HeaderMap, status: StatusCode, client: Version) {
    remove_hop_by_hop(headers);
    headers.remove(TE);
    let switches = matches!(
        status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED
    );
    keep_upgrade(headers, switches && client == Version::HTTP_11);
    let coded = headers.remove(TRANSFER_ENCODING).is_some();
    if coded || status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Marks an error as the upstream's own: what others said in `Proxy-Status` stays, and ours names the status that came
/// and no error (RFC 9209 section 2.1.3).
pub(crate) fn mark_own_error(headers: &mut HeaderMap, status: StatusCode) {
    static MARKS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
        let marks = ERRORS.map(|status| format!("tidegate; received-status={status}"));
        let values = marks.map(HeaderValue::try_from);
        values.map(|value| value.unwrap_or(US)).collect()
    });
    let place = status.as_u16().checked_sub(*ERRORS.start());
    if let Some(mark) = place.and_then(|place| MARKS.get(usize::from(place))) {
        headers.append(PROXY_STATUS, mark.clone());
    }
}

/// Statuses that say that something is wrong.
const ERRORS: RangeInclusive<u16> = 400..=599;
/// Our name in `Proxy-Status`.
const US: HeaderValue = HeaderValue::from_static("tidegate");

/// What every answer bears, whoever it is from: `Via`, and the request's id.
pub(crate) fn sign(headers: &mut HeaderMap, request_id: &HeaderValue) {
    headers.append(VIA, VIA_US);
    headers.insert(X_REQUEST_ID, request_id.clone());
}

/// A route's edits: what it removes, then what it sets in place of whatever was there.
pub(crate) fn edit(headers: &mut HeaderMap, edits: &HeaderEdits) {
    for name in &edits.remove {
        headers.remove(name);
    }
    for (name, value) in &edits.set {
        headers.insert(name.clone(), value.clone());
    }
}

/// A route's edits of a request. A client's field whose name is one of theirs but for `_` goes too: a server
/// that takes `_` for `-` would read it in place of ours.
pub(crate) fn edit_request(headers: &mut HeaderMap, edits: &HeaderEdits) {
    let edited = || {
        edits
            .remove
            .iter()
            .chain(edits.set.iter().map(|(name, _value)| name))
    };
    let aliases: Vec<HeaderName> = headers
        .keys()
        .filter(|key| key.as_str().contains('_') && edited().any(|name| is_alias_of(key, name)))
        .cloned()
        .collect();
    for alias in aliases {
        headers.remove(alias);
    }
    edit(headers, edits);
}

fn is_alias_of(key: &HeaderName, name: &HeaderName) -> bool {
    let dashed = |name: &HeaderName| name.as_str().replace('_', "-");
    key != name && dashed(key) == dashed(name)
}

// Hop by hop (RFC 9110 section 7.6.1).

/// Removes what belongs to one connection only: what `Connection` names, and what is known to.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        remove_named(headers);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHENTICATION_INFO,
        PROXY_AUTHORIZATION,
    ] {
        headers.remove(name);
    }
}

/// Removes `Connection` and the fields that it names, save those that others rely on.
fn remove_named(headers: &mut HeaderMap) {
    let more: Vec<HeaderValue> = headers
        .get_all(CONNECTION)
        .iter()
        .skip(1)
        .cloned()
        .collect();
    let first = headers.remove(CONNECTION);
    for line in first.iter().chain(&more) {
        let names = line.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in names.filter(|name| !is_protected(name)) {
            headers.remove(name);
        }
    }
}

/// What `Connection` cannot have removed: Host, framing, the forwarding family, what is handled by itself.
fn is_protected(name: &str) -> bool {
    const PROTECTED: [HeaderName; 10] = [
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        TE,
        UPGRADE,
        VIA,
        FORWARDED,
        X_REAL_IP,
        X_REQUEST_ID,
        CONNECTION,
    ];
    name.is_empty()
        || is_forwarded_field(name)
        || PROTECTED
            .iter()
            .any(|kept| kept.as_str().eq_ignore_ascii_case(name))
}

/// `TE: trailers` is all of `TE` that a gateway can pass on; gRPC servers want it.
fn keep_trailers(headers: &mut HeaderMap) {
    if !headers.contains_key(TE) {
        return;
    }
    let trailers = elements(headers, &TE).any(|coding| coding.eq_ignore_ascii_case("trailers"));
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

/// `Upgrade` belongs to one connection, so it is named in `Connection` or it goes.
fn keep_upgrade(headers: &mut HeaderMap, keep: bool) {
    if keep && headers.contains_key(UPGRADE) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove(UPGRADE);
    }
}

/// HTTP/2 clients may split Cookie; HTTP/1 servers read one line (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        join(headers, &COOKIE, b"; ", None);
    }
}

/// Makes one line of all lines of `name`, and of `last` behind them.
fn join(headers: &mut HeaderMap, name: &HeaderName, between: &[u8], last: Option<&[u8]>) {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut joined = Vec::with_capacity(128);
    for line in lines.chain(last).filter(|line| !line.is_empty()) {
        if !joined.is_empty() {
            joined.extend_from_slice(between);
        }
        joined.extend_from_slice(line);
    }
    if let Ok(value) = HeaderValue::try_from(joined) {
        headers.insert(name.clone(), value);
    }
}

// The forwarding family.

/// From a peer that is not trusted nothing of the family counts: all of it goes, ours takes its place.
fn replace_forwarding(headers: &mut HeaderMap, out: &Outgoing<'_>) {
    let strangers: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_forwarded_field(name.as_str()))
        .cloned()
        .collect();
    for name in strangers {
        headers.remove(name);
    }
    for name in [CF_CONNECTING_IP, TRUE_CLIENT_IP] {
        headers.remove(name);
    }
    headers.insert(X_FORWARDED_FOR, out.hop.client.clone());
    headers.insert(X_REAL_IP, out.hop.client.clone());
    headers.remove(FORWARDED);
    append_forwarded(headers, out, out.hop.address);
    keep_or_put_origin(headers, out.hop);
}

/// From a trusted peer the lists grow by one; what is not a list stays.
fn append_forwarding(headers: &mut HeaderMap, out: &Outgoing<'_>) {
    let hop = out.hop;
    join(
        headers,
        &X_FORWARDED_FOR,
        b", ",
        Some(hop.client.as_bytes()),
    );
    // A list that begins here speaks of the client, not of the trusted proxy before us.
    let begins = !headers.contains_key(FORWARDED);
    append_forwarded(headers, out, if begins { out.client } else { hop.address });
    if !headers.contains_key(X_REAL_IP) {
        headers.insert(X_REAL_IP, address_value(out.client));
    }
    keep_or_put_origin(headers, hop);
}

fn keep_or_put_origin(headers: &mut HeaderMap, hop: &Hop) {
    if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(hop.proto));
    }
    if !headers.contains_key(X_FORWARDED_PORT) {
        headers.insert(X_FORWARDED_PORT, hop.port.clone());
    }
    if !headers.contains_key(X_FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// Adds `for=1.2.3.4;host=shop.example.com;proto=http` (RFC 7239 section 4) behind what is there.
fn append_forwarded(headers: &mut HeaderMap, out: &Outgoing<'_>, client: IpAddr) {
    let mut element = Vec::with_capacity(96);
    element.extend_from_slice(b"for=");
    if client == out.hop.address {
        push_node(&mut element, client, out.hop.client.as_bytes());
    } else {
        push_node(&mut element, client, client.to_string().as_bytes());
    }
    if let Some(host) = headers.get(HOST) {
        element.extend_from_slice(b";host=");
        push_host(&mut element, host.as_bytes());
    }
    element.extend_from_slice(b";proto=");
    element.extend_from_slice(out.hop.proto.as_bytes());
    if headers.contains_key(FORWARDED) {
        join(headers, &FORWARDED, b", ", Some(&element));
    } else if let Ok(value) = HeaderValue::try_from(element) {
        headers.insert(FORWARDED, value);
    }
}

fn push_node(element: &mut Vec<u8>, address: IpAddr, text: &[u8]) {
    let (before, after): (&[u8], &[u8]) = match address {
        IpAddr::V4(_) => (b"", b""),
        IpAddr::V6(_) => (b"\"[", b"]\""),
    };
    element.extend_from_slice(before);
    element.extend_from_slice(text);
    element.extend_from_slice(after);
}

/// A port or an address in brackets is no token and must be quoted. The host was checked: it holds no quote.
fn push_host(element: &mut Vec<u8>, host: &[u8]) {
    let quote: &[u8] = if host.contains(&b':') { b"\"" } else { b"" };
    element.extend_from_slice(quote);
    element.extend_from_slice(host);
    element.extend_from_slice(quote);
}

fn is_forwarded_field(name: &str) -> bool {
    const START: &[u8] = b"x-forwarded-";
    let start = name.as_bytes().get(..START.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(START))
}

#[cfg(test)]
mod tests;
