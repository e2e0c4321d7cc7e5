mod events;

use std::{
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use axum::body::Body;
use futures_util::StreamExt as _;
use http::{HeaderName, Method, Request};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::{
    admin::{
        EndpointState, EndpointView, ListenerView, NameView, PressureView, RateAdvice, Readiness,
        Recommendations, ReloadView,
    },
    names::Priority,
    telemetry::ReloadResult,
};

const LOCAL: &str = "127.0.0.1:9900";

struct Fake {
    readiness: Mutex<Readiness>,
    last_reload: Mutex<Option<ReloadView>>,
}

impl Source for Fake {
    fn status(&self) -> StatusView {
        StatusView {
            version: "0.1.0",
            pid: 7,
            started_at: SystemTime::UNIX_EPOCH,
            uptime: Duration::from_millis(61_500),
            readiness: self.ready(),
            listeners: vec![ListenerView {
                name: "web".to_owned(),
                address: "0.0.0.0:8080".parse().unwrap(),
                tls: false,
            }],
            pressure: PressureView {
                level: 2,
                enforced: 2,
                words: "low is shed",
                signals: [("memory", 0.88), ("runtime_lag", 0.003)].into(),
            },
        }
    }

    fn upstreams(&self) -> Vec<UpstreamView> {
        let endpoint = |address: &str, state: EndpointState, sentence: &str| EndpointView {
            group: "main".to_owned(),
            address: address.parse().unwrap(),
            weight: 1,
            priority: 0,
            state,
            sentence: sentence.to_owned(),
            healthy: state != EndpointState::Down,
            degraded: false,
            ejected: state == EndpointState::Ejected,
            limit: None,
            in_flight: 3,
            keep_alive_ms: Some(5000),
            learned: None,
            certificate_ends: (state == EndpointState::Down).then_some(1_893_456_000),
        };
        vec![UpstreamView {
            name: "shop".to_owned(),
            limit: Some(64),
            in_flight: 7,
            waiting: 2,
            max_waiting: 64,
            panic: false,
            names: vec![NameView {
                name: "shop.internal".to_owned(),
                services: false,
                addresses: 1,
                doubted: 0,
                stale: true,
                stale_seconds: Some(90),
                stale_left_seconds: Some(3510),
                unchanged_seconds: Some(600),
                next_lookup_seconds: Some(30),
                in_force: "1 address, for 600 s, stale for 90 s; asked for again in 30 s"
                    .to_owned(),
                why: "timeout".to_owned(),
            }],
            groups: Vec::new(),
            endpoints: vec![
                endpoint("10.0.0.11:8080", EndpointState::In, ""),
                endpoint(
                    "10.0.0.12:8080",
                    EndpointState::Down,
                    "3 checks failed: <b>refused</b>",
                ),
                endpoint(
                    "10.0.0.13:8080",
                    EndpointState::Ejected,
                    "5 failures in a row",
                ),
            ],
        }]
    }

    fn limits(&self) -> Vec<LimitView> {
        vec![LimitView {
            route: "checkout".to_owned(),
            name: "client_ip".to_owned(),
            count: 200,
            per: Duration::from_secs(60),
            burst: 400,
            key: "client_ip".to_owned(),
            fill: 0.25,
            keys: 12,
            max_keys: 100_000,
            shadow: false,
        }]
    }

    fn routes(&self) -> Vec<RouteView> {
        vec![RouteView {
            name: "checkout".to_owned(),
            matches: "path_prefix = \"/checkout\"".to_owned(),
            action: "upstream = \"shop\"".to_owned(),
            fallback: None,
            upstreams: vec!["shop".to_owned()],
            priority: Priority::Critical,
            limits: vec!["client_ip".to_owned()],
        }]
    }

    fn config(&self) -> ConfigView {
        ConfigView {
            path: "tidegate.toml".to_owned(),
            hash: "0123456789ab".to_owned(),
            revision: 7,
            applied_at: SystemTime::UNIX_EPOCH,
            last_reload: self.last_reload.lock().clone(),
            wrong_files: vec![crate::admin::WrongFileView {
                file: "tls/shop.crt".to_owned(),
                since: SystemTime::UNIX_EPOCH,
                why: "the key does not fit".to_owned(),
            }],
        }
    }

    fn recommendations(&self) -> Recommendations {
        Recommendations {
            limits: vec![RateAdvice {
                route: "checkout".to_owned(),
                name: "client_ip".to_owned(),
                rate: "200/m".to_owned(),
                burst: 400,
                uncounted: 0,
                proposed: None,
            }],
            upstreams: Vec::new(),
        }
    }

    fn connections(&self) -> Vec<(String, usize)> {
        vec![("web".to_owned(), 3)]
    }

    fn certificates(&self) -> Vec<crate::config::CertificateFacts> {
        vec![crate::config::CertificateFacts {
            listener: "web".into(),
            certificate: "/etc/tls/shop.crt".into(),
            not_after: Some(1_893_456_000),
            stale: true,
        }]
    }

    fn ready(&self) -> Readiness {
        *self.readiness.lock()
    }
}

struct Bench {
    source: Arc<Fake>,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
    pages: Router,
}

fn bench(bind: Ipv4Addr, token: Option<&str>) -> Bench {
    let source = Arc::new(Fake {
        readiness: Mutex::new(Readiness::Ready),
        last_reload: Mutex::default(),
    });
    let (telemetry, stop) = (Telemetry::new(), CancellationToken::new());
    let admin = Admin::new(
        source.clone(),
        telemetry.clone(),
        bind.into(),
        token.map(Token::new),
        stop.clone(),
    );
    Bench {
        source,
        telemetry,
        stop,
        pages: router(Arc::new(admin)),
    }
}

fn open() -> Bench {
    bench(Ipv4Addr::LOCALHOST, None)
}

fn locked() -> Bench {
    bench(Ipv4Addr::UNSPECIFIED, Some("s3cret"))
}

fn get_from(host: &str, path: &str) -> Request<Body> {
    Request::get(path)
        .header(header::HOST, host)
        .body(Body::empty())
        .unwrap()
}

fn with(mut request: Request<Body>, name: header::HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

fn sign_in(token: &str) -> Request<Body> {
    Request::post("/login")
        .header(header::HOST, LOCAL)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!("token={token}")))
        .unwrap()
}

