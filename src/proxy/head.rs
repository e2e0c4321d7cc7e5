//! The checks that a request's head must pass before anything is decided by it.
//!
//! Pure: the head and the bounds in, a [`Checked`] or the [`Kind`] of fault out. hyper and h2 have parsed the
//! bytes; what they let through and no gateway may is refused here (their gaps: Host, the form of the target,
//! codings besides `chunked`, aliases). In the ordinary case nothing is allocated over HTTP/1, and one value
//! (the Host) over HTTP/2. A fragment in the target cannot be refused: the parser cuts it off unseen.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, MAX_FORWARDS, TRANSFER_ENCODING,
        UPGRADE, VIA,
    },
    request::Parts,
    uri::{PathAndQuery, Scheme},
};

use crate::{
    fault::Kind,
    names::TrafficClass,
    route::{Host, PathError, host_of, normalise},
};

/// Our name in `Via` and `Proxy-Status`.
pub(crate) const PSEUDONYM: &str = "tidegate";
/// More fields than this are too large a head, whatever their size; the same for HTTP/1 and HTTP/2.
pub(crate) const MAX_FIELDS: usize = 100;
/// A longer method is none that anybody has defined.
const MAX_METHOD: usize = 32;
/// A length of more digits would not fit where lengths are counted, and no body is that long.
const MAX_LENGTH_DIGITS: usize = 18;
/// A longer request id of a trusted peer is not kept.
const MAX_REQUEST_ID: usize = 128;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a head is measured by: facts of the listener and of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Largest header section: names, values and four bytes a field, after decompression.
    pub(crate) max_header_bytes: usize,
    /// Longest request target.
    pub(crate) max_target_bytes: usize,
    /// What the connection is made of.
    pub(crate) transport: Transport,
    /// Who is at its other end.
    pub(crate) peer: Peer,
}

/// What a connection is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Plain text.
    Plain,
    /// TLS.
    Tls,
}

/// Whether the other end of a connection is one of `trusted_proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Its forwarding fields and its request id count.
    Trusted,
    /// They don't.
    Untrusted,
}

/// A head that passed, and what was read from it. Owns little: its parts share the request's bytes.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// The host that the request is for, for routing and logs; empty over HTTP/1.0 without Host.
    pub(crate) host: HostName,
    /// The Host to forward, where it is not the field that the client sent: from `:authority`, or from a
    /// target in absolute form.
    pub(crate) authority: Option<HeaderValue>,
    /// The path in normal form and the query as sent; `*` for `OPTIONS *`.
    pub(crate) target: PathAndQuery,
    /// How the exchange is answered.
    pub(crate) class: TrafficClass,
    /// The client's request id, where it may be kept.
    pub(crate) request_id: Option<HeaderValue>,
    /// Whether `Max-Forwards: 0` says that this OPTIONS is to be answered here.
    pub(crate) last_stop: bool,
}

/// A host's name in lower case, up to 62 bytes without allocation.
#[derive(Clone)]
pub(crate) struct HostName(Text);

#[derive(Clone)]
enum Text {
    Short { length: u8, bytes: [u8; 62] },
    Long(Box<str>),
}

/// Checks a request's head. What is wrong first, in the order of the code, names the fault.
pub(crate) fn check(parts: &Parts, bounds: &Bounds) -> Result<Checked, Kind> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Kind::MethodRefused);
    }
    if parts.method.as_str().len() > MAX_METHOD {
        return Err(Kind::FramingInvalid);
    }
    check_size(parts, bounds)?;
    if !matches!(
        parts.version,
        Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2
    ) {
        return Err(Kind::FramingInvalid);
    }
    check_framing(parts)?;
    let (host, authority) = host(parts, bounds)?;
    let target = target(parts, bounds)?;
    check_expectation(&parts.headers)?;
    if names_us(&parts.headers) {
        return Err(Kind::LoopDetected);
    }
    Ok(Checked {
        host,
        authority,
        target,
        class: class_of(parts),
        request_id: kept_id(&parts.headers, bounds.peer),
        last_stop: parts.method == Method::OPTIONS && forwards_left(&parts.headers) == Some(0),
    })
}

/// The elements of a field that is a list, over all its lines, without empty ones. What is not ASCII has none.
pub(super) fn elements<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'h str> + use<'h> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// How often an OPTIONS may still be passed on (RFC 9110 section 7.6.2); garbage says nothing.
pub(super) fn forwards_left(headers: &HeaderMap) -> Option<u32> {
    headers.get(MAX_FORWARDS)?.to_str().ok()?.parse().ok()
}

fn check_size(parts: &Parts, bounds: &Bounds) -> Result<(), Kind> {
    let authority = parts
        .uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = parts
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if authority + path > bounds.max_target_bytes {
        return Err(Kind::UriTooLong);
    }
    let mut bytes = 0;
    let mut alias = false;
    for (name, value) in &parts.headers {
        bytes += name.as_str().len() + value.len() + ": \r\n".len();
        alias |= is_alias(name.as_str());
    }
    if bytes > bounds.max_header_bytes || parts.headers.len() > MAX_FIELDS {
        return Err(Kind::HeadTooLarge);
    }
    if alias {
        Err(Kind::HeaderInvalid)
    } else {
        Ok(())
    }
}

