//! What happens to the config and to the files that it names.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{EventKind, Severity, Subject, event::short, what::Telling};
use crate::names::{ListenerName, RouteName};

/// Where its lines in the log come from.
const TARGET: &str = "tidegate::reload";

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ConfigEvent {
    /// One came into force.
    Applied {
        /// Its hash.
        hash: Box<str>,
        /// Which one it is since the start.
        revision: u64,
        /// What asked for it: `file`, `api`, `rollback`, ...
        trigger: &'static str,
        /// Which routes it touches.
        touches: TouchedRoutes,
        /// The first of its changes, as `route shop: timeout 3s -> 1s`.
        changes: Vec<Box<str>>,
        /// How many there are.
        changed: usize,
    },
    /// One was refused.
    Rejected {
        /// The hash of the one in force.
        running: Box<str>,
        /// Which one that is since the start.
        revision: u64,
        /// What asked for it.
        trigger: &'static str,
        /// The line of the first error.
        line: Option<u32>,
        /// What is wrong.
        why: Box<str>,
    },
    /// The guard took one back.
    TakenBack {
        /// Its hash.
        bad: Box<str>,
        /// The hash of the one that is in force again.
        back: Box<str>,
        /// The route that failed; `None` where it is requests that no route takes any more.
        route: Option<RouteName>,
        /// The share of requests that ended badly before.
        before: f64,
        /// And under it.
        after: f64,
        /// How many requests that is.
        requests: u64,
        /// Why the file still holds it, where it does.
        file: Option<Box<str>>,
        /// On which figures.
        why: Box<str>,
    },
    /// Files that it names have changed.
    FilesChanged {
        /// How many of them are wrong, and not in force.
        wrong: usize,
    },
    /// One of them is wrong.
    FileWrong {
        /// Which.
        file: Box<str>,
        /// What is wrong.
        why: Box<str>,
    },
    /// The certificate of a listener ends soon, or has.
    CertificateExpires {
        /// The listener that shows it.
        listener: ListenerName,
        /// Its file.
        certificate: Box<str>,
        /// When it ends, in seconds since 1970.
        ends: u64,
        /// How many whole days are left; 0 on the last day, and `None` where it has ended.
        days: Option<u64>,
    },
}

/// Which routes a config touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TouchedRoutes {
    /// Every one.
    All(
        /// The word `all`.
        AllRoutes,
    ),
    /// These.
    Some(BTreeSet<RouteName>),
}

/// Every route, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AllRoutes {
    /// `all`
    All,
}

// === impl TouchedRoutes ===

impl TouchedRoutes {
    /// Every route.
    pub const ALL: Self = Self::All(AllRoutes::All);

    /// Whether the route of this name is among them.
    #[must_use]
    pub fn contains(&self, route: &str) -> bool {
        match self {
            Self::All(_) => true,
            Self::Some(routes) => routes.iter().any(|name| name.as_str() == route),
        }
    }
}

impl fmt::Display for TouchedRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) => f.write_str("every route"),
            Self::Some(routes) if routes.is_empty() => f.write_str("no route"),
            Self::Some(routes) if routes.len() == 1 => f.write_str("1 route"),
            Self::Some(routes) => write!(f, "{} routes", routes.len()),
        }
    }
}

// === impl ConfigEvent ===

impl ConfigEvent {
    /// Most changes that are kept of one config.
    pub const MOST_CHANGES: usize = 16;
    /// Most routes that are named as touched; more are told as all.
    pub const MOST_ROUTES: usize = 64;
}

impl Telling for ConfigEvent {
    fn kind(&self) -> EventKind {
        match self {
            Self::Applied { .. } => EventKind::ConfigApplied,
            Self::Rejected { .. } => EventKind::ConfigRejected,
            Self::TakenBack { .. } => EventKind::ConfigTakenBack,
            Self::FilesChanged { .. } => EventKind::FilesChanged,
            Self::FileWrong { .. } => EventKind::FileWrong,
            Self::CertificateExpires { .. } => EventKind::CertificateExpires,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Applied { .. } | Self::FilesChanged { .. } => Severity::Info,
            Self::Rejected { .. } | Self::CertificateExpires { days: None, .. } => Severity::Error,
            Self::TakenBack { .. } | Self::FileWrong { .. } | Self::CertificateExpires { .. } => {
                Severity::Warn
            }
        }
    }

