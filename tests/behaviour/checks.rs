//! Active checks on real sockets: what is asked, what passes, and what survives a reload.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value as Json;
use tokio::{sync::Semaphore, time::Instant};

use crate::support::{
    client,
    gateway::TestGateway,
    until,
    upstream::{Answer, Upstream, answer},
};

/// A gateway with the endpoints `ups`, where `keys` are the upstream's and `health` is its table of checks.
fn config(ups: &[&Upstream], keys: &str, health: &str) -> String {
    let endpoint = |up: &&Upstream| format!("{{ address = \"{}\" }}", up.address);
    let endpoints: Vec<_> = ups.iter().map(endpoint).collect();
    format!(
        "[upstreams.up]\nendpoints = [{}]\n{keys}\n[upstreams.up.health]\n{health}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        endpoints.join(", ")
    )
}

const QUICK: &str =
    "interval = \"100ms\"\ntimeout = \"100ms\"\nunhealthy_after = 1\nhealthy_after = 1";

/// What the API says of the endpoints, in the config's order of addresses.
async fn endpoints(gate: &TestGateway) -> Vec<Json> {
    let page = client::admin(gate.admin, "/api/v1/upstreams").await.text();
    let all: Json = serde_json::from_str(&page).expect("JSON");
    let upstreams = all.as_array().or_else(|| all["upstreams"].as_array());
    let endpoints = upstreams.expect("upstreams")[0]["endpoints"].clone();
    endpoints.as_array().expect("endpoints").clone()
}

/// Waits until the API says so of an endpoint at `up`, and says what it says then.
async fn seen(gate: &TestGateway, up: &Upstream, holds: impl Fn(&Json) -> bool) -> Json {
    let end = Instant::now() + client::GENEROUS;
    loop {
        let address = up.address.to_string();
        let all = endpoints(gate).await;
        let one = all.iter().find(|one| one["address"] == *address);
        let one = one.expect("it is there");
        if holds(one) {
            return one.clone();
        }
        assert!(Instant::now() < end, "waited in vain: {one}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn says(key: &'static str, value: impl Into<Json>) -> impl Fn(&Json) -> bool {
    let value = value.into();
    move |one| one[key] == value
}

/// Its sentence holds this.
fn tells(part: &'static str) -> impl Fn(&Json) -> bool {
    move |one| {
        one["sentence"]
            .as_str()
            .is_some_and(|sentence| sentence.contains(part))
    }
}

/// An answer of the gRPC health protocol.
fn grpc(serving: bool) -> Answer {
    let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, if serving { 1 } else { 2 }]);
    let trailers = HeaderMap::from_iter([(
        "grpc-status".parse().expect("a name"),
        HeaderValue::from_static("0"),
    )]);
    let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body.boxed_unsync())
        .expect("an answer")
}

#[tokio::test]
async fn a_grpc_health_service_takes_an_endpoint_out_and_brings_it_back() {
    let serves = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&serves);
    let upstream = Upstream::start(move |request| {
        let health = request.uri().path() == "/grpc.health.v1.Health/Check";
        let serves = flag.load(Relaxed);
        async move {
            if health {
                grpc(serves)
            } else {
                answer(200, "it")
            }
        }
    })
    .await;
    let health = format!("grpc = {{ service = \"shop.v1.Orders\" }}\n{QUICK}");
    let gate = TestGateway::start(&config(&[&upstream], "", &health)).await;
    seen(&gate, &upstream, tells("it passes its checks")).await;
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    serves.store(false, Relaxed);
    let out = seen(&gate, &upstream, says("state", "down")).await;
    let why = out["sentence"].as_str().expect("a sentence");
    assert!(why.contains("gRPC health is NOT_SERVING"), "{why}");
    assert_eq!(client::get(gate.web, "/").await.status, 503);
    serves.store(true, Relaxed);
    seen(&gate, &upstream, says("healthy", true)).await;
}

