//! Ejection on real sockets: who is taken out for its traffic, who is not, and how it comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use serde_json::Value as Json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{
    client,
    gateway::TestGateway,
    until,
    upstream::{Answer, Upstream, answer},
};

/// An upstream whose answers are switched while it runs.
struct Switched {
    upstream: Upstream,
    /// What it answers instead of 200; 0: nothing.
    status: Arc<AtomicU64>,
    /// How long it takes, in milliseconds.
    takes_ms: Arc<AtomicU64>,
    running: Arc<AtomicUsize>,
    /// The most that ran at once since this was last set to 0.
    most: Arc<AtomicUsize>,
    /// What checks are answered; 0: as everything else.
    checks: Arc<AtomicU64>,
}

impl Switched {
    async fn start() -> Self {
        let (status, takes_ms, checks) =
            <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (running, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (says, takes, checked) = (
            Arc::clone(&status),
            Arc::clone(&takes_ms),
            Arc::clone(&checks),
        );
        let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
        let upstream = Upstream::start(move |request| {
            let (says, checked) = (says.load(Relaxed), checked.load(Relaxed));
            let takes = Arc::clone(&takes);
            let is_check = request.uri().path() == "/healthz";
            let poison = request.uri().path() == "/poison";
            let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
            async move {
                if is_check && checked > 0 {
                    return coded(checked);
                }
                let _running = Running::enter(now, &peak);
                match takes.load(Relaxed) {
                    HANGS => {
                        while takes.load(Relaxed) == HANGS {
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                    }
                    millis => tokio::time::sleep(Duration::from_millis(millis)).await,
                }
                if poison { coded(502) } else { coded(says) }
            }
        })
        .await;
        Self {
            upstream,
            status,
            takes_ms,
            running,
            most,
            checks,
        }
    }

    fn says(&self, status: u64) {
        self.status.store(status, Relaxed);
    }

    fn takes(&self, millis: u64) {
        self.takes_ms.store(millis, Relaxed);
    }

    fn requests(&self) -> usize {
        self.upstream.requests()
    }
}

/// As a time that an answer takes: until another time is set.
const HANGS: u64 = u64::MAX;

/// A request that runs.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn enter(running: Arc<AtomicUsize>, most: &AtomicUsize) -> Self {
        most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
        Self(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn coded(status: u64) -> Answer {
    match status {
        0 => answer(200, "fine"),
        status => answer(u16::try_from(status).expect("a status"), "no"),
    }
}

async fn pool<const N: usize>() -> [Switched; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(Switched::start().await);
    }
    all.try_into().unwrap_or_else(|_| panic!("{N} of them"))
}

fn config(pool: &[Switched], of_upstream: &str, of_route: &str) -> String {
    let endpoints: Vec<_> = pool
        .iter()
        .map(|one| format!("{{ address = \"{}\" }}", one.upstream.address))
        .collect();
    format!(
        "[upstreams.up]\nendpoints = [{}]\n{of_upstream}\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n",
        endpoints.join(", ")
    )
}

/// How an endpoint stands, as the API has it.
async fn shown(gate: &TestGateway, one: &Switched) -> Json {
    let text = client::admin(gate.admin, "/api/v1/upstreams").await.text();
    let all: Json = serde_json::from_str(&text).expect("JSON");
    let address = one.upstream.address.to_string();
    let endpoints = all[0]["endpoints"].as_array().expect("endpoints");
    endpoints
        .iter()
        .find(|endpoint| endpoint["address"] == address.as_str())
        .expect("it is there")
        .clone()
}

async fn state(gate: &TestGateway, one: &Switched) -> String {
    let shown = shown(gate, one).await;
    shown["state"].as_str().expect("a state").to_owned()
}

async fn sentence(gate: &TestGateway, one: &Switched) -> String {
    let shown = shown(gate, one).await;
    shown["sentence"].as_str().expect("a sentence").to_owned()
}

async fn reaches(gate: &TestGateway, one: &Switched, wanted: &str) {
    let limit = tokio::time::Instant::now() + client::GENEROUS;
    while state(gate, one).await != wanted {
        let said = sentence(gate, one).await;
        assert!(tokio::time::Instant::now() < limit, "not {wanted}: {said}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ejections(gate: &TestGateway) -> f64 {
    let text = client::admin(gate.admin, "/metrics").await.text();
    let lines = text.lines();
    let counts = lines.filter(|line| line.starts_with("tidegate_ejections_total{"));
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Clients that ask without a pause until this is dropped or stopped.
struct Load {
    stop: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Load {
    fn start(gate: &TestGateway, clients: usize) -> Self {
        let load = Self {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failed: Arc::default(),
            asked: Arc::default(),
        };
        for _ in 0..clients {
            let (web, stop) = (gate.web, load.stop.clone());
            let (failed, asked) = (Arc::clone(&load.failed), Arc::clone(&load.asked));
            load.tasks.spawn(async move {
                let mut sender = client::connect(web).await.expect("connected");
                while !stop.is_cancelled() {
                    let request = client::request("GET", "/", "");
                    let reply = client::exchange(&mut sender, request)
                        .await
                        .expect("an answer");
                    asked.fetch_add(1, Relaxed);
                    failed.fetch_add(usize::from(reply.status != StatusCode::OK), Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        load
    }

    fn failed(&self) -> usize {
        self.failed.load(Relaxed)
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }

    /// Waits until so many more were asked.
    async fn goes_on(&self, more: usize) {
        let until_then = self.asked() + more;
        until("more was asked", || self.asked() >= until_then).await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const QUICK: &str = "balance = \"round_robin\"\nslow_start = \"0s\"\nconcurrency = { mode = \"off\" }\n\
    ejection = { consecutive_failures = 3, base_time = \"500ms\", max_time = \"2s\" }";

#[tokio::test]
async fn one_bad_of_two_or_three_is_out_and_says_so_in_one_sentence() {
    async fn one_of<const N: usize>() {
        let pool = pool::<N>().await;
        let text = config(
            &pool,
            "balance = \"round_robin\"\nejection = { consecutive_failures = 3, base_time = \"5m\" }",
            "",
        );
        let gate = TestGateway::start(&text).await;
        pool[0].says(503);
        for _ in 0..40 {
            let _ = client::get(gate.web, "/").await;
        }
        assert_eq!(pool[0].requests(), 3, "of {N}");
        assert_eq!(state(&gate, &pool[0]).await, "ejected");
        let said = sentence(&gate, &pool[0]).await;
        assert!(said.starts_with("out since "), "{said}");
        let why = ": 3 failures in a row, the last: status 503; a single request will try it in ";
        assert!(said.contains(why), "{said}");
        assert_eq!(
            sentence(&gate, &pool[1]).await,
            "serves: no check says otherwise"
        );
        let cause = "tidegate_ejections_total{upstream=\"up\",cause=\"consecutive_failures\"}";
        assert!((gate.metric(cause).await - 1.0).abs() < f64::EPSILON);
    }
    one_of::<2>().await;
    one_of::<3>().await;
}

#[tokio::test]
async fn a_single_endpoint_is_never_out_however_bad_it_is() {
    let pool = pool::<1>().await;
    let gate = TestGateway::start(&config(&pool, QUICK, "")).await;
    pool[0].says(500);
    for _ in 0..50 {
        let reply = client::get(gate.web, "/").await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(pool[0].requests(), 50);
    assert_eq!(state(&gate, &pool[0]).await, "in");
}

/// Fifty clients have `bad` ejected, and nothing runs there any more.
async fn is_ejected_under_load(gate: &TestGateway, bad: &Switched) -> Load {
    bad.says(500);
    let load = Load::start(gate, 50);
    reaches(gate, bad, "ejected").await;
    // One that was let in before may be on its way there still, and would be taken for the trial.
    until("what was let in there has ended", || {
        let snapshot = gate.gateway.snapshot();
        let mut seats = snapshot.upstreams[0].seats.as_slice().iter();
        let seat = seats.find(|seat| seat.endpoint.id.address == bad.upstream.address);
        seat.is_some_and(|seat| seat.endpoint.in_flight() == 0) && bad.running.load(Relaxed) == 0
    })
    .await;
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_on_trial_gets_one_request_at_a_time_while_fifty_clients_are_at_it() {
    let pool = pool::<2>().await;
    let gate = TestGateway::start(&config(&pool, QUICK, "")).await;
    let load = is_ejected_under_load(&gate, &pool[0]).await;
    pool[0].most.store(0, Relaxed);
    pool[0].takes(HANGS);
    pool[0].says(0);
    let before = pool[0].requests();
    until("it is tried", || pool[0].running.load(Relaxed) > 0).await;
    let others = pool[1].requests();
    load.goes_on(500).await;
    assert!(pool[1].requests() >= others + 400, "the other serves on");
    assert_eq!(pool[0].requests(), before + 1, "more than one tried it");
    assert_eq!(state(&gate, &pool[0]).await, "trial");
    pool[0].takes(1);
    reaches(&gate, &pool[0], "in").await;
    until("it serves many at once again", || {
        pool[0].requests() > before + 200
    })
    .await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_fails_is_one_request_and_the_next_comes_later_each_time() {
    let pool = pool::<2>().await;
    let gate = TestGateway::start(&config(&pool, QUICK, "")).await;
    let load = is_ejected_under_load(&gate, &pool[0]).await;
    load.goes_on(100).await;
    pool[0].most.store(0, Relaxed);
    let before = pool[0].requests();
    let began = tokio::time::Instant::now();
    until("it was tried three times", || {
        pool[0].requests() >= before + 3
    })
    .await;
    // The first may come at once, the next 1 s and 1.5 s later.
    assert!(
        began.elapsed() > Duration::from_millis(2300),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(pool[0].most.load(Relaxed), 1, "one request at a time");
    load.end().await;
    assert!(
        pool[0].requests() <= before + 4,
        "{} trials",
        pool[0].requests() - before
    );
}

#[tokio::test]
async fn a_trial_that_its_client_gives_up_frees_the_place_for_the_next() {
    let pool = pool::<2>().await;
    let gate = TestGateway::start(&config(&pool, QUICK, "")).await;
    pool[0].says(500);
    let load = Load::start(&gate, 4);
    reaches(&gate, &pool[0], "ejected").await;
    load.end().await;
    reaches(&gate, &pool[0], "trial").await;
    pool[0].says(0);
    pool[0].takes(HANGS);
    // Each of these clients leaves; were its trial kept, nobody would come after it.
    for trial in 1..=3 {
        let before = pool[0].requests();
        let until_then = tokio::time::Instant::now() + client::GENEROUS;
        while pool[0].requests() == before {
            assert!(tokio::time::Instant::now() < until_then, "no trial {trial}");
            let asked = client::try_send(gate.web, client::request("GET", "/", ""));
            let _ = tokio::time::timeout(Duration::from_millis(50), asked).await;
        }
        until("its client is gone", || pool[0].running.load(Relaxed) == 0).await;
    }
    pool[0].takes(0);
    let load = Load::start(&gate, 4);
    reaches(&gate, &pool[0], "in").await;
    load.end().await;
}

#[tokio::test]
async fn alone_on_trial_it_serves_as_ever() {
    let pool = pool::<2>().await;
    let health = format!(
        "{QUICK}\nhealth = {{ path = \"/healthz\", interval = \"100ms\", timeout = \"100ms\", unhealthy_after = 1, healthy_after = 1 }}"
    );
    let gate = TestGateway::start(&config(&pool, &health, "")).await;
    pool[0].says(500);
    pool[0].checks.store(200, Relaxed);
    let load = Load::start(&gate, 8);
    reaches(&gate, &pool[0], "ejected").await;
    load.end().await;
    pool[1].checks.store(500, Relaxed);
    reaches(&gate, &pool[1], "down").await;
    let said = sentence(&gate, &pool[1]).await;
    assert!(said.contains("; 1 passed check brings it back"), "{said}");
    reaches(&gate, &pool[0], "trial").await;
    pool[0].takes(HANGS);
    pool[0].most.store(0, Relaxed);
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        asked.spawn(client::get(gate.web, "/"));
    }
    until("all run there at once", || pool[0].most.load(Relaxed) == 8).await;
    pool[0].takes(0);
    asked.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_flaps_is_out_ever_longer_and_costs_ever_less() {
    let pool = pool::<3>().await;
    let gate = TestGateway::start(&config(&pool, QUICK, "")).await;
    let load = Load::start(&gate, 8);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        pool[0].says(503);
        reaches(&gate, &pool[0], "ejected").await;
        let began = tokio::time::Instant::now();
        pool[0].says(0);
        reaches(&gate, &pool[0], "in").await;
        lengths.push(began.elapsed());
    }
    load.end().await;
    assert!(
        lengths[2] > lengths[0] + Duration::from_millis(300),
        "{lengths:?}"
    );
    assert!((ejections(&gate).await - 3.0).abs() < f64::EPSILON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_pass_bring_no_ejected_endpoint_back() {
    let pool = pool::<2>().await;
    let of_upstream = "ejection = { consecutive_failures = 3, base_time = \"5m\" }\n\
        health = { path = \"/healthz\", interval = \"100ms\", timeout = \"100ms\", healthy_after = 1 }";
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    pool[0].checks.store(200, Relaxed);
    pool[0].says(500);
    let load = Load::start(&gate, 4);
    reaches(&gate, &pool[0], "ejected").await;
    load.end().await;
    let series = "tidegate_health_checks_total{upstream=\"up\",result=\"passed\"}";
    let before = gate.metric(series).await;
    let limit = tokio::time::Instant::now() + client::GENEROUS;
    while gate.metric(series).await < before + 6.0 {
        assert!(tokio::time::Instant::now() < limit, "no checks run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shown = shown(&gate, &pool[0]).await;
    assert_eq!(
        (&shown["state"], &shown["healthy"]),
        (&"ejected".into(), &true.into())
    );
}

/// Ten times as slow as the others, and all answers are 200.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_far_slower_than_the_others_is_out_where_latency_is_compared() {
    let pool = pool::<3>().await;
    pool[0].takes(150);
    let of_upstream = "balance = \"round_robin\"\nconcurrency = { mode = \"off\" }\n\
        ejection = { interval = \"1s\", base_time = \"5m\", latency = { minimum_requests = 20 } }";
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    let load = Load::start(&gate, 16);
    reaches(&gate, &pool[0], "ejected").await;
    let said = sentence(&gate, &pool[0]).await;
    assert!(said.contains("nine of ten answers took up to "), "{said}");
    assert_eq!(state(&gate, &pool[1]).await, "in");
    assert_eq!(load.failed(), 0);
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_now_and_then_far_more_than_the_others_is_out_by_comparison() {
    let pool = pool::<3>().await;
    let of_upstream = "balance = \"round_robin\"\nconcurrency = { mode = \"off\" }\n\
        ejection = { consecutive_failures = 1000, interval = \"1s\", base_time = \"5m\", \
        success_rate = { minimum_requests = 50 } }";
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    let load = Load::start(&gate, 16);
    let (stop, flips) = (CancellationToken::new(), Arc::clone(&pool[2].status));
    let flipping = tokio::task::spawn({
        let stop = stop.clone();
        async move {
            while !stop.is_cancelled() {
                let now = flips.load(Relaxed);
                flips.store(500 - now, Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    reaches(&gate, &pool[2], "ejected").await;
    let said = sentence(&gate, &pool[2]).await;
    assert!(
        said.contains("% of its requests failed, 0 % of the others'"),
        "{said}"
    );
    stop.cancel();
    flipping.await.expect("no panic");
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_at_once_draws_no_load() {
    let pool = pool::<3>().await;
    for well in &pool[1..] {
        well.takes(20);
    }
    pool[0].says(500); // at once, so it always looks idle
    let of_upstream = "ejection = { base_time = \"5m\" }\nconcurrency = { mode = \"off\" }";
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    let load = Load::start(&gate, 32);
    load.goes_on(1000).await;
    load.end().await;
    // Five in a row, and what was on its way there when the fifth ended.
    assert!(pool[0].requests() <= 40, "{} requests", pool[0].requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_served_is_out_after_some_hundred_requests() {
    let pool = pool::<3>().await;
    for well in &pool[1..] {
        well.takes(5);
    }
    pool[0].says(503);
    let gate = TestGateway::start(&config(&pool, "", "")).await;
    let load = Load::start(&gate, 2);
    reaches(&gate, &pool[0], "ejected").await;
    let asked = load.asked();
    load.end().await;
    assert!(asked <= 2000, "{asked} requests");
    // What it failed is told of it, and not more than that.
    assert!(pool[0].requests() <= 7, "{} requests", pool[0].requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_everywhere_at_once_ejects_nobody() {
    let pool = pool::<6>().await; // of which two may be out
    let of_upstream = "concurrency = { mode = \"off\" }\n\
        ejection = { interval = \"1s\", base_time = \"5m\", success_rate = { minimum_requests = 20 } }";
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    for one in &pool {
        one.takes(5);
    }
    let load = Load::start(&gate, 16);
    load.goes_on(500).await;
    for one in &pool {
        one.says(503);
    }
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        load.goes_on(50).await; // three windows of it
    }
    for one in &pool {
        one.says(0);
    }
    load.goes_on(200).await;
    let failed = load.failed();
    load.goes_on(200).await;
    assert_eq!(load.failed(), failed, "all is well again at once");
    load.end().await;
    let out = ejections(&gate).await;
    assert!(
        out <= 1.0,
        "{out} of six were ejected for what all have in common"
    );
    for one in &pool[1..] {
        assert!(one.requests() > 100);
    }
}

#[tokio::test]
async fn one_request_that_breaks_whatever_it_meets_counts_once_over_its_tries() {
    let pool = pool::<6>().await; // of which two may be out
    let of_upstream =
        "balance = \"round_robin\"\nejection = { consecutive_failures = 1, base_time = \"5m\" }";
    let retry = "retry = { attempts = 3, on = [\"502\"] }";
    let gate = TestGateway::start(&config(&pool, of_upstream, retry)).await;
    let reply = client::get(gate.web, "/poison").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    let tries: usize = pool.iter().map(Switched::requests).sum();
    assert!(tries >= 2, "it was tried again");
    assert!((ejections(&gate).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn panic_is_a_metric_and_a_word_of_the_api() {
    let pool = pool::<2>().await;
    let of_upstream =
        "panic_threshold = 0.9\nejection = { consecutive_failures = 1, base_time = \"300ms\" }";
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    let series = "tidegate_upstream_panic{upstream=\"up\"}";
    assert!((gate.metric(series).await - 0.0).abs() < f64::EPSILON);
    pool[0].says(500);
    let limit = tokio::time::Instant::now() + client::GENEROUS;
    while gate.metric(series).await < 1.0 {
        assert!(tokio::time::Instant::now() < limit, "no panic");
        let _ = client::get(gate.web, "/").await;
    }
    pool[0].says(0);
    while gate.metric(series).await > 0.0 {
        assert!(tokio::time::Instant::now() < limit, "still in panic");
        let _ = client::get(gate.web, "/").await;
    }
}

// === what a reload keeps ===

/// Two endpoints of which the first is out, and the gateway.
async fn with_one_out(of_upstream: &str) -> ([Switched; 2], TestGateway) {
    let pool = pool::<2>().await;
    let gate = TestGateway::start(&config(&pool, of_upstream, "")).await;
    pool[0].says(500);
    while state(&gate, &pool[0]).await == "in" {
        let _ = client::get(gate.web, "/").await;
    }
    (pool, gate)
}

/// The seconds that an ejection still lasts, by its sentence.
async fn left(gate: &TestGateway, one: &Switched) -> u64 {
    let said = sentence(gate, one).await;
    let words = said.rsplit("try it in ").next().expect("its end");
    let mut words = words.split(' ');
    let number: u64 = words.next().and_then(|n| n.parse().ok()).expect("a number");
    number * if words.next() == Some("min") { 60 } else { 1 }
}

const OUT: &str =
    "balance = \"round_robin\"\nejection = { consecutive_failures = 3, base_time = \"100s\" }";

#[tokio::test]
async fn an_ejection_and_its_clock_survive_another_order_timeouts_and_settings() {
    let (pool, gate) = with_one_out(OUT).await;
    let before = left(&gate, &pool[0]).await;
    assert!((90..=100).contains(&before), "{before}");
    let other = "ejection = { consecutive_failures = 9, base_time = \"7s\", interval = \"2s\", success_rate = { enabled = false } }\n\
        connect_timeout = \"3s\"\nfirst_byte_timeout = \"9s\"";
    let text =
        config(&pool, other, "timeout = \"8s\"").replace("name = \"all\"", "name = \"renamed\"");
    let addresses =
        [&pool[0], &pool[1]].map(|one| format!("{{ address = \"{}\" }}", one.upstream.address));
    let text = text.replace(
        &addresses.join(", "),
        &format!("{}, {}", addresses[1], addresses[0]),
    );
    gate.reload(&text).await;
    let after = left(&gate, &pool[0]).await;
    assert!(
        (before - 15..=before).contains(&after),
        "{before}, then {after}"
    );
    let seen = pool[0].requests();
    for _ in 0..10 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    assert_eq!(pool[0].requests(), seen);
}

#[tokio::test]
async fn failures_in_a_row_survive_a_reload() {
    let pool = pool::<2>().await;
    let of = |base: &str| {
        format!(
            "balance = \"round_robin\"\nejection = {{ consecutive_failures = 4, base_time = \"{base}\" }}"
        )
    };
    let gate = TestGateway::start(&config(&pool, &of("60s"), "")).await;
    pool[0].says(500);
    while pool[0].requests() < 3 {
        let _ = client::get(gate.web, "/").await;
    }
    gate.reload(&config(&pool, &of("70s"), "")).await;
    while pool[0].requests() < 4 {
        let _ = client::get(gate.web, "/").await;
    }
    assert_eq!(state(&gate, &pool[0]).await, "ejected");
    assert!(
        left(&gate, &pool[0]).await > 60,
        "by the numbers of the new file"
    );
}

#[tokio::test]
async fn a_trial_survives_a_reload() {
    let short =
        "balance = \"round_robin\"\nejection = { consecutive_failures = 3, base_time = \"200ms\" }";
    let (pool, gate) = with_one_out(short).await;
    reaches(&gate, &pool[0], "trial").await;
    gate.reload(&config(&pool, OUT, "")).await;
    assert_eq!(state(&gate, &pool[0]).await, "trial");
    let (seen, limit) = (
        pool[0].requests(),
        tokio::time::Instant::now() + client::GENEROUS,
    );
    while pool[0].requests() == seen {
        assert!(tokio::time::Instant::now() < limit, "not tried");
        let _ = client::get(gate.web, "/").await;
    }
    assert_eq!(
        state(&gate, &pool[0]).await,
        "ejected",
        "one failure was enough"
    );
    assert!(left(&gate, &pool[0]).await > 150, "for the second time");
}

#[tokio::test]
async fn slow_start_survives_a_reload_and_a_new_length_holds_for_what_is_left() {
    let short =
        "slow_start = \"5m\"\nejection = { consecutive_failures = 3, base_time = \"200ms\" }";
    let (pool, gate) = with_one_out(short).await;
    pool[0].says(0);
    let limit = tokio::time::Instant::now() + client::GENEROUS;
    while state(&gate, &pool[0]).await != "warming" {
        assert!(tokio::time::Instant::now() < limit, "it did not come back");
        let _ = client::get(gate.web, "/").await;
    }
    gate.reload(&config(&pool, &format!("{OUT}\nslow_start = \"6m\""), ""))
        .await;
    let said = sentence(&gate, &pool[0]).await;
    assert!(said.contains("of its share: it came back at "), "{said}");
    gate.reload(&config(&pool, &format!("{OUT}\nslow_start = \"0s\""), ""))
        .await;
    assert_eq!(state(&gate, &pool[0]).await, "in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_comparison_survives_a_reload() {
    let pool = pool::<2>().await;
    let of = |weight: u32| {
        let of_upstream = "balance = \"round_robin\"\nconcurrency = { mode = \"off\" }\n\
            ejection = { consecutive_failures = 1000, interval = \"5s\", base_time = \"5m\", success_rate = { minimum_requests = 40 } }";
        config(&pool, of_upstream, &format!("timeout = \"{weight}s\""))
    };
    let gate = TestGateway::start(&of(10)).await;
    pool[0].says(500);
    for _ in 0..100 {
        let _ = client::get(gate.web, "/").await;
    }
    gate.reload(&of(11)).await; // after it nobody asks any more
    reaches(&gate, &pool[0], "ejected").await;
    let said = sentence(&gate, &pool[0]).await;
    assert!(said.contains("100 % of its requests failed"), "{said}");
}

#[tokio::test]
async fn ejection_that_is_turned_off_brings_back_who_is_out_though_nobody_asks() {
    let (pool, gate) = with_one_out(OUT).await;
    gate.reload(&config(
        &pool,
        "slow_start = \"0s\"\nejection = { enabled = false }",
        "",
    ))
    .await;
    reaches(&gate, &pool[0], "in").await;
}

#[tokio::test]
async fn an_endpoint_that_joins_others_of_some_age_begins_with_a_part_of_its_share() {
    let pool = pool::<2>().await;
    let slow = "slow_start = \"1s\"";
    let gate = TestGateway::start(&config(&pool[..1], slow, "")).await;
    until("the first has served for a while", || {
        let snapshot = gate.gateway.snapshot();
        let seat = snapshot.upstreams[0].seats.get(0).expect("one");
        seat.endpoint.health.age(tokio::time::Instant::now()) > Duration::from_millis(1100)
    })
    .await;
    gate.reload(&config(&pool, "slow_start = \"60s\"", ""))
        .await;
    assert_eq!(
        state(&gate, &pool[1]).await,
        "in",
        "the other is not as old as that"
    );
    let more = Switched::start().await;
    let all = [pool, [more, Switched::start().await]]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    gate.reload(&config(&all[..3], slow, "")).await;
    gate.reload(&config(&all[..3], "slow_start = \"10m\"", ""))
        .await; // holds for what is left of it
    let said = sentence(&gate, &all[2]).await;
    assert!(said.contains("of its share: it joined at "), "{said}");
}
