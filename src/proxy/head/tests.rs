//! Heads that pass, and heads that don't.

use http::Request;

use super::*;

const PLAIN: Bounds = Bounds {
    max_header_bytes: 1024,
    max_target_bytes: 200,
    transport: Transport::Plain,
    peer: Peer::Untrusted,
};

/// A request's head: `GET target` over `version`, with `fields`.
fn head(version: Version, target: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().version(version).uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn h1(target: &str, fields: &[(&str, &str)]) -> Parts {
    head(Version::HTTP_11, target, fields)
}

/// Checks an HTTP/1.1 request to `/` at host `h` with more `fields`.
fn with(fields: &[(&str, &str)]) -> Result<Checked, Kind> {
    let all: Vec<_> = [("host", "h")].iter().chain(fields).copied().collect();
    check(&h1("/", &all), &PLAIN)
}

fn at(target: &str) -> Result<String, Kind> {
    check(&h1(target, &[("host", "h")]), &PLAIN).map(|checked| checked.target.to_string())
}

/// Host and forwarded Host that come of a target and a Host field.
fn host_at(
    version: Version,
    target: &str,
    host: Option<&str>,
) -> Result<(String, Option<String>), Kind> {
    let fields: Vec<_> = host.iter().map(|host| ("host", *host)).collect();
    let checked = check(&head(version, target, &fields), &PLAIN)?;
    let authority = checked
        .authority
        .map(|value| value.to_str().unwrap().to_owned());
    Ok((checked.host.as_str().to_owned(), authority))
}

fn pair(name: &str, authority: Option<&str>) -> (String, Option<String>) {
    (name.to_owned(), authority.map(str::to_owned))
}

#[test]
fn c28_c29_connect_and_trace_are_refused_before_anything_is_read() {
    for method in [Method::CONNECT, Method::TRACE] {
        let mut parts = h1("/", &[]);
        parts.method = method;
        assert_eq!(check(&parts, &PLAIN).unwrap_err(), Kind::MethodRefused);
    }
    let mut parts = Request::connect("h:443").body(()).unwrap().into_parts().0;
    parts.version = Version::HTTP_2;
    assert_eq!(check(&parts, &PLAIN).unwrap_err(), Kind::MethodRefused);
}

#[test]
fn an_ordinary_request_shares_its_parts() {
    let checked = with(&[]).unwrap();
    assert_eq!(checked.host.as_str(), "h");
    assert_eq!(checked.authority, None);
    assert_eq!(checked.target, "/");
    assert_eq!(checked.class, TrafficClass::Http);
    assert_eq!(checked.request_id, None);
    assert!(!checked.last_stop);
}

#[test]
fn c23_host_is_there_once_and_valid() {
    let v1 = Version::HTTP_11;
    assert_eq!(
        host_at(v1, "/", Some("Shop.example.com.:80")),
        Ok(pair("shop.example.com", None))
    );
    assert_eq!(host_at(v1, "/", None), Err(Kind::HostInvalid));
    for host in [
        "",
        "a, b",
        "a/b",
        "user@h",
        "h:99999",
        "h:",
        "a b",
        "caf\u{e9}",
        "[::1",
    ] {
        assert_eq!(
            host_at(v1, "/", Some(host)),
            Err(Kind::HostInvalid),
            "{host}"
        );
    }
    assert_eq!(with(&[("host", "h")]).unwrap_err(), Kind::HostInvalid);
    assert_eq!(host_at(Version::HTTP_10, "/", None), Ok(pair("", None)));
    assert_eq!(
        host_at(Version::HTTP_10, "/", Some("a b")),
        Err(Kind::HostInvalid)
    );
}

#[test]
fn c24_an_absolute_target_wins_over_host() {
    let v1 = Version::HTTP_11;
    let won = host_at(v1, "http://Real.example:8080/a", Some("other.example"));
    assert_eq!(won, Ok(pair("real.example", Some("Real.example:8080"))));
    assert_eq!(
        host_at(v1, "http://a.example/a", Some("a.example")),
        Ok(pair("a.example", None))
    );
    assert_eq!(
        host_at(v1, "http://a.example/a", None),
        Err(Kind::HostInvalid)
    );
    assert_eq!(
        host_at(v1, "http://a.example/a", Some("b c")),
        Err(Kind::HostInvalid)
    );
    assert_eq!(
        host_at(v1, "http://u@a.example/a", Some("a.example")),
        Err(Kind::HostInvalid)
    );
    let checked = check(
        &h1("http://a.example?x=1", &[("host", "a.example")]),
        &PLAIN,
    )
    .unwrap();
    assert_eq!(checked.target.as_str(), "/?x=1");
}

#[test]
fn c49_authority_and_host_must_agree() {
    let v2 = Version::HTTP_2;
    assert_eq!(
        host_at(v2, "http://a.example/", None),
        Ok(pair("a.example", Some("a.example")))
    );
    assert_eq!(
        host_at(v2, "http://a.example/", Some("a.example")),
        Ok(pair("a.example", None))
    );
    let agree = host_at(v2, "http://a.example/", Some("A.example:80"));
    assert_eq!(agree, Ok(pair("a.example", Some("a.example"))));
    assert_eq!(
        host_at(v2, "http://a.example/", Some("b.example")),
        Err(Kind::HostInvalid)
    );
    assert_eq!(
        host_at(v2, "http://a.example/", Some("a.example:81")),
        Err(Kind::HostInvalid)
    );
    assert_eq!(
        host_at(v2, "/", Some("a.example")),
        Ok(pair("a.example", None))
    );
    assert_eq!(host_at(v2, "/", None), Err(Kind::HostInvalid));
    assert_eq!(
        host_at(v2, "http://u@a.example/", None),
        Err(Kind::HostInvalid)
    );
}

#[test]
fn c25_c50_a_scheme_must_be_the_listeners() {
    let check_at = |version, target: &str, bounds: Bounds| {
        let checked = check(&head(version, target, &[("host", "h")]), &bounds);
        checked.map(|checked| checked.target.to_string())
    };
    let tls = Bounds {
        transport: Transport::Tls,
        ..PLAIN
    };
    let trusted = Bounds {
        peer: Peer::Trusted,
        ..PLAIN
    };
    let ok = Ok("/".to_owned());
    let refused = Err(Kind::TargetInvalid);
    assert_eq!(check_at(Version::HTTP_11, "http://h/", PLAIN), ok);
    assert_eq!(check_at(Version::HTTP_11, "https://h/", PLAIN), refused);
    assert_eq!(check_at(Version::HTTP_11, "https://h/", trusted), ok);
    assert_eq!(check_at(Version::HTTP_2, "https://h/", PLAIN), ok);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(check_at(version, "https://h/", tls), ok);
        assert_eq!(check_at(version, "http://h/", tls), refused);
        assert_eq!(check_at(version, "ftp://h/", PLAIN), refused);
        assert_eq!(check_at(version, "file://h/", trusted), refused);
    }
}

