//! A case among others: what failed like it, what went well, since when and where.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    Around,
    ending::{Ending, failed_at, last_try},
};
use crate::{
    admin::cases::Happened,
    telemetry::{Case, Tried},
};

/// How long after a happening something that failed already may have been meant by it: clocks are read at a request's
/// arrival, and when a happening is told.
const SLACK_MS: u64 = 250;
/// The longest time from one failure to the next of one trouble.
const MOST_BETWEEN_MS: u64 = 60_000;
/// Fewer of a kind say nothing of a pattern.
const A_PATTERN: usize = 3;
/// How much more traffic is more.
const RISEN: f64 = 1.5;

/// Over which endpoints a failure is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// This one alone, of several.
    One(SocketAddr),
    /// All that there are, or all that got requests.
    All,
    /// Several of more.
    Several,
    /// Too few to tell.
    Unknown,
}

/// See the module.
pub(super) struct Scene<'a> {
    pub(super) case: &'a Case,
    pub(super) around: &'a Around,
    pub(super) ending: Ending,
    /// Those of its upstream that failed like it, one soon after the other, itself among them; the oldest first.
    pub(super) same: Vec<&'a Case>,
    /// Those of its upstream that were answered well in the end, the oldest first.
    pub(super) good: Vec<&'a Case>,
}

// === impl Scene ===

impl<'a> Scene<'a> {
    /// `None`: nothing failed.
    pub(super) fn of(case: &'a Case, around: &'a Around) -> Option<Self> {
        Ending::of(case).map(|ending| Self::of_ending(case, ending, around))
    }

    /// The same where it is asked about one of the ways in which the case or one of its tries failed.
    pub(super) fn of_ending(case: &'a Case, ending: Ending, around: &'a Around) -> Self {
        let mut all: Vec<&Case> = around.cases.iter().map(AsRef::as_ref).collect();
        all.sort_by_key(|other| other.at_ms);
        all.retain(|other| is_near(case, other));
        let same = all.iter().copied();
        let same = same.filter(|other| Ending::all_of(other).any(|one| one == ending));
        let good = all.iter().copied().filter(|other| !other.is_bad());
        Self {
            case,
            around,
            ending,
            same: run(same, case),
            good: good.collect(),
        }
    }

    /// The tries that failed like it, one of each case.
    pub(super) fn tries(&self) -> impl Iterator<Item = &'a Tried> + '_ {
        let each = self.same.iter();
        each.filter_map(|case| last_try(case, self.ending))
    }

    /// When the first one failed like it.
    pub(super) fn onset_ms(&self) -> u64 {
        self.same.first().map_or(self.case.at_ms, |one| one.at_ms)
    }

    /// Whether there are enough of its kind to speak of a pattern.
    pub(super) fn is_pattern(&self) -> bool {
        self.same.len() >= A_PATTERN
    }

