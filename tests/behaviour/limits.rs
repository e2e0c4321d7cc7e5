//! Rate limits, concurrency limits and the queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore, time::Instant};

use crate::support::{
    client::{self, GENEROUS},
    gateway::TestGateway,
    until,
    upstream::{Upstream, answer},
};

/// One route to `upstream`, with what follows under `[upstreams.up]` and under the route.
fn config(upstream: &Upstream, of_upstream: &str, of_route: &str) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n{of_upstream}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n",
        upstream.address
    )
}

#[tokio::test]
async fn over_a_rate_limit_is_429_with_all_that_a_client_needs() {
    let upstream = Upstream::saying("ok").await;
    let limit = "[[routes.rate_limits]]\nname = \"per-client\"\nrate = \"1/m\"\nburst = 2\n";
    let gate = TestGateway::start(&config(&upstream, "", limit)).await;
    for _ in 0..2 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    let refused = client::get(gate.web, "/").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused
        .header("retry-after")
        .parse()
        .expect("whole seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("proxy-status"),
        "tidegate; error=http_request_denied; cause=overload; reason=rate_exceeded"
    );
    assert!(
        refused
            .header("ratelimit-policy")
            .starts_with("\"per-client\";q=2;w="),
        "{refused:?}"
    );
    assert!(
        refused
            .header("ratelimit")
            .starts_with("\"per-client\";r=0;t="),
        "{refused:?}"
    );
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(upstream.requests(), 2);
    let shed = gate
        .metric("tidegate_shed_total{route=\"all\",reason=\"rate_exceeded\",priority=\"normal\"}")
        .await;
    assert!((shed - 1.0).abs() < f64::EPSILON, "{shed}");
}

#[tokio::test]
async fn a_refusal_by_one_limit_charges_no_other() {
    let upstream = Upstream::saying("ok").await;
    let limits = "[[routes.rate_limits]]\nname = \"wide\"\nkey = \"none\"\nrate = \"1/h\"\nburst = 4\n\
                  [[routes.rate_limits]]\nname = \"narrow\"\nkey = \"header:X-Tenant\"\nrate = \"1/h\"\nburst = 1\n";
    let gate = TestGateway::start(&config(&upstream, "", limits)).await;
    let ask = |tenant: &'static str| {
        let mut request = client::request("GET", "/", "");
        request
            .headers_mut()
            .insert("x-tenant", http::HeaderValue::from_static(tenant));
        client::send(gate.web, request)
    };
    assert_eq!(ask("a").await.status, StatusCode::OK);
    for _ in 0..10 {
        assert_eq!(ask("a").await.status, StatusCode::TOO_MANY_REQUESTS); // by `narrow`
    }
    for tenant in ["b", "c", "d"] {
        assert_eq!(
            ask(tenant).await.status,
            StatusCode::OK,
            "`wide` paid for what `narrow` refused"
        );
    }
    assert_eq!(ask("e").await.status, StatusCode::TOO_MANY_REQUESTS); // by `wide`
}

#[tokio::test]
async fn a_limit_in_shadow_counts_and_lets_through() {
    let upstream = Upstream::saying("ok").await;
    let limit = "[[routes.rate_limits]]\nrate = \"1/h\"\nburst = 1\nshadow = true\n";
    let gate = TestGateway::start(&config(&upstream, "", limit)).await;
    for _ in 0..3 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    let counted =
        gate.metric("tidegate_shadow_shed_total{route=\"all\",reason=\"rate_exceeded\",priority=\"normal\"}").await;
    assert!((counted - 2.0).abs() < f64::EPSILON, "{counted}");
}

