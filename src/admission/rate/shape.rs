//! How large a bucket is and how fast it fills, in the ticks that governor counts.

use std::{num::NonZeroU32, time::Duration};

use governor::Quota;
use tokio::time::Instant;

use crate::config::RateLimitPlan;

/// Most ticks that a whole bucket may stand for, so that no sum of two overflows.
const MAX_CAPACITY: u128 = 1 << 61;
/// Finest tick: an eighth of a nanosecond. 64 bits of them last 73 years.
const FINEST: i32 = 3;
/// Coarsest tick: 2^24 nanoseconds. Only buckets that take centuries to fill need such.
const COARSEST: i32 = -24;

/// A rate and a burst, in ticks.
///
/// governor counts whole nanoseconds for a token, which is 0.04 % off at 600,001/s and overflows where a bucket
/// takes 500 years to fill. Here a tick is a power of two of a nanosecond, as fine as the bucket allows: the rate
/// is right to 1 in 10,000 up to 500,000/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    quota: Quota,
    /// Ticks that one token takes to come back.
    cost: u64,
    /// Ticks that an empty bucket takes to fill: `cost` times the burst.
    capacity: u64,
    /// A nanosecond is two to the power of this many ticks.
    scale: i32,
}

// === impl Shape ===

impl Shape {
    pub(super) fn of(plan: &RateLimitPlan) -> Self {
        let (scale, cost) = (COARSEST..=FINEST)
            .rev()
            .map(|scale| (scale, cost_at(scale, plan.count, plan.per)))
            .find(|(_, cost)| fits(*cost, plan.burst))
            .unwrap_or((COARSEST, 1));
        let quota = Quota::with_period(Duration::from_nanos(cost))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(plan.burst);
        let capacity = cost.saturating_mul(u64::from(plan.burst.get()));
        Self {
            quota,
            cost,
            capacity,
            scale,
        }
    }

    pub(super) const fn quota(&self) -> Quota {
        self.quota
    }

    pub(super) const fn cost(&self) -> u64 {
        self.cost
    }

    /// Ticks from `epoch` to `now`, none where `now` is earlier.
    pub(super) fn ticks(&self, epoch: Instant, now: Instant) -> u64 {
        shift(now.saturating_duration_since(epoch).as_nanos(), self.scale)
    }

    /// How long so many ticks are, rounded up.
    pub(super) fn duration(&self, ticks: u64) -> Duration {
        let nanos = if self.scale >= 0 {
            let unit = 1_u64.wrapping_shl(self.scale.unsigned_abs());
            ticks.div_ceil(unit)
        } else {
            shift(u128::from(ticks), self.scale.saturating_neg())
        };
        Duration::from_nanos(nanos)
    }

    /// How full a bucket is that owes so many ticks: 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a share for people"
    )]
    pub(super) fn fill(&self, debt: u64) -> f32 {
        let left = self.capacity.saturating_sub(debt);
        (left as f64 / self.capacity as f64) as f32
    }

    /// What a bucket of this shape owes, once it has taken the shape of `next`.
    ///
    /// The fill stays in proportion. Where less than a token is left, the part of a token stays instead:
    /// who was over the limit stays over it, however large the bucket becomes.
    pub(super) fn carry(&self, debt: u64, next: &Self) -> u64 {
        let left = self.capacity.saturating_sub(debt);
        let (of, to) = if left < self.cost {
            (self.cost, next.cost)
        } else {
            (self.capacity, next.capacity)
        };
        let carried = u128::from(left)
            .saturating_mul(u128::from(to))
            .checked_div(u128::from(of))
            .unwrap_or(0);
        let carried = u64::try_from(carried).unwrap_or(next.capacity);
        next.capacity.saturating_sub(carried)
    }
}

/// Ticks that a token takes to come back, rounded to the nearest, at least one.
fn cost_at(scale: i32, count: NonZeroU32, per: Duration) -> u64 {
    let count = u128::from(count.get());
    let per = if scale >= 0 {
        per.as_nanos().saturating_mul(1 << scale.unsigned_abs())
    } else {
        per.as_nanos() >> scale.unsigned_abs()
    };
    let rounded = per
        .saturating_add(count >> 1)
        .checked_div(count)
        .unwrap_or(1);
    u64::try_from(rounded).unwrap_or(u64::MAX).max(1)
}

fn fits(cost: u64, burst: NonZeroU32) -> bool {
    u128::from(cost).saturating_mul(u128::from(burst.get())) <= MAX_CAPACITY
}

/// `value` times two to the power of `scale`.
fn shift(value: u128, scale: i32) -> u64 {
    let shifted = if scale >= 0 {
        value.saturating_mul(1_u128.wrapping_shl(scale.unsigned_abs()))
    } else {
        value.wrapping_shr(scale.unsigned_abs())
    };
    u64::try_from(shifted)
        .unwrap_or(u64::MAX >> 1)
        .min(u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::config::RateKey;

    fn shape(count: u32, per: u64, burst: u32) -> Shape {
        Shape::of(&RateLimitPlan {
            name: "test".into(),
            count: NonZeroU32::new(count).unwrap(),
            per: Duration::from_secs(per),
            burst: NonZeroU32::new(burst).unwrap(),
            key: RateKey::None,
            shadow: false,
            max_keys: NonZeroUsize::MIN,
        })
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "an error is measured")]
    fn the_rate_is_right_to_one_in_ten_thousand() {
        for count in [1, 3, 7, 999, 60_001, 333_333, 500_000] {
            let shape = shape(count, 1, 1);
            let exact = 2_f64.powi(shape.scale) * 1e9 / f64::from(count);
            let off = (shape.cost as f64 / exact - 1.0).abs();
            assert!(off <= 1e-4, "{count}/s is off by {off}");
        }
    }

    #[test]
    fn the_slowest_rate_with_the_largest_burst_does_not_overflow() {
        let shape = shape(1, 3600, u32::MAX);
        assert_eq!(shape.capacity, shape.cost * u64::from(u32::MAX));
        let hour = shape.duration(shape.cost).as_secs_f64();
        assert!((hour - 3600.0).abs() < 0.36, "{hour} s a token");
    }

    #[test]
    fn a_quarter_stays_a_quarter() {
        let (old, new) = (shape(100, 1, 100), shape(10, 1, 400));
        let debt = old.carry(old.capacity / 4 * 3, &new);
        assert_eq!(debt, new.capacity / 4 * 3);
    }

    #[test]
    fn less_than_a_token_stays_less_than_a_token() {
        let (old, new) = (shape(1, 1, 10), shape(1000, 1, 1000));
        let left = old.cost / 2;
        let debt = old.carry(old.capacity - left, &new);
        let left = new.capacity - debt;
        assert!(
            left <= new.cost / 2 && left + 1 >= new.cost / 2,
            "{left} ticks left"
        );
    }

    #[test]
    fn a_duration_of_ticks_is_rounded_up() {
        let shape = shape(1, 1, 1);
        assert_eq!(shape.duration(1), Duration::from_nanos(1));
        assert_eq!(shape.duration(shape.cost), Duration::from_secs(1));
    }
}
