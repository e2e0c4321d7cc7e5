//! Active checks: what is asked, what passes, and how often.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, StatusCode, uri::PathAndQuery};

/// `[upstreams.NAME.health]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthPlan {
    /// What a check is.
    pub check: CheckPlan,
    /// Where it goes; `None`: to the port that requests go to.
    pub port: Option<NonZeroU16>,
    /// Between two checks, jittered by a tenth.
    pub interval: Duration,
    /// The same while it is not sure what the endpoint is. Not more than `interval`.
    pub fast_interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failures in a row that mark down. (A first check that fails does so at once.)
    pub unhealthy_after: NonZeroU32,
    /// Successes in a row that mark up.
    pub healthy_after: NonZeroU32,
    /// How an endpoint says that it can do less; `None`: nothing is listened for.
    pub degraded: Option<DegradedPlan>,
}

/// What a check is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckPlan {
    /// A connection, with TLS where it is spoken.
    Connect,
    /// A request and its answer.
    Http(HttpCheckPlan),
    /// A call of `grpc.health.v1.Health/Check`.
    Grpc(GrpcCheckPlan),
}

/// A check by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheckPlan {
    /// How it is asked for.
    pub method: CheckMethod,
    /// What is asked for.
    pub path: PathAndQuery,
    /// Whom it is asked of, and what is said beside.
    pub ask: AskPlan,
    /// The statuses that pass.
    pub expected: StatusSet,
    /// What the body must hold; `None`: it is not read.
    pub body: Option<BodyPlan>,
}

/// A check by gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCheckPlan {
    /// The service that is asked about; empty: the server as a whole.
    pub service: Box<str>,
    /// Whom it is asked of, and what is said beside.
    pub ask: AskPlan,
}

/// What the head of a check says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AskPlan {
    /// The `Host` or `:authority`; `None`: the endpoint's own name and port.
    pub host: Option<HeaderValue>,
    /// More fields.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
}

/// What the body of an answer must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPlan {
    /// This text, anywhere.
    pub text: Box<str>,
    /// In so many first bytes; no more are read.
    pub within: usize,
}

/// `degraded = { ... }` of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DegradedPlan {
    /// A field that says so, and what it must hold (`None`: anything).
    pub header: Option<(HeaderName, Option<HeaderValue>)>,
    /// Statuses that say so; they pass, expected or not.
    pub statuses: StatusSet,
    /// How much of its weight it keeps, in thousandths, 1 to 1,000.
    pub thousandths: NonZeroU32,
}

/// How a check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckMethod {
    /// With a body in the answer.
    Get,
    /// For the head alone.
    Head,
}

/// Some statuses, as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusSet(Box<[(u16, u16)]>);

// === impl HealthPlan ===

impl HealthPlan {
    /// How much of its weight an endpoint keeps that says it is degraded: above 0, at most 1.
    #[must_use]
    pub fn degraded_share(&self) -> f32 {
        let thousandths = self.degraded.as_ref().map(|it| it.thousandths.get());
        #[expect(clippy::cast_precision_loss, reason = "at most 1,000")]
        thousandths.map_or(1.0, |share| share as f32 / 1000.0)
    }
}

// === impl HttpCheckPlan ===

impl HttpCheckPlan {
    /// `GET /`, which passes with any answer.
    #[must_use]
    pub fn of_root() -> Self {
        Self {
            method: CheckMethod::Get,
            path: PathAndQuery::from_static("/"),
            ask: AskPlan::default(),
            expected: StatusSet::of([(100, 999)]),
            body: None,
        }
    }
}

// === impl CheckMethod ===

impl CheckMethod {
    /// The method.
    #[must_use]
    pub fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
        }
    }
}

// === impl StatusSet ===

impl StatusSet {
    /// Those from the first to the last of each range, both included.
    pub fn of(ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        Self(ranges.into_iter().collect())
    }

    /// Whether `status` is one of them.
    #[must_use]
    pub fn contains(&self, status: StatusCode) -> bool {
        let holds = |(first, last): &(u16, u16)| (*first..=*last).contains(&status.as_u16());
        self.0.iter().any(holds)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_statuses_include_both_ends() {
        let set = StatusSet::of([(200, 299), (304, 304)]);
        for (status, holds) in [
            (199, false),
            (200, true),
            (299, true),
            (300, false),
            (304, true),
            (305, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(set.contains(status), holds, "{status}");
        }
        assert!(!StatusSet::default().contains(StatusCode::OK));
    }
}
