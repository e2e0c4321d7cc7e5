//! Flags, numbers, and values in lists and tables.

use std::num::{NonZeroU32, NonZeroUsize};

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{Given, Shown, Typed};
use crate::config::{problem::At, row::wrong_length, shape::Shape};

impl Typed for bool {
    fn read(given: &Given<'_>) -> Option<Self> {
        match given.value {
            DeValue::Boolean(flag) => Some(*flag),
            DeValue::String(text) => {
                let help = match text.to_lowercase().as_str() {
                    "true" | "yes" | "on" | "1" => Some("write true, without quotes".to_owned()),
                    "false" | "no" | "off" | "0" => Some("write false, without quotes".to_owned()),
                    _ => None,
                };
                given.wrong_kind(help)
            }
            _ => given.wrong_kind(None),
        }
    }
}

impl Typed for u32 {
    fn read(given: &Given<'_>) -> Option<Self> {
        u32::try_from(whole(given)?).ok()
    }
}

impl Typed for NonZeroU32 {
    fn read(given: &Given<'_>) -> Option<Self> {
        u32::read(given).and_then(NonZeroU32::new)
    }
}

impl Typed for NonZeroUsize {
    fn read(given: &Given<'_>) -> Option<Self> {
        let number = usize::try_from(whole(given)?).ok()?;
        NonZeroUsize::new(number)
    }
}

impl Typed for http::StatusCode {
    fn read(given: &Given<'_>) -> Option<Self> {
        let code = u16::try_from(whole(given)?).ok()?;
        http::StatusCode::from_u16(code).ok()
    }
}

impl Typed for f64 {
    fn read(given: &Given<'_>) -> Option<Self> {
        let number = match given.value {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(whole) => whole.as_str().parse::<f64>().ok(),
            _ => return given.wrong_kind(None),
        };
        let Shape::Share { min, max } = given.shape else {
            return number;
        };
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Some(number),
            None => given.out_of_bounds(&min.to_string(), &max.to_string()),
        }
    }
}

impl<T: Typed> Typed for Vec<At<T>> {
    fn read(given: &Given<'_>) -> Option<Self> {
        let (Shape::List { of, min, max }, DeValue::Array(items)) = (given.shape, given.value)
        else {
            let help = matches!(given.value, DeValue::String(_))
                .then(|| "put it in brackets: [\"...\"]".to_owned());
            return given.wrong_kind(help);
        };
        if let Some(problem) = wrong_length(given.key, given.at, items.len(), min, max) {
            given.problems.add(problem);
            return None;
        }
        let read = items.iter().filter_map(|item| {
            let item = Given {
                value: item.get_ref(),
                at: item.span().into(),
                shape: *of,
                ..*given
            };
            T::read(&item).map(|value| At::new(value, item.at))
        });
        Some(read.collect())
    }
}

/// Keys that the operator chooses, each with its value, in the file's order.
pub(crate) type Pairs<K, T> = Vec<(At<K>, At<T>)>;

impl<K: super::FromText, T: Typed> Typed for Pairs<K, T> {
    fn read(given: &Given<'_>) -> Option<Self> {
        let (Shape::Pairs { key, of, max }, DeValue::Table(table)) = (given.shape, given.value)
        else {
            return given.wrong_kind(None);
        };
        if let Some(problem) = wrong_length(given.key, given.at, table.len(), 0, max) {
            given.problems.add(problem);
            return None;
        }
        let mut pairs = Vec::new();
        for (name, value) in table {
            let name_given = Given {
                at: name.span().into(),
                shape: Shape::Text(key),
                ..*given
            };
            let value_given = Given {
                key: name.get_ref(),
                value: value.get_ref(),
                at: value.span().into(),
                shape: *of,
                problems: given.problems,
            };
            let value = T::read(&value_given).map(|value| At::new(value, value_given.at));
            let name = match K::from_text(name.get_ref()) {
                Ok(name) => Some(At::new(name, name_given.at)),
                Err(wrong) => name_given.malformed(wrong),
            };
            pairs.extend(name.zip(value));
        }
        pairs.sort_by_key(|(name, _)| name.at.start);
        Some(pairs)
    }
}

/// A whole number within the bounds of its shape.
fn whole(given: &Given<'_>) -> Option<u64> {
    let DeValue::Integer(number) = given.value else {
        return given.wrong_kind(None);
    };
    let (min, max) = match given.shape {
        Shape::Count { min, max } => (min, max),
        _ => (0, u64::MAX),
    };
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
    let number = number.and_then(|number| u64::try_from(number).ok());
    match number.filter(|number| (min..=max).contains(number)) {
        Some(number) => Some(number),
        None => given.out_of_bounds(&grouped(min), &grouped(max)),
    }
}

/// A number with its thousands apart, so that its size is seen.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

macro_rules! shown_as_json {
    ($($type:ty),+) => {$(
        impl Shown for $type {
            fn shown(&self) -> Json {
                json!(self)
            }
        }
    )+};
}
shown_as_json!(bool, u32, NonZeroU32, NonZeroUsize, f64);

impl Shown for http::StatusCode {
    fn shown(&self) -> Json {
        json!(self.as_u16())
    }
}
