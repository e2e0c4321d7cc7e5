//! What an error of a socket, of TLS or of HTTP means. The only place that opens the boxed errors of others.
//!
//! hyper, h2 and rustls hand us errors inside of errors; each function here takes what one of them gives and
//! says which [`Kind`] it is. Nothing looks at the text of an error but to keep it as the detail.

use std::{
    error::Error,
    io,
    time::{Duration, UNIX_EPOCH},
};

use httpdate::fmt_http_date;
use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError, Error as TlsError, pki_types::UnixTime};

use super::{Flaw, NoConnection};
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
}

/// TCP could not be connected.
pub(super) fn connect(error: &io::Error) -> Fault {
    let kind = match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => Kind::DescriptorsExhausted,
        Some(Errno::ADDRNOTAVAIL) => Kind::PortsExhausted,
        _ => match error.kind() {
            io::ErrorKind::ConnectionRefused => Kind::ConnectRefused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::PermissionDenied => Kind::ConnectUnreachable,
            io::ErrorKind::TimedOut => Kind::ConnectTimeout,
            _ => Kind::ConnectFailed,
        },
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
    let Some(tls) = tls_in(error) else {
        let flaw = match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Flaw::Closed,
            io::ErrorKind::TimedOut => Flaw::Timeout,
            _ => Flaw::Protocol,
        };
        return (flaw, error.to_string());
    };
    let flaw = match tls {
        TlsError::InvalidCertificate(why) => match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Flaw::Name
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Flaw::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Flaw::NotYet
            }
            CertificateError::UnknownIssuer => Flaw::Issuer,
            _ => Flaw::Certificate,
        },
        TlsError::NoCertificatesPresented => Flaw::Certificate,
        TlsError::AlertReceived(_) => Flaw::Alert,
        _ => Flaw::Protocol,
    };
    let detail = match tls {
        TlsError::InvalidCertificate(why) => certificate(why),
        other => other.to_string(),
    };
    (flaw, detail)
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
        TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented => Kind::TlsCertificate,
        TlsError::AlertReceived(alert) => return alerted(*alert),
        _ => Kind::TlsProtocol,
    };
    let detail = match error {
        TlsError::InvalidCertificate(why) => certificate(why),
        other => other.to_string(),
    };
    Fault::new(kind).at(Stage::UpstreamTls).detail(detail)
}

fn alerted(alert: AlertDescription) -> Fault {
    Fault::new(Kind::TlsAlert)
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
    let stage = match kind {
        Kind::ResponseIncomplete => Stage::FirstByte,
        kind => kind.facts().stage,
    };
    Fault::new(kind).at(stage).detail(chain(error))
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
    Fault::new(Kind::ResponseIncomplete)
        .at(Stage::Body)
        .detail(chain(error))
}

/// What a fault says of the endpoint at which it happened.
///
/// Only what the endpoint did counts against it: neither what the client did nor what this process lacks.
#[must_use]
pub fn outcome(kind: Kind) -> Outcome {
    match kind {
        Kind::ConnectRefused
        | Kind::ConnectUnreachable
        | Kind::ConnectTimeout
        | Kind::ConnectFailed
        | Kind::TlsTimeout
        | Kind::TlsProtocol
        | Kind::TlsCertificate
        | Kind::TlsAlert
        | Kind::ConnectionReset
        | Kind::ConnectionClosed
        | Kind::StreamRefused => Outcome::LocalFailure,
        Kind::ResponseInvalid
        | Kind::ResponseHeadTooLarge
        | Kind::ResponseIncomplete
        | Kind::FirstByteTimeout
        | Kind::RequestTimeout
        | Kind::ResponseStalled => Outcome::RemoteFailure,
        Kind::FramingInvalid
        | Kind::HostInvalid
        | Kind::TargetInvalid
        | Kind::PathInvalid
        | Kind::HeaderInvalid
        | Kind::VersionUnsupported
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
        | Kind::NameUnresolved
        | Kind::NameUnresolvedTimeout
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
    match error.get_io() {
        Some(io) => transport(io, Answer::Nothing),
        None if error.is_remote() && error.is_go_away() => Kind::StreamRefused,
        None if error.is_remote() => match error.reason() {
            Some(h2::Reason::REFUSED_STREAM | h2::Reason::ENHANCE_YOUR_CALM) => Kind::StreamRefused,
            _ => Kind::ConnectionReset,
        },
        // h2 found the endpoint at fault and ended the stream or the connection.
        None => Kind::ResponseInvalid,
    }
}

fn transport(error: &io::Error, answer: Answer) -> Kind {
    match error.kind() {
        // A broken pipe is what h2 tells streams when the endpoint closes.
        io::ErrorKind::UnexpectedEof => ended(answer),
        io::ErrorKind::BrokenPipe if error.raw_os_error().is_none() => ended(answer),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Kind::ResponseInvalid,
        _ => Kind::ConnectionReset,
    }
}

fn ended(answer: Answer) -> Kind {
    match answer {
        Answer::Nothing => Kind::ConnectionClosed,
        Answer::Begun => Kind::ResponseIncomplete,
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

    fn connecting(errno: Errno) -> Kind {
        connect(&io::Error::from_raw_os_error(errno.raw_os_error())).kind
    }

    #[test]
    fn what_this_process_lacks_is_not_held_against_the_endpoint() {
        for (errno, kind) in [
            (Errno::MFILE, Kind::DescriptorsExhausted),
            (Errno::NFILE, Kind::DescriptorsExhausted),
            (Errno::ADDRNOTAVAIL, Kind::PortsExhausted),
        ] {
            assert_eq!(connecting(errno), kind);
            assert_eq!(outcome(kind), Outcome::Ignored);
            let fault = connect(&io::Error::from_raw_os_error(errno.raw_os_error()));
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
            (Errno::HOSTUNREACH, Kind::ConnectUnreachable),
            (Errno::NETUNREACH, Kind::ConnectUnreachable),
            (Errno::ACCESS, Kind::ConnectUnreachable),
            (Errno::PERM, Kind::ConnectUnreachable),
            (Errno::TIMEDOUT, Kind::ConnectTimeout),
            (Errno::CONNRESET, Kind::ConnectFailed),
            (Errno::NOBUFS, Kind::ConnectFailed),
        ] {
            assert_eq!(connecting(errno), kind, "{errno:?}");
            assert_eq!(outcome(kind), Outcome::LocalFailure);
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
