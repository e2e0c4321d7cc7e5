//! `[reload]`, `[history]` and `[upgrade]`

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

/// `[reload]`
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReloadPlan {
    /// What takes a new config back; `None`: nothing.
    pub guard: Option<GuardPlan>,
}

/// `guard = { ... }`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardPlan {
    /// How long after a reload requests are watched.
    pub window: Duration,
    /// By how much the share of requests that end badly may rise, 0 to 1.
    pub max_failure_increase: f64,
    /// Of fewer requests of a route nothing is concluded.
    pub min_requests: NonZeroU32,
}

/// `[history]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPlan {
    /// Where it is kept; `None`: nowhere on disk.
    pub dir: Option<PathBuf>,
}

/// `[upgrade]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradePlan {
    /// How long a new process may take until it is ready.
    pub timeout: Duration,
}
