//! What an upstream and a client see.

use std::time::Duration;

use http::uri::PathAndQuery;
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::proxy::head::HostName;

const ID: HeaderValue = HeaderValue::from_static("id-1");

fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// All lines of a field.
fn lines<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let all = headers.get_all(name).iter();
    all.map(|value| value.to_str().unwrap()).collect()
}

fn checked(class: TrafficClass) -> Checked {
    Checked {
        host: HostName::of("shop.example"),
        authority: None,
        target: PathAndQuery::from_static("/"),
        class,
        request_id: None,
        last_stop: false,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The fields that an upstream gets of a request from 192.0.2.7 to plain port 8080.
fn sent(peer: Peer, class: TrafficClass, mut headers: HeaderMap) -> HeaderMap {
    let client = client_address(ip("192.0.2.7"), &headers, |_| peer == Peer::Trusted);
    prepare_request(
        &mut headers,
        &Outgoing {
            checked: &checked(class),
            hop: &Hop::new(ip("192.0.2.7"), 8080, Transport::Plain, peer),
            client,
            request_id: &ID,
            method: &Method::GET,
        },
    );
    headers
}

fn untrusted(pairs: &[(&'static str, &str)]) -> HeaderMap {
    sent(Peer::Untrusted, TrafficClass::Http, fields(pairs))
}

fn trusted(pairs: &[(&'static str, &str)]) -> HeaderMap {
    sent(Peer::Trusted, TrafficClass::Http, fields(pairs))
}

#[test]
fn c35_an_untrusted_peer_has_no_say_in_the_forwarding_family() {
    let out = untrusted(&[
        ("host", "shop.example:8080"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-server", "evil"),
        ("forwarded", "for=1.1.1.1"),
        ("x-real-ip", "1.1.1.1"),
        ("x-request-id", "evil"),
    ]);
    assert_eq!(lines(&out, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(lines(&out, "x-forwarded-proto"), ["http"]);
    assert_eq!(lines(&out, "x-forwarded-host"), ["shop.example:8080"]);
    assert_eq!(lines(&out, "x-forwarded-port"), ["8080"]);
    let forwarded = "for=192.0.2.7;host=\"shop.example:8080\";proto=http";
    assert_eq!(lines(&out, "forwarded"), [forwarded]);
    assert_eq!(lines(&out, "x-real-ip"), ["192.0.2.7"]);
    assert_eq!(lines(&out, "x-request-id"), ["id-1"]);
    assert!(!out.contains_key("x-forwarded-prefix"));
    assert!(!out.contains_key("x-forwarded-server"));
}

#[test]
fn c35_from_a_trusted_peer_lists_grow_and_the_rest_stays() {
    let out = trusted(&[
        ("host", "shop.example"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "www.example"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/shop"),
        ("forwarded", "for=1.1.1.1"),
        ("x-real-ip", "1.1.1.1"),
    ]);
    assert_eq!(
        lines(&out, "x-forwarded-for"),
        ["1.1.1.1, 2.2.2.2, 192.0.2.7"]
    );
    assert_eq!(lines(&out, "x-forwarded-proto"), ["https"]);
    assert_eq!(lines(&out, "x-forwarded-host"), ["www.example"]);
    assert_eq!(lines(&out, "x-forwarded-port"), ["443"]);
    assert_eq!(lines(&out, "x-forwarded-prefix"), ["/shop"]);
    let forwarded = "for=1.1.1.1, for=192.0.2.7;host=shop.example;proto=http";
    assert_eq!(lines(&out, "forwarded"), [forwarded]);
    assert_eq!(lines(&out, "x-real-ip"), ["1.1.1.1"]);
}

#[test]
fn a_forwarded_list_that_begins_behind_a_trusted_proxy_names_the_client() {
    let out = trusted(&[("host", "h"), ("x-forwarded-for", "2001:db8::1")]);
    assert_eq!(
        lines(&out, "forwarded"),
        ["for=\"[2001:db8::1]\";host=h;proto=http"]
    );
    assert_eq!(lines(&out, "x-real-ip"), ["2001:db8::1"]);
}

#[test]
fn c33_connection_cannot_remove_what_others_rely_on() {
    let out = untrusted(&[
        ("host", "h"),
        ("content-length", "5"),
        (
            "connection",
            "close, X-Forwarded-For, x-real-ip, Host, Content-Length",
        ),
        (
            "connection",
            "Forwarded, x-secret, via, x-request-id, bad name",
        ),
        ("x-secret", "1"),
        ("x-kept", "1"),
        ("via", "1.1 before"),
    ]);
    assert!(!out.contains_key("connection"));
    assert!(!out.contains_key("x-secret"));
    for name in [
        "host",
        "content-length",
        "x-kept",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
    ] {
        assert_eq!(lines(&out, name).len(), 1, "{name}");
    }
    assert_eq!(lines(&out, "via"), ["1.1 before", "1.1 tidegate"]);
}

#[test]
fn c33_connection_cannot_shorten_the_list_of_a_trusted_peer() {
    let out = trusted(&[
        (
            "connection",
            "X-Forwarded-For, X-Forwarded-Proto, Forwarded",
        ),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=1.1.1.1"),
    ]);
    assert_eq!(lines(&out, "x-forwarded-for"), ["1.1.1.1, 192.0.2.7"]);
    assert_eq!(lines(&out, "x-forwarded-proto"), ["https"]);
    assert_eq!(
        lines(&out, "forwarded"),
        ["for=1.1.1.1, for=192.0.2.7;proto=http"]
    );
}

#[test]
fn c34_hop_by_hop_fields_end_here() {
    let out = untrusted(&[
        ("host", "h"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("proxy", "http://evil.example"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("expect", "100-continue"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "chunked"),
        ("authorization", "Bearer x"),
    ]);
    let mut left: Vec<_> = out.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    let expected = [
        "authorization",
        "forwarded",
        "host",
        "trailer",
        "transfer-encoding",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
    ];
    assert_eq!(left, expected);
}

#[test]
fn trailers_is_all_of_te_that_goes_on() {
    let out = untrusted(&[("te", "gzip;q=0.5, Trailers"), ("connection", "TE")]);
    assert_eq!(lines(&out, "te"), ["trailers"]);
}

#[test]
fn c54_upgrade_goes_on_only_where_a_tunnel_was_asked_for() {
    let asked = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
    ];
    let out = sent(Peer::Untrusted, TrafficClass::Upgrade, fields(&asked));
    assert_eq!(lines(&out, "connection"), ["upgrade"]);
    assert_eq!(lines(&out, "upgrade"), ["websocket"]);
    let out = untrusted(&asked);
    assert!(!out.contains_key("connection") && !out.contains_key("upgrade"));
}

#[test]
fn c24_the_host_that_won_is_the_one_that_goes_on() {
    let mut headers = fields(&[("host", "other.example")]);
    let mut checked = checked(TrafficClass::Http);
    checked.authority = Some(HeaderValue::from_static("shop.example"));
    let out = Outgoing {
        checked: &checked,
        hop: &Hop::new(ip("::ffff:192.0.2.7"), 443, Transport::Tls, Peer::Untrusted),
        client: ip("192.0.2.7"),
        request_id: &ID,
        method: &Method::GET,
    };
    prepare_request(&mut headers, &out);
    assert_eq!(lines(&headers, "host"), ["shop.example"]);
    assert_eq!(lines(&headers, "x-forwarded-host"), ["shop.example"]);
    assert_eq!(lines(&headers, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(
        lines(&headers, "forwarded"),
        ["for=192.0.2.7;host=shop.example;proto=https"]
    );
}

#[test]
fn cookie_crumbs_become_one_line() {
    let out = untrusted(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]);
    assert_eq!(lines(&out, "cookie"), ["a=1; b=2; c=3"]);
}

#[test]
fn c40_an_options_request_has_one_forward_less() {
    let mut headers = fields(&[("max-forwards", "3")]);
    let out = Outgoing {
        checked: &checked(TrafficClass::Http),
        hop: &Hop::new(ip("192.0.2.7"), 80, Transport::Plain, Peer::Untrusted),
        client: ip("192.0.2.7"),
        request_id: &ID,
        method: &Method::OPTIONS,
    };
    prepare_request(&mut headers, &out);
    assert_eq!(lines(&headers, "max-forwards"), ["2"]);
    assert_eq!(
        lines(&untrusted(&[("max-forwards", "3")]), "max-forwards"),
        ["3"]
    );
}

#[test]
fn c36_the_client_is_the_first_untrusted_hop_from_the_right() {
    let trusts = |address: IpAddr| address.to_string().starts_with("10.");
    let client = |peer: &str, list: &[&str]| {
        let pairs: Vec<_> = list.iter().map(|line| ("x-forwarded-for", *line)).collect();
        client_address(ip(peer), &fields(&pairs), trusts).to_string()
    };
    let cases: [(&str, &[&str], &str); 14] = [
        ("192.0.2.1", &["1.1.1.1"], "192.0.2.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", &["6.6.6.6", "1.1.1.1", "10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["1.2.3.4:80"], "1.2.3.4"),
        ("10.0.0.1", &["[2001:db8::1]:80"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
        ("::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
    ];
    for (peer, list, expected) in cases {
        assert_eq!(client(peer, list), expected, "{peer} {list:?}");
    }
    for bad in [
        "fe80::1%eth0",
        "[::1",
        "[::1]x",
        "1.2.3.4:",
        "1.2.3",
        "a.example",
        "[1.2.3.4]",
    ] {
        assert_eq!(client("10.0.0.1", &[bad]), "10.0.0.1", "{bad}");
    }
}

#[test]
fn c36_the_walk_is_bounded() {
    let list = format!("1.1.1.1{}", ", 10.0.0.2".repeat(MAX_ENTRIES));
    let headers = fields(&[("x-forwarded-for", &list)]);
    let client = client_address(ip("10.0.0.1"), &headers, |a| a != ip("1.1.1.1"));
    assert_eq!(client, ip("10.0.0.2"));
}

#[test]
fn a_new_request_id_is_a_uuid_of_version_7_and_of_its_time() {
    let now = UNIX_EPOCH + Duration::from_millis(0x0123_4567_89ab);
    let mut rng = StdRng::seed_from_u64(1);
    let id = request_id(None, now, &mut rng);
    let id = id.to_str().unwrap();
    assert!(id.starts_with("01234567-89ab-7"), "{id}");
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    let kept = HeaderValue::from_static("kept");
    assert_eq!(request_id(Some(kept.clone()), now, &mut rng), kept);
    assert_ne!(request_id(None, now, &mut rng), id);
}

#[test]
fn u25_hop_by_hop_fields_of_an_answer_end_here() {
    let mut headers = fields(&[
        ("connection", "X-Secret, close"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("upgrade", "h2"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("proxy-status", "other; error=dns_error"),
        ("trailer", "x-sum"),
        ("via", "1.1 other"),
    ]);
    prepare_response(&mut headers, StatusCode::OK, Version::HTTP_11);
    sign(&mut headers, &ID);
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["proxy-status", "trailer", "via", "x-request-id"]);
    assert_eq!(lines(&headers, "via"), ["1.1 other", "1.1 tidegate"]);
}

#[test]
fn an_answer_without_a_body_has_no_length_but_304_and_head_keep_theirs() {
    let length_of = |status: u16| {
        let mut headers = fields(&[("content-length", "5")]);
        let status = StatusCode::from_u16(status).unwrap();
        prepare_response(&mut headers, status, Version::HTTP_11);
        headers.contains_key("content-length")
    };
    assert!(!length_of(204));
    assert!(!length_of(103));
    assert!(length_of(304));
    assert!(length_of(200));
}

#[test]
fn a_switch_of_protocols_names_the_protocol_over_http_1_1_alone() {
    let answer = |status, version| {
        let mut headers = fields(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        prepare_response(&mut headers, status, version);
        (
            lines(&headers, "connection").concat(),
            lines(&headers, "upgrade").concat(),
        )
    };
    let named = ("upgrade".to_owned(), "websocket".to_owned());
    let nothing = (String::new(), String::new());
    assert_eq!(
        answer(StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11),
        named
    );
    assert_eq!(
        answer(StatusCode::UPGRADE_REQUIRED, Version::HTTP_11),
        named
    );
    assert_eq!(
        answer(StatusCode::UPGRADE_REQUIRED, Version::HTTP_2),
        nothing
    );
    assert_eq!(answer(StatusCode::OK, Version::HTTP_11), nothing);
}

#[test]
fn c37_a_routes_edits_win_over_aliases_of_their_fields() {
    let mut headers = fields(&[
        ("x-auth-user", "evil"),
        ("x_auth_user", "evil"),
        ("x_debug", "1"),
        ("x-debug", "1"),
        ("x_other", "kept"),
    ]);
    let edits = HeaderEdits {
        remove: vec![HeaderName::from_static("x-debug")],
        set: vec![(
            HeaderName::from_static("x-auth-user"),
            HeaderValue::from_static("nobody"),
        )],
    };
    edit_request(&mut headers, &edits);
    assert_eq!(headers.len(), 2);
    assert_eq!(lines(&headers, "x-auth-user"), ["nobody"]);
    assert_eq!(lines(&headers, "x_other"), ["kept"]);
}

#[test]
fn edits_remove_first_and_then_set() {
    let mut headers = fields(&[("server", "a"), ("server", "b")]);
    let server = HeaderName::from_static("server");
    let edits = HeaderEdits {
        remove: vec![server.clone()],
        set: vec![(server, HeaderValue::from_static("c"))],
    };
    edit(&mut headers, &edits);
    assert_eq!(lines(&headers, "server"), ["c"]);
}

#[test]
fn c06_c35_c38_what_a_stranger_says_of_codings_addresses_and_answers_is_not_passed_on() {
    let seen = untrusted(&[
        ("transfer-encoding", "ChUnKeD"),
        ("cf-connecting-ip", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("proxy-status", "x"),
    ]);
    assert_eq!(lines(&seen, "transfer-encoding"), ["chunked"]);
    for name in ["cf-connecting-ip", "true-client-ip", "proxy-status"] {
        assert!(!seen.contains_key(name), "{name}");
    }
}

#[test]
fn an_error_of_the_upstreams_own_is_marked_behind_what_others_said() {
    let marked = |status: u16, before: &[(&'static str, &'static str)]| {
        let mut fields = fields(before);
        mark_own_error(&mut fields, StatusCode::from_u16(status).unwrap());
        let told = lines(&fields, "proxy-status").into_iter();
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(marked(503, &[]), ["tidegate; received-status=503"]);
    assert_eq!(marked(400, &[]), ["tidegate; received-status=400"]);
    assert_eq!(marked(599, &[]), ["tidegate; received-status=599"]);
    let other = [("proxy-status", "other; error=dns_error")];
    assert_eq!(
        marked(502, &other),
        ["other; error=dns_error", "tidegate; received-status=502"]
    );
    for fine in [101, 200, 304, 399, 600, 999] {
        assert!(marked(fine, &[]).is_empty(), "{fine}");
    }
}
