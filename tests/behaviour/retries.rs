//! Retries, ejection and the return of an endpoint.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

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
        "[upstreams.up]\nendpoints = [{}]\n{of_upstream}\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n{of_route}\n",
        endpoints.join(", ")
    )
}

/// Clients that ask without a pause until told to stop; returns how many answers there were of each status.
async fn load(
    web: std::net::SocketAddr,
    clients: usize,
    stop: tokio_util::sync::CancellationToken,
) -> std::collections::BTreeMap<u16, usize> {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let stop = stop.clone();
        running.spawn(async move {
            let mut seen = std::collections::BTreeMap::new();
            let mut sender = client::connect(web).await.expect("connected");
            while !stop.is_cancelled() {
                let reply = client::exchange(&mut sender, client::request("GET", "/", ""))
                    .await
                    .expect("an answer");
                *seen.entry(reply.status.as_u16()).or_insert(0) += 1;
            }
            seen
        });
    }
    let mut all = std::collections::BTreeMap::new();
    while let Some(seen) = running.join_next().await {
        for (status, count) in seen.expect("no panic") {
            *all.entry(status).or_insert(0) += count;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_of_three_upstreams_fails_no_request_and_it_comes_back_slowly() {
    let upstreams = [
        Upstream::saying("a").await,
        Upstream::saying("b").await,
        Upstream::saying("c").await,
    ];
    let ejection =
        "ejection = { consecutive_failures = 3, base_time = \"1s\" }\nslow_start = \"10s\"";
    let gate = TestGateway::start(&config(&upstreams.each_ref(), ejection, "")).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let loaded = tokio::task::spawn(load(gate.web, 64, stop.clone()));
    until("all three are in use", || {
        upstreams.iter().all(|up| up.requests() > 100)
    })
    .await;
    let killed = upstreams[2].address;
    upstreams[2].kill();
    let is_ejected = |gate: &TestGateway| {
        let snapshot = gate.gateway.snapshot();
        snapshot
            .upstreams
            .iter()
            .flat_map(|up| up.seats.as_slice().iter())
            .any(|seat| {
                seat.endpoint.id.address == killed
                    && seat.endpoint.health.is_ejected(Instant::now())
            })
    };
    until("it is ejected", || is_ejected(&gate)).await;
    let again = Upstream::start_at(killed, |_| async { answer(200, "c") }).await;
    until("it serves again", || again.requests() > 0).await;
    let is_on_trial = |gate: &TestGateway| {
        let snapshot = gate.gateway.snapshot();
        let mut seats = snapshot.upstreams.iter().flat_map(|up| up.seats.as_slice());
        seats.any(|seat| seat.endpoint.health.on_trial(Instant::now()))
    };
    until("its trial succeeded", || !is_on_trial(&gate)).await;
    let share = gate
        .gateway
        .snapshot()
        .upstreams
        .iter()
        .flat_map(|up| up.seats.as_slice().iter())
        .find(|seat| seat.endpoint.id.address == killed)
        .map(|seat| {
            seat.endpoint
                .health
                .share(Duration::from_secs(10), Instant::now())
        })
        .expect("it is still there");
    assert!(share < 1.0, "it came back at once with all of its share");
    stop.cancel();
    let seen = loaded.await.expect("no panic");
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [200], "{seen:?}");
}

#[tokio::test]
async fn an_answer_is_tried_again_only_where_asked_and_on_another_endpoint() {
    let bad = Upstream::start(|_| async { answer(503, "no") }).await;
    let good = Upstream::saying("yes").await;
    let off = "ejection = { enabled = false }\nbalance = \"round_robin\"";
    let plain = TestGateway::start(&config(&[&bad, &good], off, "")).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(client::get(plain.web, "/").await.status.as_u16());
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        [200, 200, 503, 503],
        "503 is not a word of the default"
    );
    let retry = "retry = { attempts = 2, on = [\"503\"] }";
    let asked = TestGateway::start(&config(&[&bad, &good], off, retry)).await;
    for _ in 0..4 {
        assert_eq!(client::get(asked.web, "/").await.status, StatusCode::OK);
    }
    let posted = client::send(asked.web, client::request("POST", "/", "x")).await;
    let again = client::send(asked.web, client::request("POST", "/", "x")).await;
    let mut statuses = [posted.status.as_u16(), again.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503], "a POST was tried again");
}

#[tokio::test]
async fn an_upstreams_own_shed_is_not_tried_again() {
    let shedding = Upstream::start(|_| async {
        let mut shed = answer(503, "busy");
        shed.headers_mut()
            .insert("retry-after", http::HeaderValue::from_static("3"));
        shed
    })
    .await;
    let good = Upstream::saying("yes").await;
    let text = config(
        &[&shedding, &good],
        "balance = \"round_robin\"\nejection = { consecutive_failures = 1 }",
        "retry = { attempts = 2, on = [\"503\"] }",
    );
    let gate = TestGateway::start(&text).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(client::get(gate.web, "/").await.status.as_u16());
    }
    assert_eq!(
        seen.iter().filter(|status| **status == 503).count(),
        3,
        "{seen:?}: tried again, or ejected for it"
    );
}

#[tokio::test]
async fn a_body_is_sent_again_whole_up_to_its_cap() {
    let bad = Upstream::start(|request| async {
        let _ = http_body_util::BodyExt::collect(request.into_body()).await;
        answer(502, "no")
    })
    .await;
    let echo = Upstream::start(|request| async {
        let body = http_body_util::BodyExt::collect(request.into_body())
            .await
            .expect("whole");
        answer(200, body.to_bytes())
    })
    .await;
    let off = "ejection = { enabled = false }\nbalance = \"round_robin\"";
    let gate = TestGateway::start(&config(
        &[&bad, &echo],
        off,
        "retry = { attempts = 2, on = [\"502\"], replay = \"16B\" }",
    ))
    .await;
    for _ in 0..4 {
        let reply = client::send(gate.web, client::request("PUT", "/", "0123456789abcdef")).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (StatusCode::OK, "0123456789abcdef")
        );
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(
            client::send(gate.web, client::request("PUT", "/", "0123456789abcdefX"))
                .await
                .status
                .as_u16(),
        );
    }
    assert!(
        seen.contains(&502),
        "{seen:?}: a body over the cap was sent again"
    );
}

#[tokio::test]
async fn retries_stop_at_their_budget() {
    let bad = [Upstream::start(|_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer(503, "no")
    })
    .await];
    let off = "ejection = { enabled = false }";
    let gate = TestGateway::start(&config(
        &[&bad[0]],
        off,
        "retry = { attempts = 3, on = [\"503\"] }",
    ))
    .await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..50 {
        asked.spawn(client::get(gate.web, "/"));
    }
    while let Some(reply) = asked.join_next().await {
        assert_eq!(
            reply.expect("no panic").status,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    let spent = gate
        .metric("tidegate_retries_total{upstream=\"up\",result=\"failure\"}")
        .await;
    let kept = gate
        .metric("tidegate_retries_total{upstream=\"up\",result=\"budget\"}")
        .await;
    assert!(kept > 0.0, "the budget never said no");
    assert!(
        spent > 0.0 && spent < 100.0,
        "{spent} retries of 50 requests"
    );
}
