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
    /// What goes wrong.
    pub of: Suspect,
    /// The share that ended badly in the minute before.
    pub before: f64,
    /// The share that ends badly now.
    pub after: f64,
    /// How many ended since: of the route, or at all.
    pub requests: u64,
    /// The same shares of the routes that were not touched, together; `None` where nobody asked for them.
    pub others: Option<(f64, f64)>,
}

/// Whose requests go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspect {
    /// Those of this route.
    Route(RouteName),
    /// Those that a touched route took and none takes now. The shares are of all requests.
    Lost,
}

/// The worst of the touched routes whose share of bad endings rose by more than the plan allows; `None` where there is
/// none, or where that of the others rose as much: then it is not the config's doing.
///
/// | | is held against |
/// | --- | --- |
/// | a route that had requests in the minute before | itself then |
/// | one that had none, or is new | all routes together then |
/// | any, where nobody asked for anything then | nothing: no finding |
///
/// Where no route fails so, what no route takes any more is looked at: see [`lost`].
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
        .routes
        .iter()
        .filter(|(route, ended)| touched.contains(route) && ended.requests >= least);
    suspects
        .filter_map(|(route, ended)| {
            let own = before.get(route).share();
            let (before, after) = (own.or_else(|| all.share())?, ended.share()?);
            (after - before > plan.max_failure_increase).then(|| Finding {
                of: Suspect::Route(route.clone()),
                before,
                after,
                requests: ended.requests,
                others,
            })
        })
        .max_by(|one, other| (one.after - one.before).total_cmp(&(other.after - other.before)))
        .or_else(|| lost(plan, touched, before, after, others))
}

/// Requests that no route takes any more, as when a host or a path was mistyped. Both must have moved by more than the
/// plan allows: up, the share of all requests that no route takes; down, what touched routes take of those that are
/// taken. A scanner that asks for what never was there does the first and not the second. Where touched routes take all
/// that is taken, only the loss of everything is seen.
fn lost(
    plan: &GuardPlan,
    touched: &Touched,
    before: &Counts,
    after: &Counts,
    others: Option<(f64, f64)>,
) -> Option<Finding> {
    let share = |part: u64, rest: u64| {
        let all = part + rest;
        (all > 0).then(|| part as f64 / all as f64)
    };
    let taken = |counts: &Counts| {
        let mine = sum(counts, |route| touched.contains(route)).requests;
        let others = sum(counts, |route| !touched.contains(route)).requests;
        (mine, others)
    };
    let ((mine_then, others_then), (mine_now, others_now)) = (taken(before), taken(after));
    let requests = after.nowhere + mine_now + others_now;
    let nowhere_then = share(before.nowhere, mine_then + others_then)?;
    let nowhere_now = share(after.nowhere, mine_now + others_now)?;
    let kept_then = share(mine_then, others_then)?;
    let kept_now = share(mine_now, others_now).unwrap_or(0.0);
    let bound = plan.max_failure_increase;
    let is_lost = nowhere_now - nowhere_then > bound && kept_then - kept_now > bound;
    (is_lost && requests >= u64::from(plan.min_requests.get())).then_some(Finding {
        of: Suspect::Lost,
        before: nowhere_then,
        after: nowhere_now,
        requests,
        others,
    })
}

/// What all of these routes saw together.
fn sum(counts: &Counts, which: impl Fn(&RouteName) -> bool) -> Ended {
    let chosen = counts.routes.iter().filter(|(route, _)| which(route));
    chosen.fold(Ended::default(), |sum, (_, ended)| sum.plus(*ended))
}

fn rise(before: Ended, after: Ended) -> Option<(f64, f64)> {
    Some((before.share()?, after.share()?))
}

// === impl Finding ===

impl Finding {
    /// The route that fails; `none` where requests find none any more.
    #[must_use]
    pub const fn route(&self) -> Option<&RouteName> {
        match &self.of {
            Suspect::Route(route) => Some(route),
            Suspect::Lost => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        let (before, after) = (percent(self.before), percent(self.after));
        let requests = self.requests;
        match &self.of {
            Suspect::Route(route) => write!(
                f,
                "{after:.1} % of {requests} requests of route {route} ended badly, {before:.1} % in the minute before"
            )?,
            Suspect::Lost => write!(
                f,
                "{after:.1} % of {requests} requests are taken by no route, {before:.1} % in the minute before"
            )?,
        }
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
        Counts {
            routes: ended.collect(),
            nowhere: 0,
        }
    }

    /// The route that is blamed, where `shop` and `new` are touched.
    fn blamed(before: &[(&str, u64, u64)], after: &[(&str, u64, u64)]) -> Option<String> {
        let touched = ["shop", "new"].map(RouteName::from);
        let touched = Touched::Routes(touched.into());
        judge(&PLAN, &touched, &counts(before), &counts(after))
            .map(|finding| finding.route().map_or("none", RouteName::as_str).to_owned())
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

    /// What no route takes, and what `shop` (touched) and `rest` take: then and now. Whether requests are lost.
    const LOST: [(&str, [u64; 3], [u64; 3], bool); 7] = [
        ("its host was mistyped", [0, 900, 900], [100, 0, 100], true),
        ("a third of it is lost", [0, 900, 900], [33, 67, 100], true),
        ("it was all there was", [0, 900, 0], [150, 0, 0], true),
        ("a scanner came", [0, 900, 900], [900, 100, 100], false),
        ("its people went home", [0, 900, 900], [0, 5, 200], false),
        (
            "scanners were there before",
            [900, 900, 900],
            [100, 100, 100],
            false,
        ),
        ("too few to say", [0, 900, 900], [49, 0, 50], false),
    ];

    #[test]
    fn requests_that_no_route_takes_any_more_are_blamed_on_the_change_that_lost_them() {
        let of = |[nowhere, shop, rest]: [u64; 3]| Counts {
            nowhere,
            ..counts(&[("shop", shop, 0), ("rest", rest, 0)])
        };
        let touched = Touched::Routes([RouteName::from("shop")].into());
        for (what, before, after, wanted) in LOST {
            let found = judge(&PLAN, &touched, &of(before), &of(after));
            let lost = found.map(|finding| finding.of == Suspect::Lost);
            assert_eq!(lost, wanted.then_some(true), "{what}");
        }
    }

    #[test]
    fn what_was_lost_is_told_as_a_share_of_all() {
        let (before, mut after) = (counts(&[("a", 500, 0)]), counts(&[("a", 50, 0)]));
        after.nowhere = 150;
        let touched = Touched::Routes([RouteName::from("a")].into());
        assert_eq!(
            judge(&PLAN, &touched, &before, &after),
            None,
            "it takes all that is taken"
        );
        after.routes.clear();
        let finding = judge(&PLAN, &touched, &before, &after).unwrap();
        assert_eq!(
            finding.to_string(),
            "100.0 % of 150 requests are taken by no route, 0.0 % in the minute before; other routes had no requests"
        );
    }
}
