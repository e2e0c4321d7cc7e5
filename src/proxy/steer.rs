//! The fields by which a caller steers how its request is treated: deadline, class, and that it is a second try.
//!
//! Class, attempt and `x-request-timeout` count from trusted peers only. `grpc-timeout` and `idempotency-key` count
//! from everyone: whoever shortens its own time, or goes behind others, harms nobody. A deadline never reaches beyond the route's `timeout`. What is garbage is
//! as good as absent.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::head::Peer;
use crate::names::{Priority, TrafficClass};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const X_REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");
const X_PRIORITY: HeaderName = HeaderName::from_static("x-tidegate-priority");
const X_ATTEMPT: HeaderName = HeaderName::from_static("x-tidegate-attempt");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a head asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Steering {
    /// How long the caller waits, from the head on.
    pub(super) patience: Option<Duration>,
    /// The class, in place of the route's.
    pub(super) priority: Option<Priority>,
    /// Whether the caller tried before.
    pub(super) again: bool,
}

// === impl Steering ===

impl Steering {
    /// What `headers` from `peer` ask for.
    pub(super) fn of(headers: &HeaderMap, peer: Peer, class: TrafficClass) -> Self {
        let trusted = |name: &HeaderName| match peer {
            Peer::Trusted => text(headers, name),
            Peer::Untrusted => None,
        };
        let grpc = (class == TrafficClass::Grpc)
            .then(|| text(headers, &GRPC_TIMEOUT).and_then(grpc_timeout))
            .flatten();
        let plain = trusted(&X_REQUEST_TIMEOUT).and_then(duration);
        Self {
            patience: grpc.into_iter().chain(plain).min(),
            priority: trusted(&X_PRIORITY).and_then(Priority::from_word),
            again: trusted(&X_ATTEMPT)
                .and_then(|count| count.parse::<u32>().ok())
                .is_some_and(|count| count > 1),
        }
    }

    /// When all must be over: what the route allows, or sooner where the caller says so.
    pub(super) fn deadline(&self, began: Instant, timeout: Option<Duration>) -> Option<Instant> {
        let shortest = self.patience.into_iter().chain(timeout).min()?;
        began.checked_add(shortest)
    }
}

/// What a client calls a request by that it may repeat (draft-ietf-httpapi-idempotency-key-header). It is compared as
/// it stands, quotes included; one that is empty or longer than [`LONGEST_KEY`] is as good as absent.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<&[u8]> {
    let key = headers.get(IDEMPOTENCY_KEY)?.as_bytes().trim_ascii();
    (1..=LONGEST_KEY).contains(&key.len()).then_some(key)
}

/// Takes out what only trusted peers may say, and what is written anew for each try.
pub(super) fn strip(headers: &mut HeaderMap, peer: Peer) {
    headers.remove(X_REQUEST_TIMEOUT);
    headers.remove(X_ATTEMPT);
    if matches!(peer, Peer::Untrusted) {
        headers.remove(X_PRIORITY);
    }
}