#[tokio::test]
async fn a_degraded_endpoint_gets_its_share_and_the_rest_goes_to_the_others() {
    let degraded = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&degraded);
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let tired = Upstream::start(move |request| {
        let mut reply = answer(200, "tired");
        if request.uri().path() == "/healthz" {
            if flag.load(Relaxed) {
                let value = HeaderValue::from_static("degraded");
                reply.headers_mut().insert("x-health", value);
            }
        } else {
            count.fetch_add(1, Relaxed);
        }
        async move { reply }
    })
    .await;
    let well = Upstream::saying("well").await;
    let health = format!(
        "path = \"/healthz\"\ndegraded = {{ header = \"x-health\", share = 0.25 }}\n{QUICK}"
    );
    let keys = "balance = \"round_robin\"\nslow_start = \"0s\"";
    let gate = TestGateway::start(&config(&[&tired, &well], keys, &health)).await;
    let view = seen(&gate, &tired, says("degraded", true)).await;
    assert_eq!(view["state"], "in", "{view}");
    let why = view["sentence"].as_str().expect("a sentence");
    assert!(why.contains("degraded"), "{why}");
    let series = format!(
        "tidegate_endpoint_degraded{{upstream=\"up\",endpoint=\"{}\"}}",
        tired.address
    );
    assert!((gate.metric(&series).await - 1.0).abs() < f64::EPSILON);
    for _ in 0..100 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    let got = requests.load(Relaxed);
    assert!(
        (15..=25).contains(&got),
        "{got} of 100, where a fifth is due"
    );
    degraded.store(false, Relaxed);
    let view = seen(&gate, &tired, says("degraded", false)).await;
    assert!(
        tells("it passes its checks")(&view) && !tells("degraded")(&view),
        "{view}"
    );
    assert!(gate.metric(&series).await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_check_of_another_port_says_what_becomes_of_the_endpoint() {
    let upstream = Upstream::saying("it").await;
    let checks = Upstream::saying("all is well").await;
    let health = format!(
        "path = \"/\"\nport = {}\nexpected_body = \"is well\"\n{QUICK}",
        checks.address.port()
    );
    let gate = TestGateway::start(&config(&[&upstream], "", &health)).await;
    seen(&gate, &upstream, tells("it passes its checks")).await;
    assert_eq!(upstream.requests(), 0, "only the other port is asked");
    let other = health.replace("is well", "is bad");
    gate.reload(&config(&[&upstream], "", &other)).await;
    let out = seen(&gate, &upstream, says("state", "down")).await;
    let why = out["sentence"].as_str().expect("a sentence");
    assert!(
        why.contains("the expected text is not in the 11 bytes read"),
        "{why}"
    );
}

#[tokio::test]
async fn where_the_check_is_wrong_everywhere_the_panic_threshold_keeps_the_service_up() {
    let start = || {
        Upstream::start(|request| async move {
            let wrong = request.uri().path() == "/gone";
            answer(if wrong { 404 } else { 200 }, "it")
        })
    };
    let (one, two) = (start().await, start().await);
    let health = format!("path = \"/gone\"\n{QUICK}");
    let gate = TestGateway::start(&config(&[&one, &two], "panic_threshold = 0.5", &health)).await;
    seen(&gate, &one, says("state", "down")).await;
    seen(&gate, &two, says("state", "down")).await;
    for _ in 0..20 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
}

/// An endpoint whose checks are answered when and as the test says.
struct Held {
    upstream: Upstream,
    answers: Arc<Semaphore>,
    passes: Arc<AtomicBool>,
    /// Checks that were given up unanswered.
    dropped: Arc<AtomicUsize>,
}

/// Counts its drop.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Held {
    async fn start() -> Self {
        let answers = Arc::new(Semaphore::new(0));
        let passes = Arc::new(AtomicBool::new(true));
        let dropped = Arc::<AtomicUsize>::default();
        let (permits, flag, drops) = (
            Arc::clone(&answers),
            Arc::clone(&passes),
            Arc::clone(&dropped),
        );
        let upstream = Upstream::start(move |_| {
            let (permits, flag) = (Arc::clone(&permits), Arc::clone(&flag));
            let counted = Counted(Arc::clone(&drops));
            async move {
                permits.acquire().await.expect("it is open").forget();
                std::mem::forget(counted);
                answer(if flag.load(Relaxed) { 200 } else { 500 }, "")
            }
        })
        .await;
        Self {
            upstream,
            answers,
            passes,
            dropped,
        }
    }

    /// Answers the next check.
    fn answers(&self, passes: bool) {
        self.passes.store(passes, Relaxed);
        self.answers.add_permits(1);
    }

    async fn is_asked(&self, times: usize) {
        until("it is asked", || self.upstream.requests() >= times).await;
    }
}