#[test]
fn c26_a_target_is_a_path() {
    assert_eq!(at("/a?b=%zz//..&c"), Ok("/a?b=%zz//..&c".to_owned()));
    assert_eq!(at("//host/path"), Ok("/host/path".to_owned()));
    assert_eq!(at("*"), Err(Kind::TargetInvalid));
    assert_eq!(at("example.com:80"), Err(Kind::TargetInvalid));
    assert_eq!(at("/\\host"), Err(Kind::PathInvalid));
}

#[test]
fn c26_a_target_that_begins_with_its_query_is_no_path() {
    let mut parts = h1("/", &[("host", "h")]);
    parts.uri = PathAndQuery::from_static("?x").into();
    assert_eq!(check(&parts, &PLAIN).unwrap_err(), Kind::TargetInvalid);
}

#[test]
fn c30_the_path_is_normal_and_the_query_untouched() {
    assert_eq!(at("/a/../%62?x=%2e/../y"), Ok("/b?x=%2e/../y".to_owned()));
    assert_eq!(at("/a/?"), Ok("/a/?".to_owned()));
    for path in ["/..", "/%00", "/%zz", "/a/%2e%2e/%2e%2e"] {
        assert_eq!(at(path), Err(Kind::PathInvalid), "{path}");
    }
}

#[test]
fn c27_c40_options_may_ask_for_the_gateway_itself() {
    let mut parts = h1("*", &[("host", "h")]);
    parts.method = Method::OPTIONS;
    let checked = check(&parts, &PLAIN).unwrap();
    assert_eq!(checked.target.as_str(), "*");
    assert!(!checked.last_stop);
    for (value, last) in [("0", true), ("1", false), ("x", false), ("-0", false)] {
        let mut parts = h1("/", &[("host", "h"), ("max-forwards", value)]);
        assert!(!check(&parts, &PLAIN).unwrap().last_stop);
        parts.method = Method::OPTIONS;
        assert_eq!(check(&parts, &PLAIN).unwrap().last_stop, last, "{value}");
    }
}

