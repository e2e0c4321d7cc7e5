//! The network's way to an address, as the system's tables have it.

use std::{fmt::Write as _, net::IpAddr};

use crate::doctor::report::{Code, Finding, Stage};

/// A way out of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::doctor) struct Way {
    /// Our address on it.
    pub(in crate::doctor) from: Option<IpAddr>,
    /// The interface, where the tables say it.
    pub(in crate::doctor) interface: Option<String>,
    /// The next hop; `None`: the address is a neighbour.
    pub(in crate::doctor) gateway: Option<IpAddr>,
    /// The largest packet of the interface, in bytes.
    pub(in crate::doctor) mtu: Option<u32>,
}

/// Packets smaller than this are not what IPv6 promises.
const SMALL_MTU: u32 = 1280;

/// The way to `to`. `Err`: the system has none, in these words.
pub(in crate::doctor) fn way(to: IpAddr, way: Result<&Way, &str>) -> Finding {
    let way = match way {
        Ok(way) => way,
        Err(why) => {
            return Finding::bad(
                Stage::Way,
                Code::NetUnreachable,
                format!("this machine has no route there: {why}"),
            )
            .advise("`ip route get ADDRESS`: add the route, or take the address out of DNS where IPv6 is not there");
        }
    };
    let mut says = match way.from {
        Some(from) if from == to || to.is_loopback() => {
            return Finding::well(Stage::Way, "this machine itself");
        }
        Some(from) => format!("from {from}"),
        None => String::from("out"),
    };
    match &way.interface {
        None => {
            return Finding::skipped(
                Stage::Way,
                format!("{says}; the table that it is in cannot be read"),
            );
        }
        Some(interface) => {
            let _ = write!(says, " by {interface}");
        }
    }
    if let Some(gateway) = way.gateway {
        let _ = write!(says, " over {gateway}");
    }
    match way.mtu {
        Some(mtu) if mtu < SMALL_MTU => Finding::warn(
            Stage::Way,
            Code::SmallPackets,
            format!("{says}; its MTU is {mtu}"),
        )
        .advise("an MTU below 1280 breaks IPv6, and large answers where ICMP is filtered"),
        Some(mtu) => Finding::well(Stage::Way, format!("{says}; its MTU is {mtu}")),
        None => Finding::well(Stage::Way, says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Mark;

    #[test]
    fn a_way_is_told_by_what_is_known_of_it() {
        let to = "10.1.0.9".parse().unwrap();
        let whole = Way {
            from: Some("10.0.0.2".parse().unwrap()),
            interface: Some("eth0".to_owned()),
            gateway: Some("10.0.0.1".parse().unwrap()),
            mtu: Some(1500),
        };
        let found = way(to, Ok(&whole));
        assert_eq!(
            found.says,
            "from 10.0.0.2 by eth0 over 10.0.0.1; its MTU is 1500"
        );
        assert_eq!(found.mark, Mark::Ok);
        let narrow = Way {
            mtu: Some(576),
            ..whole.clone()
        };
        assert_eq!(way(to, Ok(&narrow)).code, Code::SmallPackets);
        let unknown = Way {
            interface: None,
            ..whole.clone()
        };
        assert_eq!(way(to, Ok(&unknown)).mark, Mark::Skipped);
        let own = Way {
            from: Some(to),
            ..whole
        };
        assert_eq!(way(to, Ok(&own)).says, "this machine itself");
        assert_eq!(way(to, Err("Network is unreachable")).mark, Mark::Bad);
    }
}
