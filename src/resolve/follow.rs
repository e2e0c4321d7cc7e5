//! The loop of lookups of one name.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Host, Resolver, Why,
    events::{self, NameEvent},
    foresight::Foresight,
    heard::Heard,
    held::Held,
    services,
};
use crate::{config::DnsPlan, names::Chance, telemetry::UpstreamHandles};

/// A name, and how it is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Followed<'a> {
    /// Lower case. With a trailing dot it is not searched for in search domains.
    pub name: &'a str,
    /// What it is asked for.
    pub records: Records,
    /// TTL bounds, staleness, the shrink guard, allowed addresses.
    pub plan: &'a DnsPlan,
    /// The upstreams that count its lookups and events; may be empty.
    pub handles: &'a [Arc<UpstreamHandles>],
    /// Who knows whether a host can serve.
    pub standing: &'a dyn Standing,
}

/// What a name is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Records {
    /// A and AAAA.
    Addresses,
    /// SRV, and the addresses of its targets.
    Services,
}

/// Who knows how hosts do. A host that cannot serve is not worth keeping when an answer lacks it.
pub trait Standing: fmt::Debug + Send + Sync {
    /// Whether `host` cannot serve at the moment: its checks fail, or it is ejected.
    fn is_out(&self, host: &Host) -> bool;
}

/// Nothing is known of any host.
impl Standing for () {
    fn is_out(&self, _: &Host) -> bool {
        false
    }
}

/// Looks a name up until `stop`, and keeps `out` at what is known of it.
///
/// The first lookup is at once, the next when the TTL ends (see `held.rs` for what an answer or an error
/// does), or when the resolver's own sources change. There is never more than one at a time. Readers of `out` are
/// told only when the hosts or the state changed. It goes on from what is in `out`: a task that replaces another
/// one, as with a new plan, keeps the hosts.
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
    let (mut sources, mut foresight) = (resolver.changes(), Foresight::default());
    loop {
        sources.mark_unchanged(); // what changed before this lookup is known to it
        // Stop wins over everything: nobody reads the answer any more.
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            result = look_up(followed, resolver) => result,
        };
        let failed = result.as_ref().map(drop).map_err(|why| *why);
        let word = failed.err().map_or("ok", Why::as_str);
        followed
            .handles
            .iter()
            .for_each(|handle| handle.resolved(word));
        let now = Instant::now();
        let is_out = |host: &Host| followed.standing.is_out(host);
        let step = held.heard(result, is_out, followed.plan, now, &mut Chance);
        events::of_step(&step).for_each(|event| event.emit(followed.name, followed.handles));
        let next = now.checked_add(step.wait).unwrap_or(now);
        let answer = held.answer(Some(next));
        let left = answer
            .serves_until
            .map(|until| until.saturating_duration_since(now));
        publish(followed, out, answer);
        if let (true, Some(within), Err(why)) =
            (foresight.look(left, followed.plan.max_stale), left, failed)
        {
            NameEvent::Expires { within, why }.emit(followed.name, followed.handles);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Ok(()) = sources.changed() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// What a name says when it is asked once, as [`follow`] asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Its hosts, and the least TTL on the way; or how the lookup failed.
    pub said: Result<(Vec<Host>, Duration), Why>,
    /// The addresses that it says and may not have.
    pub refused: Vec<IpAddr>,
}

/// Asks a name once, and follows it no further. Addresses in `allow` may be anywhere.
///
/// # Cancel safety
/// Dropping the future drops its questions.
pub async fn ask_once(resolver: &Resolver, name: &str, records: Records, allow: &[IpNet]) -> Once {
    let (heard, refused) = hear(resolver, name, records, allow).await;
    Once {
        said: heard.map(|heard| (heard.hosts, heard.ttl)),
        refused,
    }
}

async fn hear(
    resolver: &Resolver,
    name: &str,
    records: Records,
    allow: &[IpNet],
) -> (Result<Heard, Why>, Vec<IpAddr>) {
    match records {
        Records::Addresses => match resolver.lookup(name).await {
            Ok(found) => Heard::allowed(found, name, allow),
            Err(why) => (Err(why), Vec::new()),
        },
        Records::Services => services::look_up(resolver, name, allow).await,
    }
}

async fn look_up(followed: Followed<'_>, resolver: &Resolver) -> Result<Heard, Why> {
    let allow = &followed.plan.allow_addresses;
    let (result, refused) = hear(resolver, followed.name, followed.records, allow).await;
    if !refused.is_empty() {
        NameEvent::Refused(&refused).emit(followed.name, followed.handles);
    }
    result
}

/// Replaces the answer, and wakes readers only where they would see a difference.
fn publish(followed: Followed<'_>, out: &watch::Sender<Answer>, answer: Answer) {
    out.send_if_modified(|held| {
        let changed = held.hosts != answer.hosts || held.state != answer.state;
        if changed {
            events::of_change(held, &answer, |event| {
                event.emit(followed.name, followed.handles);
            });
        }
        *held = answer;
        changed
    });
}
