//! A connection, and how far packets come where there is none.

use std::time::Duration;

use super::said;
use crate::{
    doctor::report::{Code, Finding, Stage},
    upstream::NoConnection,
};

/// Segments smaller than this are those of a tunnel within a tunnel, or of a path that was found to be narrow. IPv6
/// promises packets of 1,280 bytes, less 60 for the heads and 12 for time stamps.
const SMALL_SEGMENT: u32 = 1208;

/// What came of a packet that may go so many hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::doctor) enum Hop {
    /// A router says that it went no further.
    Passed,
    /// Nothing.
    Silent,
    /// It arrived.
    Arrived,
}

/// `Ok` is how long it took, and the largest segment on the way.
pub(in crate::doctor) fn connect(
    connected: Result<(Duration, Option<u32>), &NoConnection>,
    patience: Duration,
) -> Finding {
    let why = match connected {
        Ok((took, segment)) => return made(segment).took(took),
        Err(why) => why,
    };
    let bad =
        |code, says: &str, advice: &str| Finding::bad(Stage::Connect, code, says).advise(advice);
    match why {
        NoConnection::Refused => bad(
            Code::Refused,
            "refused: the host, or a firewall in its name, says that nothing listens there",
            "on that host, `ss -ltn`: does the service run, on this port, and not on 127.0.0.1 alone?",
        ),
        NoConnection::Filtered => {
            let says = format!(
                "filtered: no answer within {}; somebody swallows the packets",
                said(patience)
            );
            bad(
                Code::Filtered,
                &says,
                "look for a firewall or security group that drops, a host that is down, or a full accept queue (`ss -ltn`: Recv-Q at Send-Q)",
            )
        }
        NoConnection::HostUnreachable => bad(
            Code::HostUnreachable,
            "unreachable: there is no way to this host",
            "the last router finds nobody at this address: is the host up, and the address still its own?",
        ),
        NoConnection::NetUnreachable => bad(
            Code::NetUnreachable,
            "unreachable: there is no way to this network",
            "`ip route get ADDRESS` on this machine: is a route missing, a VPN down, or IPv6 not there at all?",
        ),
        NoConnection::Prohibited => bad(
            Code::Prohibited,
            "prohibited: a firewall rejects it",
            "look at the rules of this machine first (`nft list ruleset`), then at those on the way",
        ),
        NoConnection::Reset => bad(
            Code::Reset,
            "reset while it was made",
            "`tcpdump` on the port: who sends the reset? A load balancer without a target does so",
        ),
        NoConnection::NoPort => bad(
            Code::NoPort,
            "this machine has no port left for a connection there",
            "widen net.ipv4.ip_local_port_range, or let connections live longer",
        ),
        NoConnection::NoDescriptor => bad(
            Code::NoDescriptor,
            "this process has no descriptor left",
            "raise LimitNOFILE, or lower max_connections",
        ),
        NoConnection::Other(error) => bad(Code::Failed, error, "the words are the system's own"),
    }
}

fn made(segment: Option<u32>) -> Finding {
    match segment {
        Some(segment) if segment < SMALL_SEGMENT => Finding::warn(
            Stage::Connect,
            Code::SmallPackets,
            format!("connected; packets carry {segment} bytes only"),
        )
        .advise("a tunnel within a tunnel, or a wrong MTU: large answers may stall where ICMP is filtered"),
        Some(segment) => Finding::well(
            Stage::Connect,
            format!("connected; packets carry up to {segment} bytes"),
        ),
        None => Finding::well(Stage::Connect, "connected"),
    }
}

/// Where packets end that nobody answers, from what came of those that may go 1, 2, 3, ... hops.
pub(in crate::doctor) fn hops(walked: &[Hop]) -> Finding {
    if walked.contains(&Hop::Arrived) {
        return Finding::warn(
            Stage::Hops,
            Code::Failed,
            "another try was answered: packets are lost now and then, or the service was too busy to take it",
        );
    }
    let last = walked.iter().rposition(|hop| *hop == Hop::Passed);
    match last {
        None => Finding::skipped(
            Stage::Hops,
            "no router on the way says anything: the host itself, its neighbour, or this machine's own firewall",
        ),
        Some(last) => Finding::warn(
            Stage::Hops,
            Code::Filtered,
            format!(
                "packets pass hop {}, and nothing is heard from beyond it: look at that router and at what is behind it",
                last + 1
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Mark;

    #[test]
    fn every_way_of_not_connecting_has_its_own_word_and_something_to_do() {
        let cases = [
            (NoConnection::Refused, Code::Refused, "refused"),
            (
                NoConnection::Filtered,
                Code::Filtered,
                "no answer within 1 s",
            ),
            (
                NoConnection::HostUnreachable,
                Code::HostUnreachable,
                "this host",
            ),
            (
                NoConnection::NetUnreachable,
                Code::NetUnreachable,
                "this network",
            ),
            (NoConnection::Prohibited, Code::Prohibited, "prohibited"),
            (NoConnection::Reset, Code::Reset, "reset"),
            (NoConnection::NoPort, Code::NoPort, "no port"),
            (
                NoConnection::NoDescriptor,
                Code::NoDescriptor,
                "no descriptor",
            ),
            (NoConnection::Other("odd".into()), Code::Failed, "odd"),
        ];
        for (why, code, says) in cases {
            let found = connect(Err(&why), Duration::from_secs(1));
            assert_eq!((found.mark, found.code), (Mark::Bad, code), "{why:?}");
            assert!(found.says.contains(says), "{}", found.says);
            assert!(found.advice.is_some(), "{why:?}");
        }
    }

    #[test]
    fn a_connection_is_well_unless_its_packets_are_small() {
        let of = |segment| connect(Ok((Duration::from_millis(2), segment)), Duration::ZERO);
        assert_eq!((of(None).mark, of(None).took_ms), (Mark::Ok, Some(2.0)));
        assert_eq!(of(Some(1448)).mark, Mark::Ok);
        assert_eq!(
            (of(Some(536)).mark, of(Some(536)).code),
            (Mark::Warn, Code::SmallPackets)
        );
    }

    #[test]
    fn the_last_hop_that_was_heard_of_is_told() {
        use Hop::{Arrived, Passed, Silent};
        assert!(
            hops(&[Passed, Silent, Passed, Silent])
                .says
                .contains("pass hop 3,")
        );
        assert_eq!(hops(&[Silent, Silent]).mark, Mark::Skipped);
        assert_eq!(hops(&[Passed, Arrived]).code, Code::Failed);
    }
}
