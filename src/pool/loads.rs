//! Failover by the share of healthy: how much of the traffic each group of endpoints gets. Pure.

use crate::config::MOST_GROUPS;

/// What each group of an upstream gets: parts that add up to 1, or 0 for all where none can serve.
///
/// A group can take its share of endpoints that can serve, times the overprovisioning factor, and at most all. The
/// first takes what it can, the next what it can of the rest, and so on. Where they can take less than all together,
/// each takes more in proportion. Source: Envoy's priority levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loads {
    shares: [f64; MOST_GROUPS],
    whole: bool,
}

// === impl Loads ===

impl Loads {
    /// Of groups in their order, of which such a share can serve, 0 to 1. More than [`MOST_GROUPS`] are left out.
    #[must_use]
    pub fn of(healthy: impl IntoIterator<Item = f64>, overprovisioning: f64) -> Self {
        let mut able = [0.0; MOST_GROUPS];
        for (able, healthy) in able.iter_mut().zip(healthy) {
            *able = (healthy * overprovisioning).clamp(0.0, 1.0);
        }
        let sum: f64 = able.iter().sum();
        let mut left: f64 = 1.0;
        let shares = able.map(|able| {
            let share = if able > 0.0 {
                (able / sum.min(1.0)).min(left)
            } else {
                0.0
            };
            left -= share;
            share
        });
        Self {
            shares,
            whole: sum >= 1.0,
        }
    }

    /// What the group at `index` gets.
    #[must_use]
    pub fn share(&self, index: usize) -> f64 {
        self.shares.get(index).copied().unwrap_or_default()
    }

    /// Whether the groups together can take all.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// The group that `point`, evenly from 0 up to 1, falls to; `None` where none can serve.
    #[must_use]
    pub fn draw(&self, point: f64) -> Option<usize> {
        let mut rest = point;
        let mut last = None;
        let taking = self.shares.iter().enumerate();
        for (index, share) in taking.filter(|(_, share)| **share > 0.0) {
            if rest < *share {
                return Some(index);
            }
            rest -= share;
            last = Some(index); // rounding
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shares in whole percent.
    fn percent(healthy: &[f64], overprovisioning: f64) -> Vec<u32> {
        let loads = Loads::of(healthy.iter().copied(), overprovisioning);
        (0..healthy.len())
            .map(|group| format!("{:.0}", loads.share(group) * 100.0))
            .map(|text| text.parse().unwrap())
            .collect()
    }

    #[test]
    fn what_a_group_cannot_take_spills_to_the_next() {
        for (healthy, shares) in [
            // The table of Envoy's documentation, and what follows from it.
            (vec![1.0, 1.0], vec![100, 0]),
            (vec![0.72, 1.0], vec![100, 0]),
            (vec![0.71, 1.0], vec![99, 1]),
            (vec![0.5, 1.0], vec![70, 30]),
            (vec![0.25, 1.0], vec![35, 65]),
            (vec![0.0, 1.0], vec![0, 100]),
            (vec![0.25, 0.25], vec![50, 50]),
            (vec![0.05, 0.65], vec![7, 93]),
            (vec![0.0, 0.0], vec![0, 0]),
            (vec![0.2, 0.2, 1.0], vec![28, 28, 44]),
            (vec![0.0, 0.0, 0.1], vec![0, 0, 100]),
            (vec![0.3], vec![100]),
        ] {
            assert_eq!(percent(&healthy, 1.4), shares, "{healthy:?}");
        }
        assert_eq!(percent(&[0.5, 1.0], 1.0), [50, 50]);
        assert_eq!(percent(&[0.5, 1.0], 2.0), [100, 0]);
    }

    #[test]
    fn a_point_falls_to_the_group_whose_part_it_is_in() {
        let loads = Loads::of([0.5, 0.0, 1.0], 1.4);
        for (point, group) in [(0.0, 0), (0.69, 0), (0.71, 2), (0.999_999, 2), (1.0, 2)] {
            assert_eq!(loads.draw(point), Some(group), "{point}");
        }
        assert_eq!(Loads::of([0.0, 0.0], 1.4).draw(0.5), None);
        assert_eq!(Loads::of([], 1.4).draw(0.5), None);
    }

    #[test]
    fn groups_that_can_take_all_together_are_whole() {
        assert!(Loads::of([0.5, 0.3], 1.4).is_whole());
        assert!(!Loads::of([0.3, 0.3], 1.4).is_whole());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn shares_add_up_to_1_and_only_who_can_serve_gets_one(
            healthy in proptest::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0], 1..=MOST_GROUPS),
            overprovisioning in 1.0..100.0,
            point in 0.0..1.0,
        ) {
            let loads = Loads::of(healthy.iter().copied(), overprovisioning);
            let sum: f64 = (0..healthy.len()).map(|group| loads.share(group)).sum();
            let any = healthy.iter().any(|share| *share > 0.0);
            prop_assert!((sum - f64::from(u8::from(any))).abs() < 1e-9, "{sum}");
            prop_assert_eq!(loads.draw(point).is_some(), any);
            if let Some(drawn) = loads.draw(point) {
                prop_assert!(healthy[drawn] > 0.0);
            }
            // No group gets any before those ahead of it have what they can take.
            for later in 1..healthy.len() {
                if loads.share(later) > 0.0 && loads.is_whole() {
                    let ahead = (0..later).map(|group| (healthy[group] * overprovisioning).min(1.0));
                    prop_assert!(ahead.sum::<f64>() < 1.0);
                }
            }
        }
    }
}
