//! `share` of `[[routes]]`: what routes hold of one upstream together.

use std::collections::BTreeMap;

use super::{route::Route, upstream::Upstream};
use crate::{
    config::{
        ConcurrencyMode,
        problem::{Code, Problem, Problems, Span},
        value::share_text,
    },
    names::UpstreamName,
};

/// The whole, in thousandths.
const WHOLE: u32 = 1000;

/// How many earlier shares are shown beside the one that is too much.
const SHOWN: usize = 4;

/// What a route holds of an upstream.
struct Share<'a> {
    route: &'a Route,
    thousandths: u32,
    at: Span,
}

/// Shares that add up to more than there is, and those of an upstream without a limit.
pub(super) fn check(upstreams: &[Upstream], routes: &[Route], problems: &Problems) {
    let mut by_upstream: BTreeMap<&UpstreamName, Vec<Share<'_>>> = BTreeMap::new();
    for route in routes {
        let Some((share, at)) = route.plan.share.zip(route.share_at) else {
            continue;
        };
        for (name, _) in &route.forwards_at {
            let shares = by_upstream.entry(name).or_default();
            let known = shares.iter().any(|one| std::ptr::eq(one.route, route));
            if !known {
                shares.push(Share {
                    route,
                    thousandths: share.get(),
                    at,
                });
            }
        }
    }
    for upstream in upstreams {
        let shares = by_upstream.remove(&upstream.plan.name).unwrap_or_default();
        if upstream.plan.concurrency.mode == ConcurrencyMode::Off {
            warn_unlimited(upstream, &shares, problems);
        }
        check_sum(&upstream.plan.name, &shares, problems);
    }
}

fn check_sum(name: &UpstreamName, shares: &[Share<'_>], problems: &Problems) {
    let total: u32 = shares.iter().map(|share| share.thousandths).sum();
    let mut left = WHOLE;
    for (index, share) in shares.iter().enumerate() {
        if let Some(rest) = left.checked_sub(share.thousandths) {
            left = rest;
            continue;
        }
        let label = match left {
            0 => "nothing is left".to_owned(),
            left => format!("at most {}", share_text(left)),
        };
        let sum = share_text(total);
        let message = format!("the shares of upstream `{name}` add up to {sum}, at most 1");
        let problem = Problem::error(Code::Conflict, share.at, message, label);
        let earlier = shares.iter().take(index.min(SHOWN));
        problems.add(earlier.fold(problem, |problem, one| {
            problem.and(one.at, format!("route `{}` has this", one.route.plan.name))
        }));
        return;
    }
}

fn warn_unlimited(upstream: &Upstream, shares: &[Share<'_>], problems: &Problems) {
    for share in shares {
        let name = &upstream.plan.name;
        problems.add(
            Problem::warning(
                Code::Doubtful,
                share.at,
                format!("`share` has no effect: upstream `{name}` has no limit"),
                "",
            )
            .help(format!(
                "leave out mode = \"off\" in [upstreams.{name}.concurrency]"
            )),
        );
    }
}
