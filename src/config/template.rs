//! Text with places in it that are filled in later: `{request_id}`.
//!
//! A place is a word of small letters, digits and `_` between two braces, with nothing else between them. Any other
//! brace stands for itself, so that styles and scripts of a page need no escapes.

/// What a place of a template is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The status, in digits.
    Status,
    /// What happened, in a few words.
    Title,
    /// What happened, in one sentence.
    Sentence,
    /// What whoever reads it can do; empty where nothing helps.
    Advice,
    /// The id by which the operator finds the request.
    RequestId,
    /// When to come back, in seconds; empty where that is not known.
    RetryAfter,
    /// The language of title, sentence and advice.
    Language,
}

/// A stretch of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What stands there.
    Text(Box<str>),
    /// What is filled in.
    Slot(Slot),
}

/// Text that is cut at its places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    pieces: Box<[Piece]>,
}

/// A place that no value is known for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSlot {
    /// The word between the braces.
    pub word: Box<str>,
    /// The line of the text that it stands on, from 1.
    pub line: usize,
}

// === impl Slot ===

impl Slot {
    /// Those of a page.
    pub const PAGE: &[Self] = &[
        Self::Status,
        Self::Title,
        Self::Sentence,
        Self::Advice,
        Self::RequestId,
        Self::RetryAfter,
        Self::Language,
    ];
    /// Those of an advice.
    pub const ADVICE: &[Self] = &[Self::RetryAfter];

    /// The word between the braces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Title => "title",
            Self::Sentence => "sentence",
            Self::Advice => "advice",
            Self::RequestId => "request_id",
            Self::RetryAfter => "retry_after",
            Self::Language => "language",
        }
    }
}

// === impl Template ===

impl Template {
    /// `text`, cut at the places of `slots`.
    ///
    /// # Errors
    /// The first place that is none of them.
    pub fn parse(text: &str, slots: &[Slot]) -> Result<Self, UnknownSlot> {
        let mut pieces = Vec::new();
        let (mut start, mut from) = (0, 0);
        while let Some((open, word)) = next_place(text, from) {
            let close = open + word.len() + 2;
            let Some(slot) = slots.iter().find(|slot| slot.as_str() == word) else {
                let before = text.get(..open).unwrap_or_default();
                return Err(UnknownSlot {
                    word: word.into(),
                    line: before.matches('\n').count() + 1,
                });
            };
            push_text(&mut pieces, text.get(start..open));
            pieces.push(Piece::Slot(*slot));
            (start, from) = (close, close);
        }
        push_text(&mut pieces, text.get(start..));
        Ok(Self {
            pieces: pieces.into(),
        })
    }

    /// Its stretches, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether `slot` is filled in anywhere.
    #[must_use]
    pub fn has(&self, slot: Slot) -> bool {
        self.pieces.contains(&Piece::Slot(slot))
    }

    /// The same with `change` made to every text of it.
    #[must_use]
    pub fn map_texts(&self, change: impl Fn(&str) -> String) -> Self {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Piece::Text(change(text).into()),
            Piece::Slot(slot) => Piece::Slot(*slot),
        });
        Self {
            pieces: pieces.collect(),
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        pieces.push(Piece::Text(text.into()));
    }
}

/// Where the next place at or behind `from` opens, and the word in it.
fn next_place(text: &str, from: usize) -> Option<(usize, &str)> {
    let openings = text.get(from..)?.match_indices('{');
    openings.map(|(at, _)| from + at).find_map(|open| {
        let behind = text.get(open + 1..)?;
        let end = behind.find(|letter| !is_of_word(letter))?;
        let (word, rest) = behind.split_at_checked(end)?;
        (!word.is_empty() && rest.starts_with('}')).then_some((open, word))
    })
}

const fn is_of_word(letter: char) -> bool {
    matches!(letter, 'a'..='z' | '0'..='9' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    fn parsed(text: &str) -> Vec<Piece> {
        Template::parse(text, Slot::PAGE).unwrap().pieces().to_vec()
    }

    #[test]
    fn a_text_is_cut_at_its_places() {
        let pieces = [
            text("<h1>"),
            Piece::Slot(Slot::Title),
            text("</h1>"),
            Piece::Slot(Slot::RequestId),
            Piece::Slot(Slot::Status),
        ];
        assert_eq!(parsed("<h1>{title}</h1>{request_id}{status}"), pieces);
        assert!(parsed("").is_empty());
        for slot in Slot::PAGE {
            assert_eq!(
                parsed(&format!("{{{}}}", slot.as_str())),
                [Piece::Slot(*slot)]
            );
        }
    }

    #[test]
    fn braces_of_styles_and_scripts_stand_for_themselves() {
        for own in [
            "a{color:red}",
            "@media print{a{margin:0}}",
            "p { margin: 0 }",
            "{}",
            "{ status }",
            "{Status}",
            "{status",
            "{",
            "}",
            "{{",
            "{ä}",
        ] {
            assert_eq!(parsed(own), [text(own)], "{own}");
        }
        let pieces = [text("{"), Piece::Slot(Slot::Status), text("}")];
        assert_eq!(parsed("{{status}}"), pieces);
    }

    #[test]
    fn a_place_that_nobody_knows_is_told_with_its_line() {
        let unknown = Template::parse("a\n{status}\n<p>{titel}", Slot::PAGE).unwrap_err();
        assert_eq!((&*unknown.word, unknown.line), ("titel", 3));
        let unknown = Template::parse("{status}", Slot::ADVICE).unwrap_err();
        assert_eq!((&*unknown.word, unknown.line), ("status", 1));
    }

    #[test]
    fn its_texts_are_changed_and_its_places_stay() {
        let template = Template::parse("a{retry_after}b", Slot::ADVICE).unwrap();
        let changed = template.map_texts(str::to_uppercase);
        assert_eq!(
            changed,
            Template::parse("A{retry_after}B", Slot::ADVICE).unwrap()
        );
        assert!(changed.has(Slot::RetryAfter) && !changed.has(Slot::Title));
    }
}
