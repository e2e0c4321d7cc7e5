//! Durations, sizes and rates: a number with its unit.

use std::{num::NonZeroU32, ops::RangeInclusive, time::Duration};

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{FromText, Given, Shown, Typed, Wrong};
use crate::config::shape::Shape;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

/// A count per second, minute or hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: NonZeroU32,
    pub(crate) per: Duration,
}

/// What is written as a number with its unit.
struct Measure<T> {
    /// With its article.
    what: &'static str,
    /// The two units that a plain number was probably meant in.
    units: [&'static str; 2],
    parse: fn(&str) -> Result<T, Wrong>,
    quoted: fn(T) -> String,
}

const TIME: Measure<Duration> = Measure {
    what: "a duration",
    units: ["s", "ms"],
    parse: duration,
    quoted: quoted_time,
};

const SIZE: Measure<u64> = Measure {
    what: "a size",
    units: ["B", "KiB"],
    parse: size,
    quoted: quoted_size,
};

/// Units of time and their milliseconds, the longest first.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Units of size and their bytes.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
];

/// Words for units that people write, and the unit that is meant.
const OTHER_TIMES: [(&str, &str); 18] = [
    ("msec", "ms"),
    ("millis", "ms"),
    ("milliseconds", "ms"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
    ("S", "s"),
    ("H", "h"),
];

// === impl Measure ===

impl<T: PartialOrd> Measure<T> {
    /// The value within `bounds`.
    fn read(&self, given: &Given<'_>, bounds: RangeInclusive<T>) -> Option<T> {
        let text = match given.value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) => {
                return given.wrong_kind(Some(self.needs_a_unit(number.as_str())));
            }
            _ => return given.wrong_kind(None),
        };
        match (self.parse)(text) {
            Ok(value) if bounds.contains(&value) => Some(value),
            Ok(_) => {
                let (min, max) = bounds.into_inner();
                given.out_of_bounds(&(self.quoted)(min), &(self.quoted)(max))
            }
            Err(wrong) => given.malformed(wrong),
        }
    }

    fn needs_a_unit(&self, number: &str) -> String {
        let (what, [one, other]) = (self.what, self.units);
        format!("{what} needs a unit: \"{number}{one}\" or \"{number}{other}\"")
    }
}

impl Typed for Duration {
    fn read(given: &Given<'_>) -> Option<Self> {
        match Option::<Duration>::read(given)? {
            Some(duration) => Some(duration),
            None => given.malformed(Wrong::form()),
        }
    }
}

impl Typed for Option<Duration> {
    fn read(given: &Given<'_>) -> Option<Self> {
        let Shape::Time { min, max, off } = given.shape else {
            return given.wrong_kind(None);
        };
        if off && is_off(given) {
            return Some(None);
        }
        TIME.read(given, min..=max).map(Some)
    }
}

impl Typed for ByteSize {
    fn read(given: &Given<'_>) -> Option<Self> {
        match Option::<ByteSize>::read(given)? {
            Some(size) => Some(size),
            None => given.malformed(Wrong::form()),
        }
    }
}

impl Typed for Option<ByteSize> {
    fn read(given: &Given<'_>) -> Option<Self> {
        let Shape::Size { min, max, off } = given.shape else {
            return given.wrong_kind(None);
        };
        if off && is_off(given) {
            return Some(None);
        }
        let size = SIZE.read(given, min..=max)?;
        Some(Some(ByteSize(size)))
    }
}

