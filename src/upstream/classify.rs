//! What an error of a socket, of TLS or of HTTP means. The only place that opens the boxed errors of others.
//!
//! hyper, h2 and rustls hand us errors inside of errors; each function here takes what one of them gives and
//! says which [`Kind`] it is. Nothing looks at the text of an error but to keep it as the detail.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    time::{Duration, UNIX_EPOCH},
};

use httpdate::fmt_http_date;
use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError, Error as TlsError, pki_types::UnixTime};

use super::{Flaw, NoConnection, socket};
use crate::{
    fault::{Fault, Kind, Stage},
    health::{CheckFailure, Outcome},
};

/// How far an exchange was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// No byte of the answer came.
    Nothing,
    /// A part of its head came.
    Begun,
    /// It is not known: the connection is shared, and what came may be another's.
    Unknown,
}

/// TCP could not be connected to `address`.
pub(super) fn connect(error: &io::Error, address: SocketAddr) -> Fault {
    let kind = match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => Kind::DescriptorsExhausted,
        Some(Errno::ADDRNOTAVAIL) if socket::has_address_towards(address) => Kind::PortsExhausted,
        Some(Errno::CONNREFUSED) => Kind::ConnectRefused,
        Some(Errno::HOSTUNREACH | Errno::HOSTDOWN) => Kind::HostUnreachable,
        // No way there, a rule of this host against it, or no address of our own to go there from.
        Some(
            Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::ACCESS
            | Errno::PERM
            | Errno::ADDRNOTAVAIL
            | Errno::AFNOSUPPORT,
        ) => Kind::NetUnreachable,
        Some(Errno::TIMEDOUT) => Kind::ConnectTimeout,
        _ => Kind::ConnectFailed,
    };
    Fault::new(kind)
        .at(Stage::Connect)
        .detail(error.to_string())
}

/// The same as [`connect`], for whoever wants to know more and has sent nothing.
pub(super) fn no_connection(error: &io::Error) -> NoConnection {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => NoConnection::NoDescriptor,
        Some(Errno::ADDRNOTAVAIL) => NoConnection::NoPort,
        _ => match error.kind() {
            io::ErrorKind::ConnectionRefused => NoConnection::Refused,
            io::ErrorKind::HostUnreachable => NoConnection::HostUnreachable,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                NoConnection::NetUnreachable
            }
            io::ErrorKind::PermissionDenied => NoConnection::Prohibited,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                NoConnection::Reset
            }
            io::ErrorKind::TimedOut => NoConnection::Filtered,
            _ => NoConnection::Other(error.to_string().into()),
        },
    }
}

/// What the TLS handshake failed by, and what there is to say about it.
pub(super) fn flaw(error: &io::Error) -> (Flaw, String) {
    let fault = handshake(error);
    let flaw = match fault.kind {
        Kind::TlsName => Flaw::Name,
        Kind::TlsExpired => Flaw::Expired,
        Kind::TlsNotYetValid => Flaw::NotYet,
        Kind::TlsUnknownIssuer => Flaw::Issuer,
        Kind::TlsCertificate => Flaw::Certificate,
        Kind::TlsAlert | Kind::TlsAlertMismatch => Flaw::Alert,
        Kind::ConnectionReset | Kind::ConnectionClosed => Flaw::Closed,
        Kind::TlsTimeout => Flaw::Timeout,
        _ => Flaw::Protocol,
    };
    (flaw, fault.detail.unwrap_or_default().into())
}

/// The TLS handshake failed.
pub(super) fn handshake(error: &io::Error) -> Fault {
    let fault = match tls_in(error) {
        Some(tls) => self::tls(tls),
        None => Fault::new(match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Kind::ConnectionReset,
            io::ErrorKind::TimedOut => Kind::TlsTimeout,
            io::ErrorKind::UnexpectedEof => Kind::ConnectionClosed,
            _ => Kind::TlsProtocol,
        })
        .detail(error.to_string()),
    };
    fault.at(Stage::UpstreamTls)
}

/// TLS failed.
fn tls(error: &TlsError) -> Fault {
    let kind = match error {
        TlsError::InvalidCertificate(why) => of_certificate(why),
        TlsError::NoCertificatesPresented => Kind::TlsCertificate,
        TlsError::AlertReceived(alert) => return alerted(*alert),
        TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => Kind::TlsMismatch,
        _ => Kind::TlsProtocol,
    };
    let detail = match error {
        TlsError::InvalidCertificate(why) => certificate(why),
        other => other.to_string(),
    };
    Fault::new(kind).at(Stage::UpstreamTls).detail(detail)
}

