//! One value of the file -> a typed value, or a note of what is wrong with it.

mod address;
mod check;
mod host;
mod http;
mod language;
mod name_server;
mod overload;
mod path;
mod scalar;
mod text;
mod units;
mod word;

use std::borrow::Cow;

use toml::de::DeValue;

use super::{
    problem::{Code, Problem, Problems, Span},
    shape::Shape,
};

pub(crate) use address::{Listen, NameAndPort, Network, ServerAddress};
pub(crate) use check::{BodyText, GrpcService, HostField, StatusRange};
pub(crate) use host::Host;
pub(crate) use http::{FieldName, FieldValue, RedirectTo, ServerHost, Verb, WebUrl};
pub(crate) use language::{Advice, Phrase};
pub(crate) use name_server::{AskedServer, ServiceName};
pub(crate) use overload::{GRPC_CODES, GrpcCode, HedgeTime, Portion, Tenant, share_text};
pub(crate) use path::{CheckPath, UrlPath};
pub(crate) use scalar::{Pairs, grouped};
pub(crate) use text::{AccessTo, FilePath, Identity, LimitKey, LimitName, Literal, MatchText};
pub(crate) use units::{ByteSize, Rate, normal_text, size_text, time_text};
pub(crate) use word::{ConcurrencyWord, RetryWord, Word};

/// A value as it stands in the file, with the form that its field asks for.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) at: Span,
    pub(crate) shape: Shape,
    pub(crate) problems: &'a Problems,
}

/// What a value of the file can be read as.
pub(crate) trait Typed: Sized + 'static {
    /// The value, or `None` and a note of what is wrong.
    fn read(given: &Given<'_>) -> Option<Self>;
}

/// A default, as it would be written in the file.
pub(crate) trait Shown {
    /// As JSON, which for our values looks as it does in TOML.
    fn shown(&self) -> serde_json::Value;
}

/// What a text can be read as. The form is told by the field's shape; this says what is wrong with the text.
pub(crate) trait FromText: Sized + 'static {
    /// The value, or what is wrong.
    fn from_text(text: &str) -> Result<Self, Wrong>;
}

/// Why a text is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// To stand under the text; empty: the form that the field asks for.
    pub(crate) because: Cow<'static, str>,
    /// What to write instead, where it is known.
    pub(crate) help: Option<String>,
}

/// What stands there, as a phrase with an article.
pub(crate) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<T: FromText> Typed for T {
    fn read(given: &Given<'_>) -> Option<Self> {
        let DeValue::String(text) = given.value else {
            return given.wrong_kind(None);
        };
        match T::from_text(text) {
            Ok(value) => Some(value),
            Err(wrong) => given.malformed(wrong),
        }
    }
}

// === impl Given ===

impl Given<'_> {
    /// Notes that a value is of another kind than asked for.
    pub(crate) fn wrong_kind<T>(&self, help: Option<String>) -> Option<T> {
        let expected = self.shape.phrase();
        self.problems.add(
            Problem::error(
                Code::WrongKind,
                self.at,
                format!("`{}` must be {expected}", self.key),
                format!("expected {expected}, found {}", kind_of(self.value)),
            )
            .maybe_help(help),
        );
        None
    }

    /// Notes that a text is not what it should be.
    pub(crate) fn malformed<T>(&self, wrong: Wrong) -> Option<T> {
        let label = if wrong.because.is_empty() {
            format!("expected {}", self.shape.phrase())
        } else {
            wrong.because.into_owned()
        };
        let message = format!("`{}` must be {}", self.key, self.shape.phrase());
        self.problems
            .add(Problem::error(Code::Malformed, self.at, message, label).maybe_help(wrong.help));
        None
    }

    /// Notes that a value is beyond its bounds.
    pub(crate) fn out_of_bounds<T>(&self, min: &str, max: &str) -> Option<T> {
        self.problems.add(Problem::error(
            Code::OutOfBounds,
            self.at,
            format!("`{}` is out of bounds", self.key),
            format!("expected {min} to {max}"),
        ));
        None
    }
}

// === impl Wrong ===

impl Wrong {
    /// Not of the form, and nothing more to say.
    pub(crate) fn form() -> Self {
        Self::because("")
    }

    pub(crate) fn because(because: impl Into<Cow<'static, str>>) -> Self {
        Self {
            because: because.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