impl FromText for Rate {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let Some((count, unit)) = text.split_once('/') else {
            return Err(Wrong::form().help(match text.trim().parse::<u32>() {
                Ok(count) => format!("a rate needs a unit: \"{count}/s\""),
                Err(_) => "write it like \"200/s\"".to_owned(),
            }));
        };
        let per = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            other => {
                let meant = OTHER_TIMES.iter().find(|(word, _)| *word == other.trim());
                let unit = meant.map_or("s", |(_, unit)| unit);
                return Err(Wrong::because("the unit must be s, m or h")
                    .help(format!("write \"{}/{unit}\"", count.trim())));
            }
        };
        if count.contains('.') {
            return Err(Wrong::because("the count must be a whole number")
                .help("a slower rate takes a longer unit: \"30/m\" is one in two seconds"));
        }
        let whole = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count
            .parse()
            .ok()
            .filter(|count: &NonZeroU32| whole && count.get() <= MAX_RATE);
        match count {
            Some(count) => Ok(Self {
                count,
                per: Duration::from_secs(per),
            }),
            None => Err(Wrong::because("the count must be 1 to 1,000,000,000")),
        }
    }
}

/// The largest count of a rate.
const MAX_RATE: u32 = 1_000_000_000;

fn is_off(given: &Given<'_>) -> bool {
    matches!(given.value, DeValue::String(text) if text == "off")
}

pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) = number_and_unit(text)?;
    let Some((_, millis)) = TIMES.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong_time(text, number, unit));
    };
    let Ok(number) = number.parse::<u64>() else {
        return Err(wrong_time(text, number, unit));
    };
    match number.checked_mul(*millis) {
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err(Wrong::because("the number is too large")),
    }
}

fn wrong_time(text: &str, number: &str, unit: &str) -> Wrong {
    if unit.is_empty() {
        return Wrong::form().help(TIME.needs_a_unit(number));
    }
    let meant = OTHER_TIMES.iter().find(|(word, _)| *word == unit);
    if let Some((_, unit)) = meant {
        return Wrong::because("units are ms, s, m, h and d")
            .help(format!("write \"{number}{unit}\""));
    }
    match sum_of_times(text) {
        Some(millis) => Wrong::because("one whole number with one unit").help(format!(
            "write {}",
            quoted_time(Duration::from_millis(millis))
        )),
        None => Wrong::because("units are ms, s, m, h and d"),
    }
}

/// `1.5s` and `1h30m` in milliseconds, so that the right form can be told.
fn sum_of_times(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, millis) = TIMES.iter().find(|(name, _)| *name == unit)?;
        #[expect(clippy::cast_precision_loss, reason = "a unit is far below 2^52")]
        let millis = *millis as f64;
        sum += number.parse::<f64>().ok()? * millis;
        rest = tail;
    }
    let sum = sum.round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie in between"
    )]
    (1.0..1e15).contains(&sum).then_some(sum as u64)
}

fn size(text: &str) -> Result<u64, Wrong> {
    let (number, unit) = number_and_unit(text)?;
    let Some((_, bytes)) = SIZES.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong_size(number, unit));
    };
    let Ok(number) = number.parse::<u64>() else {
        return Err(Wrong::because("one whole number with one unit"));
    };
    match number.checked_mul(*bytes) {
        Some(bytes) => Ok(bytes),
        None => Err(Wrong::because("the number is too large")),
    }
}

fn wrong_size(number: &str, unit: &str) -> Wrong {
    if unit.is_empty() {
        return Wrong::form().help(SIZE.needs_a_unit(number));
    }
    let wrong = Wrong::because("units are B, KB, KiB, MB, MiB, GB and GiB");
    let same = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let short = SIZES.iter().find(|(name, _)| {
        name.len() == 3
            && name
                .get(..1)
                .is_some_and(|first| first.eq_ignore_ascii_case(unit))
    });
    match same.or(short) {
        Some((unit, _)) => wrong.help(format!("write \"{number}{unit}\"")),
        None => wrong,
    }
}

fn number_and_unit(text: &str) -> Result<(&str, &str), Wrong> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    match text.split_at_checked(digits) {
        Some((number, unit)) if number.starts_with(|c: char| c.is_ascii_digit()) => {
            Ok((number, unit))
        }
        _ => Err(Wrong::form()),
    }
}

fn quoted_time(duration: Duration) -> String {
    format!("\"{}\"", time_text(duration))
}

