//! What limits have learned, in a form that outlives the process: endpoints by address, routes by name.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::concurrency::Belief;
use crate::names::{EndpointId, UpstreamName};

/// What was learned longer ago says nothing any more.
pub const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What the limit of one endpoint had come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's address.
    pub address: SocketAddr,
    /// Most requests at once.
    pub limit: f64,
    /// What the law believed; `None` for laws that know nothing but their limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub belief: Option<NamedBelief>,
}

/// A [`Belief`] in which routes have their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedBelief {
    /// Mean and deviation of ln capacity.
    pub ln_capacity: (f64, f64),
    /// Mean and deviation of ln slowness.
    pub ln_slowness: (f64, f64),
    /// How likely it is that all requests are stretched alike.
    pub shared: f64,
    /// The time that a request of each route takes where nothing waits, in seconds.
    pub baselines: BTreeMap<String, f64>,
}

/// The largest ln of a capacity or a slowness that is taken for true.
const MOST_LN: f64 = 12.0;
/// The longest baseline that is taken for true, in seconds.
const LONGEST: f64 = 3600.0;

// === impl Remembered ===

impl Remembered {
    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> EndpointId {
        EndpointId::new(UpstreamName::from(self.upstream.as_str()), self.address)
    }

    /// Whether all numbers are such as a law writes down.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let limit = self.limit.is_finite() && self.limit >= 1.0;
        limit && self.belief.as_ref().is_none_or(NamedBelief::is_sound)
    }
}

// === impl NamedBelief ===

impl NamedBelief {
    /// `belief`, in which `name` gives each route its name; a route without one is left out.
    pub(super) fn named(belief: &Belief, name: impl Fn(u16) -> Option<String>) -> Self {
        let known = belief.baselines.iter();
        Self {
            ln_capacity: belief.ln_capacity,
            ln_slowness: belief.ln_slowness,
            shared: belief.shared,
            baselines: known
                .filter_map(|(route, seconds)| Some((name(*route)?, *seconds)))
                .collect(),
        }
    }

    /// The same, in which `number` gives each route its number; a route without one is left out.
    pub(super) fn numbered(&self, mut number: impl FnMut(&str) -> Option<u16>) -> Belief {
        let known = self.baselines.iter();
        Belief {
            ln_capacity: self.ln_capacity,
            ln_slowness: self.ln_slowness,
            shared: self.shared,
            baselines: known
                .filter_map(|(route, seconds)| Some((number(route)?, *seconds)))
                .collect(),
        }
    }

    fn is_sound(&self) -> bool {
        let spread =
            |(mean, spread): (f64, f64)| mean.abs() <= MOST_LN && (0.0..=MOST_LN).contains(&spread);
        let baseline = |seconds: &f64| *seconds > 0.0 && *seconds <= LONGEST;
        spread(self.ln_capacity)
            && spread(self.ln_slowness)
            && (0.0..=1.0).contains(&self.shared)
            && self.baselines.values().all(baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered() -> Remembered {
        Remembered {
            upstream: "shop".to_owned(),
            address: "10.0.0.1:80".parse().unwrap(),
            limit: 16.0,
            belief: Some(NamedBelief {
                ln_capacity: (2.8, 0.2),
                ln_slowness: (0.0, 0.1),
                shared: 0.1,
                baselines: [("all".to_owned(), 0.02)].into(),
            }),
        }
    }

    #[test]
    fn what_is_written_down_reads_back() {
        let written = serde_json::to_string(&remembered()).unwrap();
        let read: Remembered = serde_json::from_str(&written).unwrap();
        assert_eq!(read, remembered());
        assert!(read.is_sound());
    }

    #[test]
    fn numbers_that_no_law_writes_are_not_sound() {
        let with = |change: &dyn Fn(&mut Remembered)| {
            let mut one = remembered();
            change(&mut one);
            one.is_sound()
        };
        let belief = |one: &mut Remembered| one.belief.take().unwrap();
        assert!(!with(&|one| one.limit = f64::NAN));
        assert!(!with(&|one| one.limit = 0.0));
        assert!(!with(&|one| {
            let belief = belief(one);
            one.belief = Some(NamedBelief {
                ln_capacity: (f64::INFINITY, 0.1),
                ..belief
            });
        }));
        assert!(!with(&|one| {
            let belief = belief(one);
            one.belief = Some(NamedBelief {
                ln_slowness: (0.0, -0.1),
                ..belief
            });
        }));
        assert!(!with(&|one| {
            let belief = belief(one);
            let baselines = [("all".to_owned(), 0.0)].into();
            one.belief = Some(NamedBelief {
                baselines,
                ..belief
            });
        }));
    }
}