/// Of two failures that mark down, one before a reload and one after it.
async fn streak_survives(change: impl Fn(&Upstream, &Upstream) -> String) {
    let (held, other) = (Held::start().await, Upstream::saying("ok").await);
    let ups = [&held.upstream, &other];
    let base = config(&ups, "", SLOW);
    let gate = TestGateway::start(&base).await;
    held.is_asked(1).await;
    held.answers(true);
    seen(&gate, &held.upstream, tells("it passes its checks")).await;
    // Each reload of another plan begins with a check within a second.
    let changed = change(&held.upstream, &other);
    gate.reload(&changed).await;
    held.is_asked(2).await;
    held.answers(false);
    held.is_asked(3).await; // the fast one after a failure, which is held
    seen(&gate, &held.upstream, says("healthy", true)).await;
    gate.reload(&base).await;
    until("it is given up", || held.dropped.load(Relaxed) == 1).await;
    held.is_asked(4).await;
    held.answers(false);
    let out = seen(&gate, &held.upstream, says("state", "down")).await;
    assert!(tells(", the last: status 500;")(&out), "{changed}: {out}");
    // Down, and why, hold through another one, while the next check hangs.
    gate.reload(&changed).await;
    let now = seen(&gate, &held.upstream, says("state", "down")).await;
    assert!(tells(", the last: status 500;")(&now), "{changed}: {now}");
}

const SLOW: &str = "path = \"/\"\ninterval = \"60s\"\ntimeout = \"60s\"\nfast_interval = \"100ms\"\n\
                    unhealthy_after = 2\nhealthy_after = 2";

#[tokio::test]
async fn a_streak_and_what_it_led_to_survive_every_change_but_the_end_of_checks() {
    let of_checks = [
        ("\"/\"", "\"/other\""),
        ("interval = \"60s\"", "interval = \"61s\""),
        ("timeout = \"60s\"", "timeout = \"59s\""),
        ("fast_interval = \"100ms\"", "fast_interval = \"110ms\""),
        ("healthy_after = 2", "healthy_after = 3"),
        ("path", "expected_statuses = [200]\npath"),
        ("path", "degraded = { statuses = [218] }\npath"),
        ("path", "headers = { x-more = \"1\" }\npath"),
    ];
    let checks = of_checks.iter().map(|change| {
        let (old, new) = *change;
        streak_survives(move |held, other| {
            // The last mention: of `healthy_after` that is not the one within `unhealthy_after`.
            let at = SLOW.rfind(old).expect("it is there");
            let health = format!("{}{new}{}", &SLOW[..at], &SLOW[at + old.len()..]);
            config(&[held, other], "", &health)
        })
    });
    join_all(checks).await;
    let reordered = streak_survives(|held, other| config(&[other, held], "", SLOW));
    let weighted = streak_survives(|held, other| {
        let text = config(&[held, other], "", SLOW);
        let mine = format!("\"{}\"", held.address);
        text.replace(&mine, &format!("{mine}, weight = 7"))
    });
    let timed = streak_survives(|held, other| {
        config(
            &[held, other],
            "first_byte_timeout = \"7s\"\nslow_start = \"1s\"",
            SLOW,
        )
    });
    tokio::join!(reordered, weighted, timed);
}

#[tokio::test]
async fn the_end_of_checks_forgets_what_they_said() {
    let held = Held::start().await;
    let text = config(&[&held.upstream], "", SLOW);
    let gate = TestGateway::start(&text).await;
    held.is_asked(1).await;
    held.answers(false);
    seen(&gate, &held.upstream, says("state", "down")).await;
    let start = text.find("[upstreams.up.health]").expect("it is there");
    let end = text.find("[[routes]]").expect("it is there");
    gate.reload(&format!("{}{}", &text[..start], &text[end..]))
        .await;
    let view = seen(&gate, &held.upstream, says("healthy", true)).await;
    assert_ne!(view["state"], "down");
    // And with them again it is as one that was never checked.
    gate.reload(&text).await;
    held.is_asked(2).await;
    seen(&gate, &held.upstream, says("healthy", true)).await;
}

#[tokio::test]
async fn a_check_that_hangs_is_cancelled_when_its_endpoint_goes() {
    let (held, other) = (Held::start().await, Upstream::saying("ok").await);
    let gate = TestGateway::start(&config(&[&held.upstream, &other], "", SLOW)).await;
    held.is_asked(1).await;
    assert_eq!(held.dropped.load(Relaxed), 0);
    gate.reload(&config(&[&other], "", SLOW)).await;
    until("the check is given up", || held.dropped.load(Relaxed) == 1).await;
}
