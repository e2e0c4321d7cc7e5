//! Names: other addresses that do not serve, and none at all.

use std::{collections::BTreeSet, net::IpAddr};

use super::super::{ending::Ending, root::Root, scene::Scene, suspect::Finding};
use crate::{
    admin::cases::{Happening, NameTrouble},
    fault::{Cause, Kind},
};

/// A name got other addresses, and requests fail at these and not at others.
pub(super) fn changed(scene: &Scene<'_>) -> Option<Finding> {
    let by_endpoint = match scene.ending {
        Ending::Own => true,
        Ending::Fault(kind) => matches!(
            kind.facts().cause,
            Cause::Network | Cause::Communication | Cause::Application
        ),
        Ending::Unknown => false,
    };
    let hit: BTreeSet<IpAddr> = scene.hit().iter().map(std::net::SocketAddr::ip).collect();
    if !by_endpoint || hit.is_empty() {
        return None;
    }
    scene.happened().find_map(|one| {
        let Happening::AddressesChanged {
            name,
            added,
            unnamed,
            ..
        } = &one.what
        else {
            return None;
        };
        let all_new = *unnamed > 0 || hit.iter().all(|at| added.contains(at));
        let before = scene.good_before(one.at_ms).filter_map(|case| case.endpoint);
        let first = !added.is_empty()
            && all_new
            && scene.began_after(one.at_ms)
            && !before.map(|at| at.ip()).any(|at| hit.contains(&at));
        let ago = scene.onset_ms().saturating_sub(one.at_ms);
        first.then(|| {
            Finding::new(Root::DnsChange, 92)
                .about(name)
                .because(format!(
                    "{name} got other addresses {ago} ms before the first failure of this kind ({}), and requests fail so \
                     at these alone.",
                    listed(added)
                ))
        })
    })
}

/// The name stands for nothing that may be used.
pub(super) fn unresolved(scene: &Scene<'_>) -> Option<Finding> {
    let facts = scene.ending.facts()?;
    let mut names = scene.happened().filter_map(|one| match &one.what {
        Happening::LookupsFail {
            name,
            trouble,
            empty,
        } => Some(Some((name, *trouble, *empty))),
        Happening::NameRecovered { .. } => Some(None),
        _ => None,
    });
    let said = names.next().flatten(); // the last word
    let ours = facts.cause == Cause::Dns;
    // Without an address there is no endpoint either.
    let none = scene.ending.is(&[Kind::NoEndpoint]) && said.is_some_and(|(.., empty)| empty);
    if !ours && !none {
        return None;
    }
    let prior = match (facts.name, facts.reason) {
        ("destination_ip_prohibited", _) => Root::NamePointsInside,
        (_, Some("nxdomain" | "gone" | "no_address" | "emptied")) => Root::NameGone,
        _ => Root::NameServers,
    };
    let Some((name, trouble, _)) = said else {
        return Some(Finding::new(prior, 70));
    };
    let (root, says) = match trouble {
        NameTrouble::Gone => (Root::NameGone, "that there is no such name"),
        NameTrouble::Silence => (Root::NameServers, "nothing"),
        NameTrouble::Failure => (Root::NameServers, "that they cannot answer"),
        NameTrouble::Prohibited => (Root::NamePointsInside, "addresses that it may not have"),
    };
    let finding = Finding::new(root, 95).about(name);
    Some(finding.because(format!("Of {name} the name servers say {says}.")))
}

fn listed(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().take(4).map(ToString::to_string).collect();
    texts.join(", ")
}
