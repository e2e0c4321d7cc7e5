//! One request as one line.
//!
//! What came from a client is made harmless for whoever reads the log: control characters, and characters that end
//! a line or turn the direction of text, are shown as escapes; a field longer than [`MAX_FIELD_CHARS`] is cut and
//! marked with `…`.

use std::{
    fmt::Display,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use super::tries;
use crate::{
    fault::Fault,
    names::Protocol,
    telemetry::{LineFormat, Tried, timestamp::Timestamp},
};

/// Longest field of a line, in characters before escaping.
const MAX_FIELD_CHARS: usize = 512;

/// What is told of one request.
#[derive(Debug, Clone)]
pub struct AccessLine<'a> {
    /// When its head had arrived.
    pub time: SystemTime,
    /// The id that was returned to the client.
    pub request_id: &'a str,
    /// The client's true address.
    pub client: IpAddr,
    /// The listener that took it.
    pub listener: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its host, without the port.
    pub host: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// The route that took it, else `none`.
    pub route: &'a str,
    /// The upstream it went to, else `none`.
    pub upstream: &'a str,
    /// The endpoint of the last attempt.
    pub endpoint: Option<SocketAddr>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The status of the answer, or what it would have been.
    pub status: u16,
    /// How it ended badly, if it did; else why it went to the route's fallback, if it did.
    pub fault: Option<&'a Fault>,
    /// What the fallback was that served it: `upstream`, `file` or `respond`.
    pub fallback: Option<&'static str>,
    /// Where its time went.
    pub timings: Timings,
    /// Each try, where there was more than one, or one that failed.
    pub tries: &'a [Tried],
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// What the client spoke.
    pub protocol: Protocol,
}

/// Where the time of a request went; `None` for a stage that it did not reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From its arrival to the permit, the wait in the queue included.
    pub admission: Option<Duration>,
    /// Waiting for a permit.
    pub queue: Option<Duration>,
    /// Making a connection, where a new one was made.
    pub connect: Option<Duration>,
    /// The TLS handshake in it.
    pub upstream_tls: Option<Duration>,
    /// From sending to the head of the answer.
    pub first_byte: Option<Duration>,
    /// From the head of an upstream's answer to its end.
    pub body: Option<Duration>,
    /// From its head to the last byte of the answer.
    pub total: Duration,
}

impl AccessLine<'_> {
    /// The line in `format`, its line feed included.
    pub(super) fn append(&self, format: LineFormat, out: &mut Vec<u8>) {
        match format {
            LineFormat::Json => self.append_json(out),
            LineFormat::Text => self.append_text(out),
        }
        out.push(b'\n');
    }

    fn append_json(&self, out: &mut Vec<u8>) {
        write_to(out, format_args!("{{\"time\":\"{}\"", Timestamp(self.time)));
        json_text(out, "request_id", self.request_id);
        write_to(
            out,
            format_args!(",\"client\":\"{}\"", self.client.to_canonical()),
        );
        json_text(out, "listener", self.listener);
        json_text(out, "method", self.method);
        json_text(out, "host", self.host);
        json_text(out, "path", self.path);
        json_text(out, "route", self.route);
        json_text(out, "upstream", self.upstream);
        match self.endpoint {
            Some(endpoint) => write_to(out, format_args!(",\"endpoint\":\"{endpoint}\"")),
            None => out.extend_from_slice(b",\"endpoint\":null"),
        }
        write_to(
            out,
            format_args!(",\"attempts\":{},\"status\":{}", self.attempts, self.status),
        );
        for (key, word) in self.fault_words() {
            json_text(out, key, word.unwrap_or_default());
        }
        if let Some(word) = self.fallback {
            json_text(out, "fallback", word);
        }
        self.timings.append_json(out);
        let (bytes_in, bytes_out) = (self.bytes_in, self.bytes_out);
        write_to(
            out,
            format_args!(",\"bytes_in\":{bytes_in},\"bytes_out\":{bytes_out}"),
        );
        write_to(out, format_args!(",\"protocol\":\"{}\"", self.protocol));
        tries::append_json(self.tries, out);
        out.push(b'}');
    }

    fn append_text(&self, out: &mut Vec<u8>) {
        write_to(
            out,
            format_args!("{} {} \"", Timestamp(self.time), self.client.to_canonical()),
        );
        escaped(out, self.method);
        out.push(b' ');
        escaped(out, self.host);
        escaped(out, self.path);
        write_to(out, format_args!(" {}\" {} ", self.protocol, self.status));
        write_to(
            out,
            format_args!("{:.1}ms", self.timings.total.as_secs_f64() * 1000.0),
        );
        for (key, value) in [
            ("listener", self.listener),
            ("route", self.route),
            ("upstream", self.upstream),
        ] {
            write_to(out, format_args!(" {key}="));
            escaped(out, value);
        }
        if let Some(endpoint) = self.endpoint {
            write_to(out, format_args!(" endpoint={endpoint}"));
        }
        let (attempts, bytes_in, bytes_out) = (self.attempts, self.bytes_in, self.bytes_out);
        write_to(
            out,
            format_args!(" attempts={attempts} in={bytes_in} out={bytes_out}"),
        );
        for (key, word) in self.fault_words() {
            if let Some(word) = word {
                write_to(out, format_args!(" {key}={word}"));
            }
        }
        if let Some(word) = self.fallback {
            write_to(out, format_args!(" fallback={word}"));
        }
        self.timings.append_text(out);
        tries::append_text(self.tries, out);
        out.extend_from_slice(b" id=");
        escaped(out, self.request_id);
    }

    fn fault_words(&self) -> [(&'static str, Option<&'static str>); 4] {
        let facts = self.fault.map(Fault::facts);
        [
            ("cause", facts.map(|facts| facts.cause.as_str())),
            ("kind", facts.map(|facts| facts.name)),
            ("stage", self.fault.map(|fault| fault.stage.as_str())),
            ("reason", facts.and_then(|facts| facts.reason)),
        ]
    }
}

