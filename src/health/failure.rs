//! How a check ends: what passed, or why it did not.

use std::fmt;

use http::StatusCode;

/// A check that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The endpoint is well.
    Whole,
    /// The endpoint serves, and says that it can do less.
    Degraded,
}

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFailure {
    /// It took longer than the plan's `timeout`.
    Timeout,
    /// No connection.
    Connect(Box<str>),
    /// No TLS on the connection.
    Tls(Box<str>),
    /// A status that is not among the expected ones.
    Status(StatusCode),
    /// The expected text is not in the body, or not in what is read of it.
    Body {
        /// So many bytes were looked at.
        read: usize,
    },
    /// The gRPC health service says that the service does not serve.
    NotServing(Serving),
    /// The gRPC call failed.
    GrpcStatus {
        /// Its code, not 0.
        code: u32,
        /// Its message; empty where there is none.
        message: Box<str>,
    },
    /// No answer that can be read.
    Protocol(Box<str>),
    /// This process had no descriptor or port left for it: the endpoint was not asked.
    Own(Box<str>),
}

/// What a gRPC health service says of a service, other than that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// It does not know.
    Unknown,
    /// It does not serve.
    NotServing,
    /// It does not know the service (said by its `Watch`; `Check` has a status for that).
    ServiceUnknown,
    /// A number that the protocol does not have.
    Other(u64),
}

/// Codes of gRPC that a health service is likely to answer with, and what they mean there.
const GRPC_MEANINGS: [(u32, &str); 8] = [
    (1, "CANCELLED"),
    (4, "DEADLINE_EXCEEDED"),
    (5, "NOT_FOUND: the server does not know the service"),
    (7, "PERMISSION_DENIED"),
    (12, "UNIMPLEMENTED: the server has no health service"),
    (13, "INTERNAL"),
    (14, "UNAVAILABLE"),
    (16, "UNAUTHENTICATED"),
];

// === impl CheckFailure ===

impl CheckFailure {
    /// Whether the endpoint said so itself: it answered, or turned the connection away. What is missing or broke
    /// off may be this process's own doing.
    pub(super) fn is_an_answer(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Status(_)
            | Self::Body { .. }
            | Self::NotServing(_)
            | Self::GrpcStatus { .. } => true,
            Self::Timeout | Self::Tls(_) | Self::Protocol(_) | Self::Own(_) => false,
        }
    }

    /// Whether it says nothing of the endpoint.
    pub(super) fn is_our_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no TLS: {why}"),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Body { read } => {
                write!(f, "the expected text is not in the {read} bytes read")
            }
            Self::NotServing(serving) => write!(f, "gRPC health is {serving}"),
            Self::GrpcStatus { code, message } => {
                let meant = GRPC_MEANINGS.iter().find(|(known, _)| known == code);
                match meant {
                    Some((_, meaning)) => write!(f, "gRPC status {code} ({meaning})")?,
                    None => write!(f, "gRPC status {code}")?,
                }
                if message.is_empty() {
                    return Ok(());
                }
                write!(f, ": {message}")
            }
            Self::Protocol(why) => write!(f, "no readable answer: {why}"),
            Self::Own(why) => write!(f, "not asked, for want of this process's own: {why}"),
        }
    }
}

impl std::error::Error for CheckFailure {}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("UNKNOWN"),
            Self::NotServing => f.write_str("NOT_SERVING"),
            Self::ServiceUnknown => f.write_str("SERVICE_UNKNOWN"),
            Self::Other(number) => write!(f, "the unknown status {number}"),
        }
    }
}
