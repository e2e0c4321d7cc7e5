//! What clients put into a head: host, target, fields (C23 to C40).

use crate::{
    origin::{OK, Origin, Then},
    support::gateway::TestGateway,
    wire::{all_is_well, config, gate, gate_with, shout, statuses},
};

/// A request that asks to close behind it.
fn head(line: &str, fields: &str) -> String {
    format!("{line}\r\n{fields}Connection: close\r\n\r\n")
}

fn get(path: &str) -> String {
    head(&format!("GET {path} HTTP/1.1"), "Host: a\r\n")
}

/// None of these is forwarded; each is answered once, with one of its statuses.
async fn refuses(gate: &TestGateway, origin: &Origin, table: &[(String, &[u16])]) {
    for (bytes, allowed) in table {
        let told = statuses(&shout(gate.web, bytes).await);
        assert!(
            told.len() == 1 && allowed.contains(&told[0]),
            "{told:?} to {bytes:.200?}"
        );
        assert_eq!(origin.seen().len(), 0, "it came through: {bytes:.200?}");
    }
    all_is_well(gate).await;
}

#[tokio::test]
async fn c23_a_host_that_names_no_host_is_refused() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let hosts = [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host:\r\n",
        "Host: a, b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a:99999\r\n",
        "Host: a:\r\n",
        "Host: a:b\r\n",
        "Host: a b\r\n",
        "Host: caf\u{e9}\r\n",
        "Host: a\0b\r\n",
        "Host: [::1\r\n",
        "Host: http://a\r\n",
    ];
    let table = hosts.map(|fields| (head("GET / HTTP/1.1", fields), &[400][..]));
    refuses(&gate, &origin, &table).await;
    let old = shout(gate.web, "GET /fine HTTP/1.0\r\n\r\n").await;
    assert_eq!(statuses(&old), [200], "HTTP/1.0 needs no Host: {old}");
}

#[tokio::test]
async fn c24_an_absolute_target_wins_over_host() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "hosts = [\"real.example\"]").await;
    let told = shout(
        gate.web,
        head(
            "GET http://real.example/x?y HTTP/1.1",
            "Host: other.example\r\n",
        ),
    )
    .await;
    assert_eq!(statuses(&told), [200]);
    let seen = origin.seen();
    assert_eq!(
        (seen[0].line(), seen[0].field("host")),
        ("GET /x?y HTTP/1.1", vec!["real.example"])
    );
    let told = shout(
        gate.web,
        head(
            "GET http://other.example/ HTTP/1.1",
            "Host: real.example\r\n",
        ),
    )
    .await;
    assert_eq!(statuses(&told), [404], "a foreign authority was served");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn c25_c26_a_target_that_only_a_forward_proxy_takes_is_refused() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let targets = [
        "https://a/",
        "ftp://a/",
        "file:///etc/passwd",
        "*",
        "a:80",
        "path",
        "/\\host",
        "\\host",
        "http://user@a/",
        "?query",
    ];
    let table = targets.map(|target| (get(target), &[400][..]));
    refuses(&gate, &origin, &table).await;
    let told = shout(gate.web, get("//host/path")).await;
    assert_eq!(statuses(&told), [200]);
    assert_eq!(origin.seen()[0].line(), "GET /host/path HTTP/1.1");
}

