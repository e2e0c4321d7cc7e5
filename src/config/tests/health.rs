//! What the keys of active checks mean, and what is told where they make no sense.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::{
    super::{CheckMethod, CheckPlan, HealthPlan, HttpCheckPlan},
    MINIMAL, errors, loaded, read,
};

fn file(health: &str) -> String {
    let health = format!("health = {{ {health} }}\n[[routes]]");
    MINIMAL.replace("[[routes]]", &health)
}

fn plan(health: &str) -> HealthPlan {
    let plan = loaded(&file(health)).plan;
    plan.upstreams
        .values()
        .next()
        .unwrap()
        .health
        .clone()
        .unwrap()
}

fn http(health: &str) -> HttpCheckPlan {
    match plan(health).check {
        CheckPlan::Http(check) => check,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_table_checks_by_connecting() {
    let plan = plan("");
    assert_eq!(plan.check, CheckPlan::Connect);
    assert_eq!(plan.interval, Duration::from_secs(5));
    assert_eq!(plan.fast_interval, Duration::from_secs(1));
    assert_eq!(plan.port, None);
    assert_eq!(plan.degraded, None);
    assert!((plan.degraded_share() - 1.0).abs() < f32::EPSILON);
}

#[test]
fn the_fast_interval_is_a_second_unless_the_interval_is_shorter() {
    let fast = |health| plan(health).fast_interval;
    let millis = Duration::from_millis;
    assert_eq!(fast("interval = \"1h\""), millis(1000));
    assert_eq!(
        fast("interval = \"300ms\", timeout = \"100ms\""),
        millis(300)
    );
    assert_eq!(fast("fast_interval = \"5s\""), millis(5000));
}

#[test]
fn a_path_makes_a_request() {
    let check = http("path = \"/healthz?deep=1\"");
    assert_eq!(check.path.as_str(), "/healthz?deep=1");
    assert_eq!(check.method, CheckMethod::Get);
    assert_eq!(check.ask, super::super::AskPlan::default());
    assert_eq!(check.body, None);
    for (status, passes) in [(199, false), (200, true), (399, true), (400, false)] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(check.expected.contains(status), passes, "{status}");
    }
}

#[test]
fn a_request_says_and_expects_what_the_file_says() {
    let text = "path = \"/\", method = \"HEAD\", host = \"Shop.test:80\", headers = { X-Check = \"yes\" }, \
                expected_statuses = [\"200-204\", 304, \"418\"], port = 8081";
    let check = http(text);
    assert_eq!(plan(text).port.map(std::num::NonZeroU16::get), Some(8081));
    assert_eq!(check.method, CheckMethod::Head);
    assert_eq!(
        check.ask.host,
        Some(HeaderValue::from_static("Shop.test:80"))
    );
    let [(name, value)] = &*check.ask.headers else {
        panic!("{check:?}");
    };
    assert_eq!((name.as_str(), value.as_bytes()), ("x-check", &b"yes"[..]));
    for (status, passes) in [(204, true), (205, false), (304, true), (418, true)] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(check.expected.contains(status), passes, "{status}");
    }
    let body = |text| http(text).body.map(|body| (body.text, body.within));
    assert_eq!(
        body("path = \"/\", expected_body = \"ok\""),
        Some(("ok".into(), 64 << 10))
    );
    assert_eq!(
        body("path = \"/\", expected_body = \"ok\", max_body = \"1KiB\""),
        Some(("ok".into(), 1 << 10))
    );
}

#[test]
fn grpc_asks_about_the_server_or_a_service() {
    let service = |health| match plan(health).check {
        CheckPlan::Grpc(check) => check.service,
        other => panic!("{other:?}"),
    };
    assert_eq!(&*service("grpc = true"), "");
    assert_eq!(&*service("grpc = {}"), "");
    assert_eq!(
        &*service("grpc = { service = \"shop.v1.Orders\" }, host = \"a\""),
        "shop.v1.Orders"
    );
}

#[test]
fn a_degraded_endpoint_keeps_a_quarter_unless_the_file_says() {
    let degraded = |keys| plan(&format!("path = \"/\", degraded = {{ {keys} }}"));
    let plan = degraded("header = \"X-Envoy-Degraded\"");
    assert!((plan.degraded_share() - 0.25).abs() < 1e-6);
    let header = plan.degraded.unwrap().header.unwrap();
    assert_eq!((header.0.as_str(), header.1), ("x-envoy-degraded", None));
    let plan = degraded("statuses = [218], share = 0.5");
    assert!((plan.degraded_share() - 0.5).abs() < 1e-6);
    let statuses = plan.degraded.unwrap().statuses;
    assert!(statuses.contains(StatusCode::from_u16(218).unwrap()));
    assert!(!statuses.contains(StatusCode::OK));
    let plan = degraded("header = \"x-health\", value = \"degraded\"");
    let value = plan.degraded.unwrap().header.unwrap().1;
    assert_eq!(value, Some(HeaderValue::from_static("degraded")));
}

