//! What the end of an attempt says of its endpoint.

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use tokio::time::Instant;

/// What the end of an attempt says of the endpoint that served it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It answered. Ends a row of failures.
    Success,
    /// Something failed between the two hosts: no connection, no TLS, a reset or a close before the head of an answer.
    LocalFailure,
    /// The service failed: a status that [`outcome_of_status`] takes for one, an answer that is late, broken or no
    /// HTTP. It proves that the endpoint can be reached, so it ends a row of local failures.
    RemoteFailure,
    /// The end says nothing of the endpoint, as when the client left.
    Ignored,
}

/// How an attempt ended, as health sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// What it says of the endpoint.
    pub outcome: Outcome,
    /// What failed, where something did.
    pub failed: Option<Failed>,
    /// From the request to the head of the answer, where that says how fast the endpoint is.
    pub took: Option<Duration>,
    /// When the attempt was let in.
    pub began: Instant,
}

/// What failed: a word of ours or a number, never text that came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failed {
    /// It answered this.
    Status(StatusCode),
    /// There was no answer, or no whole one: the title of the fault.
    Fault(&'static str),
}

/// What a status says of the endpoint: 500, 502, 503 and 504 are failures, every other status is a success.
///
/// A 503 with `Retry-After` is a refusal by a server that is well enough to refuse: ignored, since it neither
/// condemns the endpoint nor proves that it works. 501 is the answer to a question, not a failure.
#[must_use]
pub fn outcome_of_status(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status {
        StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(RETRY_AFTER) => Outcome::Ignored,
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Outcome::RemoteFailure,
        _ => Outcome::Success,
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether it counts against the endpoint.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::LocalFailure | Self::RemoteFailure)
    }
}

// === impl Failed ===

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Fault(title) => f.write_str(title),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn said(status: u16, retry_after: bool) -> Outcome {
        let mut headers = HeaderMap::new();
        if retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        outcome_of_status(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn exactly_four_statuses_count_as_failures() {
        let failures: Vec<u16> = (100..=999)
            .filter(|&status| said(status, false) == Outcome::RemoteFailure)
            .collect();
        assert_eq!(failures, [500, 502, 503, 504]);
    }

    #[test]
    fn a_503_that_names_a_time_to_come_back_is_ignored() {
        assert_eq!(said(503, true), Outcome::Ignored);
    }

    #[test]
    fn retry_after_excuses_no_other_status() {
        for status in [500, 502, 504] {
            assert_eq!(said(status, true), Outcome::RemoteFailure);
        }
    }
}