#[test]
fn c32_a_head_has_bounds() {
    let long = format!("/{}", "a".repeat(PLAIN.max_target_bytes));
    assert_eq!(at(&long), Err(Kind::UriTooLong));
    assert_eq!(
        at(&long[..PLAIN.max_target_bytes]),
        Ok(long[..PLAIN.max_target_bytes].to_owned())
    );
    let big = "x".repeat(PLAIN.max_header_bytes);
    assert_eq!(with(&[("x-big", &big)]).unwrap_err(), Kind::HeadTooLarge);
    let crumb = "x".repeat(100);
    let crumbs = vec![("cookie", crumb.as_str()); 10];
    assert_eq!(with(&crumbs).unwrap_err(), Kind::HeadTooLarge);
    assert!(with(&crumbs[..9]).is_ok());
    let roomy = Bounds {
        max_header_bytes: usize::MAX,
        ..PLAIN
    };
    let mut many = vec![("x", ""); MAX_FIELDS];
    many[0] = ("host", "h");
    assert!(check(&h1("/", &many), &roomy).is_ok());
    many.push(("x", ""));
    assert_eq!(
        check(&h1("/", &many), &roomy).unwrap_err(),
        Kind::HeadTooLarge
    );
}

#[test]
fn c06_c07_only_chunked_is_a_coding() {
    let te = |value: &str| with(&[("transfer-encoding", value)]).map(|_| ()).err();
    assert_eq!(te("chunked"), None);
    assert_eq!(te("ChUnKeD"), None);
    for value in [
        "gzip, chunked",
        "identity, chunked",
        "gzip, deflate,chunked",
    ] {
        assert_eq!(te(value), Some(Kind::CodingUnsupported), "{value}");
    }
    let broken = [
        "",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        ",chunked",
        "chunked,",
        "chunked, chunked",
        "chunked, gzip",
        "gzip",
        "foo, chunked",
    ];
    for value in broken {
        assert_eq!(te(value), Some(Kind::FramingInvalid), "{value}");
    }
    let two = with(&[
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "chunked"),
    ]);
    assert_eq!(two.unwrap_err(), Kind::FramingInvalid);
}

#[test]
fn c08_a_coding_is_for_http_1_1_alone() {
    for version in [Version::HTTP_10, Version::HTTP_2] {
        let parts = head(
            version,
            "/",
            &[("host", "h"), ("transfer-encoding", "chunked")],
        );
        assert_eq!(check(&parts, &PLAIN).unwrap_err(), Kind::FramingInvalid);
    }
}

