//! Whole answers.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use serde_json::Value;

use crate::{
    config,
    fault::{BucketFacts, Fault, Kind, Refusal, ShedReason},
    names::TrafficClass,
};

use super::{Ask, Pages, grpc, render};

mod language;
mod validity;

static QUIET: LazyLock<Pages> = LazyLock::new(|| pages(""));
static TALKATIVE: LazyLock<Pages> = LazyLock::new(|| pages("[errors]\ndetails = true"));

/// The pages of a config with these `[errors]`.
fn pages(of_errors: &str) -> Pages {
    let text = format!("[[listeners]]\nbind = \"127.0.0.1:0\"\n{of_errors}");
    let loaded =
        config::parse(&text, Path::new("t.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    Pages::new(&loaded.plan.errors, &loaded.files)
}

fn ask() -> Ask<'static> {
    Ask {
        method: &Method::GET,
        accept: None,
        accept_language: None,
        class: TrafficClass::Http,
        request_id: "id-1",
        close: false,
    }
}

fn field<'r>(response: &'r Response<Bytes>, name: &str) -> Option<&'r str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn limited() -> Fault {
    Fault::shed(Refusal {
        reason: ShedReason::RateExceeded,
        retry_after: Duration::from_millis(1200),
        bucket: Some(Arc::new(BucketFacts {
            name: "client_ip".into(),
            quota: NonZeroU32::new(400).unwrap(),
            window_seconds: 2,
        })),
    })
}

#[test]
fn a_rate_refusal_says_who_refused_why_and_when_to_come_back() {
    let response = render(&limited(), &ask(), &QUIET);
    assert_eq!(response.status(), 429);
    let status = "tidegate; error=http_request_denied; cause=overload; reason=rate_exceeded";
    assert_eq!(field(&response, "proxy-status"), Some(status));
    assert_eq!(field(&response, "retry-after"), Some("2"));
    assert_eq!(
        field(&response, "ratelimit-policy"),
        Some("\"client_ip\";q=400;w=2")
    );
    assert_eq!(field(&response, "ratelimit"), Some("\"client_ip\";r=0;t=2"));
    assert_eq!(field(&response, "cache-control"), Some("no-store"));
    assert_eq!(field(&response, "x-content-type-options"), Some("nosniff"));
    assert_eq!(field(&response, "x-request-id"), Some("id-1"));
}

#[test]
fn a_problem_has_the_promised_members() {
    let response = render(&limited(), &ask(), &QUIET);
    assert_eq!(
        field(&response, "content-type"),
        Some("application/problem+json")
    );
    let expected = serde_json::json!({
        "type": "urn:ietf:rfc:9209#http_request_denied",
        "title": "Too many requests.",
        "status": 429,
        "cause": "overload",
        "reason": "rate_exceeded",
        "request_id": "id-1",
    });
    assert_eq!(json(&response), expected);
}

#[test]
fn every_kind_renders_in_every_form() {
    let page = HeaderValue::from_static("text/html");
    for kind in Kind::ALL {
        let fault = Fault::new(*kind);
        let facts = kind.facts();
        let problem = render(&fault, &ask(), &QUIET);
        assert_eq!(problem.status(), facts.status, "{kind:?}");
        assert_eq!(json(&problem)["status"], facts.status.as_u16(), "{kind:?}");
        assert_eq!(json(&problem)["cause"], facts.cause.as_str(), "{kind:?}");
        let status = field(&problem, "proxy-status").unwrap();
        let beginning = format!(
            "tidegate; error={}; cause={}",
            facts.proxy_error, facts.cause
        );
        assert!(status.starts_with(&beginning), "{kind:?}");

        let accept = Some(&page);
        let html = render(&fault, &Ask { accept, ..ask() }, &QUIET);
        let sentence = facts.title.replace('\'', "&#39;");
        assert!(text(&html).contains(&sentence), "{kind:?}");
        validity::check(text(&html));
        assert!(text(&html).ends_with("</html>\n"), "{kind:?}");

        let class = TrafficClass::Grpc;
        let call = render(&fault, &Ask { class, ..ask() }, &QUIET);
        let code = (grpc::code(*kind) as u16).to_string();
        assert_eq!(field(&call, "grpc-status"), Some(code.as_str()), "{kind:?}");
    }
}

