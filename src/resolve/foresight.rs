//! Telling ahead of time that a name will have no addresses any more. Pure.

use std::time::Duration;

/// The last call, where staleness lasts longer than twice this; lookups that fail come at least each half minute, so it
/// is not later than that.
const LAST_CALL: Duration = Duration::from_secs(300);

/// What was told since lookups began to fail: once when half of the time is over, and once more for the last minutes.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// The step that was told last.
    told: Option<Duration>,
}

// === impl Foresight ===

impl Foresight {
    /// Whether it is to be told now that the addresses serve only for `left` of `max_stale`; `None`: lookups succeed, or
    /// there are no addresses.
    pub(super) fn look(&mut self, left: Option<Duration>, max_stale: Duration) -> bool {
        let Some(left) = left else {
            self.told = None;
            return false;
        };
        let half = max_stale / 2;
        let mut steps = [LAST_CALL.min(half), half].into_iter();
        let Some(step) = steps.find(|step| left <= *step) else {
            return false;
        };
        let is_new = self.told.is_none_or(|told| step < told);
        if is_new {
            self.told = Some(step);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn told(max_stale: Duration, left: &[u64]) -> Vec<u64> {
        let mut foresight = Foresight::default();
        let left = left.iter().copied();
        left.filter(|left| foresight.look(Some(Duration::from_secs(*left)), max_stale))
            .collect()
    }

    #[test]
    fn an_hour_is_told_of_at_half_and_five_minutes_before() {
        let each_minute: Vec<u64> = (1..=60).rev().map(|minute| minute * 60).collect();
        assert_eq!(told(HOUR, &each_minute), [1800, 300]);
    }

    #[test]
    fn a_short_time_is_told_of_once() {
        let each_second: Vec<u64> = (1..=20).rev().collect();
        assert_eq!(told(Duration::from_secs(20), &each_second), [10]);
    }

    #[test]
    fn a_name_that_is_gone_is_told_of_as_late_as_it_is_known() {
        assert_eq!(told(HOUR, &[3600, 3590, 30, 20]), [30]);
    }

    #[test]
    fn who_recovers_begins_anew() {
        let mut foresight = Foresight::default();
        assert!(foresight.look(Some(HOUR / 2), HOUR));
        assert!(!foresight.look(Some(HOUR / 3), HOUR));
        assert!(!foresight.look(None, HOUR));
        assert!(foresight.look(Some(HOUR / 2), HOUR));
    }
}