impl Bench {
    async fn ask(&self, request: Request<Body>) -> Response {
        self.pages.clone().oneshot(request).await.unwrap()
    }

    async fn status_of(&self, request: Request<Body>) -> u16 {
        self.ask(request).await.status().as_u16()
    }

    async fn text(&self, path: &str) -> String {
        text_of(self.ask(get_from(LOCAL, path)).await).await
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }
}

async fn text_of(answer: Response) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

const GUARDED: [&str; 13] = [
    "/",
    "/app.js",
    "/app.css",
    "/metrics",
    "/api/v1/status",
    "/api/v1/config",
    "/api/v1/upstreams",
    "/api/v1/limits",
    "/api/v1/routes",
    "/api/v1/recommendations",
    "/api/v1/events",
    "/api/v1/stream",
    "/nothing/here",
];

#[tokio::test]
async fn readiness_is_told_with_its_reason_and_health_is_not_touched_by_it() {
    let bench = locked();
    for (readiness, status, word) in [
        (Readiness::Ready, 200, "ready\n"),
        (Readiness::Starting, 503, "starting\n"),
        (Readiness::Draining, 503, "draining\n"),
    ] {
        *bench.source.readiness.lock() = readiness;
        let answer = bench.ask(get_from("anything.example", "/readyz")).await;
        assert_eq!(answer.status(), status);
        assert_eq!(text_of(answer).await, word);
        assert_eq!(
            bench
                .status_of(get_from("anything.example", "/healthz"))
                .await,
            200
        );
    }
}

#[tokio::test]
async fn without_the_token_nothing_but_the_health_pages_opens() {
    let bench = locked();
    for path in GUARDED {
        let answer = bench.ask(get_from(LOCAL, path)).await;
        assert_eq!(answer.status(), 401, "{path}");
        assert!(
            answer.headers().contains_key(header::WWW_AUTHENTICATE),
            "{path}"
        );
        let text = text_of(answer).await;
        assert!(
            !text.contains("shop") && !text.contains("0123456789ab"),
            "{path}: {text}"
        );
    }
    for wrong in [
        "Bearer s3cre",
        "Bearer ",
        "Bearer",
        "Basic s3cret",
        "s3cret",
    ] {
        let request = with(get_from(LOCAL, "/metrics"), header::AUTHORIZATION, wrong);
        assert_eq!(bench.status_of(request).await, 401, "{wrong}");
    }
}

#[tokio::test]
async fn the_bearer_token_opens_every_page() {
    let bench = locked();
    for path in GUARDED {
        let request = with(
            get_from("gate.internal:9900", path),
            header::AUTHORIZATION,
            "bearer s3cret",
        );
        let expected = if path == "/nothing/here" { 404 } else { 200 };
        assert_eq!(bench.status_of(request).await, expected, "{path}");
    }
}

