//! Telling weeks ahead that certificates end. Pure.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{SystemTime, UNIX_EPOCH},
};

/// It is told so many days before.
const DAYS: [u64; 5] = [1, 3, 7, 14, 30];
const DAY: u64 = 86_400;

/// What was told of each certificate in force: the days before its end, 0 for the end itself. `Of` says whose it is; until
/// when it is valid tells it from its successor.
#[derive(Debug)]
pub(super) struct Expiry<Of>(HashMap<(Of, i64), u64>);

/// A certificate ends soon, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends<Of> {
    pub(super) of: Of,
    /// In seconds since 1970.
    pub(super) at: u64,
    /// How many whole days are left; `None`: it has ended.
    pub(super) days: Option<u64>,
}

// === impl Expiry ===

impl<Of: Clone + Eq + Hash> Expiry<Of> {
    /// What is to be told of the certificates that are `shown`, with when each ends: each step once. They are all; others
    /// are forgotten.
    pub(super) fn look(
        &mut self,
        shown: impl IntoIterator<Item = (Of, i64)>,
        now: SystemTime,
    ) -> Vec<Ends<Of>> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (mut told, mut ending) = (HashMap::new(), Vec::new());
        for (of, not_after) in shown {
            let at = u64::try_from(not_after).unwrap_or_default();
            let left = at.checked_sub(now).filter(|left| *left > 0);
            let step = match left {
                None => Some(0),
                Some(left) => DAYS.into_iter().find(|days| left <= days * DAY),
            };
            let before = self.0.get(&(of.clone(), not_after)).copied();
            if step.is_some_and(|step| before.is_none_or(|before| step < before)) {
                let of = of.clone();
                let days = left.map(|left| left / DAY);
                ending.push(Ends { of, at, days });
            }
            if let Some(step) = step.into_iter().chain(before).min() {
                told.insert((of, not_after), step);
            }
        }
        self.0 = told;
        ending
    }
}

impl<Of> Default for Expiry<Of> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A moment so many days before day 1000.
    fn at(days: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64((1000.0 - days) * 86_400.0)
    }

    fn ends(of: &'static str, day: i64) -> (&'static str, i64) {
        (of, day * 86_400)
    }

    fn days(ending: &[Ends<&'static str>]) -> Vec<Option<u64>> {
        ending.iter().map(|ends| ends.days).collect()
    }

    #[test]
    fn each_step_is_told_once_however_often_it_is_looked_at() {
        let mut expiry = Expiry::default();
        let mut told = Vec::new();
        for half_days in (-4..=80).rev() {
            let now = at(f64::from(half_days) / 2.0);
            told.extend(days(&expiry.look([ends("web", 1000)], now)));
        }
        let steps = [Some(30), Some(14), Some(7), Some(3), Some(1), None];
        assert_eq!(told, steps);
    }

    #[test]
    fn one_that_is_late_already_is_told_of_once_and_then_at_its_next_step() {
        let mut expiry = Expiry::default();
        let shown = [ends("web", 1000), ends("other", 2000)];
        let first = expiry.look(shown, at(5.5));
        assert_eq!(days(&first), [Some(5)]);
        assert_eq!((first[0].of, first[0].at), ("web", 1000 * DAY));
        assert_eq!(days(&expiry.look(shown, at(5.0))), []);
        assert_eq!(days(&expiry.look(shown, at(0.5))), [Some(0)]);
    }

    #[test]
    fn another_certificate_of_the_same_begins_anew_and_the_old_is_forgotten() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.look([ends("web", 1000)], at(2.0)).len(), 1);
        assert_eq!(expiry.look([ends("web", 1010)], at(2.0)).len(), 1);
        assert_eq!(expiry.0.len(), 1);
        assert_eq!(expiry.look([ends("web", 1000)], at(2.0)).len(), 1);
        assert_eq!(expiry.look([], at(2.0)), []);
        assert!(expiry.0.is_empty());
    }
}