#[tokio::test]
async fn what_a_limit_admits_follows_the_time_that_passed() {
    let upstream = Upstream::saying("ok").await;
    let limit = "[[routes.rate_limits]]\nrate = \"100/s\"\nburst = 100\nkey = \"none\"\n";
    let gate = TestGateway::start(&config(&upstream, "", limit)).await;
    let began = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..4 {
        senders.push(client::connect(gate.web).await.expect("connected"));
    }
    let (mut admitted, mut offered) = (0_u32, 0_u32);
    while began.elapsed() < Duration::from_secs(2) {
        for sender in &mut senders {
            let reply = client::exchange(sender, client::request("GET", "/", ""))
                .await
                .expect("an answer");
            offered += 1;
            match reply.status {
                StatusCode::OK => admitted += 1,
                StatusCode::TOO_MANY_REQUESTS => assert!(!reply.header("retry-after").is_empty()),
                other => panic!("{other}"),
            }
        }
    }
    let allowed = 100.0 + 100.0 * began.elapsed().as_secs_f64();
    let admitted = f64::from(admitted);
    assert!(
        f64::from(offered) > allowed * 1.5,
        "the load was too small to say anything: {offered}"
    );
    assert!(
        (admitted - allowed).abs() <= allowed * 0.02 + 1.0,
        "{admitted} of {allowed}"
    );
}

/// An upstream whose answers wait for `gate`, and how many wait.
async fn held_upstream() -> (Upstream, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (let_go, inside) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (Arc::clone(&let_go), Arc::clone(&inside));
    let upstream = Upstream::start(move |_| {
        let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.expect("open").forget();
            count.fetch_sub(1, Ordering::SeqCst);
            answer(200, "ok")
        }
    })
    .await;
    (upstream, let_go, inside)
}

/// Waits until so many wait for a place.
async fn until_waiting(gate: &TestGateway, count: u32) {
    let snapshot = gate.gateway.snapshot();
    let upstream = snapshot.upstreams.first().expect("an upstream");
    until("they wait", || upstream.gate.view().waiting == count).await;
}

#[tokio::test]
async fn no_more_than_the_limit_reach_the_upstream_and_the_rest_wait_or_are_refused() {
    let (upstream, let_go, inside) = held_upstream().await;
    let concurrency = "concurrency = { mode = \"fixed\", limit = 2, queue = { max_waiting = 1, max_wait = \"20s\" } }";
    let gate = TestGateway::start(&config(&upstream, concurrency, "")).await;
    let web = gate.web;
    let running: Vec<_> = (0..3)
        .map(|_| tokio::task::spawn(client::get(web, "/")))
        .collect();
    until("two are inside", || inside.load(Ordering::SeqCst) == 2).await;
    until("one waits", || {
        gate.gateway
            .snapshot()
            .upstreams
            .iter()
            .any(|up| up.gate.view().waiting == 1)
    })
    .await;
    let refused = client::get(web, "/").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        refused.header("proxy-status"),
        "tidegate; error=connection_limit_reached; cause=overload; reason=queue_full"
    );
    assert!(
        refused
            .header("retry-after")
            .parse::<u64>()
            .expect("seconds")
            >= 1
    );
    assert_eq!(inside.load(Ordering::SeqCst), 2);
    let_go.add_permits(3);
    for end in running {
        let reply = tokio::time::timeout(GENEROUS, end)
            .await
            .expect("in time")
            .expect("no panic");
        assert_eq!(reply.status, StatusCode::OK);
    }
    until("every permit is back", || {
        gate.gateway
            .snapshot()
            .upstreams
            .iter()
            .all(|up| up.gate.view().in_flight == 0)
    })
    .await;
}

#[tokio::test]
async fn who_waits_too_long_is_told_so() {
    let (upstream, let_go, inside) = held_upstream().await;
    let concurrency = "concurrency = { mode = \"fixed\", limit = 1, queue = { max_waiting = 8, max_wait = \"50ms\" } }";
    let gate = TestGateway::start(&config(&upstream, concurrency, "")).await;
    let first = tokio::task::spawn(client::get(gate.web, "/"));
    until("one is inside", || inside.load(Ordering::SeqCst) == 1).await;
    let refused = client::get(gate.web, "/").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        refused
            .header("proxy-status")
            .ends_with("reason=queue_timeout"),
        "{refused:?}"
    );
    let_go.add_permits(1);
    assert_eq!(first.await.expect("no panic").status, StatusCode::OK);
}