#[tokio::test]
async fn c26_two_slashes_never_make_a_redirect_to_another_host() {
    let origin = Origin::fine().await;
    let text = "[[routes]]\nname = \"to\"\npath_prefix = \"/\"\nredirect = { status = 302, to = \"https://here.example{path}\" }\n";
    let gate = TestGateway::start(text).await;
    for path in [
        "//evil.example/",
        "/%2fevil.example/",
        "/.//evil.example",
        "/@evil.example",
        "/a/..//evil.example",
    ] {
        let told = shout(gate.web, get(path)).await;
        let location = told
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("location: ")
                    .map(str::to_owned)
            })
            .unwrap_or_else(|| panic!("{told}"));
        let host = location
            .strip_prefix("https://here.example/")
            .unwrap_or_else(|| panic!("{location}"));
        assert!(!host.starts_with('/'), "{location}");
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn c27_c40_options_for_the_server_is_answered() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let star = statuses(&shout(gate.web, head("OPTIONS * HTTP/1.1", "Host: a\r\n")).await);
    assert!(star.len() == 1 && star[0] < 500, "{star:?}");
    let before = origin.seen().len();
    let here = statuses(
        &shout(
            gate.web,
            head("OPTIONS / HTTP/1.1", "Host: a\r\nMax-Forwards: 0\r\n"),
        )
        .await,
    );
    assert!(here.len() == 1 && here[0] < 400, "{here:?}");
    assert_eq!(origin.seen().len(), before, "Max-Forwards: 0 was forwarded");
    let on = shout(
        gate.web,
        head("OPTIONS / HTTP/1.1", "Host: a\r\nMax-Forwards: 3\r\n"),
    )
    .await;
    assert_eq!(statuses(&on), [200]);
    assert_eq!(origin.seen()[before].field("max-forwards"), ["2"]);
    let garbage = shout(
        gate.web,
        head("OPTIONS / HTTP/1.1", "Host: a\r\nMax-Forwards: x\r\n"),
    )
    .await;
    assert_eq!(statuses(&garbage), [200]);
    assert_eq!(origin.seen().len(), before + 2);
}

#[tokio::test]
async fn c28_c29_trace_and_connect_are_refused_and_nothing_behind_them_is_read() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    for line in [
        "TRACE / HTTP/1.1",
        "CONNECT a:80 HTTP/1.1",
        "CONNECT a:80 HTTP/1.0",
        "CONNECT / HTTP/1.1",
        "CONNECT * HTTP/1.1",
    ] {
        let bytes = format!(
            "{line}\r\nHost: a\r\nAuthorization: secret\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let answer = shout(gate.web, bytes).await;
        let told = statuses(&answer);
        assert!(
            told == [405]
                || (told == [400] && !line.contains("a:80") && line.starts_with("CONNECT")),
            "{line}: {answer}"
        );
        assert!(!answer.contains("secret"));
    }
    assert_eq!(origin.seen().len(), 0);
    all_is_well(&gate).await;
}

#[tokio::test]
async fn c30_the_upstream_sees_the_one_form_of_a_path() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let dots = format!("{}{}/end", "/a".repeat(1000), "/..".repeat(1000));
    let forms = [
        ("/a/../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/..;/b", "/a/..;/b"),
        ("/a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%5cb", "/a%5Cb"),
        ("/a%0d%0ab", "/a%0D%0Ab"),
        ("/%25%32%65", "/%252e"),
        ("/%c0%ae%c0%ae/x", "/%C0%AE%C0%AE/x"),
        ("/%61dmin?x=../..//&y=%2e", "/admin?x=../..//&y=%2e"),
        (&*dots, "/end"),
    ];
    for (sent, form) in forms {
        let told = shout(gate.web, get(sent)).await;
        assert_eq!(statuses(&told), [200], "{sent:.90}");
        let seen = origin.seen();
        assert_eq!(
            seen.last().expect("a request").line(),
            format!("GET {form} HTTP/1.1"),
            "{sent:.90}"
        );
    }
    let before = origin.seen().len();
    for path in [
        "/%00",
        "/a/%zz",
        "/%",
        "/a%2",
        "/..",
        "/%2e%2e/etc",
        "/a/../../b",
        "/a\\b",
    ] {
        assert_eq!(statuses(&shout(gate.web, get(path)).await), [400], "{path}");
    }
    assert_eq!(origin.seen().len(), before);
}

#[tokio::test]
async fn c31_no_spelling_of_a_guarded_path_comes_through_as_that_path() {
    let origin = Origin::fine().await;
    let text = config(origin.address, "", "")
        + "[[routes]]\nname = \"guard\"\npath_prefix = \"/admin\"\nrespond = { status = 403, body = \"no\" }\n";
    let gate = TestGateway::start(&text).await;
    for path in [
        "/admin",
        "/admin/",
        "/./admin",
        "//admin",
        "/x/../admin",
        "/%61dmin",
        "/adm%69n/x",
        "/admin/../admin",
        "/admin?x",
        "/x/%2e%2e/admin",
    ] {
        assert_eq!(statuses(&shout(gate.web, get(path)).await), [403], "{path}");
    }
    for path in [
        "/Admin",
        "/admin;x",
        "/admin%20",
        "/admin.",
        "/admin%2f",
        "/%2fadmin",
        "/administrator",
        "/admin%3b",
    ] {
        let told = statuses(&shout(gate.web, get(path)).await);
        assert!(told == [403] || told == [200], "{path}: {told:?}");
    }
    for seen in origin.seen() {
        let path = seen.line().split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(
            path != "/admin" && !path.starts_with("/admin/"),
            "{path} came through"
        );
    }
}