// === impl Timings ===

impl Timings {
    fn stages(&self) -> [(&'static str, Option<Duration>); 6] {
        [
            ("admission", self.admission),
            ("queue", self.queue),
            ("connect", self.connect),
            ("upstream_tls", self.upstream_tls),
            ("first_byte", self.first_byte),
            ("body", self.body),
        ]
    }

    /// The stages that the request came to.
    fn append_text(&self, out: &mut Vec<u8>) {
        for (stage, took) in self.stages() {
            if let Some(took) = took {
                write_to(out, format_args!(" {stage}={}ms", Millis(took)));
            }
        }
    }

    fn append_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"timings_ms\":{");
        for (stage, took) in self.stages() {
            match took {
                Some(took) => write_to(out, format_args!("\"{stage}\":{},", Millis(took))),
                None => write_to(out, format_args!("\"{stage}\":null,")),
            }
        }
        write_to(out, format_args!("\"total\":{}}}", Millis(self.total)));
    }
}

/// Milliseconds with three digits after the point.
struct Millis(Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// An empty value is one that is not known, as where a request could not be read: `null`.
fn json_text(out: &mut Vec<u8>, key: &str, value: &str) {
    json_key(out, key);
    if value.is_empty() {
        return out.extend_from_slice(b"null");
    }
    out.push(b'"');
    escaped(out, value);
    out.push(b'"');
}

fn json_key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The value as it may stand between the quotes of a JSON string; the text format uses the same escapes.
pub(in crate::telemetry) fn escaped(out: &mut Vec<u8>, value: &str) {
    let harmless = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if value.len() <= MAX_FIELD_CHARS && value.as_bytes().iter().all(harmless) {
        return out.extend_from_slice(value.as_bytes()); // what nearly every line is made of
    }
    let mut characters = value.chars();
    for character in characters.by_ref().take(MAX_FIELD_CHARS) {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            harmful if is_harmful(harmful) => {
                write_to(out, format_args!("\\u{:04x}", u32::from(harmful)));
            }
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if characters.next().is_some() {
        out.extend_from_slice("…".as_bytes());
    }
}

/// Control characters, line and paragraph separators, and what turns the direction of text. All are below U+10000.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writing to memory does not fail.
pub(super) fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        fault::{Kind, Refusal, ShedReason},
        telemetry::{Ill, Met},
    };

    pub(in crate::telemetry) fn line() -> AccessLine<'static> {
        AccessLine {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_251_199_001),
            request_id: "0190-x",
            client: Ipv4Addr::new(203, 0, 113, 7).into(),
            listener: "web",
            method: "GET",
            host: "shop.example.com",
            path: "/checkout",
            route: "checkout",
            upstream: "shop",
            endpoint: Some("10.0.0.11:8080".parse().unwrap()),
            attempts: 2,
            status: 200,
            fault: None,
            fallback: None,
            timings: Timings {
                admission: Some(Duration::from_micros(1_500)),
                queue: Some(Duration::ZERO),
                connect: None,
                upstream_tls: None,
                first_byte: Some(Duration::from_micros(12_034)),
                body: Some(Duration::from_micros(6_466)),
                total: Duration::from_millis(20),
            },
            tries: &[],
            bytes_in: 10,
            bytes_out: 1_048_576,
            protocol: Protocol::Http2,
        }
    }

    fn written(line: &AccessLine<'_>, format: LineFormat) -> String {
        let mut out = Vec::new();
        line.append(format, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn parsed(line: &AccessLine<'_>) -> Value {
        let text = written(line, LineFormat::Json);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_json_line_of_a_request_that_succeeds_has_exactly_these_keys_in_order() {
        let text = written(&line(), LineFormat::Json);
        let expected = "{\"time\":\"2024-02-29T23:59:59.001Z\",\"request_id\":\"0190-x\",\"client\":\"203.0.113.7\",\
            \"listener\":\"web\",\"method\":\"GET\",\"host\":\"shop.example.com\",\"path\":\"/checkout\",\
            \"route\":\"checkout\",\"upstream\":\"shop\",\"endpoint\":\"10.0.0.11:8080\",\"attempts\":2,\"status\":200,\
            \"cause\":null,\"kind\":null,\"stage\":null,\"reason\":null,\
            \"timings_ms\":{\"admission\":1.500,\"queue\":0.000,\"connect\":null,\
            \"upstream_tls\":null,\"first_byte\":12.034,\"body\":6.466,\"total\":20.000},\
            \"bytes_in\":10,\"bytes_out\":1048576,\"protocol\":\"HTTP/2\"}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_shed_request_says_who_refused_and_why() {
        let fault = Fault::shed(Refusal {
            reason: ShedReason::QueueTimeout,
            retry_after: Duration::from_secs(1),
            bucket: None,
        });
        let value = parsed(&AccessLine {
            fault: Some(&fault),
            endpoint: None,
            status: 503,
            ..line()
        });
        assert_eq!(value["cause"], "overload");
        assert_eq!(value["reason"], "queue_timeout");
        assert_eq!(value["stage"], "queue");
        assert_eq!(value["endpoint"], Value::Null);
    }

    #[test]
    fn a_client_cannot_forge_a_line_or_paint_a_terminal() {
        let path = "/a\n{\"status\":200}\r\u{1b}[31m\"\\\u{2028}\u{202e}\u{9b}\u{0}é";
        let value = parsed(&AccessLine {
            path,
            host: "a\tb",
            ..line()
        });
        assert_eq!(value["path"], json!(path));
        for format in [LineFormat::Json, LineFormat::Text] {
            let text = written(
                &AccessLine {
                    path,
                    host: "a\tb",
                    ..line()
                },
                format,
            );
            let body = text.strip_suffix('\n').unwrap();
            assert!(!body.chars().any(is_harmful), "{body:?}");
            assert!(body.contains("\\u001b[31m") && body.contains('é'), "{body}");
        }
    }

    #[test]
    fn a_fallback_is_named_with_what_led_to_it_and_only_where_there_was_one() {
        let fault = Fault::new(Kind::NoEndpoint);
        let fell = AccessLine {
            fault: Some(&fault),
            fallback: Some("file"),
            ..line()
        };
        let value = parsed(&fell);
        assert_eq!(
            (&value["fallback"], &value["reason"]),
            (&json!("file"), &json!("no_endpoint"))
        );
        assert!(written(&fell, LineFormat::Text).contains(" fallback=file "));
        assert!(!written(&line(), LineFormat::Json).contains("fallback"));
    }

    #[test]
    fn what_is_not_known_is_null() {
        let unread = AccessLine {
            request_id: "",
            method: "",
            host: "",
            path: "",
            ..line()
        };
        let value = parsed(&unread);
        for key in ["request_id", "method", "host", "path"] {
            assert_eq!(value[key], Value::Null, "{key}");
        }
    }

    #[test]
    fn a_long_field_is_cut_with_a_mark() {
        let path = "ä".repeat(70_000);
        let value = parsed(&AccessLine {
            path: &path,
            ..line()
        });
        let shown = value["path"].as_str().unwrap();
        assert_eq!(shown.chars().count(), MAX_FIELD_CHARS + 1);
        assert!(shown.ends_with("ä…"));
        let whole = "b".repeat(MAX_FIELD_CHARS);
        assert_eq!(
            parsed(&AccessLine {
                path: &whole,
                ..line()
            })["path"],
            json!(whole)
        );
    }

    #[test]
    fn the_text_form_has_the_fault_only_where_there_is_one() {
        let fine = written(&line(), LineFormat::Text);
        assert!(!fine.contains("cause="), "{fine}");
        assert!(fine.starts_with("2024-02-29T23:59:59.001Z 203.0.113.7 \"GET shop.example.com/checkout HTTP/2\" 200 20.0ms "));
        let fault = Fault::new(Kind::ConnectRefused);
        let bad = written(
            &AccessLine {
                fault: Some(&fault),
                ..line()
            },
            LineFormat::Text,
        );
        assert!(
            bad.contains(" cause=network kind=connection_refused stage=connect"),
            "{bad}"
        );
    }

    #[test]
    fn the_text_form_has_the_stages_that_were_reached_and_the_tries() {
        let refused = Met::Fault(Ill::of(&Fault::new(Kind::ConnectRefused)));
        let ms = Duration::from_millis;
        let tries = [Tried::new(line().endpoint, ms(1), ms(2), refused)];
        let text = written(
            &AccessLine {
                tries: &tries,
                ..line()
            },
            LineFormat::Text,
        );
        let stages = " admission=1.500ms queue=0.000ms first_byte=12.034ms body=6.466ms tries=10.0.0.11:8080:";
        assert!(text.contains(stages), "{text}");
        assert!(!text.contains("connect="), "{text}");
        let value = parsed(&AccessLine {
            tries: &tries,
            ..line()
        });
        assert_eq!(value["tries"][0]["kind"], "connection_refused");
    }
}
