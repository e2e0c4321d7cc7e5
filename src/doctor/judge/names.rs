//! A name: what the configured resolver says of it, and what the system's does.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use super::{counted, listed, said};
use crate::{
    doctor::report::{Code, Finding, Stage},
    resolve::{Host, Once, Why},
};

/// What the system's resolver says, and how soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::doctor) struct SystemSaid {
    pub(in crate::doctor) said: Result<BTreeSet<IpAddr>, String>,
    pub(in crate::doctor) took: Duration,
}

/// `system` is `None` where the system's resolver cannot be asked: it knows no SRV records.
pub(in crate::doctor) fn names(
    once: &Once,
    took: Duration,
    system: Option<&SystemSaid>,
) -> Vec<Finding> {
    let mut found = vec![match &once.said {
        Ok((hosts, ttl)) => answered(hosts, *ttl),
        Err(why) => failed(*why, &once.refused),
    }];
    if let Some(first) = found.first_mut() {
        *first = first.clone().took(took);
    }
    if once.said.is_ok() && !once.refused.is_empty() {
        found.push(prohibited(&once.refused, Finding::warn));
    }
    found.push(match system {
        None => Finding::skipped(Stage::System, "getaddrinfo knows no SRV records"),
        Some(system) => beside(once, system).took(system.took),
    });
    found
}

fn answered(hosts: &[Host], ttl: Duration) -> Finding {
    let count = counted(hosts.len(), "address", "addresses");
    let says = format!("{count} ({}), for {}", listed(hosts), said(ttl));
    Finding::well(Stage::Resolve, says)
}

fn failed(why: Why, refused: &[IpAddr]) -> Finding {
    let bad =
        |code, says: &str, advice: &str| Finding::bad(Stage::Resolve, code, says).advise(advice);
    match why {
        Why::NotFound => bad(
            Code::NotFound,
            "there is no such name (NXDOMAIN)",
            "look for a mistyped name, a missing search domain, or a record that was never made",
        ),
        Why::Empty => bad(
            Code::Empty,
            "the name is there, and has no such record",
            "look whether it should have A, AAAA or SRV records, and whether it is a service without instances",
        ),
        Why::Timeout => bad(
            Code::DnsTimeout,
            "no name server answered in time",
            "look whether the servers of [dns] or of resolv.conf can be reached, on UDP and TCP port 53",
        ),
        Why::Refused => bad(
            Code::DnsFailure,
            "the name server does not answer such questions (REFUSED)",
            "look whether this server is meant to answer this machine",
        ),
        Why::ServerFailure => bad(
            Code::DnsFailure,
            "name servers fail (SERVFAIL), or none can be asked",
            "look at the server's log: a zone that did not load, a forwarder that is away, DNSSEC that does not add up",
        ),
        Why::Truncated => bad(
            Code::DnsFailure,
            "the answer does not fit into a datagram, and TCP does not work",
            "let TCP port 53 through to the name server",
        ),
        Why::AliasLoop => bad(
            Code::DnsFailure,
            "the aliases of the name lead in a circle",
            "correct its CNAME records",
        ),
        Why::Prohibited => prohibited(refused, Finding::bad),
    }
}

fn prohibited(refused: &[IpAddr], mark: fn(Stage, Code, String) -> Finding) -> Finding {
    let says = format!(
        "{} may not be had by a name: loopback, link-local, multicast or metadata",
        listed(refused)
    );
    mark(Stage::Resolve, Code::AddressProhibited, says)
        .advise("where it is meant, name the network in [dns] allow_addresses")
}