#[tokio::test]
async fn the_more_important_goes_first() {
    let (upstream, let_go, inside) = held_upstream().await;
    let text = format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         concurrency = {{ mode = \"fixed\", limit = 1, queue = {{ max_waiting = 8, max_wait = \"20s\" }} }}\n\
         [[routes]]\nname = \"low\"\npath_prefix = \"/low\"\nupstream = \"up\"\npriority = \"low\"\n\
         [[routes]]\nname = \"critical\"\npath_prefix = \"/critical\"\nupstream = \"up\"\npriority = \"critical\"\n",
        upstream.address
    );
    let gate = TestGateway::start(&text).await;
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let ask = |path: &'static str| {
        let (order, web) = (Arc::clone(&order), gate.web);
        tokio::task::spawn(async move {
            let reply = client::get(web, path).await;
            order.lock().push(path);
            reply.status
        })
    };
    let mut running = vec![ask("/low/0")];
    until("one is inside", || inside.load(Ordering::SeqCst) == 1).await;
    running.push(ask("/low/1"));
    until_waiting(&gate, 1).await;
    running.push(ask("/critical"));
    until_waiting(&gate, 2).await;
    for done in 1..=3 {
        let_go.add_permits(1);
        until("the next is through", || order.lock().len() == done).await;
    }
    for end in running {
        assert_eq!(end.await.expect("no panic"), StatusCode::OK);
    }
    assert_eq!(*order.lock(), ["/low/0", "/critical", "/low/1"]);
}

#[tokio::test]
async fn who_repeats_what_was_refused_or_given_up_goes_behind_first_tries() {
    let (upstream, let_go, inside) = held_upstream().await;
    let concurrency = "concurrency = { mode = \"fixed\", limit = 1, queue = { max_waiting = 3, max_wait = \"20s\" } }";
    let gate = TestGateway::start(&config(&upstream, concurrency, "")).await;
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let keyed = |key: &'static str| {
        let mut request = client::request("POST", "/", "");
        let value = http::HeaderValue::from_static(key);
        request.headers_mut().insert("idempotency-key", value);
        client::send(gate.web, request)
    };
    let ask = |key: &'static str| {
        let (order, reply) = (Arc::clone(&order), keyed(key));
        tokio::task::spawn(async move {
            assert_eq!(reply.await.status, StatusCode::OK, "{key}");
            order.lock().push(key);
        })
    };
    let mut running = vec![ask("first")];
    until("one is inside", || inside.load(Ordering::SeqCst) == 1).await;
    let mut leaver = TcpStream::connect(gate.web).await.expect("connected");
    let head =
        b"POST / HTTP/1.1\r\nhost: test\r\nidempotency-key: left\r\ncontent-length: 0\r\n\r\n";
    leaver.write_all(head).await.expect("written");
    until_waiting(&gate, 1).await;
    drop(leaver);
    until_waiting(&gate, 0).await;
    running.extend(["a", "b", "c"].map(ask));
    until_waiting(&gate, 3).await;
    let refused = keyed("refused").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let_go.add_permits(4);
    until("all are through", || order.lock().len() == 4).await;

    running.push(ask("held"));
    until("one is inside", || inside.load(Ordering::SeqCst) == 1).await;
    for (waiting, key) in (1..).zip(["refused", "left", "new"]) {
        running.push(ask(key));
        until_waiting(&gate, waiting).await;
    }
    for done in 5..=8 {
        let_go.add_permits(1);
        until("the next is through", || order.lock().len() == done).await;
    }
    for end in running {
        end.await.expect("no panic");
    }
    assert_eq!(order.lock()[4..], ["held", "new", "refused", "left"]);
}

