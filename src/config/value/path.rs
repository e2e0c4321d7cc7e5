//! Paths of URLs. The file gives them in the form that requests are brought into before matching: what is
//! written in another form is refused, and the right one told.

use super::{FromText, Wrong};

/// A path in normal form: begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlPath(pub(crate) String);

/// A path with an optional query, for a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckPath(pub(crate) Box<str>);

/// The longest path, in bytes.
const MAX_PATH: usize = 1024;

impl UrlPath {
    /// The path without slashes at its end, as prefixes are kept; `/` becomes empty.
    pub(crate) fn into_prefix(self) -> Box<str> {
        self.0.trim_end_matches('/').into()
    }

    /// The path as it stands.
    pub(crate) fn into_exact(self) -> Box<str> {
        self.0.into()
    }
}

impl FromText for UrlPath {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let normal = normal_form(text)?;
        if normal == text {
            Ok(Self(normal))
        } else {
            Err(Wrong::because("requests are matched in normal form")
                .help(format!("write \"{normal}\"")))
        }
    }
}

impl FromText for CheckPath {
    fn from_text(text: &str) -> Result<Self, Wrong> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        normal_form(path)?;
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !query.unwrap_or_default().bytes().all(visible) || text.len() > MAX_PATH {
            return Err(Wrong::because(
                "the query has a character that must be escaped",
            ));
        }
        Ok(Self(text.into()))
    }
}

/// The normal form of a path: dot segments resolved, `//` merged, unreserved characters decoded, what may not
/// stand there escaped. `%2F` stays; escapes are in upper case. Errors where there is none.
fn normal_form(text: &str) -> Result<String, Wrong> {
    if !text.starts_with('/') {
        return Err(
            Wrong::because("a path begins with `/`").help(match text.split_once("://") {
                Some((_, rest)) => {
                    let path = rest.find('/').and_then(|start| rest.get(start..));
                    format!("write \"{}\"", path.unwrap_or("/"))
                }
                None => format!("write \"/{text}\""),
            }),
        );
    }
    if text.len() > MAX_PATH {
        return Err(Wrong::because("a path has at most 1,024 bytes"));
    }
    if let Some((path, _)) = text.split_once(['?', '#']) {
        return Err(Wrong::because("a path has neither a query nor a fragment")
            .help(format!("write \"{path}\"; a query is matched with `query`")));
    }
    if let Some((path, _)) = text.split_once('*') {
        return Err(
            Wrong::because("a `*` would be taken literally").help(format!(
                "for all paths below: path_prefix = \"{path}\"; for the character itself: %2A"
            )),
        );
    }
    resolve(&decode(text)?)
}

/// Escapes of unreserved characters decoded, other characters escaped where they must be.
fn decode(text: &str) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex = bytes.next().zip(bytes.next());
                match hex.and_then(|(high, low)| Some(digit(high)? << 4 | digit(low)?)) {
                    None => {
                        return Err(Wrong::because("a `%` is followed by two hex digits")
                            .help("for the character itself write %25"));
                    }
                    Some(0) => return Err(Wrong::because("a path cannot hold %00")),
                    Some(byte) if unreserved(byte) => out.push(char::from(byte)),
                    Some(_) => {
                        let (high, low) = hex.unwrap_or_default();
                        let digits =
                            [high, low].map(|digit| char::from(digit.to_ascii_uppercase()));
                        out.push('%');
                        out.extend(digits);
                    }
                }
            }
            byte if allowed(byte) => out.push(char::from(byte)),
            byte => {
                let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
                out.push('%');
                out.extend(
                    digits
                        .into_iter()
                        .flatten()
                        .map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
    Ok(out)
}

fn resolve(path: &str) -> Result<String, Wrong> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    let mut folder = false;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" | "." => folder = last,
            ".." => {
                if kept.pop().is_none() {
                    return Err(Wrong::because("`..` leads above the root"));
                }
                folder = last;
            }
            other => kept.push(other),
        }
    }
    let end = if folder && !kept.is_empty() { "/" } else { "" };
    Ok(format!("/{}{end}", kept.join("/")))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 3986 section 2.3.
fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path as it is: RFC 3986 section 3.3.
fn allowed(byte: u8) -> bool {
    unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_normal_form_is_taken_as_it_stands() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a%2Fb",
            "/%20",
            "/a:b@c",
            "/a;v=1",
            "/..a",
            "/.well-known/x",
        ] {
            assert_eq!(UrlPath::from_text(path), Ok(UrlPath(path.to_owned())));
        }
    }

    #[test]
    fn another_form_is_refused_and_the_normal_one_told() {
        for (typed, normal) in [
            ("//", "/"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/%61", "/a"),
            ("/a/%2e%2E/b", "/b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a b", "/a%20b"),
            ("/ä", "/%C3%A4"),
        ] {
            let help = UrlPath::from_text(typed).err().and_then(|wrong| wrong.help);
            assert_eq!(help, Some(format!("write \"{normal}\"")), "{typed}");
        }
    }

    #[test]
    fn what_has_no_normal_form_is_refused() {
        for path in [
            "", "a", "/..", "/a/../..", "/%", "/%2", "/%zz", "/%+1", "/%00", "/a?b", "/a#b", "/a*",
        ] {
            assert!(UrlPath::from_text(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_prefix_loses_its_last_slash() {
        let prefix = |text| UrlPath::from_text(text).ok().map(UrlPath::into_prefix);
        assert_eq!(prefix("/api/").as_deref(), Some("/api"));
        assert_eq!(prefix("/").as_deref(), Some(""));
    }
}
