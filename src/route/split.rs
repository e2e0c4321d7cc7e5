//! Which upstream of a split gets a request.

use rand::{Rng, RngExt};

use crate::config::SplitPlan;

/// The place of one target, taken at random in proportion to the weights.
///
/// A weight of 0 is never taken while another is above 0. With one target no random number is drawn; with
/// none, or with no weight above 0 (which no plan has), the first place is given.
#[must_use]
pub fn split(targets: &[SplitPlan], rng: &mut impl Rng) -> usize {
    let total: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    if targets.len() < 2 || total == 0 {
        return 0;
    }
    let mut left = rng.random_range(0..total);
    for (index, target) in targets.iter().enumerate() {
        let weight = u64::from(target.weight);
        if left < weight {
            return index;
        }
        left -= weight;
    }
    0
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use crate::names::UpstreamName;

    use super::*;

    fn targets(weights: &[u32]) -> Vec<SplitPlan> {
        let target = |weight: &u32| SplitPlan {
            upstream: UpstreamName::from("u"),
            weight: *weight,
        };
        weights.iter().map(target).collect()
    }

    fn counts(weights: &[u32], draws: usize) -> Vec<usize> {
        let targets = targets(weights);
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = vec![0; weights.len()];
        for _ in 0..draws {
            counts[split(&targets, &mut rng)] += 1;
        }
        counts
    }

    #[test]
    fn shares_follow_the_weights() {
        let counts = counts(&[9, 1], 10_000);
        // Three standard deviations of a binomial with p = 0.1 are 90.
        assert!(counts[1].abs_diff(1_000) < 90, "{counts:?}");
    }

    #[test]
    fn a_weight_of_zero_is_never_taken() {
        let counts = counts(&[0, 5, 0], 1_000);
        assert_eq!(counts, [0, 1_000, 0]);
    }

    #[test]
    fn one_target_takes_all() {
        assert_eq!(counts(&[3], 10), [10]);
        assert_eq!(split(&[], &mut StdRng::seed_from_u64(1)), 0);
    }
}