#[tokio::test]
async fn c32_a_head_beyond_its_bounds_is_431_and_a_target_414() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let fields = |fields: String| head("GET / HTTP/1.1", &format!("Host: a\r\n{fields}"));
    let table = [
        (get(&format!("/{}", "x".repeat(40_000))), &[414][..]),
        (get(&format!("/{}", "x".repeat(1024 * 1024))), &[414, 431]),
        (fields(format!("X: {}\r\n", "y".repeat(64 * 1024))), &[431]),
        (fields("X:\r\n".repeat(10_000)), &[431]),
        (
            fields(format!("Cookie: {}\r\n", "c".repeat(1024 * 1024))),
            &[431],
        ),
        (
            fields(format!("Range: bytes={}\r\n", "0-,".repeat(20_000))),
            &[431],
        ),
    ];
    refuses(&gate, &origin, &table).await;
    let within = fields("X: yyyyyyyyyyyyyyyyyyyy\r\n".repeat(90));
    assert_eq!(statuses(&shout(gate.web, within).await), [200]);
}

#[tokio::test]
async fn c33_connection_removes_nothing_that_the_gateway_relies_on() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: Basic x\r\nX-Mine: 1\r\nX-Real-IP: 6.6.6.6\r\n\
                 Connection: close, X-Mine, X-Forwarded-For, X-Forwarded-Proto, X-Real-IP, Host, Content-Length, Forwarded, Via, X-Request-Id\r\n\r\nhello";
    assert_eq!(statuses(&shout(gate.web, bytes).await), [200]);
    let seen = &origin.seen()[0];
    assert_eq!(seen.field("host"), ["a"]);
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.field("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.field("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.field("via"), ["1.1 tidegate"]);
    assert_eq!(seen.field("x-request-id").len(), 1);
    assert!(
        seen.field("x-mine").is_empty() && !seen.head.contains("6.6.6.6"),
        "{}",
        seen.head
    );
}

#[tokio::test]
async fn c34_hop_by_hop_fields_end_here() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let fields = "Host: a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTE: trailers, gzip\r\n\
                  Upgrade: h2c, foo\r\nProxy: http://evil\r\nX-End: 1\r\n";
    assert_eq!(
        statuses(&shout(gate.web, head("GET / HTTP/1.1", fields)).await),
        [200]
    );
    let seen = &origin.seen()[0];
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "proxy",
    ] {
        assert!(seen.field(name).is_empty(), "{name} in {}", seen.head);
    }
    assert!(!seen.head.contains("gzip"));
    assert_eq!(seen.field("x-end"), ["1"]);
    assert!(!seen.field("connection").join(",").contains("close"));
}

const FAMILY: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
                      X-Forwarded-Port: 666\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n";

#[tokio::test]
async fn c35_a_stranger_says_nothing_of_who_he_is() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    assert_eq!(
        statuses(
            &shout(
                gate.web,
                head("GET / HTTP/1.1", &format!("Host: a\r\n{FAMILY}"))
            )
            .await
        ),
        [200]
    );
    let seen = &origin.seen()[0];
    for theirs in ["6.6.6.6", "7.7.7.7", "evil", "666", "https"] {
        assert!(!seen.head.contains(theirs), "{theirs} in {}", seen.head);
    }
    assert_eq!(seen.field("x-forwarded-for"), ["127.0.0.1"]);
}

