//! A second try beside a slow first one: the sooner answer wins.
//!
//! Only for idempotent requests without a body, only where the route asks for it, and only from the retry budget
//! and a place that is free at once: hedging must not add load where there is none to spare. Source: Dean and
//! Barroso, "The tail at scale", CACM 56(2), 2013.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use http::Request;
use tokio::time::sleep;

use super::{
    attempt::{Terms, load_of, told},
    held::Held,
    once::{self, Ends},
    replay::Replay,
    trail::Trail,
};
use crate::{
    admission::RetryGuard, config::HedgeAfter, pool::SendBody, snapshot::UpstreamLive,
    telemetry::RetryResult, upstream::Reuse,
};

/// A request, the same once more, and how long the first is waited for.
pub(super) struct Pair {
    pub(super) request: Request<SendBody>,
    pub(super) spare: Request<SendBody>,
    pub(super) after: Duration,
}

/// A try on its way, with what it holds.
type Running<'a> = Pin<Box<dyn Future<Output = (Held, Ends)> + Send + 'a>>;

/// A percentile of fewer requests says nothing.
const FEWEST: u64 = 100;

/// How long the first try is waited for, and the request for the second; `None` where there is none.
pub(super) fn of(
    terms: &Terms<'_>,
    replay: &Replay,
    trail: &Trail,
) -> Option<(Duration, Request<SendBody>)> {
    let plan = terms.plan.hedge?;
    if !trail.entrance.pressure.hedges_allowed() {
        return None;
    }
    let spare = replay.spare()?;
    let after = match plan.after {
        HedgeAfter::Time(after) => after,
        HedgeAfter::Percentile(percent) => trail
            .handles()
            .percentile(f64::from(percent) / 100.0, FEWEST)?,
    };
    Some((after, spare))
}

/// Runs the first; when it is slow, another beside it. What the loser still does is given up.
///
/// # Cancel safety
/// As a single try's.
pub(super) async fn run(
    upstream: &Arc<UpstreamLive>,
    mut held: Held,
    pair: Pair,
    terms: &Terms<'_>,
    trail: &mut Trail,
) -> (Held, Ends) {
    let Pair {
        mut request,
        spare,
        after,
    } = pair;
    once::prepare(upstream, &mut held, &mut request, terms, trail);
    let lone = held.alone();
    let mut first = carry(upstream, held, request, terms, trail);
    let early = tokio::select! {
        biased; // an answer that is there needs no second
        early = &mut first => Some(early),
        () = sleep(after) => None,
    };
    let (mut held, ended) = match early {
        Some(ended) => ended,
        None => match lone.beside(upstream, &terms.wish) {
            Some((other, leave)) => {
                race(upstream, first, (other, leave), spare, terms, trail).await
            }
            None => first.await,
        },
    };
    once::conclude(upstream, &mut held, terms, &ended, trail);
    (held, ended)
}

/// Two tries side by side. Where one fails, what the other says counts.
async fn race(
    upstream: &Arc<UpstreamLive>,
    first: Running<'_>,
    (mut other, _leave): (Held, RetryGuard),
    mut spare: Request<SendBody>,
    terms: &Terms<'_>,
    trail: &mut Trail,
) -> (Held, Ends) {
    once::prepare(upstream, &mut other, &mut spare, terms, trail);
    let seat = other.seat;
    let (mut first, mut second) = (first, carry(upstream, other, spare, terms, trail));
    let ((mut held, mut ended), rest) = tokio::select! {
        biased; // of two that are there, the older
        ended = &mut first => (ended, second),
        ended = &mut second => (ended, first),
    };
    if ended.is_err() {
        once::conclude(upstream, &mut held, terms, &ended, trail);
        (held, ended) = rest.await;
    }
    let result = if held.seat == seat && ended.is_ok() {
        RetryResult::Success
    } else {
        RetryResult::Failure
    };
    told(upstream, true, result);
    (held, ended)
}

fn carry<'a>(
    upstream: &'a Arc<UpstreamLive>,
    mut held: Held,
    request: Request<SendBody>,
    terms: &'a Terms<'_>,
    trail: &Trail,
) -> Running<'a> {
    let entrance = Arc::clone(&trail.entrance);
    Box::pin(async move {
        let ghosts = &entrance.ghosts;
        let ended = once::send(upstream, &mut held, request, terms, Reuse::Allowed, ghosts).await;
        (held, ended)
    })
}

impl super::held::Lone {
    /// A place beside the one held, with leave of the budget; `None` where either is missing.
    fn beside(
        self,
        upstream: &Arc<UpstreamLive>,
        wish: &crate::admission::Wish,
    ) -> Option<(Held, RetryGuard)> {
        let leave = upstream.budget.try_retry(load_of(upstream))?;
        Some((self.place(upstream, wish)?, leave))
    }
}
