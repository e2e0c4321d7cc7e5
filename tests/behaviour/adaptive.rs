//! A limit that is learned: places of clients that left, deadlines, second tries beside slow ones, and tuning while
//! it runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode, header::HeaderMap};
use http_body_util::Full;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::support::{
    client,
    gateway::TestGateway,
    until,
    upstream::{Upstream, answer},
};

fn config(upstreams: &[&Upstream], of_upstream: &str, of_route: &str) -> String {
    let endpoints: Vec<_> = upstreams
        .iter()
        .map(|up| format!("{{ address = \"{}\" }}", up.address))
        .collect();
    format!(
        "[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [upstreams.up]\nendpoints = [{}]\n{of_upstream}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n",
        endpoints.join(", ")
    )
}

/// Answers `/` at once, and anything else when told to.
async fn patient() -> (Upstream, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let upstream = Upstream::start(move |request: Request<_>| {
        let told = Arc::clone(&told);
        async move {
            if request.uri().path() != "/" {
                told.notified().await;
            }
            answer(200, "ok")
        }
    });
    (upstream.await, go)
}

fn in_flight(gate: &TestGateway) -> u32 {
    let snapshot = gate.gateway.snapshot();
    snapshot.upstreams[0].gate.view().in_flight
}

/// Sends a request for `/slow` and leaves when the upstream has it.
async fn leave_early(gate: &TestGateway, upstream: &Upstream) {
    let before = upstream.requests();
    let mut stream = TcpStream::connect(gate.web).await.expect("connected");
    let request = b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n";
    stream.write_all(request).await.expect("written");
    until("the upstream has it", || upstream.requests() > before).await;
    drop(stream);
}

/// What the route usually takes is known after the first answers.
async fn warm(gate: &TestGateway) {
    for _ in 0..3 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_place_of_a_client_that_left_is_kept_until_the_endpoint_answers() {
    let (upstream, go) = patient().await;
    let gate = TestGateway::start(&config(&[&upstream], "", "")).await;
    warm(&gate).await;
    // Usual is what answers took: some slow ones make it long enough to be seen.
    for _ in 0..40 {
        let asking = client::get(gate.web, "/slow");
        let telling = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            go.notify_one();
        };
        tokio::join!(asking, telling);
    }
    leave_early(&gate, &upstream).await;
    assert_eq!(in_flight(&gate), 1, "the endpoint works on");
    go.notify_one();
    until("the endpoint has answered", || in_flight(&gate) == 0).await;
}

#[tokio::test]
async fn a_place_whose_endpoint_never_answers_comes_back_after_four_times_the_usual() {
    let (upstream, _go) = patient().await;
    let gate = TestGateway::start(&config(&[&upstream], "", "")).await;
    warm(&gate).await;
    leave_early(&gate, &upstream).await;
    until("the ghost is given up", || in_flight(&gate) == 0).await;
}

#[tokio::test]
async fn under_a_fixed_limit_the_place_of_a_client_that_left_comes_back_at_once() {
    let (upstream, _go) = patient().await;
    let fixed = "concurrency = { mode = \"fixed\", limit = 1 }";
    let gate = TestGateway::start(&config(&[&upstream], fixed, "")).await;
    warm(&gate).await;
    leave_early(&gate, &upstream).await;
    until("the place is back", || in_flight(&gate) == 0).await;
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
}

fn asking(fields: &[(&str, &str)]) -> Request<Full<bytes::Bytes>> {
    let mut request = client::request("GET", "/", "");
    for (name, value) in fields {
        let name: http::HeaderName = name.parse().expect("a name");
        request
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
    }
    request
}