#[tokio::test]
async fn the_permit_is_held_until_the_body_ends() {
    let (more, rest) = tokio::sync::mpsc::channel::<Bytes>(1);
    let rest = Arc::new(parking_lot::Mutex::new(Some(rest)));
    let upstream = Upstream::start(move |_| {
        let rest = rest.lock().take();
        async move {
            let stream = futures_util::stream::unfold(rest, |rest| async move {
                let mut rest = rest?;
                let bytes = rest.recv().await?;
                Some((Ok(http_body::Frame::data(bytes)), Some(rest)))
            });
            Response::new(StreamBody::new(stream).boxed_unsync())
        }
    })
    .await;
    let gate = TestGateway::start(&config(
        &upstream,
        "concurrency = { mode = \"fixed\", limit = 4 }",
        "",
    ))
    .await;
    let in_flight = || {
        gate.gateway
            .snapshot()
            .upstreams
            .iter()
            .map(|up| up.gate.view().in_flight)
            .sum::<u32>()
    };
    let mut sender = client::connect(gate.web).await.expect("connected");
    more.send(Bytes::from_static(b"a")).await.expect("open");
    let response = sender
        .send_request(client::request("GET", "/", ""))
        .await
        .expect("a head");
    assert_eq!(in_flight(), 1, "the head is here, the body is not");
    drop(more);
    let reply = client::whole(response).await.expect("whole");
    assert_eq!(reply.text(), "a");
    until("the permit is back", || in_flight() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_permit_and_its_place_back_at_once() {
    let (upstream, _let_go, inside) = held_upstream().await;
    let concurrency = "concurrency = { mode = \"fixed\", limit = 1, queue = { max_waiting = 4, max_wait = \"20s\" } }";
    let gate = TestGateway::start(&config(&upstream, concurrency, "")).await;
    let view = || {
        gate.gateway
            .snapshot()
            .upstreams
            .first()
            .map(|up| up.gate.view())
            .expect("an upstream")
    };
    let leave = |web| async move {
        let stream = tokio::net::TcpStream::connect(web)
            .await
            .expect("connected");
        let mut stream = stream;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            .await
            .expect("written");
        stream
    };
    let first = leave(gate.web).await;
    until("it is inside", || inside.load(Ordering::SeqCst) == 1).await;
    let second = leave(gate.web).await;
    until("it waits", || view().waiting == 1).await;
    drop(second);
    until("its place is free", || view().waiting == 0).await;
    drop(first);
    until("its permit is back", || view().in_flight == 0).await;
    until("both are counted as 499", || {
        let text = gate.gateway.telemetry().render();
        text.contains("tidegate_requests_total{route=\"all\",upstream=\"up\",status=\"499\"} 2")
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_keys_neither_frees_nor_starves() {
    let upstream = Upstream::saying("ok").await;
    let limit = "[[routes.rate_limits]]\nkey = \"header:X-Key\"\nrate = \"1/h\"\nburst = 1\nmax_keys = 64\n";
    let gate = TestGateway::start(&config(&upstream, "", limit)).await;
    let mut sender = client::connect(gate.web).await.expect("connected");
    let mut ask = async |key: String| {
        let request = Request::builder()
            .uri("/")
            .header("host", "test")
            .header("x-key", key);
        let request = request.body(Full::new(Bytes::new())).expect("a request");
        client::exchange(&mut sender, request)
            .await
            .expect("an answer")
            .status
    };
    assert_eq!(ask("victim".into()).await, StatusCode::OK);
    for number in 0..500 {
        let _ = ask(format!("flood-{number}")).await;
    }
    assert_eq!(
        ask("victim".into()).await,
        StatusCode::TOO_MANY_REQUESTS,
        "the flood emptied the victim's bucket"
    );
    let view = gate
        .gateway
        .snapshot()
        .routes
        .first()
        .and_then(|route| route.limits.first())
        .expect("a limit")
        .view(tokio::time::Instant::now());
    assert!(view.keys <= 64, "{}", view.keys);
}

#[tokio::test]
async fn what_a_limit_was_asked_for_becomes_a_proposal_with_lines_to_paste() {
    let upstream = Upstream::saying("ok").await;
    let limit = "[[routes.rate_limits]]\nname = \"per-client\"\nrate = \"1/m\"\nburst = 2\n";
    let gate = TestGateway::start(&config(&upstream, "", limit)).await;
    for _ in 0..10 {
        client::get(gate.web, "/").await;
    }
    let advice = client::admin(gate.admin, "/api/v1/recommendations").await;
    assert_eq!(advice.status, StatusCode::OK);
    let advice: serde_json::Value = serde_json::from_str(&advice.text()).expect("JSON");
    let limit = &advice["limits"][0];
    assert_eq!(
        (&limit["name"], &limit["rate"], &limit["burst"]),
        (&"per-client".into(), &"1/m".into(), &2.into())
    );
    assert_eq!(limit["proposed"]["seen"], 10);
    let lines = limit["proposed"]["toml"].as_str().expect("lines");
    let pasted: toml::Table = toml::from_str(lines).expect("TOML");
    assert!(pasted["burst"].as_integer() > Some(2), "{lines}");
}
