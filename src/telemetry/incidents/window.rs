//! The last few looks: how many requests of a route ended, and how many of them in a way that belongs together.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{Count, Ending, Incident, Pair, Scope, counts::Counts, ending::Class, incident::share};
use crate::names::{RouteName, UpstreamName};

/// What is grouped together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// What happens at an upstream, through whatever route.
    Upstream(UpstreamName),
    /// What happens at a route before any upstream.
    Route(Option<RouteName>),
    /// What the rate limits of a route refuse.
    Limits(Option<RouteName>),
    /// What callers do themselves.
    Clients,
    /// What this process is short of.
    Process,
}

/// What one look saw.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// When, from when the machine began.
    pub(super) at: Duration,
    /// When the look before was, in milliseconds since 1970.
    pub(super) from_ms: u64,
    /// When it was itself.
    pub(super) at_ms: u64,
    /// What came since the look before.
    pub(super) counts: Counts,
}

/// The looks of a window.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Look>);

/// What a window has, so that it is gone through once for all that is asked of it.
#[derive(Debug, Default)]
pub(super) struct Sums {
    all: u64,
    routes: HashMap<Option<RouteName>, u64>,
    bad: HashMap<Group, HashMap<Option<RouteName>, u64>>,
}

/// What a window has of one group at one route, or of all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) bad: u64,
}

// === impl Group ===

impl Group {
    /// What a request of `pair` that ended so is grouped with.
    pub(super) fn of(pair: &Pair, ending: Ending) -> Self {
        match (ending.class(), &pair.upstream) {
            (Class::Process, _) => Self::Process,
            (Class::Clients, _) => Self::Clients,
            (Class::Limits, _) => Self::Limits(pair.route.clone()),
            (Class::Service, Some(upstream)) => Self::Upstream(upstream.clone()),
            (Class::Service, None) => Self::Route(pair.route.clone()),
        }
    }

    /// The one that an incident is about, where it says that.
    pub(super) fn of_incident(incident: &Incident) -> Option<Self> {
        let route = || {
            let name = incident.routes.first()?;
            Some((**name != *NONE).then(|| RouteName::from(&**name)))
        };
        Some(match incident.scope {
            Scope::Upstream => Self::Upstream(UpstreamName::from(incident.upstream.as_deref()?)),
            Scope::Route => Self::Route(route()?),
            Scope::Limits => Self::Limits(route()?),
            Scope::Clients => Self::Clients,
            Scope::Process => Self::Process,
        })
    }

    /// Whether a request of `pair` that ended so belongs to it.
    pub(super) fn takes(&self, pair: &Pair, ending: Ending) -> bool {
        match (self, ending.class()) {
            (Self::Process, Class::Process) | (Self::Clients, Class::Clients) => true,
            (Self::Limits(route), Class::Limits) => pair.route == *route,
            (Self::Upstream(name), Class::Service) => pair.upstream.as_ref() == Some(name),
            (Self::Route(route), Class::Service) => pair.upstream.is_none() && pair.route == *route,
            _ => false,
        }
    }

    /// Whether requests of `pair` that end well say that it is over.
    pub(super) fn heals_by(&self, pair: &Pair) -> bool {
        match self {
            Self::Process | Self::Clients => true,
            Self::Limits(route) | Self::Route(route) => pair.route == *route,
            Self::Upstream(name) => pair.upstream.as_ref() == Some(name),
        }
    }

    /// Whether all requests count, and not those of its routes alone.
    pub(super) const fn is_of_all(&self) -> bool {
        matches!(self, Self::Process | Self::Clients)
    }

    pub(super) const fn scope(&self) -> Scope {
        match self {
            Self::Upstream(_) => Scope::Upstream,
            Self::Route(_) => Scope::Route,
            Self::Limits(_) => Scope::Limits,
            Self::Clients => Scope::Clients,
            Self::Process => Scope::Process,
        }
    }

    pub(super) fn upstream(&self) -> Option<&str> {
        match self {
            Self::Upstream(name) => Some(name.as_str()),
            _ => None,
        }
    }
}

/// What a route is called, where there is one.
pub(super) fn name_of(route: Option<&RouteName>) -> &str {
    route.map_or(NONE, RouteName::as_str)
}

const NONE: &str = "none";

// === impl Look ===