#[tokio::test]
async fn a_deadline_that_is_past_is_504_and_what_is_left_of_it_goes_upstream() {
    let seen = Arc::new(parking_lot::Mutex::new(HeaderMap::new()));
    let heard = Arc::clone(&seen);
    let upstream = Upstream::start(move |request: Request<_>| {
        *heard.lock() = request.headers().clone();
        async { answer(200, "ok") }
    })
    .await;
    let gate = TestGateway::start(&config(&[&upstream], "", "timeout = \"9s\"")).await;
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let past = asking(&[grpc[0], grpc[1], ("grpc-timeout", "1n")]);
    let reply = client::send(gate.web, past).await;
    assert_eq!(
        (reply.status, reply.header("grpc-status")),
        (StatusCode::OK, "4")
    );
    assert_eq!(upstream.requests(), 0);
    let soon = asking(&[grpc[0], grpc[1], ("grpc-timeout", "5S")]);
    client::send(gate.web, soon).await;
    let left = |name: &str, unit: &str| -> u64 {
        let fields = seen.lock();
        let text = fields[name].to_str().expect("text").to_owned();
        text.strip_suffix(unit)
            .expect("the unit")
            .parse()
            .expect("a number")
    };
    assert!((1..=5000).contains(&left("grpc-timeout", "m")));
    client::send(gate.web, asking(&[("x-request-timeout", "3s")])).await;
    assert!((1..=3000).contains(&left("x-request-timeout", "ms")));
    client::send(gate.web, asking(&[("x-request-timeout", "1h")])).await;
    assert!(
        (1..=9000).contains(&left("x-request-timeout", "ms")),
        "the route's is shorter"
    );
}

#[tokio::test]
async fn a_slow_first_try_gets_a_second_beside_it_and_the_sooner_answer_wins() {
    let stuck = Upstream::start(|_| async {
        std::future::pending::<()>().await;
        answer(200, "never")
    })
    .await;
    let quick = Upstream::saying("quick").await;
    let hedged = "hedge = { after = \"30ms\" }";
    let off = "ejection = { enabled = false }\nbalance = \"round_robin\"";
    let gate = TestGateway::start(&config(&[&stuck, &quick], off, hedged)).await;
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(client::get(gate.web, "/").await.text(), "quick");
    }
    assert!(began.elapsed() < client::GENEROUS);
    assert!(stuck.requests() >= 1, "the first try went there");
    let won = gate
        .metric("tidegate_retries_total{upstream=\"up\",result=\"success\"}")
        .await;
    assert!(won >= 1.0, "{won}");
}

#[tokio::test]
async fn a_request_with_a_body_gets_no_second_try_beside_it() {
    let slow = || {
        Upstream::start(|_| async {
            tokio::time::sleep(Duration::from_millis(120)).await;
            answer(200, "slow")
        })
    };
    let upstreams = [slow().await, slow().await];
    let hedged = "hedge = { after = \"20ms\" }";
    let config = config(&[&upstreams[0], &upstreams[1]], "", hedged);
    let gate = TestGateway::start(&config).await;
    let reply = client::send(gate.web, client::request("PUT", "/", "body")).await;
    assert_eq!(reply.text(), "slow");
    assert_eq!(upstreams[0].requests() + upstreams[1].requests(), 1);
}

#[tokio::test]
async fn a_class_from_a_trusted_header_is_honoured_and_the_answer_says_how_long_to_stay_away() {
    let (upstream, go) = patient().await;
    let one = "concurrency = { mode = \"fixed\", limit = 1, queue = { max_waiting = 1, max_wait = \"20s\" } }";
    let gate = TestGateway::start(&config(&[&upstream], one, "")).await;
    let web = gate.web;
    let held = tokio::spawn(async move { client::get(web, "/slow").await });
    until("it holds the place", || upstream.requests() == 1).await;
    let low =
        tokio::spawn(
            async move { client::send(web, asking(&[("x-tidegate-priority", "low")])).await },
        );
    let waiting = || gate.gateway.snapshot().upstreams[0].gate.view().waiting;
    until("the low one waits", || waiting() == 1).await;
    let high = tokio::spawn(async move {
        client::send(web, asking(&[("x-tidegate-priority", "critical")])).await
    });
    let refused = low.await.expect("an answer");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.header("proxy-status").contains("reason=queue_full"));
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    go.notify_one();
    assert_eq!(held.await.expect("an answer").status, StatusCode::OK);
    assert_eq!(high.await.expect("an answer").status, StatusCode::OK);
}