/// Whether a name with `_` reads like a field that the gateway relies on, for a server that takes `_` for `-`.
fn is_alias(name: &str) -> bool {
    const PREFIXES: [&str; 2] = ["x-forwarded-", "proxy-"];
    const NAMES: [&str; 9] = [
        "content-length",
        "transfer-encoding",
        "content-type",
        "x-real-ip",
        "x-request-id",
        "keep-alive",
        "http2-settings",
        "max-forwards",
        "cf-connecting-ip",
    ];
    let dashed = || name.bytes().map(|b| if b == b'_' { b'-' } else { b });
    name.contains('_')
        && (NAMES.iter().any(|known| dashed().eq(known.bytes()))
            || PREFIXES
                .iter()
                .any(|start| dashed().take(start.len()).eq(start.bytes())))
}

/// Framing that could be read in two ways (RFC 9112 section 6): the library has chosen one, others might not.
fn check_framing(parts: &Parts) -> Result<(), Kind> {
    let coded = parts.headers.contains_key(TRANSFER_ENCODING);
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next()
        && (coded || lengths.next().is_some() || !is_canonical_number(length.as_bytes()))
    {
        return Err(Kind::FramingInvalid);
    }
    if !coded {
        return Ok(());
    }
    if parts.version != Version::HTTP_11 {
        return Err(Kind::FramingInvalid);
    }
    check_codings(&parts.headers)
}

fn is_canonical_number(bytes: &[u8]) -> bool {
    match bytes {
        [] | [b'0', _, ..] => false,
        digits => digits.len() <= MAX_LENGTH_DIGITS && digits.iter().all(u8::is_ascii_digit),
    }
}

/// `chunked` alone passes. Codings that exist and end in one `chunked` are not implemented; the rest is broken.
fn check_codings(headers: &HeaderMap) -> Result<(), Kind> {
    const KNOWN: [&str; 6] = [
        "gzip",
        "x-gzip",
        "deflate",
        "compress",
        "x-compress",
        "identity",
    ];
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let only = lines.next().filter(|_| lines.next().is_none());
    if only.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Ok(());
    }
    let mut codings = elements(headers, &TRANSFER_ENCODING);
    let last = codings.next_back().unwrap_or_default();
    let is_known = |coding: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(coding));
    let mut rest = codings.peekable();
    if last.eq_ignore_ascii_case("chunked") && rest.peek().is_some() && rest.all(is_known) {
        Err(Kind::CodingUnsupported)
    } else {
        Err(Kind::FramingInvalid)
    }
}

/// The host, and the Host to forward where it is not what the client sent (RFC 9112 section 3.2, RFC 9113
/// section 8.3.1). An absolute target wins over Host; `:authority` and `host` must agree.
fn host(parts: &Parts, bounds: &Bounds) -> Result<(HostName, Option<HeaderValue>), Kind> {
    let field = host_field(&parts.headers)?;
    let sent = field.map(read_host).transpose()?;
    let Some(authority) = parts.uri.authority() else {
        return match sent {
            Some(sent) => Ok((HostName::of(&sent.name), None)),
            None if parts.version == Version::HTTP_10 => Ok((HostName::of(""), None)),
            None => Err(Kind::HostInvalid),
        };
    };
    let host = read_host(authority.as_str())?;
    let agree = |sent: &Host<'_>| {
        let usual = usual_port(bounds.transport);
        sent.name == host.name && sent.port.unwrap_or(usual) == host.port.unwrap_or(usual)
    };
    match (&sent, parts.version) {
        (None, Version::HTTP_11) => return Err(Kind::HostInvalid),
        (Some(sent), Version::HTTP_2) if !agree(sent) => return Err(Kind::HostInvalid),
        _ => {}
    }
    let name = HostName::of(&host.name);
    if field == Some(authority.as_str()) {
        return Ok((name, None));
    }
    let value = HeaderValue::from_str(authority.as_str()).map_err(|_| Kind::HostInvalid)?;
    Ok((name, Some(value)))
}

/// The one Host, or none.
fn host_field(headers: &HeaderMap) -> Result<Option<&str>, Kind> {
    let mut lines = headers.get_all(HOST).iter();
    let Some(only) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(Kind::HostInvalid);
    }
    only.to_str().map(Some).map_err(|_| Kind::HostInvalid)
}

fn read_host(text: &str) -> Result<Host<'_>, Kind> {
    host_of(text).map_err(|_| Kind::HostInvalid)
}

const fn usual_port(transport: Transport) -> u16 {
    match transport {
        Transport::Plain => 80,
        Transport::Tls => 443,
    }
}

