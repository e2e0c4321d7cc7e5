//! The config changes while it is in use, and nobody notices.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tidegate::reload::{MOST_ENTRIES, Try};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::support::{
    client,
    gateway::{TestGateway, complete},
    until,
    upstream::{Upstream, answer},
};

/// An upstream that echoes WebSockets, streams slowly on `/slow`, and answers the rest.
pub(crate) async fn versatile() -> Upstream {
    versatile_at("127.0.0.1:0".parse().expect("an address")).await
}

/// The same, at an address of the test's choice.
pub(crate) async fn versatile_at(address: SocketAddr) -> Upstream {
    Upstream::start_at(address, |mut request| async move {
        if let Some(key) = request.headers().get("sec-websocket-key").cloned() {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::task::spawn(async move {
                let io = hyper_util::rt::TokioIo::new(upgrade.await.expect("upgraded"));
                let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
                let mut socket =
                    tokio_tungstenite::WebSocketStream::from_raw_socket(io, role, None).await;
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_close() || socket.send(message).await.is_err() {
                        break;
                    }
                }
            });
            let accept =
                tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let mut switch = answer(101, "");
            for (name, value) in [
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-accept", &accept),
            ] {
                switch
                    .headers_mut()
                    .insert(name, http::HeaderValue::from_str(value).expect("a value"));
            }
            return switch;
        }
        if request.uri().path() == "/slow" {
            let ticks = futures_util::stream::unfold(0_u32, |tick| async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                (tick < 50).then(|| {
                    (
                        Ok(http_body::Frame::data(bytes::Bytes::from_static(b"tick "))),
                        tick + 1,
                    )
                })
            });
            return http::Response::new(http_body_util::BodyExt::boxed_unsync(
                http_body_util::StreamBody::new(ticks),
            ));
        }
        answer(200, "ok")
    })
    .await
}

/// The config of round `round`: limits go up and down, a route comes and goes, endpoints swap places.
fn config(round: usize, upstreams: &[Upstream; 2]) -> String {
    let (first, second) = (
        upstreams[round % 2].address,
        upstreams[(round + 1) % 2].address,
    );
    let extra = if round.is_multiple_of(3) {
        "[[routes]]\nname = \"extra\"\npath = \"/extra\"\nupstream = \"up\"\n"
    } else {
        ""
    };
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{first}\", weight = {} }}, {{ address = \"{second}\" }}]\n\
         concurrency = {{ mode = \"fixed\", limit = {}, queue = {{ max_waiting = 500, max_wait = \"20s\" }} }}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n\
         [[routes.rate_limits]]\nname = \"wide\"\nkey = \"none\"\nrate = \"{}/s\"\nburst = {}\n{extra}",
        1 + round % 5,
        20 + round % 40,
        1_000_000 + round,
        1_000_000 + round,
    )
}

async fn keep_alive(web: std::net::SocketAddr, stop: CancellationToken) -> usize {
    let mut sender = client::connect(web).await.expect("connected");
    let mut answered = 0;
    while !stop.is_cancelled() {
        let reply = client::exchange(&mut sender, client::request("GET", "/", ""))
            .await
            .expect("an answer");
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        answered += 1;
    }
    answered
}

async fn streaming(web: std::net::SocketAddr, stop: CancellationToken) -> usize {
    let mut answered = 0;
    while !stop.is_cancelled() {
        let reply = client::get(web, "/slow").await;
        assert_eq!(reply.body.len(), 250, "a stream was cut");
        answered += 1;
    }
    answered
}