#[test]
fn a_reason_stands_in_proxy_status_only_where_admission_refused() {
    let response = render(&Fault::new(Kind::ConnectRefused), &ask(), &QUIET);
    let status = "tidegate; error=connection_refused; cause=network";
    assert_eq!(field(&response, "proxy-status"), Some(status));
    let response = render(&Fault::new(Kind::NoRoute), &ask(), &QUIET);
    let status = "tidegate; error=http_request_error; cause=config";
    assert_eq!(field(&response, "proxy-status"), Some(status));
}

#[test]
fn details_show_only_where_the_operator_allows_it() {
    let fault = Fault::new(Kind::ConnectRefused).detail("10.0.0.1:80: \"refused\"\n");
    let quiet = render(&fault, &ask(), &QUIET);
    assert!(!field(&quiet, "proxy-status").unwrap().contains("10.0.0.1"));
    assert!(!text(&quiet).contains("10.0.0.1"));

    let talkative = render(&fault, &ask(), &TALKATIVE);
    let status = "tidegate; error=connection_refused; cause=network; \
                  details=\"10.0.0.1:80: \\\"refused\\\"?\"";
    assert_eq!(field(&talkative, "proxy-status"), Some(status));
    assert_eq!(json(&talkative)["detail"], "10.0.0.1:80: \"refused\"\n");
}

#[test]
fn a_request_id_cannot_break_out_of_a_body() {
    let request_id = "\"</dd><script>\\";
    let page = HeaderValue::from_static("text/html");
    let problem = render(
        &limited(),
        &Ask {
            request_id,
            ..ask()
        },
        &QUIET,
    );
    assert_eq!(json(&problem)["request_id"], request_id);
    let accept = Some(&page);
    let html = render(
        &limited(),
        &Ask {
            accept,
            request_id,
            ..ask()
        },
        &QUIET,
    );
    assert!(!text(&html).contains("<script>"));
    assert!(text(&html).contains("&lt;script&gt;"));
}

