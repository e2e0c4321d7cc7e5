//! Whether a new config is to be taken back. Pure: figures in, a finding out.

use std::fmt;

use super::traffic::Counts;
use crate::{
    config::{GuardPlan, Touched},
    names::RouteName,
    telemetry::Ended,
};

/// Why a config is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The route whose requests fail.
    pub route: RouteName,
    /// The share that ended badly in the minute before.
    pub before: f64,
    /// The share that ends badly now.
    pub after: f64,
    /// How many ended since.
    pub requests: u64,
    /// The same shares of the routes that were not touched, together; `None` where nobody asked for them.
    pub others: Option<(f64, f64)>,
}

/// The worst of the touched routes whose share of bad endings rose by more than the plan allows; `None` where there is
/// none, or where that of the others rose as much: then it is not the config's doing.
///
/// | | is held against |
/// | --- | --- |
/// | a route that had requests in the minute before | itself then |
/// | one that had none, or is new | all routes together then |
/// | any, where nobody asked for anything then | nothing: no finding |
#[must_use]
pub fn judge(
    plan: &GuardPlan,
    touched: &Touched,
    before: &Counts,
    after: &Counts,
) -> Option<Finding> {
    let others = rise(
        sum(before, |route| !touched.contains(route)),
        sum(after, |route| !touched.contains(route)),
    );
    if others.is_some_and(|(before, after)| after - before > plan.max_failure_increase) {
        return None;
    }
    let all = sum(before, |_| true);
    let least = u64::from(plan.min_requests.get());
    let suspects = after
        .iter()
        .filter(|(route, ended)| touched.contains(route) && ended.requests >= least);
    suspects
        .filter_map(|(route, ended)| {
            let own = before.get(route).and_then(|own| own.share());
            let (before, after) = (own.or_else(|| all.share())?, ended.share()?);
            (after - before > plan.max_failure_increase).then(|| Finding {
                route: route.clone(),
                before,
                after,
                requests: ended.requests,
                others,
            })
        })
        .max_by(|one, other| (one.after - one.before).total_cmp(&(other.after - other.before)))
}

/// What all of these routes saw together.
fn sum(counts: &Counts, which: impl Fn(&RouteName) -> bool) -> Ended {
    let chosen = counts.iter().filter(|(route, _)| which(route));
    chosen.fold(Ended::default(), |sum, (_, ended)| sum.plus(*ended))
}

fn rise(before: Ended, after: Ended) -> Option<(f64, f64)> {
    Some((before.share()?, after.share()?))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        write!(
            f,
            "{:.1} % of {} requests of route {} ended badly, {:.1} % in the minute before",
            percent(self.after),
            self.requests,
            self.route,
            percent(self.before)
        )?;
        match self.others {
            Some((before, after)) => write!(
                f,
                "; of other routes {:.1} %, {:.1} % before",
                percent(after),
                percent(before)
            ),
            None => f.write_str("; other routes had no requests"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;

    const PLAN: GuardPlan = GuardPlan {
        window: Duration::from_secs(60),
        max_failure_increase: 0.05,
        min_requests: NonZeroU32::new(100).unwrap(),
    };

    fn counts(routes: &[(&str, u64, u64)]) -> Counts {
        let ended = routes.iter().map(|(route, requests, faulted)| {
            let ended = Ended {
                requests: *requests,
                faulted: *faulted,
            };
            (RouteName::from(*route), ended)
        });
        ended.collect()
    }

    /// The route that is blamed, where `shop` and `new` are touched.
    fn blamed(before: &[(&str, u64, u64)], after: &[(&str, u64, u64)]) -> Option<String> {
        let touched = ["shop", "new"].map(RouteName::from);
        let touched = Touched::Routes(touched.into());
        judge(&PLAN, &touched, &counts(before), &counts(after))
            .map(|finding| finding.route.to_string())
    }

    type Case = (
        &'static str,
        &'static [(&'static str, u64, u64)],
        &'static [(&'static str, u64, u64)],
        Option<&'static str>,
    );

    const CASES: [Case; 12] = [
        (
            "it fails",
            &[("shop", 900, 9)],
            &[("shop", 100, 50)],
            Some("shop"),
        ),
        (
            "it fails as before",
            &[("shop", 900, 450)],
            &[("shop", 100, 50)],
            None,
        ),
        (
            "it rises to the bound",
            &[("shop", 1000, 0)],
            &[("shop", 100, 5)],
            None,
        ),
        (
            "it rises above the bound",
            &[("shop", 1000, 0)],
            &[("shop", 100, 6)],
            Some("shop"),
        ),
        (
            "too few to say",
            &[("shop", 900, 0)],
            &[("shop", 99, 99)],
            None,
        ),
        (
            "an untouched one fails",
            &[("rest", 900, 0), ("shop", 900, 0)],
            &[("rest", 100, 90), ("shop", 100, 0)],
            None,
        ),
        (
            "all fail",
            &[("rest", 900, 0), ("shop", 900, 0)],
            &[("rest", 100, 50), ("shop", 100, 50)],
            None,
        ),
        (
            "others fail a little",
            &[("rest", 900, 0), ("shop", 900, 0)],
            &[("rest", 100, 4), ("shop", 100, 50)],
            Some("shop"),
        ),
        (
            "others failed before",
            &[("rest", 900, 500), ("shop", 900, 0)],
            &[("rest", 100, 50), ("shop", 100, 50)],
            Some("shop"),
        ),
        (
            "a new one against all",
            &[("rest", 900, 9)],
            &[("rest", 100, 1), ("new", 100, 50)],
            Some("new"),
        ),
        ("nothing before", &[], &[("shop", 500, 500)], None),
        (
            "the worst of two",
            &[("shop", 900, 0), ("new", 900, 0)],
            &[("shop", 100, 20), ("new", 100, 40)],
            Some("new"),
        ),
    ];

    #[test]
    fn only_a_rise_beyond_the_bound_of_enough_requests_of_a_touched_route_is_blamed() {
        for (what, before, after, wanted) in CASES {
            assert_eq!(blamed(before, after).as_deref(), wanted, "{what}");
        }
    }

    #[test]
    fn where_all_routes_are_touched_there_are_no_others_to_ask() {
        let (before, after) = (counts(&[("a", 500, 0)]), counts(&[("a", 200, 100)]));
        let finding = judge(&PLAN, &Touched::All, &before, &after).unwrap();
        assert_eq!(finding.others, None);
        assert_eq!(
            finding.to_string(),
            "50.0 % of 200 requests of route a ended badly, 0.0 % in the minute before; other routes had no requests"
        );
    }
}
