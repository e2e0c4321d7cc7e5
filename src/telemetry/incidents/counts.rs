//! What was counted of each route towards each upstream, and what came to it since the last look.

use std::collections::HashMap;

use super::Ending;
use crate::names::{RouteName, UpstreamName};

/// A route, and where it sent requests; `None` stands for requests that no route took, or that reached no upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::telemetry) struct Pair {
    pub(in crate::telemetry) route: Option<RouteName>,
    pub(in crate::telemetry) upstream: Option<UpstreamName>,
}

/// How many requests ended, and how those did that ended badly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::telemetry) struct Count {
    pub(in crate::telemetry) requests: u64,
    /// Those that are not zero.
    pub(in crate::telemetry) faults: Vec<(Ending, u64)>,
}

/// Counts of all pairs.
pub(in crate::telemetry) type Counts = HashMap<Pair, Count>;

/// The counts of the last look.
#[derive(Debug, Default)]
pub(super) struct Last(Counts);

// === impl Count ===

impl Count {
    /// As many more ended so.
    pub(in crate::telemetry) fn add(&mut self, ending: Ending, more: u64) {
        if more == 0 {
            return;
        }
        match self.faults.iter_mut().find(|(known, _)| *known == ending) {
            Some((_, count)) => *count = count.saturating_add(more),
            None => self.faults.push((ending, more)),
        }
    }

    /// Those that ended so.
    fn of(&self, ending: Ending) -> u64 {
        let found = self.faults.iter().find(|(known, _)| *known == ending);
        found.map_or(0, |(_, count)| *count)
    }

    /// Those that `takes` lets through.
    pub(super) fn bad(&self, takes: impl Fn(Ending) -> bool) -> u64 {
        let taken = self.faults.iter().filter(|(ending, _)| takes(*ending));
        taken.map(|(_, count)| *count).sum()
    }

    /// Those that ended well.
    pub(super) fn good(&self) -> u64 {
        self.requests.saturating_sub(self.bad(|_| true))
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut since = Self {
            requests: self.requests.saturating_sub(earlier.requests),
            faults: Vec::new(),
        };
        for (ending, count) in &self.faults {
            since.add(*ending, count.saturating_sub(earlier.of(*ending)));
        }
        since
    }

    fn is_nothing(&self) -> bool {
        self.requests == 0 && self.faults.is_empty()
    }
}

// === impl Last ===

impl Last {
    /// What came to the counts since the last look; at the first one, since the gateway began.
    pub(super) fn take(&mut self, counts: Counts) -> Counts {
        let mut since = Counts::new();
        let none = Count::default();
        for (pair, count) in &counts {
            let more = count.since(self.0.get(pair).unwrap_or(&none));
            if !more.is_nothing() {
                since.insert(pair.clone(), more);
            }
        }
        self.0 = counts;
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    #[test]
    fn a_look_sees_what_came_since_the_last_one_and_the_first_sees_all() {
        let pair = Pair {
            route: Some("shop".into()),
            upstream: None,
        };
        let ending = Ending::Fault(Kind::NoEndpoint);
        let counts = |requests, bad| {
            let mut count = Count {
                requests,
                ..Count::default()
            };
            count.add(ending, bad);
            Counts::from([(pair.clone(), count)])
        };
        let mut last = Last::default();
        assert_eq!(last.take(counts(10, 5)), counts(10, 5));
        assert_eq!(last.take(counts(12, 6)), counts(2, 1));
        assert!(last.take(counts(12, 6)).is_empty());
        assert_eq!(last.take(counts(13, 6)), counts(1, 0));
    }
}
