//! `[errors]` and `[[errors.texts]]`: what clients are told of a fault.

use crate::config::{
    CauseWord, LanguageTag,
    problem::At,
    shape::{Field, Nested, Preset, Section, Shape},
    value::{Advice, FilePath, Phrase, Word},
};

pub(crate) static ERRORS: Section = Section::of(
    "errors",
    "[errors]",
    "What clients see of a fault. Programs get problem+json, gRPC callers a status, and browsers a page: in the first language of `Accept-Language` that there is a text in, with what can sensibly be tried for this very cause.",
    &[&DETAILS, &PAGE, &LANGUAGE, &TEXTS],
);
pub(crate) static DETAILS: Preset<bool> = Preset::new(
    "details",
    Shape::Flag,
    false,
    "Whether clients see details: addresses and errors of the operating system. They help attackers too.",
);
pub(crate) static PAGE: Field<FilePath> = Field::optional(
    "page",
    Shape::Text("the path of a file"),
    "the page that is built in",
    "A file that browsers get in place of the built-in page, at most 64 KiB of HTML in UTF-8. `{status}`, `{title}`, `{sentence}`, `{advice}`, `{request_id}`, `{retry_after}` (seconds; empty where not known) and `{language}` in it are filled in, made harmless for text and for attributes in quotes; another word in braces is an error. A wrong file keeps what it held before. It is followed like every named file.",
);
/// A language.
const TAG: Shape = Shape::Text("a language tag like \"de\" or \"pt-BR\"");
pub(crate) static LANGUAGE: Preset<LanguageTag> = Preset::new(
    "language",
    TAG,
    LanguageTag::ENGLISH,
    "The language of pages for who asks for none that there is. The built-in texts are English.",
);
pub(crate) static TEXTS: Nested = Nested::optional(
    "texts",
    Shape::Tables {
        of: &TEXT,
        min: 0,
        max: 1024,
    },
    "the built-in ones",
    "What pages say, by language and cause.",
);

pub(crate) static TEXT: Section = Section::of(
    "error_text",
    "[[errors.texts]]",
    "What a page says of some faults in one language. Of several texts that fit, the first holds; where none does, another language serves.",
    &[
        &TEXT_LANGUAGE,
        &CAUSES,
        &STATUSES,
        &TITLE,
        &SENTENCE,
        &ADVICE,
        &ADVICE_SENT,
    ],
);
pub(crate) static TEXT_LANGUAGE: Field<LanguageTag> = Field::required(
    "language",
    TAG,
    "The language of the text, by RFC 5646. A text in `en` replaces a built-in one.",
);
pub(crate) static CAUSES: Field<Vec<At<CauseWord>>> = Field::optional(
    "causes",
    Shape::List {
        of: &CauseWord::SHAPE,
        min: 1,
        max: 8,
    },
    "every cause",
    "For faults of these causes.",
);
pub(crate) static STATUSES: Field<Vec<At<http::StatusCode>>> = Field::optional(
    "statuses",
    Shape::List {
        of: &Shape::Count { min: 400, max: 599 },
        min: 1,
        max: 32,
    },
    "every status",
    "For faults of these statuses.",
);
/// What is said.
const PHRASE: Shape = Shape::Text("text of at most 1,000 bytes");
pub(crate) static TITLE: Field<Phrase> =
    Field::required("title", PHRASE, "What happened, in a few words.");
pub(crate) static SENTENCE: Field<Phrase> =
    Field::required("sentence", PHRASE, "What happened, in one sentence.");
pub(crate) static ADVICE: Field<Advice> = Field::optional(
    "advice",
    PHRASE,
    "none",
    "What a visitor can try. `{retry_after}` in it is the number of seconds of `Retry-After`; where a fault has none, the advice is left out.",
);
pub(crate) static ADVICE_SENT: Field<Advice> = Field::optional(
    "advice_sent",
    PHRASE,
    "none",
    "The same where the service may have acted on the request, and acting twice may do harm (a POST that broke off).",
);