/// Tells the upstream how much time is left and which try this is (the first is not told).
pub(super) fn write(
    headers: &mut HeaderMap,
    deadline: Option<Instant>,
    attempt: u32,
    now: Instant,
) {
    if attempt > 1 {
        headers.insert(X_ATTEMPT, HeaderValue::from(attempt));
    }
    let Some(deadline) = deadline else { return };
    let left = deadline.saturating_duration_since(now);
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    if let Ok(value) = HeaderValue::try_from(format!("{millis}ms")) {
        headers.insert(X_REQUEST_TIMEOUT, value);
    }
    if headers.contains_key(GRPC_TIMEOUT)
        && let Ok(value) = HeaderValue::try_from(format!("{}m", millis.min(MOST_DIGITS)))
    {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

/// gRPC's limit of eight digits.
const MOST_DIGITS: u64 = 99_999_999;
/// Bytes of an idempotency key, quotes included.
const LONGEST_KEY: usize = 256;
/// Longer is as good as no limit.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `1 to 8 digits` and a unit: gRPC over HTTP/2, "Timeout".
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    let time = match unit {
        "H" => Duration::from_secs(count.saturating_mul(3600)),
        "M" => Duration::from_secs(count.saturating_mul(60)),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    };
    Some(time.min(LONGEST))
}

/// `"250ms"`, `"3s"`, or a plain number of milliseconds.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (digits, scale) = if let Some(millis) = text.strip_suffix("ms") {
        (millis, 1)
    } else if let Some(seconds) = text.strip_suffix('s') {
        (seconds, 1000)
    } else {
        (text, 1)
    };
    if digits.is_empty() || digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: u64 = digits.parse().ok()?;
    Some(Duration::from_millis(millis.saturating_mul(scale)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn patience(text: &'static str) -> Option<Duration> {
        let headers = head(&[("grpc-timeout", text)]);
        Steering::of(&headers, Peer::Untrusted, TrafficClass::Grpc).patience
    }

    #[test]
    fn grpc_timeouts_are_read_and_garbage_is_ignored() {
        let ms = |millis| Some(Duration::from_millis(millis));
        assert_eq!(patience("250m"), ms(250));
        assert_eq!(patience("2S"), ms(2000));
        assert_eq!(patience("1n"), Some(Duration::from_nanos(1)));
        assert_eq!(patience("99999999H"), Some(LONGEST));
        for garbage in ["", "S", "-5S", "123456789S", "5x", "5 S", "5.5S"] {
            assert_eq!(patience(garbage), None, "{garbage}");
        }
        let plain = head(&[("grpc-timeout", "1S")]);
        assert_eq!(
            Steering::of(&plain, Peer::Untrusted, TrafficClass::Http).patience,
            None
        );
    }

    #[test]
    fn only_a_trusted_peer_says_how_it_is_to_be_treated() {
        let headers = head(&[
            ("x-request-timeout", "300ms"),
            ("x-tidegate-priority", "critical"),
            ("x-tidegate-attempt", "2"),
        ]);
        let trusted = Steering::of(&headers, Peer::Trusted, TrafficClass::Http);
        assert_eq!(trusted.patience, Some(Duration::from_millis(300)));
        assert_eq!(
            (trusted.priority, trusted.again),
            (Some(Priority::Critical), true)
        );
        assert_eq!(
            Steering::of(&headers, Peer::Untrusted, TrafficClass::Http),
            Steering::default()
        );
    }

    #[test]
    fn an_idempotency_key_is_what_stands_there_unless_it_is_empty_or_endless() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(value).unwrap();
            headers.insert(IDEMPOTENCY_KEY, value);
            idempotency_key(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(idempotency_key(&HeaderMap::new()), None);
        assert_eq!(read(" \"8e03\" "), Some(b"\"8e03\"".to_vec()));
        assert_eq!(read("  "), None);
        assert_eq!(read(&"k".repeat(256)).map(|key| key.len()), Some(256));
        assert_eq!(read(&"k".repeat(257)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_shorter_of_route_and_caller_is_the_deadline() {
        let now = Instant::now();
        let asked = |millis| Steering {
            patience: Some(Duration::from_millis(millis)),
            ..Steering::default()
        };
        let route = Some(Duration::from_secs(1));
        let left = |steering: Steering, timeout| {
            steering
                .deadline(now, timeout)
                .map(|at| (at - now).as_millis())
        };
        assert_eq!(left(asked(300), route), Some(300));
        assert_eq!(left(asked(3000), route), Some(1000));
        assert_eq!(left(asked(3000), None), Some(3000));
        assert_eq!(left(Steering::default(), None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_upstream_is_told_what_is_left_and_which_try_it_is() {
        let now = Instant::now();
        let mut headers = head(&[("grpc-timeout", "5S"), ("x-tidegate-attempt", "7")]);
        strip(&mut headers, Peer::Untrusted);
        write(
            &mut headers,
            Some(now + Duration::from_millis(1234)),
            2,
            now,
        );
        assert_eq!(headers["grpc-timeout"], "1234m");
        assert_eq!(headers["x-request-timeout"], "1234ms");
        assert_eq!(headers["x-tidegate-attempt"], "2");
    }
}