    /// What happened up to the case, the latest first.
    pub(super) fn happened(&self) -> impl Iterator<Item = &'a Happened> {
        let until = self.case.at_ms.saturating_add(SLACK_MS);
        let happened = self.around.happenings.iter().rev();
        happened.filter(move |one| one.at_ms <= until)
    }

    /// Whether nothing failed like it before `at_ms`.
    pub(super) fn began_after(&self, at_ms: u64) -> bool {
        self.onset_ms().saturating_add(SLACK_MS) >= at_ms
    }

    /// Good ones before `at_ms`.
    pub(super) fn good_before(&self, at_ms: u64) -> impl Iterator<Item = &'a Case> + '_ {
        let good = self.good.iter().copied();
        good.filter(move |one| one.at_ms < at_ms)
    }

    /// Good ones from the first that failed like it to the last.
    pub(super) fn good_since(&self) -> impl Iterator<Item = &'a Case> + '_ {
        let last = self.same.last().map_or(self.case.at_ms, |one| one.at_ms);
        let times = self.onset_ms()..=last.saturating_add(SLACK_MS);
        let good = self.good.iter().copied();
        good.filter(move |one| times.contains(&one.at_ms))
    }

    /// Whether there were good ones, and then these, and no good one beside them.
    pub(super) fn is_step(&self) -> bool {
        self.is_pattern()
            && self.good_before(self.onset_ms()).next().is_some()
            && self.good_since().next().is_none()
    }

    /// The endpoints at which it failed so.
    pub(super) fn hit(&self) -> BTreeSet<SocketAddr> {
        let at = self
            .same
            .iter()
            .filter_map(|one| failed_at(one, self.ending));
        at.collect()
    }

    /// The other endpoints at which it went well since then.
    pub(super) fn well(&self) -> BTreeSet<SocketAddr> {
        let hit = self.hit();
        let well = self.good_since().filter_map(|one| one.endpoint);
        well.filter(|at| !hit.contains(at)).collect()
    }

    /// Over which endpoints it is spread.
    pub(super) fn spread(&self) -> Spread {
        let (hit, well) = (self.hit(), self.well());
        let others = |at: SocketAddr| self.around.endpoints.iter().any(|one| *one != at);
        match (hit.first(), hit.len()) {
            (Some(one), 1) if !well.is_empty() && self.same.len() > 1 => Spread::One(*one),
            _ if !self.is_pattern() => Spread::Unknown,
            (Some(one), 1) if others(*one) => Spread::One(*one),
            (Some(_), _) if well.is_empty() => Spread::All,
            (Some(_), _) => Spread::Several,
            (None, _) => Spread::Unknown,
        }
    }

    /// The paths on which it failed so, where they are few and others are well.
    pub(super) fn one_path(&self) -> Option<&'a str> {
        let paths: BTreeSet<&str> = self.same.iter().map(|one| &*one.path).collect();
        let path = paths.first().copied().filter(|_| paths.len() == 1)?;
        let mut since = self.good_since();
        let elsewhere = since.any(|one| &*one.path != path);
        let here = self.good_since().any(|one| &*one.path == path);
        (self.is_pattern() && elsewhere && !here).then_some(path)
    }

    /// By what the traffic of its route grew when this began; `None` where that is not known.
    pub(super) fn growth(&self) -> Option<f64> {
        let onset = self.onset_ms();
        let of_route = |one: &&&Case| one.route == self.case.route;
        let before: Vec<_> = self.good.iter().filter(of_route).copied().collect();
        let before = rate(before.into_iter().filter(|one| one.at_ms < onset))?;
        let since = self.same.iter().chain(&self.good).filter(of_route);
        let since = rate(since.copied().filter(|one| one.at_ms >= onset))?;
        (before > 0.0).then(|| since / before)
    }

    /// Whether the traffic of its route grew when this began.
    pub(super) fn has_grown(&self) -> bool {
        self.growth().is_some_and(|by| by >= RISEN)
    }

    /// How long good ones of its route took to their first byte in the middle, before and since this began.
    pub(super) fn first_bytes(&self) -> (Option<f64>, Option<f64>) {
        let of_route = |one: &&Case| one.route == self.case.route;
        let before = median(self.good_before(self.onset_ms()).filter(of_route));
        let since = median(self.good_since().filter(of_route));
        (before, since)
    }
}

/// Of `same`, the oldest first, those that are one trouble with `case`: no long time is between one and the next.
fn run<'a>(same: impl Iterator<Item = &'a Case>, case: &'a Case) -> Vec<&'a Case> {
    let mut run: Vec<&Case> = Vec::new();
    for one in same {
        let gap = run.last().is_some_and(|last| {
            let since = one.at_ms.saturating_sub(last.at_ms);
            since > MOST_BETWEEN_MS
        });
        if gap && one.at_ms > case.at_ms {
            break;
        }
        if gap {
            run.clear();
        }
        run.push(one);
    }
    if run.is_empty() {
        run.push(case); // it is not kept any more
    }
    run
}

/// Whether both went to the same place: an upstream, or where one got to none, its route.
fn is_near(case: &Case, other: &Case) -> bool {
    const NOWHERE: &str = "none";
    if &*case.upstream == NOWHERE && &*case.route != NOWHERE {
        return other.route == case.route;
    }
    other.upstream == case.upstream
}

/// Requests a second, from the totals that cases carry.
fn rate<'a>(cases: impl Iterator<Item = &'a Case>) -> Option<f64> {
    let mut ends: Vec<_> = cases
        .filter_map(|case| Some((case.at_ms as f64 + case.timings_ms.total, case.taken?)))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (first, last) = (ends.first()?, ends.last()?);
    let seconds = (last.0 - first.0) / 1000.0;
    (seconds > 0.05).then(|| last.1.saturating_sub(first.1) as f64 / seconds)
}

fn median<'a>(cases: impl Iterator<Item = &'a Case>) -> Option<f64> {
    let mut times: Vec<f64> = cases
        .filter_map(|case| case.timings_ms.first_byte)
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}