#[test]
fn c01_c03_c04_a_length_is_said_once_and_plainly() {
    assert!(with(&[("content-length", "0")]).is_ok());
    assert!(with(&[("content-length", "999999999999999999")]).is_ok());
    let huge = ["9223372036854775808", "18446744073709551621"];
    for value in ["", "+5", "-1", "0x5", "5 5", "5, 5", "005"]
        .into_iter()
        .chain(huge)
    {
        assert_eq!(
            with(&[("content-length", value)]).unwrap_err(),
            Kind::FramingInvalid,
            "{value}"
        );
    }
    let twice = with(&[("content-length", "5"), ("content-length", "5")]);
    assert_eq!(twice.unwrap_err(), Kind::FramingInvalid);
    let both = with(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
    assert_eq!(both.unwrap_err(), Kind::FramingInvalid);
}

#[test]
fn only_one_expectation_can_be_met() {
    assert!(with(&[("expect", "100-Continue")]).is_ok());
    assert_eq!(
        with(&[("expect", "200-ok")]).unwrap_err(),
        Kind::ExpectationRefused
    );
    let two = with(&[("expect", "100-continue"), ("expect", "x")]);
    assert_eq!(two.unwrap_err(), Kind::ExpectationRefused);
}

#[test]
fn c37_an_alias_of_a_field_we_rely_on_is_refused() {
    let aliases = [
        "x_forwarded_for",
        "x-forwarded_for",
        "x_forwarded_anything",
        "x_real_ip",
        "content_length",
        "transfer_encoding",
        "x_request_id",
        "proxy_authorization",
    ];
    for name in aliases {
        assert_eq!(
            with(&[(name, "1")]).unwrap_err(),
            Kind::HeaderInvalid,
            "{name}"
        );
    }
    for name in [
        "x_trace",
        "my_content_length",
        "x-forwarded-for",
        "content-length",
    ] {
        assert!(with(&[(name, "1")]).is_ok(), "{name}");
    }
}

#[test]
fn c38_a_request_id_is_kept_only_from_a_trusted_peer_and_within_bounds() {
    let id = |value: &str, peer| {
        let parts = h1("/", &[("host", "h"), ("x-request-id", value)]);
        check(&parts, &Bounds { peer, ..PLAIN }).unwrap().request_id
    };
    assert_eq!(
        id("abc-1", Peer::Trusted),
        Some(HeaderValue::from_static("abc-1"))
    );
    assert_eq!(id("abc-1", Peer::Untrusted), None);
    assert!(id(&"x".repeat(128), Peer::Trusted).is_some());
    assert_eq!(id(&"x".repeat(129), Peer::Trusted), None);
    assert_eq!(id("a b", Peer::Trusted), None);
    assert_eq!(id("", Peer::Trusted), None);
}

#[test]
fn c39_our_own_name_in_via_is_a_loop() {
    for via in [
        "1.1 tidegate",
        "1.0 a, 1.1 Tidegate",
        "HTTP/1.1 tidegate:80 (x)",
    ] {
        assert_eq!(
            with(&[("via", via)]).unwrap_err(),
            Kind::LoopDetected,
            "{via}"
        );
    }
    let second = with(&[("via", "1.1 a"), ("via", "1.1 tidegate")]);
    assert_eq!(second.unwrap_err(), Kind::LoopDetected);
    for via in [
        "1.1 other",
        "1.1 tidegate-edge",
        "tidegate",
        "1.1 a (tidegate)",
    ] {
        assert!(with(&[("via", via)]).is_ok(), "{via}");
    }
}

#[test]
fn c54_an_upgrade_is_asked_for_by_two_fields_and_never_for_h2c() {
    let class = |connection, upgrade| {
        with(&[("connection", connection), ("upgrade", upgrade)])
            .unwrap()
            .class
    };
    assert_eq!(
        class("keep-alive, Upgrade", "websocket"),
        TrafficClass::Upgrade
    );
    assert_eq!(class("keep-alive", "websocket"), TrafficClass::Http);
    assert_eq!(class("upgrade", ""), TrafficClass::Http);
    assert_eq!(class("upgrade, http2-settings", "h2c"), TrafficClass::Http);
    assert_eq!(class("upgrade", "websocket, H2C"), TrafficClass::Http);
    let old = head(
        Version::HTTP_10,
        "/",
        &[
            ("host", "h"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
        ],
    );
    assert_eq!(check(&old, &PLAIN).unwrap().class, TrafficClass::Http);
}

#[test]
fn grpc_is_told_by_its_content_type() {
    let class = |kind| with(&[("content-type", kind)]).unwrap().class;
    for kind in [
        "application/grpc",
        "Application/gRPC+proto",
        "application/grpc; x=y",
    ] {
        assert_eq!(class(kind), TrafficClass::Grpc, "{kind}");
    }
    for kind in [
        "application/grpc-web",
        "application/grpcx",
        "application/json",
        "",
    ] {
        assert_eq!(class(kind), TrafficClass::Http, "{kind}");
    }
}

#[test]
fn other_versions_are_refused() {
    for version in [Version::HTTP_09, Version::HTTP_3] {
        let parts = head(version, "/", &[("host", "h")]);
        assert_eq!(check(&parts, &PLAIN).unwrap_err(), Kind::FramingInvalid);
    }
}

#[test]
fn a_host_name_of_any_length_reads_back() {
    for length in [0, 1, 61, 62, 63, 253] {
        let name = "x".repeat(length);
        assert_eq!(HostName::of(&name).as_str(), name);
    }
}

#[test]
fn c17_a_method_longer_than_any_is_refused() {
    let mut parts = h1("/", &[("host", "h")]);
    parts.method = Method::from_bytes(&[b'G'; 32]).unwrap();
    assert!(check(&parts, &PLAIN).is_ok());
    parts.method = Method::from_bytes(&[b'G'; 33]).unwrap();
    assert_eq!(check(&parts, &PLAIN).unwrap_err(), Kind::FramingInvalid);
}

#[test]
fn c65_only_a_get_may_become_a_websocket() {
    let asks = [
        ("host", "h"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
    ];
    let mut parts = h1("/", &asks);
    assert_eq!(class_of(&parts), TrafficClass::Upgrade);
    parts.method = Method::POST;
    assert_eq!(class_of(&parts), TrafficClass::Http);
    let mut parts = h1(
        "/",
        &[("host", "h"), ("connection", "upgrade"), ("upgrade", "tcp")],
    );
    parts.method = Method::POST;
    assert_eq!(class_of(&parts), TrafficClass::Upgrade);
}
