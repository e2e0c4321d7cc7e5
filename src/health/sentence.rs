//! One sentence for one endpoint: why it is in or out, since when, and what will bring it back. Pure.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{Checked, HealthView, grounds::Times};
use crate::{config::HealthPlan, telemetry::rfc3339};

/// What the sentence is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sentence<'a> {
    /// How the endpoint is.
    pub health: &'a HealthView,
    /// How much of its share it gets.
    pub share: f32,
    /// How long it takes to all of it.
    pub slow_start: Duration,
    /// Its active checks, where there are any.
    pub checks: Option<&'a HealthPlan>,
    /// The time of day at which `health` was seen.
    pub at: SystemTime,
}

/// A moment in the past, as "since 14:03:05 (12 s)"; the date stands there where it is another day.
struct Since {
    ago: Duration,
    at: SystemTime,
}

// === impl Sentence ===

impl Sentence<'_> {
    fn since(&self) -> Option<Since> {
        let (ago, at) = (self.health.since?, self.at);
        Some(Since { ago, at })
    }

    fn begin(&self, f: &mut fmt::Formatter<'_>, words: &str) -> fmt::Result {
        f.write_str(words)?;
        match self.since() {
            Some(since) => write!(f, " since {since}: "),
            None => f.write_str(": "),
        }
    }

    /// It is ejected.
    fn ejected(&self, f: &mut fmt::Formatter<'_>, left: Duration) -> fmt::Result {
        self.begin(f, "out")?;
        self.grounds(f)?;
        write!(f, "; a single request will try it in {}", Span(left))?;
        if self.health.checked == Checked::Down {
            f.write_str(", if its checks pass by then")?;
        }
        Ok(())
    }

    fn grounds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.health.grounds {
            Some(grounds) => write!(f, "{grounds}")?,
            None => f.write_str("its traffic failed")?,
        }
        if self.health.ejections > 1 {
            write!(f, " (time {} of late)", self.health.ejections)?;
        }
        Ok(())
    }

    /// Checks keep it out.
    fn down(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.begin(f, "out")?;
        let failed = self.health.checks_failed;
        match failed {
            0 => f.write_str("its checks failed")?,
            failed => write!(f, "{} failed", Times(failed, "check", "checks"))?,
        }
        if let Some(error) = self.health.last_check_error.as_deref() {
            write!(f, ", the last: {error}")?;
        }
        let Some(plan) = self.checks else {
            return Ok(());
        };
        let left = plan.healthy_after.get();
        let left = left.saturating_sub(self.health.checks_passed).max(1);
        let more = if self.health.checks_passed > 0 {
            " more"
        } else {
            ""
        };
        let bring = if left == 1 { "brings" } else { "bring" };
        let checks = if left == 1 { "check" } else { "checks" };
        write!(f, "; {left}{more} passed {checks} {bring} it back")
    }

    fn on_trial(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.begin(f, "on trial")?;
        f.write_str("it was out, ")?;
        self.grounds(f)?;
        f.write_str(
            "; one request at a time goes there, and the first that succeeds brings it back",
        )
    }

    fn warming(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serves, with {:.2} of its share", self.share)?;
        if let Some(since) = self.since() {
            let came = if self.health.joined {
                "joined"
            } else {
                "came back"
            };
            let left = Span(self.slow_start.saturating_sub(since.ago));
            write!(f, ": it {came} {}, and has all of it in {left}", Ago(since))?;
        }
        Ok(())
    }

    fn well(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.begin(f, "serves")?;
        let passes = self.health.checked == Checked::Up;
        let (failed, in_a_row) = (self.health.checks_failed, self.health.failures_in_a_row);
        match self.health.last_check_error.as_deref() {
            Some(error) if failed > 0 => {
                let checks = Times(failed, "check", "checks");
                write!(
                    f,
                    "{checks} failed, the last: {error}, not enough to take it out"
                )?;
            }
            _ if self.health.degraded => f.write_str(
                "it passes its checks and says that it is degraded, so it gets a part of its weight",
            )?,
            _ if passes => f.write_str("it passes its checks")?,
            _ => f.write_str("no check says otherwise")?,
        }
        if in_a_row > 0 {
            let failures = Times(in_a_row, "request", "requests");
            write!(f, ", {failures} failed in a row")?;
        }
        Ok(())
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(left) = self.health.ejected_for {
            self.ejected(f, left)
        } else if self.health.checked == Checked::Down {
            self.down(f)
        } else if self.health.on_trial {
            self.on_trial(f)
        } else if self.share < 1.0 {
            self.warming(f)
        } else {
            self.well(f)
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.moment(), Span(self.ago))
    }
}

impl Since {
    /// `14:03:05`, in UTC; on another day than today with its date.
    fn moment(&self) -> String {
        let then = self.at.checked_sub(self.ago).unwrap_or(self.at);
        let (text, today) = (rfc3339(then).to_string(), rfc3339(self.at).to_string());
        let (date, clock) = (text.get(..10), text.get(11..19).unwrap_or_default());
        match date {
            Some(date) if today.get(..10) != Some(date) => format!("{date} {clock}"),
            _ => clock.to_owned(),
        }
    }
}

/// "at 14:03:05, 4 s ago"
struct Ago(Since);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}, {} ago", self.0.moment(), Span(self.0.ago))
    }
}

/// A stretch of time in words: the largest unit of which there are two, rounded up.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis.div_ceil(1000) {
            0 => f.write_str("0 s"),
            seconds @ 1..=119 => write!(f, "{seconds} s"),
            seconds @ 120..=7_199 => write!(f, "{} min", seconds.div_ceil(60)),
            seconds => write!(f, "{} h", seconds.div_ceil(3_600)),
        }
    }
}

#[cfg(test)]
mod tests;
