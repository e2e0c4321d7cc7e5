//! Who refused, why, and when to come back.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use serde::Serialize;

/// Admission said no. Carried in [`Fault`](super::Fault), shown in `Proxy-Status` and the access log.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Why.
    pub reason: ShedReason,
    /// How long until the same request would have a chance. Shown in whole seconds, rounded up, at least 1.
    pub retry_after: Duration,
    /// The token bucket that refused, where one did.
    pub bucket: Option<Arc<BucketFacts>>,
}

/// What a client may know of the token bucket that refused it (the `RateLimit` fields).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketFacts {
    /// The limit's name.
    pub name: Box<str>,
    /// How many requests it holds: the `q` of `RateLimit-Policy`.
    pub quota: NonZeroU32,
    /// How long an empty bucket takes to fill, in whole seconds, at least 1: the `w` of `RateLimit-Policy`.
    pub window_seconds: u64,
}

/// Why a request was shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShedReason {
    /// A token bucket is empty.
    RateExceeded,
    /// No place is free, and there is no queue.
    ConcurrencyExceeded,
    /// No place is free, and the queue is full.
    QueueFull,
    /// No place came free in time.
    QueueTimeout,
    /// The wait would outlast the request's deadline.
    DeadlineUnmeetable,
    /// This process is short of a resource itself.
    ProcessPressure,
}

impl ShedReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::RateExceeded,
        Self::ConcurrencyExceeded,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::DeadlineUnmeetable,
        Self::ProcessPressure,
    ];

    /// The word in metrics, logs and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateExceeded => "rate_exceeded",
            Self::ConcurrencyExceeded => "concurrency_exceeded",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::DeadlineUnmeetable => "deadline_unmeetable",
            Self::ProcessPressure => "process_pressure",
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for ShedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
