//! What a page says, in the language that its reader understands best.

use std::{borrow::Cow, fmt::Write as _};

use crate::{
    config::{ErrorsPlan, LanguageTag, Piece, Slot, Template, TextPlan},
    fault::{Fault, Kind},
};

use super::{
    language::Wanted,
    page::escaped,
    ready::Ready,
    visitor::{MAY_HAVE_ARRIVED, Repeat, Try},
};

/// What is said of one fault. All of it is harmless in HTML.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) language: &'a str,
    pub(super) title: &'a str,
    pub(super) sentence: &'a str,
    /// Empty where nothing helps.
    pub(super) advice: Cow<'a, str>,
}

/// The texts of an operator's.
#[derive(Debug)]
pub(super) struct Texts {
    all: Vec<Words>,
    /// For each kind, by its index, a text in each language that there is one in.
    of_kind: Vec<Vec<usize>>,
    /// For who asks for no language that there is.
    language: LanguageTag,
}

/// A text, made harmless.
#[derive(Debug)]
struct Words {
    language: LanguageTag,
    title: Box<str>,
    sentence: Box<str>,
    advice: Option<Template>,
    advice_sent: Option<Template>,
}

// === impl Said ===

impl Said<'_> {
    /// About how many bytes it has.
    pub(super) fn len(&self) -> usize {
        2 * self.title.len() + self.sentence.len() + self.advice.len()
    }
}

// === impl Texts ===

impl Texts {
    pub(super) fn new(plan: &ErrorsPlan) -> Self {
        let of_kind = |kind: &Kind| texts_for(*kind, &plan.texts);
        Self {
            all: plan.texts.iter().map(Words::of).collect(),
            of_kind: Kind::ALL.iter().map(of_kind).collect(),
            language: plan.language.clone(),
        }
    }

    /// Whether the language that a client asks for makes a difference.
    pub(super) fn are_there(&self) -> bool {
        !self.all.is_empty()
    }

    /// What is said of `fault` to who asks for `wanted`.
    pub(super) fn say<'a>(
        &'a self,
        fault: &Fault,
        ready: &'a Ready,
        wanted: &Wanted<'_>,
        repeat: Repeat,
        retry_after: Option<u64>,
    ) -> Said<'a> {
        let texts = self.of_kind.get(fault.kind.index());
        let in_language = |tag: &str| {
            let texts = texts.into_iter().flatten();
            let mut words = texts.filter_map(|index| self.all.get(*index));
            let own = words.find(|words| words.language.is(tag)).map(Some);
            own.or_else(|| LanguageTag::ENGLISH.is(tag).then_some(None))
        };
        let found = wanted
            .lookup(in_language)
            .or_else(|| in_language(self.language.as_str()))
            .or_else(|| in_language(LanguageTag::ENGLISH.as_str()));
        match found.flatten() {
            Some(words) => words.say(repeat, retry_after),
            None => built_in(fault.kind, ready, repeat, retry_after),
        }
    }
}

/// For each language the first text that fits `kind`.
fn texts_for(kind: Kind, texts: &[TextPlan]) -> Vec<usize> {
    let facts = kind.facts();
    let mut found: Vec<(usize, &LanguageTag)> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let taken = found.iter().any(|(_, tag)| **tag == text.language);
        if !taken && text.fits(facts.cause.as_str(), facts.status) {
            found.push((index, &text.language));
        }
    }
    found.into_iter().map(|(index, _)| index).collect()
}

// === impl Words ===

impl Words {
    fn of(plan: &TextPlan) -> Self {
        let harmless = |advice: &Template| advice.map_texts(escaped);
        Self {
            language: plan.language.clone(),
            title: escaped(&plan.title).into(),
            sentence: escaped(&plan.sentence).into(),
            advice: plan.advice.as_ref().map(harmless),
            advice_sent: plan.advice_sent.as_ref().map(harmless),
        }
    }

    fn say(&self, repeat: Repeat, retry_after: Option<u64>) -> Said<'_> {
        let advice = match repeat {
            Repeat::Harmless => &self.advice,
            Repeat::Harmful => &self.advice_sent,
        };
        let advice = advice.as_ref();
        let advice = advice.and_then(|advice| filled(advice, retry_after));
        Said {
            language: self.language.as_str(),
            title: &self.title,
            sentence: &self.sentence,
            advice: advice.unwrap_or_default().into(),
        }
    }
}

/// An advice with its number; `None` where it wants one and there is none.
fn filled(advice: &Template, retry_after: Option<u64>) -> Option<String> {
    let mut out = String::new();
    for piece in advice.pieces() {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Slot(Slot::RetryAfter) => {
                let _ = write!(out, "{}", retry_after?); // writing to a String cannot fail
            }
            Piece::Slot(_) => {} // an advice has no other
        }
    }
    Some(out)
}

fn built_in(kind: Kind, ready: &Ready, repeat: Repeat, retry_after: Option<u64>) -> Said<'_> {
    let advice = match (repeat, Try::about(kind)) {
        (Repeat::Harmful, _) => MAY_HAVE_ARRIVED.into(),
        (Repeat::Harmless, Try::Wait) => {
            let words = Try::Wait.words().zip(retry_after);
            words.map_or_else(Cow::default, |(words, seconds)| {
                words.replace("{wait}", &time(seconds)).into()
            })
        }
        (Repeat::Harmless, other) => other.words().unwrap_or_default().into(),
    };
    Said {
        language: "en",
        title: &ready.title,
        sentence: &ready.sentence,
        advice,
    }
}

/// A time for people: never shorter than it is.
fn time(seconds: u64) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        2..=120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them_and_never_shorter() {
        let told = [1, 2, 120, 121, 3600].map(time);
        assert_eq!(
            told,
            [
                "1 second",
                "2 seconds",
                "120 seconds",
                "3 minutes",
                "60 minutes"
            ]
        );
    }
}