/// Asks without a pause; returns how many answers were neither 200 nor an honest 503.
async fn hammer(
    web: std::net::SocketAddr,
    good: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> usize {
    let mut odd = 0;
    let mut sender = client::connect(web).await.expect("connected");
    while !stop.is_cancelled() {
        let reply = client::exchange(&mut sender, client::request("GET", "/", "")).await;
        match reply.map(|reply| reply.status) {
            Ok(StatusCode::OK) => drop(good.fetch_add(1, Ordering::Relaxed)),
            Ok(StatusCode::SERVICE_UNAVAILABLE) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            _ => odd += 1,
        }
    }
    odd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuning_under_load_loses_no_permit_and_fails_no_request() {
    let upstream = Upstream::start(|_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        answer(200, "ok")
    })
    .await;
    let tunings = [
        ("mode = \"adaptive\"", ""),
        (
            "mode = \"adaptive\", min = 2, max = 32, initial = 8",
            "share = 0.5",
        ),
        ("mode = \"fixed\", limit = 6", "priority = \"high\""),
        ("mode = \"vegas\"", "tenant = \"none\""),
        ("mode = \"gradient2\", queue = { max_waiting = 8 }", ""),
        ("mode = \"aimd\", shadow = true", "priority = \"low\""),
        ("mode = \"off\"", ""),
        (
            "mode = \"adaptive\", total = 12",
            "tenant = \"header:x-tenant\"",
        ),
    ];
    let tuned = |round: usize| {
        let (limit, route) = tunings[round % tunings.len()];
        config(&[&upstream], &format!("concurrency = {{ {limit} }}"), route)
    };
    let gate = TestGateway::start(&tuned(0)).await;
    let (stop, good) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..48 {
        clients.spawn(hammer(gate.web, Arc::clone(&good), stop.clone()));
    }
    for round in 1..=24 {
        let before = good.load(Ordering::Relaxed);
        gate.reload(&tuned(round)).await;
        until("work goes on", || {
            good.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }
    stop.cancel();
    while let Some(odd) = clients.join_next().await {
        assert_eq!(odd.expect("no panic"), 0);
    }
    until("every permit is back", || in_flight(&gate) == 0).await;
    let snapshot = gate.gateway.snapshot();
    let lane = snapshot.upstreams[0].roster.lane(0).expect("a lane");
    assert_eq!(lane.in_flight(), 0);
}

#[tokio::test]
async fn a_limit_in_shadow_refuses_nobody_and_counts_whom_it_would_have() {
    let (upstream, go) = patient().await;
    let shadow =
        "concurrency = { mode = \"fixed\", limit = 1, shadow = true, queue = { max_waiting = 0 } }";
    let gate = TestGateway::start(&config(&[&upstream], shadow, "")).await;
    let web = gate.web;
    let held = tokio::spawn(async move { client::get(web, "/slow").await });
    until("it holds the place", || upstream.requests() == 1).await;
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    let series = "tidegate_shadow_shed_total{route=\"all\",reason=\"concurrency_exceeded\",priority=\"normal\"}";
    assert!(gate.metric(series).await >= 1.0);
    go.notify_one();
    assert_eq!(held.await.expect("an answer").status, StatusCode::OK);
}

#[tokio::test]
async fn streams_that_last_do_not_fill_a_learned_limit_for_ever() {
    let upstream = Upstream::start(|_| async {
        let first = futures_util::stream::iter([Ok(http_body::Frame::data("event\n".into()))]);
        let rest = futures_util::stream::pending();
        let body = http_body_util::StreamBody::new(futures_util::StreamExt::chain(first, rest));
        http::Response::new(http_body_util::BodyExt::boxed_unsync(body))
    })
    .await;
    // Less than the longest time for which any answer that still runs keeps its place.
    let narrow = "concurrency = { min = 1, max = 2, initial = 2, queue = { max_wait = \"3s\" } }";
    let gate = TestGateway::start(&config(&[&upstream], narrow, "timeout = \"off\"")).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut sender = client::connect(gate.web).await.expect("connected");
        let response = sender
            .send_request(client::request("GET", "/", ""))
            .await
            .expect("a head");
        assert_eq!(response.status(), StatusCode::OK);
        streams.push((sender, response));
    }
    let mut sender = client::connect(gate.web).await.expect("connected");
    let third = sender
        .send_request(client::request("GET", "/", ""))
        .await
        .expect("a head");
    assert_eq!(third.status(), StatusCode::OK);
    until("all places are back although the streams run on", || {
        in_flight(&gate) == 0
    })
    .await;
    drop(streams);
}