fn of_certificate(why: &CertificateError) -> Kind {
    match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Kind::TlsName
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Kind::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Kind::TlsNotYetValid
        }
        // Signed with a key that is not trusted, by somebody of whom only the name is known or not even that. Where the
        // trusted key of that name is of another kind, the signature does not even fit it.
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Kind::TlsUnknownIssuer
        }
        _ => Kind::TlsCertificate,
    }
}

/// Whether what was wrong is the certificate.
pub(super) const fn is_of_a_certificate(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TlsName
            | Kind::TlsExpired
            | Kind::TlsNotYetValid
            | Kind::TlsUnknownIssuer
            | Kind::TlsCertificate
    )
}

fn alerted(alert: AlertDescription) -> Fault {
    let kind = match alert {
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity
        | AlertDescription::NoApplicationProtocol => Kind::TlsAlertMismatch,
        _ => Kind::TlsAlert,
    };
    Fault::new(kind)
        .at(Stage::UpstreamTls)
        .detail(format!("alert received: {alert:?}"))
}

/// What is wrong with a certificate, with the names and dates that say so.
fn certificate(why: &CertificateError) -> String {
    let date = |time: &UnixTime| fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match why {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", date(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", date(not_before))
        }
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its issuer has the name of one that is trusted, and another key".to_owned()
        }
        other => other.to_string(),
    }
}

/// An exchange failed before the head of its answer was complete.
pub(super) fn exchange(error: &hyper::Error, answer: Answer) -> Fault {
    if let Some(fault) = beneath(error) {
        return fault;
    }
    let kind = if error.is_parse_too_large() {
        Kind::ResponseHeadTooLarge
    } else if error.is_parse() {
        Kind::ResponseInvalid
    } else if let Some(h2) = source::<h2::Error>(error) {
        stream(h2)
    } else if let Some(io) = source::<io::Error>(error) {
        transport(io, answer)
    } else {
        ended(answer) // closed, incomplete, cancelled, no answer to a ping
    };
    Fault::new(kind).detail(chain(error))
}

/// The same fault, where a connection that had rested ended without a byte just after a request was sent on it: the
/// endpoint had closed it, and the two crossed.
pub(super) fn crossed(mut fault: Fault) -> Fault {
    if matches!(fault.kind, Kind::ConnectionClosed | Kind::ConnectionReset) {
        fault.kind = Kind::KeepAliveRace;
    }
    fault
}

/// Whether an HTTP/2 error proves that the endpoint took nothing of the request (RFC 9113 section 8.7): it
/// refused the stream, or went away with a last stream before this one. h2 reports a GOAWAY only to such streams.
pub(super) fn unprocessed(error: &hyper::Error) -> bool {
    source::<h2::Error>(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// The body of an answer broke off.
pub(super) fn body(error: &hyper::Error) -> Fault {
    if let Some(fault) = beneath(error) {
        return fault.at(Stage::Body);
    }
    let kind = match (source::<h2::Error>(error), source::<io::Error>(error)) {
        (Some(h2), _) => match h2.get_io() {
            Some(io) => broken_off(io),
            None if h2.is_remote() => Kind::BodyReset,
            None => Kind::BodyMalformed,
        },
        (None, Some(io)) => broken_off(io),
        (None, None) => Kind::ResponseIncomplete,
    };
    Fault::new(kind).at(Stage::Body).detail(chain(error))
}

/// A body ended with `error`: out of place, or with what hyper and h2 say of broken framing and of a close.
fn broken_off(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Kind::BodyMalformed,
        _ if error.raw_os_error().is_some() => Kind::BodyReset,
        _ => Kind::ResponseIncomplete,
    }
}

/// What a fault says of the endpoint at which it happened.
///
/// Only what the endpoint did counts against it: neither what the client did nor what this process lacks.
#[must_use]
#[expect(
    clippy::too_many_lines,
    reason = "a line for each kind, so that none can be forgotten"
)]
pub fn outcome(kind: Kind) -> Outcome {
    match kind {
        Kind::ConnectRefused
        | Kind::HostUnreachable
        | Kind::NetUnreachable
        | Kind::ConnectTimeout
        | Kind::ConnectFailed
        | Kind::TlsTimeout
        | Kind::TlsProtocol
        | Kind::TlsMismatch
        | Kind::TlsName
        | Kind::TlsExpired
        | Kind::TlsNotYetValid
        | Kind::TlsUnknownIssuer
        | Kind::TlsCertificate
        | Kind::TlsAlertMismatch
        | Kind::TlsAlert
        | Kind::ConnectionReset
        | Kind::HeadReset
        | Kind::ConnectionClosed
        | Kind::KeepAliveRace
        | Kind::StreamRefused
        | Kind::StreamReset
        | Kind::GoneAway => Outcome::LocalFailure,
        Kind::ResponseInvalid
        | Kind::Http2Broken
        | Kind::ResponseHeadTooLarge
        | Kind::HeadIncomplete
        | Kind::ResponseIncomplete
        | Kind::BodyReset
        | Kind::BodyMalformed
        | Kind::FirstByteTimeout
        | Kind::RequestTimeout
        | Kind::ResponseStalled => Outcome::RemoteFailure,
        Kind::FramingInvalid
        | Kind::HostInvalid
        | Kind::TargetInvalid
        | Kind::PathInvalid
        | Kind::HeaderInvalid
        | Kind::CodingUnsupported
        | Kind::MethodRefused
        | Kind::ExpectationRefused
        | Kind::UriTooLong
        | Kind::HeadTooLarge
        | Kind::HeadTimeout
        | Kind::BodyTooLarge
        | Kind::BodyTimeout
        | Kind::BodyInvalid
        | Kind::ReadTimeout
        | Kind::ClientAborted
        | Kind::NoRoute
        | Kind::RateExceeded
        | Kind::ConcurrencyExceeded
        | Kind::QueueFull
        | Kind::QueueTimeout
        | Kind::DeadlineUnmeetable
        | Kind::ProcessPressure
        | Kind::DeadlinePast
        | Kind::NoEndpoint
        | Kind::NameNotFound
        | Kind::NameServerFailed
        | Kind::NameEmpty
        | Kind::NameUnresolved
        | Kind::NameUnresolvedTimeout
        | Kind::NameGone
        | Kind::NameEmptied
        | Kind::NameStale
        | Kind::NameStaleTimeout
        | Kind::AddressProhibited
        | Kind::PortsExhausted
        | Kind::DescriptorsExhausted
        | Kind::UpgradeFailed
        | Kind::LoopDetected
        | Kind::Panicked
        | Kind::Internal => Outcome::Ignored,
    }
}

