//! Faults as a gRPC status: HTTP 200, no body, the status among the headers ("Trailers-Only").

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::fault::{Fault, Kind};

use super::fields;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// gRFC A6: how long a client that retries must wait, in milliseconds, as a signed number of 32 bits; a negative one
/// says that it must not retry at all.
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What `grpc-message` may not hold as it is.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// The codes of gRPC that faults have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Cancelled = 1,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

/// The answer to a gRPC call, without `Proxy-Status` and request id.
pub(super) fn answer(fault: &Fault, detail: Option<&str>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code(fault.kind) as u16));
    if let Some(message) = message(fault.facts().title, detail) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if let Some(pushback) = pushback(fault) {
        headers.insert(GRPC_RETRY_PUSHBACK_MS, pushback);
    }
    response
}

/// When to come back, or not at all. Not said where the client's own policy knows as much: a negative one counts as a
/// failure in the throttle of its retries, which what is its own fault should not.
fn pushback(fault: &Fault) -> Option<HeaderValue> {
    if is_retried_in_vain(fault.kind) {
        return Some(HeaderValue::from_static("-1"));
    }
    let millis = i32::try_from(fields::wait(fault)?.as_millis()).unwrap_or(i32::MAX);
    Some(HeaderValue::from(millis.max(1)))
}

/// Whether the same call cannot succeed, although its code is one that clients retry.
const fn is_retried_in_vain(kind: Kind) -> bool {
    use Kind as K;
    matches!(
        kind,
        K::BodyTooLarge | K::HeadTooLarge | K::UriTooLong | K::DeadlinePast
    )
}

fn message(title: &'static str, detail: Option<&str>) -> Option<HeaderValue> {
    let Some(detail) = detail else {
        return Some(HeaderValue::from_static(title));
    };
    let detail = utf8_percent_encode(detail, MESSAGE);
    HeaderValue::try_from(format!("{title} {detail}")).ok()
}

/// What the fault means to a caller: `Unavailable` may be tried again, the rest not as it is.
#[expect(
    clippy::too_many_lines,
    reason = "a line for each kind, so that none can be forgotten"
)]
pub(super) const fn code(kind: Kind) -> Code {
    use Kind as K;
    match kind {
        K::RateExceeded | K::BodyTooLarge | K::HeadTooLarge | K::UriTooLong => {
            Code::ResourceExhausted
        }
        K::NoRoute | K::MethodRefused | K::CodingUnsupported => Code::Unimplemented,
        K::ClientAborted => Code::Cancelled,
        K::DeadlinePast
        | K::FirstByteTimeout
        | K::RequestTimeout
        | K::ResponseStalled
        | K::HeadTimeout
        | K::BodyTimeout
        | K::ReadTimeout => Code::DeadlineExceeded,
        K::FramingInvalid
        | K::HostInvalid
        | K::TargetInvalid
        | K::PathInvalid
        | K::HeaderInvalid
        | K::ExpectationRefused
        | K::BodyInvalid
        | K::ResponseInvalid
        | K::Http2Broken
        | K::BodyMalformed
        | K::ResponseHeadTooLarge
        | K::UpgradeFailed
        | K::LoopDetected
        | K::AddressProhibited
        | K::Panicked
        | K::Internal => Code::Internal,
        K::ConcurrencyExceeded
        | K::QueueFull
        | K::QueueTimeout
        | K::DeadlineUnmeetable
        | K::ProcessPressure
        | K::NoEndpoint
        | K::NameNotFound
        | K::NameServerFailed
        | K::NameEmpty
        | K::NameUnresolved
        | K::NameUnresolvedTimeout
        | K::NameGone
        | K::NameEmptied
        | K::NameStale
        | K::NameStaleTimeout
        | K::ConnectRefused
        | K::HostUnreachable
        | K::NetUnreachable
        | K::ConnectTimeout
        | K::ConnectFailed
        | K::PortsExhausted
        | K::DescriptorsExhausted
        | K::TlsTimeout
        | K::TlsProtocol
        | K::TlsMismatch
        | K::TlsName
        | K::TlsExpired
        | K::TlsNotYetValid
        | K::TlsUnknownIssuer
        | K::TlsCertificate
        | K::TlsAlertMismatch
        | K::TlsAlert
        | K::ConnectionReset
        | K::HeadReset
        | K::ConnectionClosed
        | K::KeepAliveRace
        | K::StreamRefused
        | K::StreamReset
        | K::GoneAway
        | K::HeadIncomplete
        | K::ResponseIncomplete
        | K::BodyReset => Code::Unavailable,
    }
}