const NO_REQUEST: &str = "the check is a connection, and asks for nothing";
const CALL: &str = "the check is a gRPC call";
/// Keys, and of what is told of them the code, the message and a part of the rest.
const SENSELESS: &[(&str, &str, &str, &str)] = &[
    (
        "path = \"/\", grpc = true",
        "C017",
        "`grpc` and `path` exclude each other",
        "keep one of the two",
    ),
    (
        "grpc = false",
        "C011",
        "`grpc` must be a table, or `true`",
        "found `true` or `false`",
    ),
    (
        "host = \"a\"",
        "C022",
        "`host` has no effect on these checks",
        NO_REQUEST,
    ),
    (
        "headers = { a = \"b\" }",
        "C022",
        "`headers` has no effect on these checks",
        NO_REQUEST,
    ),
    (
        "method = \"HEAD\"",
        "C022",
        "`method` has no effect on these checks",
        NO_REQUEST,
    ),
    (
        "degraded = { header = \"x\" }",
        "C022",
        "`degraded` has no effect on these checks",
        NO_REQUEST,
    ),
    (
        "grpc = true, expected_statuses = [200]",
        "C022",
        "`expected_statuses` has no effect on these checks",
        CALL,
    ),
    (
        "grpc = true, expected_body = \"ok\"",
        "C022",
        "`expected_body` has no effect on these checks",
        CALL,
    ),
    (
        "grpc = true, degraded = { statuses = [218] }",
        "C022",
        "`statuses` has no effect on these checks",
        "whose status is always 200",
    ),
    (
        "path = \"/\", degraded = {}",
        "C017",
        "`degraded` needs `header` or `statuses`",
        "nothing says that a server is degraded",
    ),
    (
        "path = \"/\", degraded = { statuses = [218], value = \"x\" }",
        "C022",
        "`value` has no effect without `header`",
        "no field is looked at",
    ),
    (
        "path = \"/\", degraded = { header = \"x\", share = 0.0 }",
        "C013",
        "`share` is out of bounds",
        "expected 0.001 to 1",
    ),
    (
        "path = \"/\", max_body = \"1KiB\"",
        "C022",
        "`max_body` has no effect without `expected_body`",
        "the body is not read",
    ),
    (
        "path = \"/\", expected_body = \"\"",
        "C015",
        "`expected_body` must be a text that the body must hold, like \"ok\"",
        "every body holds an empty text",
    ),
    (
        "path = \"/\", headers = { Host = \"a\" }",
        "C022",
        "`host` is not for `headers`",
        "it frames the message, or belongs to one connection",
    ),
    (
        "path = \"/\", headers = { a = \"1\", A = \"2\" }",
        "C022",
        "this header",
        "again here",
    ),
    (
        "path = \"/\", method = \"POST\"",
        "C014",
        "unknown method `POST`",
        "expected one of: GET, HEAD",
    ),
    (
        "path = \"/\", expected_statuses = [99]",
        "C013",
        "`expected_statuses` is out of bounds",
        "expected 100 to 599",
    ),
    (
        "path = \"/\", expected_statuses = [\"2xx\"]",
        "C015",
        "`expected_statuses` must be a status like 200, or a range like \"200-299\"",
        "expected a status",
    ),
    (
        "port = 0",
        "C013",
        "`port` is out of bounds",
        "expected 1 to 65,535",
    ),
    (
        "fast_interval = \"6s\"",
        "C022",
        "`fast_interval` is longer than `interval`",
        "at most \"5s\"",
    ),
    (
        "grpc = { service = \"/a.B/C\" }",
        "C015",
        "`service` must be the name of a gRPC service",
        "a service is not a path",
    ),
];

#[test]
fn what_makes_no_sense_is_told() {
    for (health, code, message, label) in SENSELESS {
        let text = file(health);
        let all = read(&text).expect_err(health);
        let told: Vec<_> = all
            .iter()
            .map(|error| (error.code(), error.message().to_owned()))
            .collect();
        let [(told_code, told_message)] = &told[..] else {
            panic!("{health}: {told:?}");
        };
        assert_eq!(told_code, code, "{health}: {told:?}");
        assert!(
            told_message.starts_with(*message),
            "{health}: {told_message}"
        );
        let shown = errors(&text);
        assert!(shown.contains(*label), "{health}: {shown}");
    }
}

#[test]
fn a_head_has_no_body_to_look_into() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
health = { path = "/", method = "HEAD", expected_body = "ok" }
[[routes]]
upstream = "app"
"#), @r#"
    error[C022]: `expected_body` can never hold with `method = "HEAD"`
     --> tidegate.toml:5:57
      |
    5 | health = { path = "/", method = "HEAD", expected_body = "ok" }
      |                                 ------ `method` is here ^^^^ an answer to HEAD has no body
    "#);
}

#[test]
fn grpc_is_not_spoken_over_http1() {
    insta::assert_snapshot!(errors(r#"[[listeners]]
bind = "127.0.0.1:8080"
[upstreams.app]
endpoints = [{ address = "127.0.0.1:3000" }]
protocol = "http1"
health = { grpc = true }
[[routes]]
upstream = "app"
"#), @r#"
    error[C022]: gRPC needs HTTP/2, which this upstream does not speak
     --> tidegate.toml:6:19
      |
    6 | health = { grpc = true }
      |                   ^^^^ its `protocol` is "http1"
    "#);
}