#[test]
fn the_page_fetches_nothing_and_serves_light_and_dark() {
    let page = HeaderValue::from_static("text/html");
    let accept = Some(&page);
    let html = render(
        &Fault::new(Kind::NoEndpoint),
        &Ask { accept, ..ask() },
        &TALKATIVE,
    );
    assert_eq!(
        field(&html, "content-type"),
        Some("text/html; charset=utf-8")
    );
    for outside in [
        "http://", "https://", "src=", "href=", "url(", "<script", "{",
    ] {
        let body = text(&html).split("</style>").last().unwrap();
        assert!(!body.contains(outside), "{outside}");
    }
    assert!(text(&html).contains("prefers-color-scheme: dark"));
    assert!(text(&html).contains("<html lang=\"en\">"));
    assert!(
        field(&html, "content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
}

#[test]
fn head_gets_the_length_of_the_body_and_no_body() {
    let get = render(&limited(), &ask(), &QUIET);
    let method = &Method::HEAD;
    let head = render(&limited(), &Ask { method, ..ask() }, &QUIET);
    assert!(head.body().is_empty());
    assert_eq!(
        field(&head, "content-length"),
        field(&get, "content-length")
    );
    assert_eq!(
        field(&get, "content-length"),
        Some(get.body().len().to_string().as_str())
    );
}

#[test]
fn a_grpc_call_gets_its_status_among_the_headers() {
    let class = TrafficClass::Grpc;
    let response = render(&limited(), &Ask { class, ..ask() }, &QUIET);
    assert_eq!(response.status(), 200);
    assert!(response.body().is_empty());
    assert_eq!(field(&response, "content-type"), Some("application/grpc"));
    assert_eq!(field(&response, "grpc-status"), Some("8"));
    assert_eq!(field(&response, "grpc-message"), Some("Too many requests."));
    assert_eq!(field(&response, "grpc-retry-pushback-ms"), Some("1200"));
    assert!(
        field(&response, "proxy-status")
            .unwrap()
            .contains("rate_exceeded")
    );
}

#[test]
fn a_grpc_message_is_percent_encoded() {
    let class = TrafficClass::Grpc;
    let fault = Fault::new(Kind::ConnectRefused).detail("50% caf\u{e9}\n");
    let response = render(&fault, &Ask { class, ..ask() }, &TALKATIVE);
    let message = "The service refused the connection. 50%25 caf%C3%A9%0A";
    assert_eq!(field(&response, "grpc-message"), Some(message));
}

#[test]
fn grpc_codes_tell_what_may_be_tried_again() {
    let codes = [
        (Kind::QueueFull, 14),
        (Kind::ConnectRefused, 14),
        (Kind::ConnectTimeout, 14),
        (Kind::RequestTimeout, 4),
        (Kind::NoRoute, 12),
        (Kind::Internal, 13),
        (Kind::LoopDetected, 13),
        (Kind::ClientAborted, 1),
    ];
    for (kind, code) in codes {
        assert_eq!(grpc::code(kind) as u16, code, "{kind:?}");
    }
}

#[test]
fn grpc_pushback_is_a_number_of_32_bits_or_says_not_to_retry_or_is_not_there() {
    let class = TrafficClass::Grpc;
    let pushback = |fault: &Fault| {
        let response = render(fault, &Ask { class, ..ask() }, &QUIET);
        field(&response, "grpc-retry-pushback-ms").map(str::to_owned)
    };
    let of = |kind| pushback(&Fault::new(kind));
    for shed in ShedReason::ALL.map(Kind::from) {
        let wait = Duration::from_millis(2500);
        let fault = Fault::new(shed).retry_after(wait);
        assert_eq!(pushback(&fault).as_deref(), Some("2500"), "{shed:?}");
    }
    assert_eq!(of(Kind::NoEndpoint).as_deref(), Some("1000"));
    for useless in [Kind::BodyTooLarge, Kind::HeadTooLarge, Kind::DeadlinePast] {
        assert_eq!(of(useless).as_deref(), Some("-1"), "{useless:?}");
    }
    // Their codes are not retried, or the client's own policy knows best.
    for silent in [
        Kind::NoRoute,
        Kind::HostInvalid,
        Kind::ConnectRefused,
        Kind::Panicked,
    ] {
        assert_eq!(of(silent), None, "{silent:?}");
    }
    let long = Fault::new(Kind::NoEndpoint).retry_after(Duration::MAX);
    assert_eq!(pushback(&long), Some(i32::MAX.to_string()));
    let short = Fault::new(Kind::NoEndpoint).retry_after(Duration::from_micros(1));
    assert_eq!(pushback(&short).as_deref(), Some("1"));
}

#[test]
fn every_429_and_503_says_when_to_come_back() {
    for kind in Kind::ALL {
        let response = render(&Fault::new(*kind), &ask(), &QUIET);
        assert_eq!(field(&response, "vary"), Some("Accept"), "{kind:?}");
        let must = matches!(response.status().as_u16(), 429 | 503);
        assert_eq!(field(&response, "retry-after").is_some(), must, "{kind:?}");
    }
    let fault = Fault::new(Kind::NoEndpoint).retry_after(Duration::from_secs(30));
    assert_eq!(
        field(&render(&fault, &ask(), &QUIET), "retry-after"),
        Some("30")
    );
}

#[test]
fn a_refused_method_is_told_which_are_allowed() {
    let response = render(&Fault::new(Kind::MethodRefused), &ask(), &QUIET);
    assert_eq!(response.status(), 405);
    let allow = field(&response, "allow").unwrap();
    assert!(allow.contains("GET") && !allow.contains("TRACE") && !allow.contains("CONNECT"));
}

#[test]
fn close_is_said_only_where_asked_for() {
    assert_eq!(
        field(&render(&limited(), &ask(), &QUIET), "connection"),
        None
    );
    let close = true;
    let response = render(&limited(), &Ask { close, ..ask() }, &QUIET);
    assert_eq!(field(&response, "connection"), Some("close"));
}
