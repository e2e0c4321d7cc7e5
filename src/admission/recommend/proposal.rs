//! What is proposed, and how it is written into a config.

use std::{fmt::Write as _, num::NonZeroU32, time::Duration};

/// A token bucket that the traffic seen would have fitted into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// So many tokens …
    pub count: NonZeroU32,
    /// … in so long: a second, a minute or an hour.
    pub per: Duration,
    /// The size of the bucket.
    pub burst: NonZeroU32,
    /// The share of the requests seen that it would have refused at most, 0 to 1.
    pub refused: f64,
    /// How many requests were seen.
    pub seen: u64,
}

/// Units of a rate and their word, and the rate from which on a unit is fine enough.
const UNITS: [(f64, &str, f64); 3] = [
    (1.0, "s", 10.0),
    (60.0, "m", 10.0 / 60.0),
    (3_600.0, "h", 0.0),
];

// === impl Rate ===

impl Rate {
    /// The slowest rate that can be written and is not below `per_second`; the burst is still to be said.
    pub(super) fn at_least(per_second: f64) -> Self {
        let unit = UNITS.iter().find(|(_, _, from)| per_second >= *from);
        let seconds = unit.map_or(1.0, |(seconds, ..)| *seconds);
        Self {
            count: whole(per_second * seconds),
            per: Duration::from_secs_f64(seconds),
            burst: NonZeroU32::MIN,
            refused: 0.0,
            seen: 0,
        }
    }

    /// With the burst that was enough where a second's tokens came at its beginning.
    ///
    /// A second's tokens are added to it. They really come bit by bit, so that requests at the end of one second
    /// and the beginning of the next find fewer of them; with a bucket that is larger by these, at any moment no
    /// fewer are there than in the reckoning.
    pub(super) fn with(self, burst: f64, refused: f64, seen: u64) -> Self {
        let burst = whole(burst + self.per_second());
        Self {
            burst,
            refused,
            seen,
            ..self
        }
    }

    /// Tokens a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        f64::from(self.count.get()) / self.per.as_secs_f64()
    }

    /// The lines to paste over those of the same names in `[[routes.rate_limits]]`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut lines = String::new();
        let (seen, percent) = (self.seen, self.refused * 100.0);
        let _ = writeln!(
            lines,
            "# of {seen} requests seen, at most {percent:.3} % would have been refused"
        );
        let rate = rate_to_text(self.count, self.per);
        let _ = writeln!(lines, "rate = \"{rate}\"");
        let _ = writeln!(lines, "burst = {}", self.burst);
        lines
    }
}

/// A rate as the config writes it: `100/s`.
#[must_use]
pub fn rate_to_text(count: NonZeroU32, per: Duration) -> String {
    let seconds = per.as_secs_f64();
    let unit = UNITS.iter().find(|unit| unit.0 >= seconds);
    format!("{count}/{}", unit.map_or("s", |unit| unit.1))
}

/// The fixed limit that a learned one came to: the highest of the limits it found (as the 0.75 quantile of what it
/// believes, one for each while of the last hour), rounded up. `None` where it found none.
#[must_use]
pub fn limit_of(found: impl IntoIterator<Item = f64>) -> Option<NonZeroU32> {
    found
        .into_iter()
        .filter(|limit| limit.is_finite() && *limit > 0.0)
        .reduce(f64::max)
        .map(whole)
}

/// The lines to paste for a fixed limit of `upstream`.
#[must_use]
pub fn limit_to_toml(upstream: &str, limit: NonZeroU32) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let name = if !upstream.is_empty() && upstream.chars().all(bare) {
        upstream.to_owned()
    } else {
        let escaped = upstream.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    };
    format!("[upstreams.{name}.concurrency]\nmode = \"fixed\"\nlimit = {limit}\n")
}

/// The next whole number, at least 1 and at most what fits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits, and no number is 0"
)]
fn whole(number: f64) -> NonZeroU32 {
    // What is a hair above a whole number is that number: it came from a search or a sum.
    let number = (number - 1e-6).ceil().clamp(1.0, f64::from(u32::MAX));
    NonZeroU32::new(number as u32).unwrap_or(NonZeroU32::MIN)
}
