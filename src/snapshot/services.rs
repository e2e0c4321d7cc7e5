//! The weights of SRV records as shares of endpoints.

use std::{collections::BTreeMap, num::NonZeroU32};

use crate::resolve::{Host, Service};

/// How much more than 0 a weight of 1 is, where one priority has both. A weight of 0 means "hardly any" beside
/// others, and "the same as all" where nobody has one (RFC 2782).
const ABOVE_ZERO: u32 = 64;

/// The shares of the hosts of one service.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// By priority: whether a weight of 0 and another one are there.
    kinds: BTreeMap<u16, (bool, bool)>,
}

// === impl Shares ===

impl Shares {
    /// Those of `hosts`.
    pub(super) fn of(hosts: &[Host]) -> Self {
        let mut kinds: BTreeMap<u16, (bool, bool)> = BTreeMap::new();
        for service in hosts.iter().filter_map(|host| host.service.as_ref()) {
            let (zero, other) = kinds.entry(service.priority).or_default();
            *zero |= service.weight == 0;
            *other |= service.weight != 0;
        }
        Self { kinds }
    }

    /// The share of `service`, where `weight` is what the config gives to all of them.
    pub(super) fn weight(&self, service: &Service, weight: NonZeroU32) -> NonZeroU32 {
        let mixed = self.kinds.get(&service.priority) == Some(&(true, true));
        let scale = if mixed { ABOVE_ZERO } else { 1 };
        let own = u32::from(service.weight).saturating_mul(scale);
        weight.saturating_mul(NonZeroU32::new(own).unwrap_or(NonZeroU32::MIN))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn weights(records: &[(u16, u16)], weight: u32) -> Vec<u32> {
        let hosts: Vec<Host> = records
            .iter()
            .map(|(priority, weight)| Host {
                address: IpAddr::from([10, 0, 0, 1]),
                service: Some(Service {
                    port: 80,
                    priority: *priority,
                    weight: *weight,
                    target: "a.".into(),
                }),
            })
            .collect();
        let shares = Shares::of(&hosts);
        let weight = NonZeroU32::new(weight).unwrap();
        let services = hosts.iter().filter_map(|host| host.service.as_ref());
        services
            .map(|service| shares.weight(service, weight).get())
            .collect()
    }

    #[test]
    fn the_records_weights_are_shares() {
        assert_eq!(weights(&[(0, 10), (0, 30)], 1), [10, 30]);
        assert_eq!(weights(&[(0, 10), (0, 30)], 2), [20, 60]);
    }

    #[test]
    fn a_weight_of_0_is_hardly_any_beside_others_and_an_equal_share_among_its_like() {
        assert_eq!(weights(&[(0, 0), (0, 0)], 1), [1, 1]);
        assert_eq!(weights(&[(0, 0), (0, 1)], 1), [1, 64]);
        assert_eq!(
            weights(&[(0, 0), (1, 5)], 1),
            [1, 5],
            "each priority by itself"
        );
        assert_eq!(
            weights(&[(0, 0), (0, u16::MAX)], 1000),
            [1000, 1000 * 64 * 65535]
        );
    }
}
