//! The one normal form of a request's path.
//!
//! Matching, limits, logs and the upstream all see this form, so that no two of them can read a path
//! differently. What it does *not* do: fold case, drop a trailing slash, or cut `;params`, since servers
//! disagree on those and a gateway that guesses opens a way around its own rules.

use std::{borrow::Cow, fmt};

/// Why a path has no normal form; the request is refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// `%` without two hexadecimal digits behind it.
    BadEscape,
    /// `%00`, or a byte no path may hold unescaped: a control byte, a space, `#`, `?` or `\`.
    Forbidden,
    /// `..` goes above the root.
    AboveRoot,
}

/// The normal form of `path`, which has no query. Borrowed where it is that form already.
///
/// * `.` and `..` segments are resolved (RFC 3986 section 5.2.4), escaped ones too; above the root is an error.
/// * Empty segments are merged: `//` is `/`. A trailing slash stays.
/// * Escapes of unreserved characters are decoded once (RFC 3986 section 6.2.2.2); all others stay, in upper
///   case. So `%2f` and `%5c` never become separators, and `%252e` never becomes a dot.
/// * A byte that RFC 3986 does not allow in a path (`"`, `<`, `[`, `{`, `|`, or beyond ASCII) is escaped.
///
/// The result begins with exactly one slash, is ASCII, and is its own normal form. Its length is at most
/// three times that of `path`.
///
/// # Errors
/// [`PathError`] where the path has no normal form.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    let rest = path.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    if is_normal(rest) {
        return Ok(Cow::Borrowed(path));
    }
    rebuild(rest, path.len()).map(Cow::Owned)
}

/// Whether the segments behind the first slash are in normal form already. Errors count as "no".
fn is_normal(rest: &str) -> bool {
    let mut start_of_segment = true;
    let mut bytes = rest.as_bytes();
    while let [first, tail @ ..] = bytes {
        bytes = match (first, tail) {
            (b'/', _) | (b'.', [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]) if start_of_segment => {
                return false;
            }
            (b'%', [high, low, tail @ ..]) if is_kept_escape(*high, *low) => tail,
            (byte, tail) if *byte == b'/' || is_plain(*byte) => tail,
            _ => return false,
        };
        start_of_segment = *first == b'/';
    }
    true
}

/// Whether `%` with these digits is an escape in normal form: upper case, and of no unreserved character.
fn is_kept_escape(high: u8, low: u8) -> bool {
    !high.is_ascii_lowercase()
        && !low.is_ascii_lowercase()
        && byte_of(high, low).is_some_and(|byte| byte != 0 && !is_unreserved(byte))
}

