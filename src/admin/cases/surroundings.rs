//! What cases are seen in: other cases, and what happened beside them.

use std::{
    cell::OnceCell, collections::HashMap, net::SocketAddr, ops::RangeInclusive, path::Path,
    sync::Arc, time::Duration,
};

use super::{Admin, Around, Happened, Happening, millis, told};
use crate::{
    config::Diff,
    reload::{Entry, Handle, History, Outcome},
    snapshot::Snapshot,
    telemetry::{Case, Event, Filter, Telemetry},
};

/// How far back the surroundings of a case are looked at: as long as a change is still worth telling.
const BEFORE: Duration = Duration::from_secs(600);
/// How far after it.
const AFTER: Duration = Duration::from_secs(60);
/// Most cases of its surroundings that are looked at.
const MOST_AROUND: usize = 2000;
/// Most events, the newest.
const MOST_TOLD: usize = 256;

/// What the cases of one gateway are seen in, taken at one moment: cheap to ask of many cases.
#[derive(Debug)]
pub struct Surroundings<'a> {
    telemetry: &'a Telemetry,
    history: Option<Arc<History>>,
    /// What became of configs, the earliest first, reckoned where a case came soon after: by number.
    configs: Vec<(u64, u64, OnceCell<Happening>)>,
    endpoints: HashMap<Box<str>, Vec<SocketAddr>>,
}

// === impl Surroundings ===

impl<'a> Surroundings<'a> {
    /// What is known to a gateway of `telemetry`, with the `history` of its config and its `snapshot` in force.
    #[must_use]
    pub fn of(
        telemetry: &'a Telemetry,
        history: Option<Arc<History>>,
        snapshot: &Snapshot,
    ) -> Self {
        let endpoints = snapshot.upstreams.iter().map(|upstream| {
            let seats = upstream.seats.as_slice().iter();
            let at = seats.map(|seat| seat.endpoint.id.address).collect();
            (upstream.plan.name.as_str().into(), at)
        });
        Self::known(telemetry, history, endpoints.collect())
    }

    /// The same of the gateway whose pages `admin` are.
    pub(in crate::admin) fn of_admin(admin: &'a Admin) -> Self {
        let history = admin.reload.as_ref().map(Handle::history);
        let upstreams = admin.source.upstreams().into_iter();
        let endpoints = upstreams.map(|upstream| {
            let endpoints = upstream.endpoints.iter();
            let at = endpoints.map(|endpoint| endpoint.address).collect();
            (upstream.name.into(), at)
        });
        Self::known(&admin.telemetry, history, endpoints.collect())
    }

    fn known(
        telemetry: &'a Telemetry,
        history: Option<Arc<History>>,
        endpoints: HashMap<Box<str>, Vec<SocketAddr>>,
    ) -> Self {
        let entries = history.iter().flat_map(|history| history.newest_first());
        let mut configs: Vec<_> = entries
            .map(|entry| (millis(entry.at), entry.number, OnceCell::new()))
            .collect();
        configs.sort_by_key(|(at_ms, ..)| *at_ms);
        Self {
            telemetry,
            history,
            configs,
            endpoints,
        }
    }

    /// Those of `case`.
    #[must_use]
    pub fn around(&self, case: &Case) -> Around {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (since_ms, until_ms) = (
            case.at_ms.saturating_sub(ms(BEFORE)),
            case.at_ms.saturating_add(ms(AFTER)),
        );
        let nowhere = &*case.upstream == NOWHERE;
        let filter = Filter {
            upstream: (!nowhere).then(|| case.upstream.clone()),
            since_ms,
            until_ms: Some(until_ms),
            good: true,
            ..Filter::default()
        };
        let times = since_ms..=until_ms;
        let ours = |event: &Event| nowhere || told::concerns(event, &case.upstream);
        let ours = |event: &Event| times.contains(&event.at_ms) && ours(event);
        let told = self.telemetry.events().select(0, MOST_TOLD, ours);
        let mut happenings: Vec<_> = told.iter().filter_map(|one| told::happened(one)).collect();
        happenings.extend(self.configs(&times));
        happenings.sort_by_key(|one| one.at_ms);
        let endpoints = self.endpoints.get(&case.upstream);
        Around {
            cases: self.telemetry.cases().select(&filter, MOST_AROUND),
            happenings,
            endpoints: endpoints.cloned().unwrap_or_default(),
        }
    }

    /// What became of configs in these milliseconds.
    fn configs(&self, times: &RangeInclusive<u64>) -> impl Iterator<Item = Happened> {
        let near = self
            .configs
            .iter()
            .filter(|(at_ms, ..)| times.contains(at_ms));
        near.filter_map(|(at_ms, number, what)| {
            let history = self.history.as_deref()?;
            let entry = history.get(*number)?;
            let what = what.get_or_init(|| became(history, entry));
            Some(Happened {
                at_ms: *at_ms,
                what: what.clone(),
            })
        })
    }
}

/// The upstream of a case that has none.
const NOWHERE: &str = "none";

/// What became of the config of `entry`. What it changed is reckoned from the files, where they are kept.
fn became(history: &History, entry: &Entry) -> Happening {
    match &entry.outcome {
        Outcome::Applied | Outcome::RolledBack(_) => Happening::ConfigApplied {
            hash: entry.hash.clone(),
            changes: changes(history, entry),
        },
        Outcome::Rejected(why) => Happening::ConfigRefused { why: why.clone() },
    }
}

/// What the config of `entry` changed against the one before.
fn changes(history: &History, entry: &Entry) -> Vec<crate::config::Change> {
    let before = history
        .before(entry.number)
        .and_then(|one| one.text.as_ref());
    let Some((old, new)) = before.zip(entry.text.as_ref()) else {
        return Vec::new();
    };
    let diff = Diff::between_texts(old, new, Path::new(""));
    diff.map_or_else(|_| Vec::new(), |diff| diff.changes)
}
