//! SRV records (RFC 2782): what a service's name stands for.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use futures_util::stream::{self, StreamExt};
use ipnet::IpNet;

use super::{
    Found, Host, Resolver, Service, Why,
    allowed::keep_allowed,
    heard::{Heard, Unknown},
    reading::{self, Target},
};

/// Targets of one service beyond these are not asked for: those of the lowest priority come first.
pub(super) const MAX_TARGETS: usize = 128;
/// How many targets are asked for at a time.
const AT_A_TIME: usize = 8;

/// What became of one target.
type Asked = (Arc<str>, Result<Found, Why>);

/// Looks a service up, and every target of it, and returns beside it the addresses that it may not have.
///
/// One bad target does not lose the rest: one that does not exist, or has no address, is left out; one of which
/// nothing could be learned is told as unknown. Targets are asked for as they are, without search domains.
pub(super) async fn look_up(
    resolver: &Resolver,
    name: &str,
    allow: &[IpNet],
) -> (Result<Heard, Why>, Vec<IpAddr>) {
    let (mut targets, ttl) = match resolver.targets(name).await {
        Ok(found) => found,
        Err(why) => return (Err(why), Vec::new()),
    };
    targets.sort_by_key(|target| target.priority);
    if targets.len() > MAX_TARGETS {
        tracing::warn!(
            name,
            targets = targets.len(),
            most = MAX_TARGETS,
            "service has too many targets"
        );
        targets.truncate(MAX_TARGETS);
    }
    let names: BTreeSet<Arc<str>> = targets.iter().map(|target| target.name.clone()).collect();
    let asked = stream::iter(names).map(|target| async move {
        let found = resolver.lookup(&target).await;
        (target, found)
    });
    let asked: Vec<Asked> = asked.buffer_unordered(AT_A_TIME).collect().await;
    let (asked, dropped) = filtered(asked, name, allow);
    (join(&targets, ttl, &asked), dropped)
}

/// Takes out addresses that names may not have. `localhost` is no exception here: a record named it, not the config.
fn filtered(asked: Vec<Asked>, name: &str, allow: &[IpNet]) -> (Vec<Asked>, Vec<IpAddr>) {
    let mut prohibited = Vec::new();
    let kept = asked.into_iter().map(|(target, found)| {
        let found = found.and_then(|found| {
            let (kept, dropped) = keep_allowed(found, name, allow);
            prohibited.extend(dropped);
            kept
        });
        (target, found)
    });
    (kept.collect(), prohibited)
}

/// The hosts of a service whose records are `targets`, which live for `ttl`.
fn join(targets: &[Target], ttl: Duration, asked: &[Asked]) -> Result<Heard, Why> {
    let mut heard = Heard {
        hosts: Vec::new(),
        ttl,
        unknown: Unknown::Nothing,
    };
    let (mut unknown, mut worst) = (Vec::new(), None);
    for (name, found) in asked {
        match found {
            Ok(found) => {
                heard.ttl = heard.ttl.min(found.ttl);
                let of_name = targets.iter().filter(|target| target.name == *name);
                heard
                    .hosts
                    .extend(of_name.flat_map(|target| hosts(target, found)));
            }
            Err(why) => {
                worst = Some(worst.map_or(*why, |worst| reading::worse(worst, *why)));
                if !why.is_of_the_name() && *why != Why::Prohibited {
                    unknown.push(Arc::clone(name));
                }
            }
        }
    }
    if heard.hosts.is_empty() {
        return Err(worst.unwrap_or(Why::Empty));
    }
    if !unknown.is_empty() {
        heard.unknown = Unknown::Targets(unknown);
    }
    Ok(heard)
}

fn hosts<'a>(target: &'a Target, found: &'a Found) -> impl Iterator<Item = Host> + 'a {
    found.addresses.iter().map(|address| Host {
        address: *address,
        service: Some(Service {
            port: target.port,
            priority: target.priority,
            weight: target.weight,
            target: Arc::clone(&target.name),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, port: u16, priority: u16) -> Target {
        Target {
            name: name.into(),
            port,
            priority,
            weight: 1,
        }
    }

    fn found(last: u8, ttl: u64) -> Found {
        Found {
            addresses: vec![[10, 0, 0, last].into()],
            ttl: Duration::from_secs(ttl),
            missing: None,
        }
    }

    fn joined(asked: &[(&str, Result<Found, Why>)]) -> Result<Heard, Why> {
        let targets = [
            target("a.", 80, 0),
            target("a.", 81, 1),
            target("b.", 80, 0),
        ];
        let asked: Vec<Asked> = asked
            .iter()
            .map(|(name, found)| (Arc::from(*name), found.clone()))
            .collect();
        join(&targets, Duration::from_secs(60), &asked)
    }

    #[test]
    fn each_address_of_each_target_is_a_host_at_the_records_port() {
        let heard = joined(&[("a.", Ok(found(1, 30))), ("b.", Ok(found(2, 90)))]).unwrap();
        let shown: Vec<_> = heard.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80"]);
        assert_eq!(heard.ttl, Duration::from_secs(30));
        assert_eq!(heard.unknown, Unknown::Nothing);
    }

    #[test]
    fn one_bad_target_does_not_lose_the_rest() {
        for why in [Why::NotFound, Why::Empty, Why::Prohibited] {
            let heard = joined(&[("a.", Err(why)), ("b.", Ok(found(2, 90)))]).unwrap();
            assert_eq!(heard.hosts.len(), 1);
            assert_eq!(heard.unknown, Unknown::Nothing, "{why}");
        }
        for why in [Why::Timeout, Why::ServerFailure] {
            let heard = joined(&[("a.", Err(why)), ("b.", Ok(found(2, 90)))]).unwrap();
            assert_eq!(heard.unknown, Unknown::Targets(vec!["a.".into()]), "{why}");
        }
    }

    #[test]
    fn without_any_good_target_no_more_is_claimed_than_is_known() {
        let both = |a, b| joined(&[("a.", Err(a)), ("b.", Err(b))]).unwrap_err();
        assert_eq!(both(Why::NotFound, Why::NotFound), Why::NotFound);
        assert_eq!(both(Why::NotFound, Why::Timeout), Why::Timeout);
        assert_eq!(both(Why::Prohibited, Why::NotFound), Why::Prohibited);
    }
}