fn rebuild(rest: &str, length: usize) -> Result<String, PathError> {
    let mut out = String::with_capacity(length);
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let start = out.len();
        out.push('/');
        push_segment(&mut out, segment)?;
        match out.get(start + 1..).unwrap_or_default() {
            "" if last => {}
            "" => out.truncate(start),
            "." => close(&mut out, start, last),
            ".." => {
                out.truncate(start);
                let parent = out.rfind('/').ok_or(PathError::AboveRoot)?;
                close(&mut out, parent, last);
            }
            _ => {}
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// Cuts `out` back to `end`. A dot segment at the end of a path leaves its slash there.
fn close(out: &mut String, end: usize, last: bool) {
    out.truncate(end);
    if last {
        out.push('/');
    }
}

fn push_segment(out: &mut String, segment: &str) -> Result<(), PathError> {
    let mut bytes = segment.as_bytes();
    while let [first, tail @ ..] = bytes {
        bytes = tail;
        if *first == b'%' {
            let (byte, behind) = unescape(tail)?;
            bytes = behind;
            push_escaped(out, byte)?;
        } else if is_plain(*first) {
            out.push(char::from(*first));
        } else if is_refused(*first) {
            return Err(PathError::Forbidden);
        } else {
            push_hex(out, *first);
        }
    }
    Ok(())
}

/// The byte that the two digits at the start of `digits` stand for, and what is behind them.
fn unescape(digits: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let [high, low, behind @ ..] = digits else {
        return Err(PathError::BadEscape);
    };
    let byte = byte_of(*high, *low).ok_or(PathError::BadEscape)?;
    Ok((byte, behind))
}

fn push_escaped(out: &mut String, byte: u8) -> Result<(), PathError> {
    if byte == 0 {
        return Err(PathError::Forbidden);
    }
    if is_unreserved(byte) {
        out.push(char::from(byte));
    } else {
        push_hex(out, byte);
    }
    Ok(())
}

fn push_hex(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        let letter = if digit < 10 {
            b'0' + digit
        } else {
            b'A' + digit - 10
        };
        out.push(char::from(letter));
    }
}

fn byte_of(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What stands for itself in a segment: `pchar` of RFC 3986 section 3.3 without escapes.
const fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// What is not repaired by escaping: it is either an attack or a broken client. Browsers read `\` as `/`.
const fn is_refused(byte: u8) -> bool {
    byte.is_ascii_control() || matches!(byte, b' ' | b'#' | b'?' | b'\\')
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::BadEscape => "`%` is not followed by two hexadecimal digits",
            Self::Forbidden => "the path holds a byte that no path may hold",
            Self::AboveRoot => "`..` goes above the root",
        })
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> Result<String, PathError> {
        normalise(path).map(Cow::into_owned)
    }

    #[test]
    fn c30_every_spelling_of_a_path_has_one_form() {
        let forms = [
            ("/", "/"),
            ("/a/../b", "/b"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/.%2E/b", "/b"),
            ("/a//b", "/a/b"),
            ("///a", "/a"),
            ("/a//../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a/", "/a/"),
            ("/a//", "/a/"),
            ("/.", "/"),
            ("/a/..", "/"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%5cb", "/a%5Cb"),
            ("/a/..%2fb", "/a/..%2Fb"),
            ("/%61dmin", "/admin"),
            ("/%7euser", "/~user"),
            ("/a%0d%0ab", "/a%0D%0Ab"),
            ("/%25%32%65%25%32%65/", "/%252e%252e/"),
            ("/%c0%ae%c0%ae/", "/%C0%AE%C0%AE/"),
            ("/...", "/..."),
            ("/a/..;/b", "/a/..;/b"),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/a|b[0]{c}\"<>^`", "/a%7Cb%5B0%5D%7Bc%7D%22%3C%3E%5E%60"),
        ];
        for (sent, form) in forms {
            assert_eq!(normal(sent).as_deref(), Ok(form), "{sent}");
        }
    }

    #[test]
    fn c30_what_has_no_form_is_an_error() {
        use PathError::{AboveRoot, BadEscape, Forbidden, NotAbsolute};
        let errors = [
            ("", NotAbsolute),
            ("a", NotAbsolute),
            ("*", NotAbsolute),
            ("/%", BadEscape),
            ("/%1", BadEscape),
            ("/%zz", BadEscape),
            ("/a%2/", BadEscape),
            ("/%+1", BadEscape),
            ("/%00", Forbidden),
            ("/a\\b", Forbidden),
            ("/\\host", Forbidden),
            ("/a b", Forbidden),
            ("/a\0", Forbidden),
            ("/a#b", Forbidden),
            ("/a?b", Forbidden),
            ("/..", AboveRoot),
            ("/a/../..", AboveRoot),
            ("/%2e%2e/etc", AboveRoot),
            ("/./../a", AboveRoot),
            ("//..", AboveRoot),
        ];
        for (sent, error) in errors {
            assert_eq!(normal(sent), Err(error), "{sent}");
        }
    }

    #[test]
    fn a_normal_path_is_borrowed() {
        for path in [
            "/",
            "/a/b.c/d",
            "/a/",
            "/a%2Fb",
            "/.well-known/x",
            "/a/..b/c..",
            "/@x:y;z=1,2",
        ] {
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(_))), "{path}");
        }
    }

    #[test]
    fn a_thousand_dot_segments_are_resolved() {
        let path = format!("{}{}/end", "/a".repeat(1000), "/..".repeat(1000));
        assert_eq!(normal(&path).as_deref(), Ok("/end"));
        assert_eq!(normal(&format!("{path}/../..")), Err(PathError::AboveRoot));
    }
}
