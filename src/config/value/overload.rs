//! What a route says of overload: its share, its tenants, its hedge, and the gRPC codes that tell of load.

use std::{num::NonZeroU32, time::Duration};

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{FromText, Given, LimitKey, Shown, Typed, Wrong, units};
use crate::config::{
    HedgeAfter, RateKey, TenantKey,
    nearest::did_you_mean,
    problem::{Code, Problem},
    shape::Shape,
};

/// `share` of a route, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portion(pub(crate) NonZeroU32);

/// `tenant` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant(pub(crate) TenantKey);

/// `after` of a hedge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HedgeTime(pub(crate) HedgeAfter);

/// A gRPC code that is not OK, 1 to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrpcCode(pub(crate) u8);

/// The gRPC codes after OK, which is 0, in their order (grpc/grpc, `doc/statuscodes.md`).
pub(crate) const GRPC_CODES: &[&str] = &[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Typed for Portion {
    fn read(given: &Given<'_>) -> Option<Self> {
        let thousandths = f64::read(given)? * 1000.0;
        // Through text, since a cast would cut off whatever it cannot hold.
        let whole = format!("{thousandths:.0}").parse().ok()?;
        if (thousandths - f64::from(whole)).abs() > 1e-6 {
            return given.malformed(Wrong::because("at most three digits after the point"));
        }
        NonZeroU32::new(whole).map(Self)
    }
}

impl FromText for Tenant {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        LimitKey::from_text(text).map(|key| {
            Self(match key.0 {
                RateKey::None => TenantKey::None,
                RateKey::ClientIp => TenantKey::ClientIp,
                RateKey::Header(name) => TenantKey::Header(name),
            })
        })
    }
}

impl FromText for HedgeTime {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Some(percent) = text.strip_prefix(['p', 'P']) {
            let plain = Some(percent).filter(|percent| !percent.starts_with('+'));
            let percent = plain.and_then(|percent| percent.parse().ok());
            return match percent.filter(|percent| (50..=99).contains(percent)) {
                Some(percent) if text.starts_with('p') => Ok(Self(HedgeAfter::Percentile(percent))),
                Some(percent) => Err(Wrong::form().help(format!("write \"p{percent}\""))),
                None => Err(Wrong::because("percentiles are p50 to p99")),
            };
        }
        let after = units::duration(text)?;
        if (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&after) {
            Ok(Self(HedgeAfter::Time(after)))
        } else {
            Err(Wrong::because("expected \"1ms\" to \"1h\""))
        }
    }
}

impl Typed for GrpcCode {
    fn read(given: &Given<'_>) -> Option<Self> {
        let Shape::Code { words, .. } = given.shape else {
            return given.wrong_kind(None);
        };
        match given.value {
            DeValue::String(text) => match (1..).zip(words).find(|(_, word)| *word == text) {
                Some((number, _)) => Some(Self(number)),
                None => unknown(given, text, words),
            },
            DeValue::Integer(_) => {
                let number = Given {
                    shape: Shape::Count {
                        min: 1,
                        max: words.len() as u64,
                    },
                    ..*given
                };
                u8::try_from(u32::read(&number)?).ok().map(Self)
            }
            _ => given.wrong_kind(None),
        }
    }
}

/// Notes that no code has this name.
fn unknown<T>(given: &Given<'_>, text: &str, words: &[&'static str]) -> Option<T> {
    let help = if text.eq_ignore_ascii_case("OK") {
        Some("OK is no failure: leave it out".to_owned())
    } else if text.parse::<u8>().is_ok() {
        Some(format!("write {text}, without quotes"))
    } else {
        did_you_mean(text, words.iter().copied())
    };
    let expected = format!("expected one of: {}", words.join(", "));
    let message = format!("unknown gRPC code `{text}`");
    let problem = Problem::error(Code::UnknownWord, given.at, message, expected);
    given.problems.add(problem.maybe_help(help));
    None
}

/// A share as it would be written.
pub(crate) fn share_text(thousandths: u32) -> String {
    (f64::from(thousandths) / 1000.0).to_string()
}

impl Shown for Portion {
    fn shown(&self) -> Json {
        json!(f64::from(self.0.get()) / 1000.0)
    }
}

impl Shown for Tenant {
    fn shown(&self) -> Json {
        json!(match &self.0 {
            TenantKey::None => "none".to_owned(),
            TenantKey::ClientIp => "client_ip".to_owned(),
            TenantKey::Header(name) => format!("header:{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hedge_waits_for_a_time_or_for_a_percentile() {
        let of = |text| HedgeTime::from_text(text).ok().map(|time| time.0);
        let millis = |count| Some(HedgeAfter::Time(Duration::from_millis(count)));
        assert_eq!(of("p50"), Some(HedgeAfter::Percentile(50)));
        assert_eq!(of("p99"), Some(HedgeAfter::Percentile(99)));
        assert_eq!(of("1ms"), millis(1));
        assert_eq!(of("1h"), millis(3_600_000));
        for text in [
            "p49", "p100", "p99.9", "p", "p+95", "P95", "95", "0ms", "2h", "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_is_written_as_it_was_read() {
        assert_eq!(share_text(1), "0.001");
        assert_eq!(share_text(300), "0.3");
        assert_eq!(share_text(1250), "1.25");
    }
}