fn target(parts: &Parts, bounds: &Bounds) -> Result<PathAndQuery, Kind> {
    check_scheme(parts, bounds)?;
    // Only authority-form has none, which is for CONNECT.
    let sent = parts.uri.path_and_query().ok_or(Kind::TargetInvalid)?;
    let starts_in_query = sent.as_str().starts_with('?');
    if starts_in_query && parts.uri.scheme().is_none() {
        return Err(Kind::TargetInvalid);
    }
    if sent.as_str() == "*" {
        let allowed = parts.method == Method::OPTIONS;
        return if allowed {
            Ok(sent.clone())
        } else {
            Err(Kind::TargetInvalid)
        };
    }
    match normalise(sent.path()) {
        Ok(Cow::Borrowed(_)) if !starts_in_query => Ok(sent.clone()),
        Ok(path) => with_path(&path, sent.query()),
        Err(PathError::NotAbsolute) => Err(Kind::TargetInvalid),
        Err(_) => Err(Kind::PathInvalid),
    }
}

/// A target in absolute form, or `:scheme`, must be what this listener serves. `https` over plain text is
/// taken from a trusted peer, and over HTTP/2, where whoever ended TLS before us passes it on.
fn check_scheme(parts: &Parts, bounds: &Bounds) -> Result<(), Kind> {
    let Some(scheme) = parts.uri.scheme() else {
        return Ok(());
    };
    let tls_ended_before = bounds.peer == Peer::Trusted || parts.version == Version::HTTP_2;
    let served = match bounds.transport {
        Transport::Tls => *scheme == Scheme::HTTPS,
        Transport::Plain => {
            *scheme == Scheme::HTTP || (*scheme == Scheme::HTTPS && tls_ended_before)
        }
    };
    if served {
        Ok(())
    } else {
        Err(Kind::TargetInvalid)
    }
}

/// A target of a changed path and the query as it was.
pub(super) fn with_path(path: &str, query: Option<&str>) -> Result<PathAndQuery, Kind> {
    let mut text = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    PathAndQuery::from_maybe_shared(bytes::Bytes::from(text)).map_err(|_| Kind::PathInvalid)
}

/// `100-continue` is the only expectation there is (RFC 9110 section 10.1.1).
fn check_expectation(headers: &HeaderMap) -> Result<(), Kind> {
    let mut lines = headers.get_all(EXPECT).iter();
    if lines.all(|line| line.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        Ok(())
    } else {
        Err(Kind::ExpectationRefused)
    }
}

/// Whether we stand in `Via` already (RFC 9110 section 7.6.3), with or without a port.
fn names_us(headers: &HeaderMap) -> bool {
    elements(headers, &VIA).any(|hop| {
        let by = hop.split_ascii_whitespace().nth(1).unwrap_or_default();
        let name = by.split_once(':').map_or(by, |(name, _port)| name);
        name.eq_ignore_ascii_case(PSEUDONYM)
    })
}

/// How an exchange is answered, seen from its head alone.
pub(super) fn class_of(parts: &Parts) -> TrafficClass {
    if is_grpc(&parts.headers) {
        TrafficClass::Grpc
    } else if asks_for_upgrade(parts) {
        TrafficClass::Upgrade
    } else {
        TrafficClass::Http
    }
}

/// `application/grpc`, with a subtype or parameters; not gRPC-Web, whose callers read HTTP statuses.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let rest = kind
        .split_at_checked("application/grpc".len())
        .filter(|(start, _rest)| start.eq_ignore_ascii_case(b"application/grpc"));
    rest.is_some_and(|(_start, rest)| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}

/// Whether an HTTP/1.1 client offers to switch protocols. `h2c` is not one of them (RFC 9113 section 3.1).
fn asks_for_upgrade(parts: &Parts) -> bool {
    let is_h2c = |protocol: &str| protocol.eq_ignore_ascii_case("h2c");
    // A WebSocket begins with GET (RFC 6455 section 4.1); another method would open no tunnel anywhere.
    let is_odd =
        |protocol: &str| protocol.eq_ignore_ascii_case("websocket") && parts.method != Method::GET;
    parts.version == Version::HTTP_11
        && parts.headers.contains_key(UPGRADE)
        && elements(&parts.headers, &CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"))
        && elements(&parts.headers, &UPGRADE).next().is_some()
        && !elements(&parts.headers, &UPGRADE).any(|protocol| is_h2c(protocol) || is_odd(protocol))
}

fn kept_id(headers: &HeaderMap, peer: Peer) -> Option<HeaderValue> {
    let mut lines = headers.get_all(X_REQUEST_ID).iter();
    let id = lines
        .next()
        .filter(|_| peer == Peer::Trusted && lines.next().is_none())?;
    let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
    (visible && (1..=MAX_REQUEST_ID).contains(&id.len())).then(|| id.clone())
}

// === impl HostName ===

impl HostName {
    /// `name`, which is in lower case.
    pub(crate) fn of(name: &str) -> Self {
        let mut bytes = [0; 62];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(name.as_bytes());
                Self(Text::Short { length, bytes })
            }
            _ => Self(Text::Long(name.into())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Text::Long(name) => name,
            Text::Short { length, bytes } => {
                let name = bytes.get(..usize::from(*length)).unwrap_or_default();
                std::str::from_utf8(name).unwrap_or_default()
            }
        }
    }
}

impl std::fmt::Debug for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests;
