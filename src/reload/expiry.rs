//! Telling weeks ahead that certificates end. Pure.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{config::CertificateFacts, names::ListenerName, telemetry::ConfigEvent};

/// It is told so many days before.
const DAYS: [u64; 5] = [1, 3, 7, 14, 30];
const DAY: u64 = 86_400;

/// Which certificate of which listener: until when it is valid tells one from its successor.
type Shown = (ListenerName, PathBuf, i64);

/// What was told of each certificate in force: the days before its end, 0 for the end itself.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    told: HashMap<Shown, u64>,
}

// === impl Expiry ===

impl Expiry {
    /// What is to be told of `certificates`, which are all that are in force: each step once. Others are forgotten.
    pub(super) fn look(
        &mut self,
        certificates: &[CertificateFacts],
        now: SystemTime,
    ) -> Vec<ConfigEvent> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (mut told, mut events) = (HashMap::new(), Vec::new());
        for facts in certificates {
            let Some(not_after) = facts.not_after else {
                continue;
            };
            let shown = (facts.listener.clone(), facts.certificate.clone(), not_after);
            let before = self.told.get(&shown).copied();
            let ends = u64::try_from(not_after).unwrap_or_default();
            let left = ends.checked_sub(now).filter(|left| *left > 0);
            let step = match left {
                None => Some(0),
                Some(left) => DAYS.into_iter().find(|days| left <= days * DAY),
            };
            if let Some(step) = step
                && before.is_none_or(|before| step < before)
            {
                events.push(ConfigEvent::CertificateExpires {
                    listener: facts.listener.clone(),
                    certificate: facts.certificate.display().to_string().into(),
                    ends,
                    days: left.map(|left| left / DAY),
                });
            }
            if let Some(step) = [step, before].into_iter().flatten().min() {
                told.insert(shown, step);
            }
        }
        self.told = told;
        events
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(days: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000 * DAY).mul_f64(1.0 - days / 1_000.0)
    }

    /// A certificate that ends on day 1000.
    fn ends(listener: &str, after_days: i64) -> CertificateFacts {
        CertificateFacts {
            listener: listener.into(),
            certificate: "a.pem".into(),
            not_after: Some(after_days * 86_400),
            stale: false,
        }
    }

    fn days(events: &[ConfigEvent]) -> Vec<Option<u64>> {
        let days = events.iter().map(|event| match event {
            ConfigEvent::CertificateExpires { days, .. } => *days,
            other => panic!("{other}"),
        });
        days.collect()
    }

    #[test]
    fn each_step_is_told_once_however_often_it_is_looked_at() {
        let mut expiry = Expiry::default();
        let facts = [ends("web", 1000)];
        let mut told = Vec::new();
        for half_days in (-4..=80).rev() {
            told.extend(days(&expiry.look(&facts, at(f64::from(half_days) / 2.0))));
        }
        let steps = [Some(30), Some(14), Some(7), Some(3), Some(1), None];
        assert_eq!(told, steps);
    }

    #[test]
    fn one_that_is_late_already_is_told_of_once_and_at_its_step() {
        let mut expiry = Expiry::default();
        let facts = [ends("web", 1000), ends("other", 2000)];
        assert_eq!(days(&expiry.look(&facts, at(5.5))), [Some(5)]);
        assert_eq!(days(&expiry.look(&facts, at(5.0))), []);
        assert_eq!(days(&expiry.look(&facts, at(0.5))), [Some(0)]);
    }

    #[test]
    fn a_new_certificate_in_the_same_file_begins_anew_and_the_old_is_forgotten() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.look(&[ends("web", 1000)], at(2.0)).len(), 1);
        assert_eq!(expiry.look(&[ends("web", 1010)], at(2.0)).len(), 1);
        assert_eq!(expiry.told.len(), 1);
        assert_eq!(expiry.look(&[ends("web", 1000)], at(2.0)).len(), 1);
        assert_eq!(expiry.look(&[], at(2.0)), []);
        assert!(expiry.told.is_empty());
    }

    #[test]
    fn one_that_does_not_say_is_not_told_of() {
        let forever = CertificateFacts {
            not_after: None,
            ..ends("web", 0)
        };
        assert_eq!(Expiry::default().look(&[forever], at(0.0)), []);
    }
}
