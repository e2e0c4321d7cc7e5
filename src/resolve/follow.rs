//! The loop of lookups of one name.

use std::{fmt, net::IpAddr, sync::Arc};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, AnswerState, MAX_ADDRESSES, Resolver, Why, allowed::keep_allowed, held::Held,
    held::Step,
};
use crate::{config::DnsPlan, telemetry::UpstreamHandles};

/// How many addresses a log line shows.
const SHOWN: usize = 8;

/// A name, and how it is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Followed<'a> {
    /// Lower case. With a trailing dot it is not searched for in search domains.
    pub name: &'a str,
    /// TTL bounds, staleness, the shrink guard, allowed addresses.
    pub plan: &'a DnsPlan,
    /// The upstreams that count its lookups; may be empty.
    pub handles: &'a [Arc<UpstreamHandles>],
}

/// Looks a name up until `stop`, and keeps `out` at what is known of it.
///
/// The first lookup is at once, the next when the TTL ends (see `held.rs` for what an answer or an error
/// does). There is never more than one at a time. Readers of `out` are told only when the addresses or the
/// state changed. It goes on from what is in `out`: a task that replaces another one, as with a new plan,
/// keeps the addresses.
///
/// # Cancel safety
/// Dropping the future loses the lookup that runs, and a doubt about the last answer.
pub async fn follow(
    followed: Followed<'_>,
    resolver: &Resolver,
    out: &watch::Sender<Answer>,
    stop: &CancellationToken,
) {
    let mut held = Held::resume(&out.borrow(), Instant::now());
    loop {
        // Stop wins over everything: nobody reads the answer any more.
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            result = look_up(followed, resolver) => result,
        };
        count(&result, followed.handles);
        let now = Instant::now();
        let taken = held.heard(result, followed.plan, now, &mut rand::rng());
        tell_step(followed.name, &taken);
        let next = now.checked_add(taken.wait).unwrap_or(now);
        publish(followed.name, out, held.answer(Some(next)));
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(next) => {}
        }
    }
}

async fn look_up(followed: Followed<'_>, resolver: &Resolver) -> Result<super::Found, Why> {
    let found = resolver.lookup(followed.name).await?;
    let (result, dropped) = keep_allowed(found, followed.name, &followed.plan.allow_addresses);
    if !dropped.is_empty() {
        tracing::warn!(
            name = followed.name,
            addresses = %List(&dropped),
            "name has addresses that it may not have; `allow_addresses` lets them through"
        );
    }
    result
}

fn count(result: &Result<super::Found, Why>, handles: &[Arc<UpstreamHandles>]) {
    let word = result.as_ref().err().map_or("ok", |why| why.counted_as());
    for handle in handles {
        handle.resolved(word);
    }
}

/// Replaces the answer, and wakes readers only where they would see a difference.
fn publish(name: &str, out: &watch::Sender<Answer>, answer: Answer) {
    out.send_if_modified(|held| {
        let changed = held.addresses != answer.addresses || held.state != answer.state;
        if changed {
            tell_change(name, held, &answer);
        }
        *held = answer;
        changed
    });
}

fn tell_step(name: &str, step: &Step) {
    if step.doubted > 0 {
        tracing::warn!(
            name,
            kept = step.doubted,
            "answer has less than half of the addresses; the others are kept until it is confirmed"
        );
    }
    if step.left_out > 0 {
        tracing::warn!(
            name,
            left_out = step.left_out,
            most = MAX_ADDRESSES,
            "name has too many addresses"
        );
    }
}

fn tell_change(name: &str, old: &Answer, new: &Answer) {
    if old.addresses != new.addresses {
        let not_in = |those: &Answer, of: &Answer| -> Vec<IpAddr> {
            let gone = |address: &&IpAddr| those.addresses.binary_search(address).is_err();
            of.addresses.iter().filter(gone).copied().collect()
        };
        let (added, removed) = (not_in(old, new), not_in(new, old));
        let count = new.addresses.len();
        tracing::info!(name, count, added = %List(&added), removed = %List(&removed), "addresses changed");
    }
    match (old.state, new.state) {
        (
            AnswerState::Stale { .. } | AnswerState::Failed(_) | AnswerState::Expired(_),
            AnswerState::Fresh,
        ) => {
            tracing::info!(name, "name resolves again");
        }
        (_, AnswerState::Stale { why, .. }) => {
            tracing::warn!(name, %why, "lookups fail; the last good answer serves on");
        }
        (_, AnswerState::Expired(why)) => {
            tracing::error!(name, %why, "lookups fail for too long; the name has no addresses any more");
        }
        (_, AnswerState::Failed(why)) => {
            tracing::error!(name, %why, "name does not resolve");
        }
        (_, AnswerState::Fresh | AnswerState::Pending) => {}
    }
}

/// The first few addresses of a list, for a log line.
struct List<'a>(&'a [IpAddr]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