#[tokio::test]
async fn the_form_gives_a_cookie_that_opens_the_pages_and_scripts_cannot_read() {
    let bench = locked();
    let answer = bench.ask(sign_in("s3cret")).await;
    assert_eq!(
        (
            answer.status().as_u16(),
            &answer.headers()[header::LOCATION]
        ),
        (303, &HeaderValue::from_static("/"))
    );
    let cookie = answer.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("s3cret"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let request = with(
        get_from(LOCAL, "/api/v1/stream"),
        header::COOKIE,
        &format!("theme=dark; {pair}"),
    );
    assert_eq!(bench.status_of(request).await, 200);
    let forged = format!("tidegate_session={}", "0".repeat(64));
    assert_eq!(
        bench
            .status_of(with(get_from(LOCAL, "/"), header::COOKIE, &forged))
            .await,
        401
    );
}

#[tokio::test]
async fn a_wrong_token_in_the_form_gives_no_cookie() {
    let bench = locked();
    for wrong in ["", "wrong", "s3cret%00"] {
        let answer = bench.ask(sign_in(wrong)).await;
        assert_eq!(answer.status(), 401, "{wrong}");
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        assert!(text_of(answer).await.contains("That is not the token."));
    }
    let long = "x".repeat(MAX_FORM_BYTES + 1);
    assert_eq!(bench.status_of(sign_in(&long)).await, 413);
}

#[tokio::test]
async fn a_browser_without_a_session_gets_the_form() {
    let bench = locked();
    let request = with(
        get_from(LOCAL, "/"),
        header::ACCEPT,
        "text/html,application/xhtml+xml",
    );
    let answer = bench.ask(request).await;
    assert_eq!(answer.status(), 401);
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    let page = text_of(answer).await;
    assert!(
        page.contains("action=\"/login\"") && !page.contains("{nonce}"),
        "{page}"
    );
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert!(page.contains(&format!("nonce=\"{nonce}\"")), "{policy}");
}

#[tokio::test]
async fn on_loopback_a_foreign_host_or_page_is_turned_away() {
    let bench = open();
    for path in GUARDED {
        assert_eq!(
            bench.status_of(get_from("evil.example", path)).await,
            421,
            "{path}"
        );
        let request = with(get_from(LOCAL, path), header::ORIGIN, "http://evil.example");
        assert_eq!(bench.status_of(request).await, 403, "{path}");
    }
    assert_eq!(
        bench
            .status_of(with(sign_in("x"), header::ORIGIN, "http://evil.example"))
            .await,
        403
    );
    assert_eq!(
        bench
            .status_of(get_from("localhost:9900", "/metrics"))
            .await,
        200
    );
    assert_eq!(
        bench.status_of(get_from("evil.example", "/healthz")).await,
        200
    );
}

/// What shows past configs and changes the one in force.
const CHANGING: [(Method, &str); 4] = [
    (Method::POST, "/api/v1/config"),
    (Method::GET, "/api/v1/config/history"),
    (Method::GET, "/api/v1/config/diff"),
    (Method::POST, "/api/v1/config/rollback?to=1"),
];

#[tokio::test]
async fn the_config_is_neither_changed_nor_shown_without_the_token_or_by_a_foreign_page() {
    let (locked, open) = (locked(), open());
    for (method, path) in CHANGING {
        let asked = || {
            let mut request = get_from(LOCAL, path);
            *request.method_mut() = method.clone();
            request
        };
        assert_eq!(locked.status_of(asked()).await, 401, "{path}");
        let foreign = with(asked(), header::ORIGIN, "http://evil.example");
        assert_eq!(open.status_of(foreign).await, 403, "{path}");
        // Let in; but this gateway has nobody who keeps its config.
        assert_eq!(open.status_of(asked()).await, 404, "{path}");
    }
}

#[tokio::test]
async fn a_config_beyond_the_bound_of_the_file_is_not_read() {
    let bench = open();
    let mut request = get_from(LOCAL, "/api/v1/config");
    *request.method_mut() = Method::POST;
    *request.body_mut() = Body::from(vec![b'#'; MAX_CONFIG_BYTES + 1]);
    assert_eq!(bench.status_of(request).await, 413);
}

#[tokio::test]
async fn no_page_but_that_of_the_config_changes_anything() {
    let bench = open();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["/", "/metrics", "/api/v1/config", "/healthz"] {
            if (&method, path) == (&Method::POST, "/api/v1/config") {
                continue;
            }
            let mut request = get_from(LOCAL, path);
            *request.method_mut() = method.clone();
            assert_eq!(bench.status_of(request).await, 405, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_fence_a_page_in() {
    let bench = open();
    for path in [
        "/",
        "/app.js",
        "/metrics",
        "/api/v1/status",
        "/healthz",
        "/nothing/here",
    ] {
        let answer = bench.ask(get_from(LOCAL, path)).await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{path}: {policy}"
        );
        assert_eq!(
            answer.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff",
            "{path}"
        );
        assert_eq!(answer.headers()[header::X_FRAME_OPTIONS], "DENY", "{path}");
        assert_eq!(
            answer.headers()[header::CACHE_CONTROL],
            "no-store",
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_dashboard_asks_no_other_host_for_anything() {
    let bench = open();
    for path in ["/", "/app.js", "/app.css"] {
        let page = bench
            .text(path)
            .await
            .replace("http://www.w3.org/2000/svg", "");
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("src=\"//"),
            "{path}"
        );
        for hole in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=\"",
            "onclick=",
        ] {
            assert!(!page.contains(hole), "{path} has {hole}");
        }
    }
}

#[tokio::test]
async fn every_element_that_the_script_fills_is_on_the_page() {
    let bench = open();
    let (page, script) = (bench.text("/").await, bench.text("/app.js").await);
    let named = script.split("byId(\"").skip(1);
    let ids: Vec<_> = named.filter_map(|rest| rest.split('"').next()).collect();
    assert!(ids.contains(&"pressure") && ids.contains(&"advice"));
    for id in ids {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[tokio::test]
async fn the_api_shows_why_an_endpoint_is_out() {
    let upstreams = open().json("/api/v1/upstreams").await;
    assert_eq!(upstreams[0]["endpoints"][1]["state"], "down");
    assert_eq!(
        upstreams[0]["endpoints"][1]["sentence"],
        "3 checks failed: <b>refused</b>"
    );
    assert_eq!(upstreams[0]["endpoints"][2]["state"], "ejected");
}

#[tokio::test]
async fn the_api_shows_the_config_in_force_and_the_line_that_was_rejected() {
    let bench = open();
    let before = bench.json("/api/v1/config").await;
    assert_eq!(
        (&before["hash"], &before["last_reload"]),
        (&"0123456789ab".into(), &Value::Null)
    );
    *bench.source.last_reload.lock() = Some(rejected());
    let after = bench.json("/api/v1/config").await;
    assert_eq!(after["applied_at"], "1970-01-01T00:00:00.000Z");
    assert_eq!(after["last_reload"]["result"], "rejected");
    assert_eq!(after["last_reload"]["line"], 31);
    assert_eq!(after["last_reload"]["error"], "error[C014]: unknown mode");
    let wrong = &after["wrong_files"][0];
    assert_eq!(wrong["file"], "tls/shop.crt");
    assert_eq!(wrong["since"], "1970-01-01T00:00:00.000Z");
    assert_eq!(wrong["why"], "the key does not fit");
}

fn rejected() -> ReloadView {
    ReloadView {
        at: SystemTime::UNIX_EPOCH,
        result: ReloadResult::Rejected,
        error: Some("error[C014]: unknown mode".to_owned()),
        line: Some(31),
    }
}

#[tokio::test]
async fn the_api_shows_status_limits_and_routes() {
    let bench = open();
    let status = bench.json("/api/v1/status").await;
    assert_eq!(
        (&status["uptime_seconds"], &status["readiness"]),
        (&61.into(), &"ready".into())
    );
    let limits = bench.json("/api/v1/limits").await;
    assert_eq!(
        (&limits[0]["per_seconds"], &limits[0]["fill"]),
        (&60.into(), &0.25.into())
    );
    let advice = bench.json("/api/v1/recommendations").await;
    assert_eq!(advice["limits"][0]["rate"], "200/m");
    assert_eq!(
        bench.json("/api/v1/routes").await[0]["priority"],
        "critical"
    );
}

#[tokio::test]
async fn the_level_of_pressure_and_what_it_comes_from_are_shown() {
    let bench = open();
    let status = bench.json("/api/v1/status").await;
    let pressure = &status["pressure"];
    assert_eq!(
        (&pressure["level"], &pressure["words"]),
        (&2.into(), &"low is shed".into())
    );
    assert_eq!(pressure["signals"]["memory"], 0.88);
    let page = bench.text("/metrics").await;
    for line in [
        "tidegate_pressure_level 2\n",
        "tidegate_pressure_signal{signal=\"memory\"} 0.88\n",
        "tidegate_pressure_signal{signal=\"runtime_lag\"} 0.003\n",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
}

#[tokio::test]
async fn the_scrape_holds_what_was_counted_and_what_lives_now() {
    let bench = open();
    bench.telemetry.reloaded(ReloadResult::Rejected);
    let page = bench.text("/metrics").await;
    for line in [
        "tidegate_config_reloads_total{result=\"rejected\"} 1",
        "tidegate_config_info{hash=\"0123456789ab\"} 1",
        "tidegate_config_last_reload_successful 1",
        "tidegate_config_error_line 0",
        "tidegate_endpoint_healthy{upstream=\"shop\",endpoint=\"10.0.0.12:8080\"} 0",
        "tidegate_upstream_certificate_expiry_timestamp_seconds{upstream=\"shop\",endpoint=\"10.0.0.12:8080\"} 1893456000",
        "tidegate_endpoint_keep_alive_seconds{upstream=\"shop\",endpoint=\"10.0.0.12:8080\"} 5",
        "tidegate_endpoint_ejected{upstream=\"shop\",endpoint=\"10.0.0.13:8080\"} 1",
        "tidegate_concurrency_limit{upstream=\"shop\",endpoint=\"\"} 64",
        "tidegate_concurrency_in_flight{upstream=\"shop\",endpoint=\"\"} 7",
        "tidegate_queue_depth{upstream=\"shop\"} 2",
        "tidegate_dns_stale{upstream=\"shop\",name=\"shop.internal\"} 1",
        "tidegate_dns_stale_seconds{upstream=\"shop\",name=\"shop.internal\"} 90",
        "tidegate_dns_stale_left_seconds{upstream=\"shop\",name=\"shop.internal\"} 3510",
        "tidegate_dns_addresses{upstream=\"shop\",name=\"shop.internal\"} 1",
    ] {
        assert!(
            page.lines().any(|have| have == line),
            "{line} is not in {page}"
        );
    }
    *bench.source.last_reload.lock() = Some(rejected());
    let page = bench.text("/metrics").await;
    assert!(
        page.contains("tidegate_config_last_reload_successful 0\n"),
        "{page}"
    );
    assert!(page.contains("tidegate_config_error_line 31\n"), "{page}");
    assert_eq!(page.matches("\ntidegate_config_info{").count(), 1);
}

async fn next_frame(body: &mut axum::body::BodyDataStream) -> Value {
    let bytes = body.next().await.unwrap().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let json = text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    serde_json::from_str(json).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_stream_tells_each_second_what_happened_in_it() {
    let bench = open();
    let route = bench.telemetry.route(None, None, Priority::Normal);
    let answer = bench.ask(get_from(LOCAL, "/api/v1/stream")).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = answer.into_body().into_data_stream();
    let first = next_frame(&mut body).await;
    assert_eq!(first["offered"], Value::Null);
    assert_eq!(first["config"]["hash"], "0123456789ab");
    for _ in 0..40 {
        route.offered();
    }
    let second = next_frame(&mut body).await;
    assert_eq!(
        (&second["offered"], &second["totals"]["offered"]),
        (&40.0.into(), &40.into())
    );
    for key in [
        "admitted",
        "goodput",
        "shed",
        "shed_total",
        "p50_ms",
        "p99_ms",
        "upstreams",
        "limits",
        "status",
    ] {
        assert!(second.get(key).is_some(), "{key} is missing");
    }
    let third = next_frame(&mut body).await;
    assert_eq!(third["offered"], 0.0);
}

#[tokio::test(start_paused = true)]
async fn watchers_are_bounded_and_a_place_comes_free_when_one_leaves() {
    let bench = open();
    let mut watching = Vec::new();
    for _ in 0..MAX_STREAMS {
        watching.push(bench.ask(get_from(LOCAL, "/api/v1/stream")).await);
    }
    assert!(watching.iter().all(|answer| answer.status() == 200));
    assert_eq!(
        bench.status_of(get_from(LOCAL, "/api/v1/stream")).await,
        503
    );
    watching.pop();
    assert_eq!(
        bench.status_of(get_from(LOCAL, "/api/v1/stream")).await,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_the_streams() {
    let bench = open();
    let mut body = bench
        .ask(get_from(LOCAL, "/api/v1/stream"))
        .await
        .into_body()
        .into_data_stream();
    next_frame(&mut body).await;
    bench.stop.cancel();
    assert!(body.next().await.is_none());
}