    fn subject(&self) -> Subject {
        let (route, listener) = match self {
            Self::TakenBack { route, .. } => (route.clone(), None),
            Self::CertificateExpires { listener, .. } => (None, Some(listener.clone())),
            _ => (None, None),
        };
        Subject {
            route,
            listener,
            ..Subject::default()
        }
    }

    fn log(&self) {
        match self {
            Self::Applied {
                hash,
                revision,
                trigger,
                ..
            } => {
                tracing::info!(
                    target: TARGET, %hash, revision, trigger, result = "applied", "config read"
                );
            }
            Self::Rejected {
                running,
                revision,
                trigger,
                line,
                why,
            } => tracing::error!(target: TARGET, %running, revision, trigger, line,
                "config rejected; the running one stays in force\n{why}"
            ),
            Self::TakenBack {
                bad,
                back,
                route,
                before,
                after,
                requests,
                file,
                why,
            } => {
                tracing::warn!(
                    target: TARGET, %bad, %back, route = route.as_ref().map_or("none", RouteName::as_str),
                    before, after, requests,
                    file = file.as_deref(), "config taken back: {why}"
                );
            }
            Self::FilesChanged { .. } => {
                tracing::info!(target: TARGET, "files that the config names have changed");
            }
            Self::FileWrong { file, why } => {
                tracing::warn!(
                    target: TARGET, %file, %why, "a file is wrong; what it held before stays in force"
                );
            }
            Self::CertificateExpires {
                listener,
                certificate,
                ends,
                days: Some(days),
            } => {
                tracing::warn!(
                    target: TARGET, %listener, %certificate, ends, days, "a certificate ends soon"
                );
            }
            Self::CertificateExpires {
                listener,
                certificate,
                ends,
                days: None,
            } => {
                tracing::error!(target: TARGET, %listener, %certificate, ends, "a certificate has ended");
            }
        }
    }
}

impl fmt::Display for ConfigEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied {
                hash,
                touches,
                changed,
                trigger,
                ..
            } => {
                let keys = if *changed == 1 { "key" } else { "keys" };
                write!(
                    f,
                    "config {hash} is in force ({trigger}): it changes {changed} {keys}, for {touches}"
                )
            }
            Self::Rejected {
                running, why, line, ..
            } => {
                f.write_str("a config was rejected")?;
                if let Some(line) = line {
                    write!(f, " for line {line}")?;
                }
                let why = why.lines().next().unwrap_or_default();
                write!(f, "; {running} stays in force: {}", short(why))
            }
            Self::TakenBack { bad, back, why, .. } => {
                write!(
                    f,
                    "config {bad} was taken back, {back} is in force again: {}",
                    short(why)
                )
            }
            Self::FilesChanged { wrong: 0 } => {
                f.write_str("files that the config names have changed, and are in force")
            }
            Self::FilesChanged { wrong } => {
                write!(
                    f,
                    "files that the config names have changed; {wrong} are wrong"
                )
            }
            Self::FileWrong { file, why } => write!(
                f,
                "{file} is wrong, and what it held before stays in force: {}",
                short(why)
            ),
            Self::CertificateExpires {
                listener,
                certificate,
                days,
                ..
            } => {
                write!(f, "the certificate {certificate} of listener {listener} ")?;
                match days {
                    None => f.write_str("has ended"),
                    Some(0) => f.write_str("ends within a day"),
                    Some(1) => f.write_str("ends in a day"),
                    Some(days) => write!(f, "ends in {days} days"),
                }
            }
        }
    }
}
