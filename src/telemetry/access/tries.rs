//! The tries of one request, in its line.

use std::net::SocketAddr;

use super::line::write_to;
use crate::telemetry::{Met, Tried};

/// `"tries":[...]`, where there are any. The words in it are all of closed sets.
pub(super) fn append_json(tries: &[Tried], out: &mut Vec<u8>) {
    for (place, tried) in tries.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"tries\":[{" } else { b",{" });
        match tried.endpoint {
            Some(endpoint) => write_to(out, format_args!("\"endpoint\":\"{endpoint}\"")),
            None => out.extend_from_slice(b"\"endpoint\":null"),
        }
        let (began, took) = (tried.began_ms, tried.took_ms);
        write_to(
            out,
            format_args!(",\"began_ms\":{began:.3},\"took_ms\":{took:.3}"),
        );
        match &tried.met {
            Met::Status(status) => write_to(out, format_args!(",\"status\":{status}}}")),
            Met::Fault(ill) => {
                let (kind, stage) = (&ill.kind, &ill.stage);
                write_to(
                    out,
                    format_args!(",\"kind\":\"{kind}\",\"stage\":\"{stage}\","),
                );
                match &ill.reason {
                    Some(reason) => write_to(out, format_args!("\"reason\":\"{reason}\"}}")),
                    None => out.extend_from_slice(b"\"reason\":null}"),
                }
            }
        }
    }
    if !tries.is_empty() {
        out.push(b']');
    }
}

/// ` tries=10.0.0.1:80:connection_refused:0.2ms,10.0.0.2:80:200:5.1ms`, where there are any.
pub(super) fn append_text(tries: &[Tried], out: &mut Vec<u8>) {
    for (place, tried) in tries.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b" tries=" } else { b"," });
        let endpoint = tried.endpoint.as_ref().map(SocketAddr::to_string);
        let endpoint = endpoint.as_deref().unwrap_or("-");
        let took = tried.took_ms;
        match &tried.met {
            Met::Status(status) => {
                write_to(out, format_args!("{endpoint}:{status}:{took:.1}ms"));
            }
            Met::Fault(ill) => {
                write_to(out, format_args!("{endpoint}:{}:{took:.1}ms", ill.word()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        fault::{Fault, Kind},
        telemetry::Ill,
    };

    fn tries() -> Vec<Tried> {
        let at = |address: &str| Some(address.parse().unwrap());
        let ms = Duration::from_millis;
        let refused = Met::Fault(Ill::of(
            &Fault::new(Kind::ConnectRefused).detail("\"secret\""),
        ));
        let filtered = Met::Fault(Ill::of(&Fault::new(Kind::ConnectTimeout)));
        vec![
            Tried::new(at("10.0.0.1:80"), ms(1), ms(2), refused),
            Tried::new(None, ms(3), ms(1000), filtered),
            Tried::new(at("[::1]:80"), ms(1003), ms(5), Met::Status(200)),
        ]
    }

    #[test]
    fn each_try_says_where_when_how_long_and_what_it_met() {
        let mut out = Vec::new();
        append_json(&tries(), &mut out);
        let text = format!("{{\"a\":0{}}}", String::from_utf8(out).unwrap());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["tries"],
            json!([
                { "endpoint": "10.0.0.1:80", "began_ms": 1.0, "took_ms": 2.0,
                  "kind": "connection_refused", "stage": "connect", "reason": null },
                { "endpoint": null, "began_ms": 3.0, "took_ms": 1000.0,
                  "kind": "connection_timeout", "stage": "connect", "reason": "filtered" },
                { "endpoint": "[::1]:80", "began_ms": 1003.0, "took_ms": 5.0, "status": 200 },
            ])
        );
    }

    #[test]
    fn the_text_form_has_them_in_one_word() {
        let mut out = Vec::new();
        append_text(&tries(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            " tries=10.0.0.1:80:connection_refused:2.0ms,-:connection_timeout/filtered:1000.0ms,[::1]:80:200:5.0ms"
        );
    }

    #[test]
    fn without_a_try_there_is_nothing() {
        let mut out = Vec::new();
        append_json(&[], &mut out);
        append_text(&[], &mut out);
        assert!(out.is_empty());
    }
}
