//! Closed sets of words that config, metrics, logs and decisions have in common.

use std::fmt;

use serde::Serialize;

/// How much a request is worth when not all can be served. Declared from the most to the least important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Shed last.
    Critical,
    /// Before `normal`.
    High,
    /// What a route has that says nothing.
    #[default]
    Normal,
    /// Shed first.
    Low,
}

/// What kind of exchange a request is, which decides how it is timed and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficClass {
    /// An ordinary request and response.
    Http,
    /// gRPC: faults are answered as a gRPC status.
    Grpc,
    /// An `Upgrade` that may become a tunnel.
    Upgrade,
}

/// The protocol a client spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Protocol {
    /// HTTP/1.0
    #[serde(rename = "HTTP/1.0")]
    Http10,
    /// HTTP/1.1
    #[serde(rename = "HTTP/1.1")]
    Http11,
    /// HTTP/2
    #[serde(rename = "HTTP/2")]
    Http2,
}

/// Why an endpoint was taken out of rotation by what its traffic showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EjectionCause {
    /// So many failures in a row as `consecutive_failures` says.
    ConsecutiveFailures,
    /// So many failures in a row to reach it as `consecutive_local_failures` says.
    ConsecutiveLocalFailures,
    /// It failed far more of its requests than the others of its upstream.
    SuccessRate,
    /// It answered far slower than the others of its upstream.
    Latency,
    /// The request that was to show that it is well again failed.
    Trial,
}

// === impl Priority ===

impl Priority {
    /// All, the most important first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The word in config, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class of this word; `None` where there is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

// === impl Protocol ===

impl Protocol {
    /// The protocol as the access log shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

// === impl EjectionCause ===

impl EjectionCause {
    /// All causes.
    pub const ALL: [Self; 5] = [
        Self::ConsecutiveFailures,
        Self::ConsecutiveLocalFailures,
        Self::SuccessRate,
        Self::Latency,
        Self::Trial,
    ];

    /// The word in metrics, logs and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::ConsecutiveLocalFailures => "consecutive_local_failures",
            Self::SuccessRate => "success_rate",
            Self::Latency => "latency",
            Self::Trial => "trial",
        }
    }
}

macro_rules! display_as_str {
    ($($type:ident),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}
display_as_str!(Priority, Protocol, EjectionCause);