/// What the system's resolver says beside ours.
fn beside(once: &Once, system: &SystemSaid) -> Finding {
    let theirs = match &system.said {
        Ok(theirs) => theirs,
        Err(why) if once.said.is_ok() => {
            return Finding::warn(
                Stage::System,
                Code::SystemFails,
                format!("the system's resolver has no answer: {why}"),
            )
            .advise("other programs of this machine do not find the name; the gateway does");
        }
        Err(why) => {
            return Finding::skipped(
                Stage::System,
                format!("the system's resolver has no answer either: {why}"),
            );
        }
    };
    let said = once.said.iter().flat_map(|(hosts, _)| hosts);
    let ours: BTreeSet<IpAddr> = said
        .map(|host| host.address)
        .chain(once.refused.iter().map(IpAddr::to_canonical))
        .collect();
    if ours == *theirs {
        return Finding::well(Stage::System, "the system's resolver says the same");
    }
    // One that turns addresses around says another part of them each time.
    let common = ours.intersection(theirs).count();
    let mut parts = Vec::new();
    let (more, less) = (theirs.difference(&ours), ours.difference(theirs));
    for (word, some) in [("also", listed(more)), ("not", listed(less))] {
        if !some.is_empty() {
            parts.push(format!("{word} {some}"));
        }
    }
    let says = format!("the system's resolver says {}", parts.join(" and "));
    let advice = if common == 0 {
        "the gateway and the other programs of this machine go to different hosts: compare [dns] with resolv.conf, nsswitch.conf and the hosts file"
    } else {
        "two views of one name, or an answer that changes from time to time: ask both again, and compare [dns] with resolv.conf"
    };
    Finding::warn(Stage::System, Code::Differs, says).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Mark;

    const TOOK: Duration = Duration::from_millis(3);

    fn once(addresses: &[&str], refused: &[&str]) -> Once {
        let parse = |text: &&str| text.parse().unwrap();
        let hosts: Vec<_> = addresses.iter().map(parse).map(Host::plain).collect();
        Once {
            said: Ok((hosts, Duration::from_secs(30))),
            refused: refused.iter().map(parse).collect(),
        }
    }

    fn system(addresses: &[&str]) -> SystemSaid {
        SystemSaid {
            said: Ok(addresses.iter().map(|text| text.parse().unwrap()).collect()),
            took: TOOK,
        }
    }

    fn found(once: &Once, system: Option<&SystemSaid>) -> Vec<(Stage, Mark, Code, String)> {
        let findings = names(once, TOOK, system).into_iter();
        findings
            .map(|it| (it.stage, it.mark, it.code, it.says))
            .collect()
    }

    #[test]
    fn two_resolvers_that_agree_are_well() {
        let found = found(
            &once(&["10.0.0.1", "fd00::1"], &[]),
            Some(&system(&["fd00::1", "10.0.0.1"])),
        );
        assert_eq!(found[0].3, "2 addresses (10.0.0.1, fd00::1), for 30 s");
        assert_eq!(found[1].3, "the system's resolver says the same");
        assert!(found.iter().all(|it| it.1 == Mark::Ok));
    }

    #[test]
    fn what_only_one_of_them_says_is_told() {
        let found = found(
            &once(&["10.0.0.1", "10.0.0.2"], &[]),
            Some(&system(&["10.0.0.2", "10.0.0.3"])),
        );
        assert_eq!(
            found[1],
            (
                Stage::System,
                Mark::Warn,
                Code::Differs,
                "the system's resolver says also 10.0.0.3 and not 10.0.0.1".to_owned()
            )
        );
    }

    #[test]
    fn an_address_that_was_taken_out_is_told_and_is_no_difference() {
        let found = found(
            &once(&["10.0.0.1"], &["127.0.0.1"]),
            Some(&system(&["10.0.0.1", "127.0.0.1"])),
        );
        assert_eq!(
            (found[1].1, found[1].2),
            (Mark::Warn, Code::AddressProhibited)
        );
        assert_eq!(found[2].1, Mark::Ok);
    }

    #[test]
    fn a_name_without_an_answer_is_bad_however_it_fails() {
        let codes = [
            (Why::NotFound, Code::NotFound),
            (Why::Empty, Code::Empty),
            (Why::Timeout, Code::DnsTimeout),
            (Why::Refused, Code::DnsFailure),
            (Why::ServerFailure, Code::DnsFailure),
            (Why::Truncated, Code::DnsFailure),
            (Why::AliasLoop, Code::DnsFailure),
            (Why::Prohibited, Code::AddressProhibited),
        ];
        for (why, code) in codes {
            let once = Once {
                said: Err(why),
                refused: Vec::new(),
            };
            let found = found(&once, Some(&system(&["10.0.0.9"])));
            assert_eq!((found[0].1, found[0].2), (Mark::Bad, code), "{why}");
            assert_eq!(found[1].2, Code::Differs, "{why}");
        }
    }

    #[test]
    fn a_system_without_an_answer_is_a_warning_only_where_we_have_one() {
        let none = SystemSaid {
            said: Err("no".to_owned()),
            took: TOOK,
        };
        assert_eq!(
            found(&once(&["10.0.0.1"], &[]), Some(&none))[1].1,
            Mark::Warn
        );
        let failed = Once {
            said: Err(Why::NotFound),
            refused: Vec::new(),
        };
        assert_eq!(found(&failed, Some(&none))[1].1, Mark::Skipped);
        assert_eq!(found(&failed, None)[1].1, Mark::Skipped);
    }
}
