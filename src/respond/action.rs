//! The answers that a route gives by itself: a fixed one, or a redirect.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::fields::put_retry_after;
use crate::fault::Fault;

/// What of a client's path or query may not stand in `Location` as it is. Browsers read `\` as `/`.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`');

/// `respond = { status, body }`: a body of plain text, none with a status that has none.
#[must_use]
pub fn fixed(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut response = Response::new(if bodiless { Bytes::new() } else { body });
    *response.status_mut() = status;
    if bodiless {
        return response;
    }
    let length = HeaderValue::from(response.body().len());
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// What a route says when nothing else can serve, for `fault`. With 503 it tells when to come back.
#[must_use]
pub fn sorry(
    status: StatusCode,
    content_type: Option<&HeaderValue>,
    body: Bytes,
    fault: &Fault,
) -> Response<Bytes> {
    let mut response = fixed(status, body);
    let headers = response.headers_mut();
    if let (Some(content_type), true) = (content_type, headers.contains_key(CONTENT_TYPE)) {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        put_retry_after(headers, fault);
    }
    response
}

/// `redirect = { status, to }`, with `{path}` and `{query}` of `to` filled in.
///
/// Where the request has no query, a `?` before `{query}` goes with it. A `to` that is not an absolute URL
/// keeps exactly one slash at its start, whatever the client sent, so that it never reads as another host.
/// `path` is in normal form.
#[must_use]
pub fn redirect(status: StatusCode, to: &str, path: &str, query: Option<&str>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    let target = HeaderValue::try_from(location(to, path, query));
    headers.insert(LOCATION, target.unwrap_or(HeaderValue::from_static("/")));
    response
}

fn location(to: &str, path: &str, query: Option<&str>) -> String {
    let filled = fill(to, path, query.unwrap_or_default());
    if is_absolute(to) {
        return filled;
    }
    format!("/{}", filled.trim_start_matches('/'))
}

/// Whether `to` begins with a scheme, before anything of the client's is filled in.
fn is_absolute(to: &str) -> bool {
    to.split_once("://").is_some_and(|(scheme, _rest)| {
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// One pass: what is filled in is never read for placeholders again.
fn fill(to: &str, path: &str, query: &str) -> String {
    let mut out = String::with_capacity(to.len() + path.len() + query.len());
    let mut rest = to;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        rest = if let Some(behind) = behind.strip_prefix("path}") {
            out.extend(utf8_percent_encode(path, UNSAFE));
            behind
        } else if let Some(behind) = behind.strip_prefix("query}") {
            push_query(&mut out, query);
            behind
        } else {
            out.push('{');
            behind
        };
    }
    out.push_str(rest);
    out
}

fn push_query(out: &mut String, query: &str) {
    if query.is_empty() && out.ends_with(['?', '&']) {
        out.pop();
    }
    out.extend(utf8_percent_encode(query, UNSAFE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once() {
        let to = "https://new.example.com{path}?{query}";
        let at = |path, query| location(to, path, query);
        assert_eq!(at("/a/b", Some("x=1")), "https://new.example.com/a/b?x=1");
        assert_eq!(at("/a", None), "https://new.example.com/a");
        assert_eq!(at("/a", Some("{path}")), "https://new.example.com/a?{path}");
        assert_eq!(
            location("/login?next={path}&{query}", "/a", None),
            "/login?next=/a"
        );
        assert_eq!(location("/odd{", "/a", None), "/odd{");
        assert_eq!(location("/odd{x}", "/a", None), "/odd{x}");
    }

    #[test]
    fn c26_a_path_never_becomes_another_host() {
        assert_eq!(location("{path}", "//evil.example", None), "/evil.example");
        assert_eq!(location("/{path}", "/evil.example", None), "/evil.example");
        assert_eq!(
            location("/{query}", "/", Some("/evil.example")),
            "/evil.example"
        );
        assert_eq!(
            location("/{query}", "/", Some("\\evil.example")),
            "/%5Cevil.example"
        );
        assert_eq!(
            location("{query}", "/", Some("https://evil.example")),
            "/https://evil.example"
        );
        assert_eq!(location("", "/", None), "/");
    }

    #[test]
    fn nothing_of_the_clients_breaks_the_field() {
        let response = redirect(
            StatusCode::FOUND,
            "/x?{query}",
            "/",
            Some("a\r\nb\u{e9} \"<"),
        );
        let location = response.headers().get(LOCATION).unwrap();
        assert_eq!(location, "/x?a%0D%0Ab%C3%A9%20%22%3C");
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers().get(CONTENT_LENGTH).unwrap(), "0");
    }

    #[test]
    fn a_fixed_answer_has_its_length_and_a_status_without_body_has_none() {
        let response = fixed(StatusCode::OK, Bytes::from_static(b"pong"));
        assert_eq!(response.headers().get(CONTENT_LENGTH).unwrap(), "4");
        assert_eq!(response.body().as_ref(), b"pong");
        let response = fixed(StatusCode::NO_CONTENT, Bytes::from_static(b"pong"));
        assert!(response.body().is_empty());
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
    }
}
