//! Languages, and what is said in them.

use serde_json::{Value as Json, json};

use super::{FromText, Shown, Wrong};
use crate::config::{LanguageTag, Slot, Template, UnknownSlot};

/// A title or a sentence: text without places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phrase(pub(crate) Box<str>);

/// What a visitor can do, with `{retry_after}` in it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice(pub(crate) Template);

/// Longest phrase, in bytes.
const MAX_PHRASE: usize = 1000;
/// Longest tag (RFC 5646 section 4.4.1).
const MAX_TAG: usize = 35;

impl FromText for LanguageTag {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let wrong = || Err(Wrong::form().help("a tag of RFC 5646: \"de\", \"pt-BR\", \"zh-Hant\""));
        if text.len() > MAX_TAG {
            return wrong();
        }
        for (place, part) in text.split('-').enumerate() {
            let right = |byte: u8| byte.is_ascii_alphabetic() || place > 0 && byte.is_ascii_digit();
            let least = if place == 0 { 2 } else { 1 };
            if !(least..=8).contains(&part.len()) || !part.bytes().all(right) {
                return wrong();
            }
        }
        Ok(Self(text.to_owned().into()))
    }
}

impl Shown for LanguageTag {
    fn shown(&self) -> Json {
        json!(&*self.0)
    }
}

impl FromText for Phrase {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        bounded(text)?;
        match Template::parse(text, &[]) {
            Ok(_) => Ok(Self(text.into())),
            Err(unknown) if unknown.word == Slot::RetryAfter.as_str().into() => Err(
                Wrong::because("only `advice` and `advice_sent` can hold {retry_after}"),
            ),
            Err(unknown) => Err(nobody_knows(&unknown)),
        }
    }
}

impl FromText for Advice {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        bounded(text)?;
        let template = Template::parse(text, Slot::ADVICE);
        template.map(Self).map_err(|unknown| nobody_knows(&unknown))
    }
}

fn bounded(text: &str) -> Result<(), Wrong> {
    if text.trim().is_empty() {
        Err(Wrong::because("the text is empty"))
    } else if text.len() > MAX_PHRASE {
        Err(Wrong::because("at most 1,000 bytes"))
    } else if text.chars().any(char::is_control) {
        Err(Wrong::because("a control character"))
    } else {
        Ok(())
    }
}

fn nobody_knows(unknown: &UnknownSlot) -> Wrong {
    let word = &unknown.word;
    Wrong::because(format!("{{{word}}} stands for nothing here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_of_the_form_of_rfc_5646() {
        for right in [
            "de",
            "en-US",
            "zh-Hant-TW",
            "de-CH-1996",
            "x-klingon",
            "es-419",
        ] {
            let tag = LanguageTag::from_text(right);
            assert_eq!(tag.is_ok(), right != "x-klingon", "{right}");
        }
        let long = format!("de-{}", ["abcdefgh"; 4].join("-"));
        for wrong in [
            "",
            "d",
            "de_DE",
            "de-",
            "-de",
            "deutschland",
            "d3",
            "de-ö",
            "*",
            &long,
        ] {
            assert!(LanguageTag::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn phrases_are_bounded_and_hold_nothing_to_fill_in() {
        assert!(Phrase::from_text("Gerade sehr voll { }").is_ok());
        let long = "x".repeat(MAX_PHRASE + 1);
        for wrong in ["", " ", "a\nb", "{status}", "{retry_after}", &long] {
            assert!(Phrase::from_text(wrong).is_err(), "{wrong}");
        }
        assert!(Advice::from_text("Warten Sie {retry_after} s.").is_ok());
        assert!(Advice::from_text("Warten Sie {wait} s.").is_err());
    }
}