async fn websocket(web: std::net::SocketAddr, stop: CancellationToken) -> usize {
    let stream = tokio::net::TcpStream::connect(web)
        .await
        .expect("connected");
    let (mut socket, _) = tokio_tungstenite::client_async("ws://test/ws", stream)
        .await
        .expect("a tunnel");
    let mut echoed = 0;
    while !stop.is_cancelled() {
        socket.send(Message::text("ping")).await.expect("sent");
        assert_eq!(
            socket.next().await.expect("open").expect("whole"),
            Message::text("ping")
        );
        echoed += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    echoed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reloads_under_load_fail_nothing_and_cut_nothing() {
    let upstreams = [versatile().await, versatile().await];
    let gate = TestGateway::start(&config(0, &upstreams)).await;
    let stop = CancellationToken::new();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        clients.spawn(keep_alive(gate.web, stop.clone()));
    }
    for _ in 0..2 {
        clients.spawn(streaming(gate.web, stop.clone()));
        clients.spawn(websocket(gate.web, stop.clone()));
    }
    for round in 1..=200 {
        if round % 20 == 0 {
            let rejected = gate.gateway.reload().status().last.map(|last| last.at);
            gate.write("[upstreams.up]\nendpoints = 7\n");
            until("the broken file is rejected", || {
                let last = gate.gateway.reload().status().last;
                last.is_some_and(|last| Some(last.at) != rejected && !last.verdict.is_in_force())
            })
            .await;
        }
        gate.reload(&config(round, &upstreams)).await;
    }
    stop.cancel();
    while let Some(answered) = clients.join_next().await {
        assert!(answered.expect("no request failed") > 0);
    }
    assert_eq!(gate.gateway.snapshot().config.revision, 201);
    until("every permit is back", || {
        gate.gateway
            .snapshot()
            .upstreams
            .iter()
            .all(|up| up.gate.view().in_flight == 0)
    })
    .await;
}

/// Keeps one HTTP/2 connection busy.
async fn keep_alive_h2(web: std::net::SocketAddr, stop: CancellationToken) -> usize {
    let stream = tokio::net::TcpStream::connect(web)
        .await
        .expect("connected");
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .expect("HTTP/2");
    let driven = tokio::task::spawn(connection);
    let mut answered = 0;
    while !stop.is_cancelled() {
        let request = http::Request::get(format!("http://{web}/"))
            .body(http_body_util::Full::new(bytes::Bytes::new()))
            .expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let reply = client::whole(response).await.expect("whole");
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        answered += 1;
    }
    assert!(!driven.is_finished(), "the connection was closed");
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o09_a_thousand_reloads_fail_no_request_close_no_tunnel_and_keep_no_snapshot() {
    let upstreams = [versatile().await, versatile().await];
    let gate = TestGateway::start(&config(0, &upstreams)).await;
    let stop = CancellationToken::new();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..2 {
        clients.spawn(keep_alive(gate.web, stop.clone()));
        clients.spawn(keep_alive_h2(gate.web, stop.clone()));
    }
    clients.spawn(streaming(gate.web, stop.clone()));
    clients.spawn(websocket(gate.web, stop.clone()));
    let mut snapshots = vec![Arc::downgrade(&gate.gateway.snapshot())];
    for round in 1..=1000 {
        let text = crate::support::gateway::complete(&config(round, &upstreams));
        let applied = gate.gateway.reload().apply(text.into(), None, Try::ForReal);
        applied.await.expect("in force");
        snapshots.push(Arc::downgrade(&gate.gateway.snapshot()));
    }
    assert_eq!(gate.gateway.snapshot().config.revision, 1001);
    stop.cancel();
    while let Some(answered) = clients.join_next().await {
        assert!(answered.expect("no request failed") > 0);
    }
    until("old snapshots are freed", || {
        let alive = snapshots.iter().filter(|one| one.strong_count() > 0);
        alive.count() <= 1
    })
    .await;
    assert_eq!(
        gate.gateway.reload().history().newest_first().count(),
        MOST_ENTRIES
    );
}

/// Two routes: `all`, and `gone` to an upstream of its own.
fn two_routes(kept: &Upstream, gone: &Upstream) -> String {
    format!(
        "[upstreams.kept]\nendpoints = [{{ address = \"{}\" }}]\n\
         [upstreams.gone]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"kept\"\n\
         [[routes]]\nname = \"gone\"\npath_prefix = \"/gone\"\nreplace_prefix = \"/slow\"\nupstream = \"gone\"\n",
        kept.address, gone.address
    )
}

#[tokio::test]
async fn o11_what_runs_on_a_removed_route_and_upstream_ends_in_peace() {
    let (kept, gone) = (versatile().await, versatile().await);
    let gate = TestGateway::start(&two_routes(&kept, &gone)).await;
    let (web, before) = (gate.web, gate.gateway.snapshot());
    let running = tokio::task::spawn(client::get(web, "/gone"));
    let stream = tokio::net::TcpStream::connect(web)
        .await
        .expect("connected");
    let (mut socket, _) = tokio_tungstenite::client_async("ws://test/gone", stream)
        .await
        .expect("a tunnel");
    until("both run", || gone.requests() == 2).await;
    let text = two_routes(&kept, &gone);
    let without = text
        .replace(
            &format!(
                "[upstreams.gone]\nendpoints = [{{ address = \"{}\" }}]\n",
                gone.address
            ),
            "",
        )
        .split("[[routes]]\nname = \"gone\"")
        .next()
        .expect("the part before")
        .to_owned();
    gate.reload(&without).await;
    assert_eq!(
        client::get(web, "/gone").await.text(),
        "ok",
        "by the route that is left"
    );
    socket.send(Message::text("ping")).await.expect("sent");
    let echo = socket.next().await.expect("open").expect("whole");
    assert_eq!(echo, Message::text("ping"));
    let ended = running.await.expect("it ends");
    assert_eq!((ended.status, ended.body.len()), (StatusCode::OK, 250));
    socket.close(None).await.expect("closed");
    until("its permits are back", || {
        before
            .upstreams
            .iter()
            .all(|up| up.gate.view().in_flight == 0)
    })
    .await;
}

fn limited(upstream: &Upstream, burst: u32, weight: u32) -> String {
    format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\", weight = {weight} }}]\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n\
         [[routes.rate_limits]]\nname = \"l\"\nkey = \"none\"\nrate = \"1/h\"\nburst = {burst}\n",
        upstream.address
    )
}

#[tokio::test]
async fn a_reload_refills_no_bucket() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&limited(&upstream, 4, 1)).await;
    for _ in 0..4 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    assert_eq!(
        client::get(gate.web, "/").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    gate.reload(&limited(&upstream, 4, 2)).await; // another weight: the same bucket
    assert_eq!(
        client::get(gate.web, "/").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    gate.reload(&limited(&upstream, 40, 2)).await; // ten times as large: still empty
    assert_eq!(
        client::get(gate.web, "/").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn a_larger_bucket_keeps_its_share_of_tokens() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&limited(&upstream, 4, 1)).await;
    for _ in 0..3 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    gate.reload(&limited(&upstream, 40, 1)).await; // one of four left: ten of forty
    let mut admitted = 0;
    while client::get(gate.web, "/").await.status == StatusCode::OK {
        admitted += 1;
    }
    assert!((9..=10).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn a_weight_change_keeps_the_ejection_and_the_connections() {
    let bad = Upstream::start(|_| async { answer(500, "no") }).await;
    let good = Upstream::saying("ok").await;
    let config = |weight: u32| {
        format!(
            "[upstreams.up]\nendpoints = [{{ address = \"{}\", weight = {weight} }}, {{ address = \"{}\" }}]\n\
             ejection = {{ consecutive_failures = 1, base_time = \"5m\" }}\n[[routes]]\nname = \"all\"\nupstream = \"up\"\n",
            bad.address, good.address
        )
    };
    let gate = TestGateway::start(&config(1)).await;
    for _ in 0..20 {
        let _ = client::get(gate.web, "/").await;
    }
    let (seen, connections) = (bad.requests(), good.connections());
    assert_eq!(seen, 1, "one failure ejects");
    gate.reload(&config(7)).await;
    for _ in 0..20 {
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    }
    assert_eq!(
        bad.requests(),
        seen,
        "the reload put an ejected endpoint back"
    );
    assert_eq!(
        good.connections(),
        connections,
        "the reload closed a connection"
    );
}

#[tokio::test]
async fn a_broken_file_is_told_with_its_line_and_changes_nothing() {
    let upstream = Upstream::saying("ok").await;
    let gate = TestGateway::start(&limited(&upstream, 400, 1)).await;
    let before = gate.gateway.snapshot().config.hash.clone();
    gate.write(&limited(&upstream, 400, 1).replace("rate =", "rat ="));
    until("it is rejected", || {
        gate.gateway.reload().status().last.is_some()
    })
    .await;
    let last = gate.gateway.reload().status().last.expect("an outcome");
    assert!(!last.verdict.is_in_force());
    let told = last.verdict.errors().expect("errors");
    assert!(told.contains("did you mean `rate`?"), "{told}");
    let line = last.verdict.error_line().expect("a line");
    assert!(told.contains(&format!("tidegate.toml:{line}:")), "{told}");
    assert_eq!(gate.gateway.snapshot().config.hash, before);
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
    assert!(
        (gate.metric("tidegate_config_last_reload_successful").await - 0.0).abs() < f64::EPSILON
    );
    assert!(
        (gate.metric("tidegate_config_error_line").await - f64::from(line)).abs() < f64::EPSILON
    );
    let shown = client::admin(gate.admin, "/api/v1/config").await.text();
    assert!(shown.contains("did you mean"), "{shown}");
}

#[tokio::test]
async fn names_that_come_and_go_leave_no_series_behind_for_good() {
    let upstream = Upstream::saying("ok").await;
    let config = |number: u32| {
        let address = upstream.address;
        complete(&format!(
            "[upstreams.up-{number}]\nendpoints = [{{ address = \"{address}\" }}]\n\
             [[routes]]\nname = \"r-{number}\"\nupstream = \"up-{number}\"\n"
        ))
    };
    let gate = TestGateway::start(&config(0)).await;
    let mut series = Vec::new();
    for number in 1..=210 {
        let text = config(number).into();
        let applied = gate.gateway.reload().apply(text, None, Try::ForReal);
        applied.await.expect("it is in force");
        assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
        if number % 70 == 0 {
            gate.gateway.telemetry().upkeep();
            let page = client::admin(gate.admin, "/metrics").await.text();
            let alive = format!("tidegate_requests_total{{route=\"r-{number}\"");
            assert!(page.contains(&alive), "{page}");
            series.push(page.lines().count());
        }
    }
    assert!(series[2] < series[0] + series[0] / 4, "{series:?}");
    assert_eq!(gate.gateway.telemetry().totals().good, 210, "sums stay");
}

#[tokio::test]
async fn a_config_map_swap_is_noticed() {
    let upstream = Upstream::saying("ok").await;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let write = |version: &str, burst: u32| {
        std::fs::create_dir(at(version)).expect("a folder");
        let text = crate::support::gateway::complete(&limited(&upstream, burst, 1));
        std::fs::write(at(version).join("tidegate.toml"), text).expect("written");
    };
    write("..v1", 4);
    std::os::unix::fs::symlink("..v1", at("..data")).expect("a link");
    std::os::unix::fs::symlink("..data/tidegate.toml", at("tidegate.toml")).expect("a link");
    let loaded = tidegate::config::read(&at("tidegate.toml")).expect("right");
    let gateway = tidegate::cli::gateway::Gateway::start(loaded, Some(at("tidegate.toml")))
        .expect("it starts");
    for (version, gone, revision) in [("..v2", "..v1", 2), ("..v3", "..v2", 3)] {
        write(version, 100 * u32::try_from(revision).expect("small"));
        std::os::unix::fs::symlink(version, at("..data_tmp")).expect("a link");
        std::fs::rename(at("..data_tmp"), at("..data")).expect("swapped");
        std::fs::remove_dir_all(at(gone)).expect("removed");
        until("the swap is in force", || {
            gateway.snapshot().config.revision == revision
        })
        .await;
    }
    let gateway = Arc::new(gateway);
    assert_eq!(gateway.snapshot().config.revision, 3);
}
