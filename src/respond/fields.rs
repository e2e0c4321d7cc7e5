//! The header fields that explain a fault: `Proxy-Status`, `Retry-After`, `RateLimit`.

use std::{fmt::Write, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ALLOW, RETRY_AFTER},
};

use crate::fault::{BucketFacts, Facts, Fault, Kind};

pub(super) const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What may be asked of a gateway that refuses CONNECT and TRACE.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// A longer detail is cut.
const MAX_DETAIL: usize = 512;

/// `tidegate; error=connection_refused; cause=network`, and the reason where admission refused.
pub(super) fn proxy_status(kind: Kind) -> String {
    let Facts {
        proxy_error, cause, ..
    } = kind.facts();
    let mut text = format!("tidegate; error={proxy_error}; cause={cause}");
    if let Some(reason) = kind.shed_reason() {
        text.push_str("; reason=");
        text.push_str(reason.as_str());
    }
    text
}

/// The same with `; details="..."` behind it.
pub(super) fn proxy_status_with(kind: Kind, detail: &str) -> Option<HeaderValue> {
    let mut text = proxy_status(kind);
    text.push_str("; details=");
    push_string(&mut text, detail);
    HeaderValue::try_from(text).ok()
}

/// When to come back, and of which policy: for whoever can wait.
pub(super) fn put_hints(headers: &mut HeaderMap, fault: &Fault) {
    if let Some(seconds) = retry_after(fault) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        let bucket = fault
            .refusal
            .as_ref()
            .and_then(|refusal| refusal.bucket.as_deref());
        if let Some(bucket) = bucket {
            put_rate_limit(headers, bucket, seconds);
        }
    }
    if fault.kind == Kind::MethodRefused {
        headers.insert(ALLOW, ALLOWED);
    }
}

/// When to come back, where a page of the operator's says 503 for `fault`.
pub(super) fn put_retry_after(headers: &mut HeaderMap, fault: &Fault) {
    let wait = fault.retry_after.unwrap_or(Duration::from_secs(1));
    headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
}

/// How long the client should wait. 429 and 503 always say so: a second, where nothing better is known.
pub(super) fn wait(fault: &Fault) -> Option<Duration> {
    let always = matches!(fault.facts().status.as_u16(), 429 | 503);
    fault
        .retry_after
        .or(always.then_some(Duration::from_secs(1)))
}

/// The same as `Retry-After` has it.
pub(super) fn retry_after(fault: &Fault) -> Option<u64> {
    wait(fault).map(whole_seconds)
}

/// Whole seconds, rounded up, at least 1.
fn whole_seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

/// `RateLimit-Policy: "NAME";q=400;w=2` and `RateLimit: "NAME";r=0;t=N` (draft-ietf-httpapi-ratelimit-headers).
fn put_rate_limit(headers: &mut HeaderMap, bucket: &BucketFacts, seconds: u64) {
    let mut name = String::with_capacity(bucket.name.len() + 32);
    push_string(&mut name, &bucket.name);
    let mut policy = name.clone();
    // Writing to a String cannot fail.
    let _ = write!(policy, ";q={};w={}", bucket.quota, bucket.window_seconds);
    let _ = write!(name, ";r=0;t={seconds}");
    if let (Ok(policy), Ok(limit)) = (HeaderValue::try_from(policy), HeaderValue::try_from(name)) {
        headers.insert(RATELIMIT_POLICY, policy);
        headers.insert(RATELIMIT, limit);
    }
}

/// Appends `text` as a string of RFC 9651 section 3.3.3. What such a string cannot hold becomes `?`; at most
/// [`MAX_DETAIL`] characters are taken.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars().take(MAX_DETAIL) {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => out.push('?'),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds_rounded_up_and_at_least_one() {
        let cases = [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (59_500, 60)];
        for (millis, seconds) in cases {
            assert_eq!(
                whole_seconds(Duration::from_millis(millis)),
                seconds,
                "{millis}"
            );
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_string_is_quoted_and_holds_nothing_that_breaks_a_field() {
        let mut out = String::new();
        push_string(&mut out, "a \"b\" \\ \r\n\u{e9}\0");
        assert_eq!(out, r#""a \"b\" \\ ????""#);
        let mut out = String::new();
        push_string(&mut out, &"x".repeat(2 * MAX_DETAIL));
        assert_eq!(out.len(), MAX_DETAIL + 2);
    }
}