fn quoted_size(size: u64) -> String {
    format!("\"{}\"", size_text(size))
}

/// A duration or a size in the one form in which it is told; `None` for other texts.
pub(crate) fn normal_text(shape: Shape, text: &str) -> Option<String> {
    match shape {
        Shape::Time { .. } => duration(text).ok().map(time_text),
        Shape::Size { .. } => size(text).ok().map(size_text),
        _ => None,
    }
}

/// A duration in the largest unit that says it in a whole number.
pub(crate) fn time_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let unit = TIMES.iter().find(|(_, unit)| millis.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{millis}ms"),
        |(name, unit)| format!("{}{name}", millis / unit),
    )
}

/// A size in the largest unit that says it in a whole number.
pub(crate) fn size_text(size: u64) -> String {
    if size == 0 {
        return "0B".to_owned();
    }
    let unit = SIZES.iter().find(|(_, unit)| size.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{size}B"),
        |(name, unit)| format!("{}{name}", size / unit),
    )
}

impl Shown for Duration {
    fn shown(&self) -> Json {
        json!(time_text(*self))
    }
}

impl Shown for Option<Duration> {
    fn shown(&self) -> Json {
        self.map_or_else(|| json!("off"), |duration| duration.shown())
    }
}

impl Shown for ByteSize {
    fn shown(&self) -> Json {
        json!(size_text(self.0))
    }
}

impl Shown for Option<ByteSize> {
    fn shown(&self) -> Json {
        self.map_or_else(|| json!("off"), |size| size.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        let of = |text| duration(text).ok();
        assert_eq!(of("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(of("2d"), Some(Duration::from_hours(48)));
        for text in [
            "",
            "s",
            "5",
            "-5s",
            "1.5s",
            "5 s",
            "5S",
            "1h30m",
            "99999999999999999999s",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn the_right_form_of_a_duration_is_suggested() {
        let help = |text| duration(text).err().and_then(|wrong| wrong.help);
        assert_eq!(help("1.5s").as_deref(), Some("write \"1500ms\""));
        assert_eq!(help("1h30m").as_deref(), Some("write \"90m\""));
        assert_eq!(help("5sec").as_deref(), Some("write \"5s\""));
        assert_eq!(
            help("5").as_deref(),
            Some("a duration needs a unit: \"5s\" or \"5ms\"")
        );
        assert_eq!(help("5 parsecs"), None);
    }

    #[test]
    fn sizes_tell_thousands_from_1024() {
        let of = |text| size(text).ok();
        assert_eq!(of("10KB"), Some(10_000));
        assert_eq!(of("10KiB"), Some(10_240));
        assert_eq!(of("0B"), Some(0));
        assert_eq!(of("64kib"), None);
        assert_eq!(of("1.5MiB"), None);
        let help = |text| size(text).err().and_then(|wrong| wrong.help);
        assert_eq!(help("64kib").as_deref(), Some("write \"64KiB\""));
        assert_eq!(help("64k").as_deref(), Some("write \"64KiB\""));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for millis in [1, 999, 1000, 90_000, 3_600_000, 86_400_000, 86_401_000] {
            let time = Duration::from_millis(millis);
            assert_eq!(duration(&time_text(time)), Ok(time));
        }
        for bytes in [0, 1, 1000, 1024, 1 << 20, 123_456_789] {
            assert_eq!(size(&size_text(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn a_rate_has_a_count_and_one_of_three_units() {
        let of = |text| {
            Rate::from_text(text)
                .ok()
                .map(|rate| (rate.count.get(), rate.per.as_secs()))
        };
        assert_eq!(of("200/s"), Some((200, 1)));
        assert_eq!(of("5/m"), Some((5, 60)));
        assert_eq!(of("7/h"), Some((7, 3600)));
        for text in [
            "0/s",
            "200",
            "200/d",
            "+1/s",
            "-1/s",
            "1.5/s",
            "2000000000/s",
            "/s",
            "1/",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