/// What a fault is to a check.
pub(super) fn check_failure(fault: &Fault) -> CheckFailure {
    let why = || {
        fault
            .detail
            .clone()
            .unwrap_or_else(|| fault.facts().title.into())
    };
    match (fault.kind, fault.stage) {
        (Kind::DescriptorsExhausted | Kind::PortsExhausted, _) => CheckFailure::Own(why()),
        (Kind::ConnectTimeout | Kind::TlsTimeout | Kind::FirstByteTimeout, _) => {
            CheckFailure::Timeout
        }
        (_, Stage::Connect) => CheckFailure::Connect(why()),
        (_, Stage::UpstreamTls) => CheckFailure::Tls(why()),
        _ => CheckFailure::Protocol(why()),
    }
}

/// A TLS error that came out of reading or writing: with TLS 1.3 an endpoint refuses our certificate only then.
fn beneath(error: &hyper::Error) -> Option<Fault> {
    source::<io::Error>(error).and_then(tls_in).map(tls)
}

fn stream(error: &h2::Error) -> Kind {
    use h2::Reason;
    if let Some(io) = error.get_io() {
        return transport(io, Answer::Unknown);
    }
    if !error.is_remote() {
        return Kind::Http2Broken; // h2 found the endpoint at fault, and ended the stream or the connection
    }
    match error.reason() {
        Some(
            Reason::PROTOCOL_ERROR
            | Reason::FLOW_CONTROL_ERROR
            | Reason::SETTINGS_TIMEOUT
            | Reason::STREAM_CLOSED
            | Reason::FRAME_SIZE_ERROR
            | Reason::COMPRESSION_ERROR,
        ) => Kind::Http2Broken,
        _ if error.is_go_away() => Kind::GoneAway,
        Some(Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM) => Kind::StreamRefused,
        _ => Kind::StreamReset,
    }
}

fn transport(error: &io::Error, answer: Answer) -> Kind {
    match (error.kind(), answer) {
        // A broken pipe is what h2 tells streams when the endpoint closes.
        (io::ErrorKind::UnexpectedEof, _) => ended(answer),
        (io::ErrorKind::BrokenPipe, _) if error.raw_os_error().is_none() => ended(answer),
        (io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput, _) => Kind::ResponseInvalid,
        (_, Answer::Begun) => Kind::HeadReset,
        (_, Answer::Nothing | Answer::Unknown) => Kind::ConnectionReset,
    }
}

fn ended(answer: Answer) -> Kind {
    match answer {
        Answer::Nothing | Answer::Unknown => Kind::ConnectionClosed,
        Answer::Begun => Kind::HeadIncomplete,
    }
}

