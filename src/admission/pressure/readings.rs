//! What was read of this process's health, and what each number means.

use super::Level;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Memory in use that cannot be dropped, as a share of the cgroup's limit.
    Memory,
    /// Share of the last 10 s in which some task waited for memory.
    MemorySome,
    /// Share of the last 10 s in which all tasks waited for memory.
    MemoryFull,
    /// Share of the last 10 s in which some task waited for a processor.
    CpuSome,
    /// Share of the last 10 s in which all tasks waited for a processor.
    CpuFull,
    /// Share of the cgroup's periods in the last second in which it was throttled.
    Throttled,
    /// How late the runtime's timers came, in seconds: median of the last second.
    Lag,
    /// Open descriptors, as a share of what the process may open.
    Descriptors,
}

/// One reading of every signal. `None` is unknown, and says nothing: a file that is not there, no limit set.
///
/// Shares are from 0 to 1, the lag is in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Readings {
    /// [`Signal::Memory`]
    pub memory: Option<f64>,
    /// [`Signal::MemorySome`]
    pub memory_some: Option<f64>,
    /// [`Signal::MemoryFull`]
    pub memory_full: Option<f64>,
    /// [`Signal::CpuSome`]
    pub cpu_some: Option<f64>,
    /// [`Signal::CpuFull`]
    pub cpu_full: Option<f64>,
    /// [`Signal::Throttled`]
    pub throttled: Option<f64>,
    /// [`Signal::Lag`]
    pub lag: Option<f64>,
    /// [`Signal::Descriptors`]
    pub descriptors: Option<f64>,
}

/// From which value on a signal asks for each level, and how far below a step it must be to leave it.
struct Scale {
    /// Where levels 1 to 4 begin.
    steps: [f64; 4],
    /// A level is left below its step less this share of it.
    margin: f64,
}

/// Asks for no level, whatever is read: a process may use all of its processors and be well. Whether it suffers
/// from it is told by the lag.
const NEVER: f64 = f64::INFINITY;

// === impl Signal ===

impl Signal {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Memory,
        Self::MemorySome,
        Self::MemoryFull,
        Self::CpuSome,
        Self::CpuFull,
        Self::Throttled,
        Self::Lag,
        Self::Descriptors,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::MemorySome => "memory_some",
            Self::MemoryFull => "memory_full",
            Self::CpuSome => "cpu_some",
            Self::CpuFull => "cpu_full",
            Self::Throttled => "cpu_throttled",
            Self::Lag => "runtime_lag",
            Self::Descriptors => "descriptors",
        }
    }

    /// The level that a reading asks for.
    #[must_use]
    pub fn level(self, value: f64) -> Level {
        self.level_within(value, 0.0)
    }

    /// The level that a reading still holds: as [`level`](Self::level), with each step lowered by the margin.
    #[must_use]
    pub(super) fn held(self, value: f64) -> Level {
        self.level_within(value, self.scale().margin)
    }

    fn level_within(self, value: f64, margin: f64) -> Level {
        let steps = self.scale().steps;
        let reached = steps.iter().filter(|step| value >= **step * (1.0 - margin));
        Level::of(reached.count())
    }

    const fn scale(self) -> Scale {
        let (steps, margin) = match self {
            Self::Memory => ([0.80, 0.88, 0.94, 0.97], 0.02),
            Self::MemorySome | Self::CpuFull => ([0.20, 0.40, 0.60, 0.80], 0.20),
            Self::MemoryFull => ([0.10, 0.20, 0.35, 0.50], 0.20),
            Self::CpuSome => ([0.95, NEVER, NEVER, NEVER], 0.10),
            Self::Throttled => ([0.50, 0.80, NEVER, NEVER], 0.20),
            Self::Lag => ([0.020, 0.050, 0.100, 0.200], 0.20),
            Self::Descriptors => ([0.80, 0.90, 0.95, 0.98], 0.02),
        };
        Scale { steps, margin }
    }
}

// === impl Readings ===

impl Readings {
    /// What was read of one signal.
    #[must_use]
    pub const fn get(&self, signal: Signal) -> Option<f64> {
        match signal {
            Signal::Memory => self.memory,
            Signal::MemorySome => self.memory_some,
            Signal::MemoryFull => self.memory_full,
            Signal::CpuSome => self.cpu_some,
            Signal::CpuFull => self.cpu_full,
            Signal::Throttled => self.throttled,
            Signal::Lag => self.lag,
            Signal::Descriptors => self.descriptors,
        }
    }

    /// What is known.
    pub fn known(&self) -> impl Iterator<Item = (Signal, f64)> + '_ {
        Signal::ALL
            .into_iter()
            .filter_map(|signal| Some((signal, self.get(signal)?)))
    }

    /// The worst level that any signal asks for, and which signal it is; `None` where nothing is known.
    #[must_use]
    pub fn worst(&self) -> Option<(Level, Signal, f64)> {
        self.known()
            .map(|(signal, value)| (signal.level(value), signal, value))
            .reduce(|worst, next| if next.0 > worst.0 { next } else { worst })
    }

    /// The worst level that any signal still holds.
    pub(super) fn held(&self) -> Level {
        self.known()
            .map(|(signal, value)| signal.held(value))
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_begins_at_its_number() {
        let table = [
            (Signal::Memory, [0.80, 0.88, 0.94, 0.97]),
            (Signal::Lag, [0.020, 0.050, 0.100, 0.200]),
            (Signal::Descriptors, [0.80, 0.90, 0.95, 0.98]),
        ];
        for (signal, steps) in table {
            for (number, step) in steps.into_iter().enumerate() {
                assert_eq!(signal.level(step), Level::of(number + 1), "{signal:?}");
                assert_eq!(signal.level(step * 0.999), Level::of(number), "{signal:?}");
            }
        }
    }

    #[test]
    fn steps_grow_and_margins_keep_them_apart() {
        for signal in Signal::ALL {
            let Scale { steps, margin } = signal.scale();
            assert!(steps.windows(2).all(|pair| pair[0] <= pair[1]));
            assert!(margin > 0.0 && margin < 1.0);
            for step in steps.into_iter().filter(|step| step.is_finite()) {
                let inside = step * (1.0 - margin / 2.0);
                assert!(signal.held(inside) > signal.level(inside), "{signal:?}");
            }
        }
    }

    #[test]
    fn a_full_processor_alone_sheds_nothing_that_matters() {
        assert_eq!(Signal::CpuSome.level(1.0), Level::Spare);
        assert_eq!(Signal::Throttled.level(1.0), Level::ShedLow);
    }

    #[test]
    fn the_worst_signal_speaks_for_all_and_the_unknown_for_none() {
        assert_eq!(Readings::default().worst(), None);
        let readings = Readings {
            memory: Some(0.81),
            lag: Some(0.150),
            descriptors: Some(0.1),
            ..Readings::default()
        };
        let worst = readings.worst();
        assert_eq!(worst, Some((Level::ShedNormal, Signal::Lag, 0.150)));
    }

    #[test]
    fn what_is_no_number_asks_for_nothing() {
        for signal in Signal::ALL {
            assert_eq!(signal.level(f64::NAN), Level::Calm);
            assert_eq!(signal.held(f64::NAN), Level::Calm);
        }
    }
}
