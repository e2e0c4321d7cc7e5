//! How bad it is, and what is given up at each level.

use crate::names::Priority;

/// How short this process is of what it lives on. Each level gives up what those below it do, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// 0: nothing is given up.
    #[default]
    Calm,
    /// 1: no hedges, no retries, the access log is sampled.
    Spare,
    /// 2: `low` is shed.
    ShedLow,
    /// 3: `normal` is shed too, idle connections are closed.
    ShedNormal,
    /// 4: only `critical` is let in, and no connection is accepted.
    Critical,
}

/// At level 1 and above, one line in so many of the access log is written.
pub const LOG_ONE_IN: u32 = 10;

// === impl Level ===

impl Level {
    /// All, the calmest first.
    pub const ALL: [Self; 5] = [
        Self::Calm,
        Self::Spare,
        Self::ShedLow,
        Self::ShedNormal,
        Self::Critical,
    ];

    /// The level of this number; above 4 it is 4.
    #[must_use]
    pub fn of(number: usize) -> Self {
        Self::ALL.get(number).copied().unwrap_or(Self::Critical)
    }

    /// Its number, 0 to 4, as the metric shows it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The next calmer one.
    #[must_use]
    pub(super) fn calmer(self) -> Self {
        Self::of(usize::from(self.number()).saturating_sub(1))
    }

    /// Whether a request of this priority is let in.
    #[must_use]
    pub const fn admits(self, priority: Priority) -> bool {
        match self {
            Self::Calm | Self::Spare => true,
            Self::ShedLow => !matches!(priority, Priority::Low),
            Self::ShedNormal => matches!(priority, Priority::Critical | Priority::High),
            Self::Critical => matches!(priority, Priority::Critical),
        }
    }

    /// Whether an attempt may be followed by another.
    #[must_use]
    pub const fn retries_allowed(self) -> bool {
        matches!(self, Self::Calm)
    }

    /// Whether an attempt may be doubled.
    #[must_use]
    pub const fn hedges_allowed(self) -> bool {
        matches!(self, Self::Calm)
    }

    /// Whether only one line in [`LOG_ONE_IN`] of the access log is written.
    #[must_use]
    pub const fn samples_log(self) -> bool {
        !matches!(self, Self::Calm)
    }

    /// Whether connections on which nothing runs are closed.
    #[must_use]
    pub const fn closes_idle(self) -> bool {
        matches!(self, Self::ShedNormal | Self::Critical)
    }

    /// Whether new connections are accepted.
    #[must_use]
    pub const fn accepts(self) -> bool {
        !matches!(self, Self::Critical)
    }

    /// What is given up, in words for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "nothing is given up",
            Self::Spare => "no retries, access log sampled",
            Self::ShedLow => "low is shed",
            Self::ShedNormal => "low and normal are shed",
            Self::Critical => "only critical is let in",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_gives_up_what_the_law_says() {
        use Priority::{Critical, High, Low, Normal};
        let let_in: [&[Priority]; 5] = [
            &[Critical, High, Normal, Low],
            &[Critical, High, Normal, Low],
            &[Critical, High, Normal],
            &[Critical, High],
            &[Critical],
        ];
        let others = |level: Level| {
            [
                level.retries_allowed(),
                level.hedges_allowed(),
                !level.samples_log(),
                !level.closes_idle(),
                level.accepts(),
            ]
        };
        let granted = [
            [true; 5],
            [false, false, false, true, true],
            [false, false, false, true, true],
            [false, false, false, false, true],
            [false; 5],
        ];
        for (number, level) in Level::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(level.number()), number);
            assert_eq!(Level::of(number), level);
            let admitted: Vec<_> = Priority::ALL
                .into_iter()
                .filter(|priority| level.admits(*priority))
                .collect();
            assert_eq!(admitted, let_in[number], "{level:?}");
            assert_eq!(others(level), granted[number], "{level:?}");
        }
    }

    #[test]
    fn a_level_grants_nothing_that_a_calmer_one_refuses() {
        for pair in Level::ALL.windows(2) {
            let (calmer, worse) = (pair[0], pair[1]);
            assert_eq!(worse.calmer(), calmer);
            for priority in Priority::ALL {
                assert!(calmer.admits(priority) || !worse.admits(priority));
            }
        }
        assert_eq!(Level::Calm.calmer(), Level::Calm);
    }
}