impl Look {
    /// The pairs that `group` hit, with what it did.
    pub(super) fn hit<'a>(
        &'a self,
        group: &'a Group,
    ) -> impl Iterator<Item = (&'a Pair, Vec<(Ending, u64)>)> {
        self.counts.iter().filter_map(|(pair, count)| {
            let taken = count.faults.iter().copied();
            let taken: Vec<_> = taken
                .filter(|(ending, _)| group.takes(pair, *ending))
                .collect();
            (!taken.is_empty()).then_some((pair, taken))
        })
    }

    /// How many requests ended of the routes that `takes` lets through.
    pub(super) fn requests(&self, takes: impl Fn(Option<&RouteName>) -> bool) -> u64 {
        let pairs = self.counts.iter();
        let taken = pairs.filter(|(pair, _)| takes(pair.route.as_ref()));
        taken.map(|(_, count)| count.requests).sum()
    }

    /// Whether anything that `group` would have hit ended well.
    pub(super) fn heals(&self, group: &Group) -> bool {
        let mut pairs = self.counts.iter();
        pairs.any(|(pair, count)| group.heals_by(pair) && count.good() > 0)
    }
}

// === impl Window ===

impl Window {
    /// Adds a look, and forgets those that are older than `span` by then.
    pub(super) fn push(&mut self, look: Look, span: Duration) {
        let begins = look.at.saturating_sub(span);
        self.0.push_back(look);
        while self.0.front().is_some_and(|first| first.at <= begins) && self.0.len() > 1 {
            self.0.pop_front();
        }
    }

    /// The last look.
    pub(super) fn last(&self) -> Option<&Look> {
        self.0.back()
    }

    /// The looks from the first on that saw `group`.
    pub(super) fn since_first<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Look> {
        let looks = self.0.iter();
        looks.skip_while(move |look| look.hit(group).next().is_none())
    }

    /// The sums over all of its looks.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (pair, count) in self.0.iter().flat_map(|look| &look.counts) {
            sums.all = sums.all.saturating_add(count.requests);
            let route = sums.routes.entry(pair.route.clone()).or_default();
            *route = route.saturating_add(count.requests);
            for (ending, more) in &count.faults {
                let group = sums.bad.entry(Group::of(pair, *ending)).or_default();
                let bad = group.entry(pair.route.clone()).or_default();
                *bad = bad.saturating_add(*more);
            }
        }
        sums
    }
}

// === impl Sums ===

impl Sums {
    /// What there is of `group` at the route of `pair`; at all routes where all requests count.
    pub(super) fn seen(&self, group: &Group, pair: &Pair) -> Seen {
        let bad = self.bad.get(group);
        if group.is_of_all() {
            let bad = bad.map_or(0, |routes| routes.values().sum());
            return Seen {
                requests: self.all,
                bad,
            };
        }
        let of = |routes: &HashMap<_, u64>| routes.get(&pair.route).copied().unwrap_or(0);
        Seen {
            requests: of(&self.routes),
            bad: bad.map_or(0, of),
        }
    }

    /// Whether there is anything of `group`.
    pub(super) fn knows(&self, group: &Group) -> bool {
        self.bad.contains_key(group)
    }
}

// === impl Seen ===

impl Seen {
    /// The share of the requests that ended badly.
    pub(super) fn share(self) -> f64 {
        share(self.bad, self.requests.max(self.bad))
    }
}

/// Failures of one pair after each other, with nothing that ended well among them.
#[derive(Debug, Clone)]
pub(super) struct Streak {
    pub(super) since_ms: u64,
    pub(super) last: Duration,
    pub(super) faults: Count,
}

// === impl Streak ===

impl Streak {
    /// Goes on with, begins with, or is broken by what `look` saw of `pair`.
    pub(super) fn after(
        before: Option<Self>,
        pair: &Pair,
        count: &Count,
        look: &Look,
    ) -> Option<Self> {
        let counts = |ending: Ending| ending.class() == Class::Service;
        let bad = count.bad(counts);
        match (bad, count.good()) {
            (0, 0) => before.filter(|streak| look.at.saturating_sub(streak.last) < Self::LASTS),
            (0, _) | (_, 1..) => None,
            (_, 0) => {
                let mut streak = before.unwrap_or_else(|| Self {
                    since_ms: look.from_ms,
                    last: look.at,
                    faults: Count::default(),
                });
                streak.last = look.at;
                streak.faults.requests = streak.faults.requests.saturating_add(bad);
                for (ending, more) in count.faults.iter().filter(|(ending, _)| counts(*ending)) {
                    debug_assert_ne!(Group::of(pair, *ending), Group::Clients);
                    streak.faults.add(*ending, *more);
                }
                Some(streak)
            }
        }
    }

    /// Failures that are longer ago from each other are no streak.
    const LASTS: Duration = Duration::from_secs(900);
}