#[tokio::test]
async fn c36_the_walk_through_x_forwarded_for_is_bounded_and_stops_at_nonsense() {
    let origin = Origin::fine().await;
    let limit = "[[routes.rate_limits]]\nrate = \"1/h\"\nburst = 1\n";
    let listener = "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n";
    let gate =
        TestGateway::start(&(listener.to_owned() + &config(origin.address, "", limit))).await;
    let ask = async |list: &str| {
        let fields = format!("Host: a\r\nX-Forwarded-For: {list}\r\n");
        statuses(&shout(gate.web, head("GET / HTTP/1.1", &fields)).await)
    };
    // All of one line are one client; the first of a line is the first that is seen of it.
    for same in [
        &[
            "1.2.3.4",
            "1.2.3.4:80",
            "::ffff:1.2.3.4",
            "9.9.9.9, 1.2.3.4",
            "unknown, 1.2.3.4, 10.0.0.1",
            "1.2.3.4, 10.9.9.9:1",
        ][..],
        &["2001:db8::1", "[2001:db8::1]:80", "[2001:db8::2]"],
        &[
            "5.5.5.5, unknown",
            "6.6.6.6, fe80::1%eth0",
            "::1]:x",
            "_hidden",
        ],
    ] {
        for (place, list) in same.iter().enumerate() {
            let wanted = if place == 0 { 200 } else { 429 };
            assert_eq!(ask(list).await, [wanted], "{list}");
        }
    }
    let many = format!("8.8.8.8{}", ", 10.0.0.1".repeat(2_000));
    let told = ask(&many).await;
    assert!(told == [200] || told == [429], "{told:?}");
    assert_eq!(
        ask("8.8.8.8").await,
        [200],
        "an endless list was walked to its end"
    );
}

#[tokio::test]
async fn c37_names_with_underscores_are_no_way_around() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    let names = [
        "X_Forwarded_For",
        "X_Forwarded_Proto",
        "X-Forwarded_Host",
        "X_Real_IP",
        "Content_Length",
        "Transfer_Encoding",
        "X_Request_Id",
        "Proxy_Connection",
    ];
    let table = names.map(|name| {
        (
            head("GET / HTTP/1.1", &format!("Host: a\r\n{name}: 1\r\n")),
            &[400][..],
        )
    });
    refuses(&gate, &origin, &table).await;
    let harmless = shout(
        gate.web,
        head("GET / HTTP/1.1", "Host: a\r\nX_My_Own: 1\r\n"),
    )
    .await;
    assert_eq!(statuses(&harmless), [200]);
}

#[tokio::test]
async fn c38_a_request_id_counts_only_from_those_who_are_trusted() {
    let origin = Origin::saying(OK, Then::Keep).await;
    let long = "x".repeat(129);
    let ids = [
        ("kept-1", true),
        (&*long, false),
        ("two words", false),
        ("caf\u{e9}", false),
        ("", false),
    ];
    for trusted in [false, true] {
        let key = if trusted {
            "trusted_proxies = [\"127.0.0.0/8\"]"
        } else {
            ""
        };
        let gate = gate_with(origin.address, key, "").await;
        for (id, good) in ids {
            let answer = shout(
                gate.web,
                head(
                    "GET / HTTP/1.1",
                    &format!("Host: a\r\nX-Request-Id: {id}\r\n"),
                ),
            )
            .await;
            assert_eq!(statuses(&answer), [200]);
            let seen = origin.seen();
            let got = seen
                .last()
                .expect("a request")
                .field("x-request-id")
                .join("|");
            assert_eq!(got == id, trusted && good, "{id:?} became {got:?}");
            assert!(
                (1..=128).contains(&got.len()) && answer.contains(&got),
                "{got:?}"
            );
        }
    }
}

#[tokio::test]
async fn c39_a_request_that_was_here_is_not_forwarded_again() {
    let origin = Origin::fine().await;
    let gate = gate(origin.address, "", "").await;
    for via in [
        "Via: 1.1 tidegate\r\n",
        "Via: 1.0 other, 1.1 Tidegate (comment), 2 third\r\n",
        "Via: 1.1 a\r\nVia: HTTP/2 tidegate:443\r\n",
    ] {
        let answer = shout(
            gate.web,
            head("GET / HTTP/1.1", &format!("Host: a\r\n{via}")),
        )
        .await;
        assert_eq!(statuses(&answer), [502], "{answer}");
        assert!(answer.contains("error=proxy_loop_detected"), "{answer}");
    }
    assert_eq!(origin.seen().len(), 0);
    let other = shout(
        gate.web,
        head("GET / HTTP/1.1", "Host: a\r\nVia: 1.1 not-tidegate\r\n"),
    )
    .await;
    assert_eq!(statuses(&other), [200]);
    assert_eq!(
        origin.seen()[0].field("via").join(", "),
        "1.1 not-tidegate, 1.1 tidegate"
    );
}
