//! Names, files and other texts.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{FromText, Given, Shown, Typed, Wrong, http::FieldName};
use crate::config::{RateKey, nearest::did_you_mean};

/// The name of a route, a listener or an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) String);

/// The name of a rate limit, which clients see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitName(pub(crate) String);

/// The path of a file, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

/// Text that stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal(pub(crate) String);

/// A condition on a value: what it is, or `None` where it must only be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MatchText<T>(pub(crate) Option<T>);

/// `[log] access`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessTo {
    Stdout,
    Off,
    File(PathBuf),
}

/// `key` of a rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitKey(pub(crate) RateKey);

/// What metrics call a request without a route or an upstream.
const RESERVED: &str = "none";

impl FromText for Identity {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if text == RESERVED {
            return Err(Wrong::because(
                "`none` stands for no name at all in metrics",
            ));
        }
        if text.is_empty() || text.len() > 64 {
            return Err(Wrong::because("a name has 1 to 64 characters"));
        }
        if !text.bytes().all(known) {
            return Err(Wrong::because(
                "a name has letters, digits, `-`, `_` and dots",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromText for LimitName {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let known = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if text.is_empty() || text.len() > 64 {
            Err(Wrong::because("a name has 1 to 64 characters"))
        } else if text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Wrong::because(
                "a name has visible ASCII characters, no space, quote or backslash",
            ))
        }
    }
}

impl FromText for FilePath {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            Err(Wrong::because("the path is empty"))
        } else if text.contains('\0') {
            Err(Wrong::because("a path cannot hold a zero byte"))
        } else {
            Ok(Self(PathBuf::from(text)))
        }
    }
}

impl FromText for Literal {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.len() > 64 << 10 {
            return Err(Wrong::because("at most 64 KiB"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromText for AccessTo {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "off" => Ok(Self::Off),
            "stderr" => Err(Wrong::because("stderr is for the gateway's own log")),
            path => {
                let near = did_you_mean(path, ["stdout"]);
                match near.filter(|_| !path.contains(['/', '.'])) {
                    Some(near) => Err(Wrong::form().help(near)),
                    None => FilePath::from_text(path).map(|path| Self::File(path.0)),
                }
            }
        }
    }
}

impl FromText for LimitKey {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        if let Some(name) = text.strip_prefix("header:") {
            return Ok(Self(RateKey::Header(FieldName::from_text(name)?.0)));
        }
        match text {
            "none" => Ok(Self(RateKey::None)),
            "client_ip" => Ok(Self(RateKey::ClientIp)),
            other => {
                let help = did_you_mean(other, ["none", "client_ip"])
                    .unwrap_or_else(|| format!("for a header field: \"header:{other}\""));
                Err(Wrong::form().help(help))
            }
        }
    }
}

impl<T: FromText> Typed for MatchText<T> {
    fn read(given: &Given<'_>) -> Option<Self> {
        match given.value {
            DeValue::Boolean(true) => Some(Self(None)),
            DeValue::String(_) => T::read(given).map(|text| Self(Some(text))),
            _ => given.wrong_kind(None),
        }
    }
}

impl Shown for AccessTo {
    fn shown(&self) -> Json {
        match self {
            Self::Stdout => json!("stdout"),
            Self::Off => json!("off"),
            Self::File(path) => json!(path),
        }
    }
}

impl Shown for LimitKey {
    fn shown(&self) -> Json {
        json!(self.text())
    }
}

impl Shown for Literal {
    fn shown(&self) -> Json {
        json!(self.0)
    }
}

// === impl LimitKey ===

impl LimitKey {
    /// The key as it would be written, which is the limit's name where it has none.
    pub(crate) fn text(&self) -> String {
        match &self.0 {
            RateKey::None => "none".to_owned(),
            RateKey::ClientIp => "client_ip".to_owned(),
            RateKey::Header(name) => format!("header:{name}"),
        }
    }
}