fn tls_in(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// The first error of type `E` under `error`.
fn source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The texts of an error and of what is under it.
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connecting(errno: Errno) -> Fault {
        let local = (std::net::Ipv4Addr::LOCALHOST, 9).into();
        connect(&io::Error::from_raw_os_error(errno.raw_os_error()), local)
    }

    #[test]
    fn what_this_process_lacks_is_not_held_against_the_endpoint() {
        for (errno, kind) in [
            (Errno::MFILE, Kind::DescriptorsExhausted),
            (Errno::NFILE, Kind::DescriptorsExhausted),
            (Errno::ADDRNOTAVAIL, Kind::PortsExhausted),
        ] {
            let fault = connecting(errno);
            assert_eq!(fault.kind, kind);
            assert_eq!(outcome(kind), Outcome::Ignored);
            assert!(matches!(check_failure(&fault), CheckFailure::Own(_)));
        }
    }

    #[test]
    fn a_host_and_a_network_without_a_way_are_told_apart_for_who_looks() {
        for (errno, why) in [
            (Errno::CONNREFUSED, NoConnection::Refused),
            (Errno::HOSTUNREACH, NoConnection::HostUnreachable),
            (Errno::NETUNREACH, NoConnection::NetUnreachable),
            (Errno::NETDOWN, NoConnection::NetUnreachable),
            (Errno::ACCESS, NoConnection::Prohibited),
            (Errno::PERM, NoConnection::Prohibited),
            (Errno::CONNRESET, NoConnection::Reset),
            (Errno::TIMEDOUT, NoConnection::Filtered),
            (Errno::ADDRNOTAVAIL, NoConnection::NoPort),
            (Errno::MFILE, NoConnection::NoDescriptor),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(no_connection(&error), why);
        }
        let odd = io::Error::from_raw_os_error(Errno::INVAL.raw_os_error());
        assert!(matches!(no_connection(&odd), NoConnection::Other(_)));
    }

    #[test]
    fn ways_not_to_reach_an_endpoint_are_told_apart() {
        for (errno, kind) in [
            (Errno::CONNREFUSED, Kind::ConnectRefused),
            (Errno::HOSTUNREACH, Kind::HostUnreachable),
            (Errno::HOSTDOWN, Kind::HostUnreachable),
            (Errno::NETUNREACH, Kind::NetUnreachable),
            (Errno::ACCESS, Kind::NetUnreachable),
            (Errno::PERM, Kind::NetUnreachable),
            (Errno::AFNOSUPPORT, Kind::NetUnreachable),
            (Errno::TIMEDOUT, Kind::ConnectTimeout),
            (Errno::CONNRESET, Kind::ConnectFailed),
            (Errno::NOBUFS, Kind::ConnectFailed),
        ] {
            assert_eq!(connecting(errno).kind, kind, "{errno:?}");
            assert_eq!(outcome(kind), Outcome::LocalFailure);
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_apart() {
        for (why, kind) in [
            (CertificateError::NotValidForName, Kind::TlsName),
            (CertificateError::Expired, Kind::TlsExpired),
            (CertificateError::NotValidYet, Kind::TlsNotYetValid),
            (CertificateError::UnknownIssuer, Kind::TlsUnknownIssuer),
            (CertificateError::BadSignature, Kind::TlsUnknownIssuer),
            (
                CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                    signature_algorithm_id: Vec::new(),
                    public_key_algorithm_id: Vec::new(),
                },
                Kind::TlsUnknownIssuer,
            ),
            (CertificateError::InvalidPurpose, Kind::TlsCertificate),
        ] {
            assert_eq!(tls(&TlsError::InvalidCertificate(why)).kind, kind);
            assert!(is_of_a_certificate(kind));
        }
        assert!(!is_of_a_certificate(Kind::TlsMismatch));
    }

    #[test]
    fn only_a_bare_end_can_be_a_crossing() {
        for (kind, told) in [
            (Kind::ConnectionClosed, Kind::KeepAliveRace),
            (Kind::ConnectionReset, Kind::KeepAliveRace),
            (Kind::ResponseInvalid, Kind::ResponseInvalid),
        ] {
            assert_eq!(crossed(Fault::new(kind)).kind, told);
        }
    }

    #[test]
    fn no_fault_of_the_client_counts_against_an_endpoint() {
        for &kind in Kind::ALL {
            if kind.facts().cause == crate::fault::Cause::Client {
                assert_eq!(outcome(kind), Outcome::Ignored, "{kind:?}");
            }
        }
    }
}
