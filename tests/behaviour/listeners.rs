//! Listeners change while they are in use: sockets come, stay and go, and connections with them.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt, future::join_all};
use http::StatusCode;
use tidegate::reload::Try;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::reload::versatile;
use crate::support::{
    client::{self, GENEROUS},
    gateway::{TestGateway, complete},
    until,
};

const ROUTE: &str = "[[routes]]\nname = \"all\"\nrespond = { status = 200, body = \"ok\" }\n";
const ANYWHERE: &str = "127.0.0.1:0";

/// An address that is free now, of a loopback of its own.
fn free(host: u8) -> SocketAddr {
    let socket =
        std::net::TcpListener::bind(SocketAddr::from(([127, 0, 7, host], 0))).expect("a port");
    socket.local_addr().expect("an address")
}

fn listener(name: &str, bind: impl std::fmt::Display) -> String {
    format!("[[listeners]]\nname = \"{name}\"\nbind = \"{bind}\"\n")
}

async fn is_open(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

/// Waits until `address` is closed.
async fn closes(address: SocketAddr) {
    let closing = async {
        while is_open(address).await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(GENEROUS, closing).await.expect("it stays open");
}

/// Asks on a connection that stays open.
async fn ask(stream: &mut TcpStream) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .expect("written");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let byte = timeout(GENEROUS, stream.read_u8()).await.expect("in time");
        answer.push(byte.expect("an answer"));
    }
}

/// A connection on which one request was answered.
async fn used(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    ask(&mut stream).await;
    stream
}

async fn status(gate: &TestGateway) -> Vec<(String, String)> {
    let reply = client::admin(gate.admin, "/api/v1/status").await;
    let status: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let listeners = status["listeners"].as_array().expect("a list");
    listeners
        .iter()
        .map(|one| (text(&one["name"]), text(&one["address"])))
        .collect()
}

#[tokio::test]
async fn a_listener_comes_and_goes_and_the_other_is_not_touched() {
    let web = listener("web", ANYWHERE);
    let gate = TestGateway::start(&format!("{web}{ROUTE}")).await;
    let mut old = used(gate.web).await;
    let with = format!("{web}{}{ROUTE}", listener("more", ANYWHERE));
    gate.reload(&with).await;
    let more = gate.gateway.address("more").expect("it is bound");
    assert_eq!(client::get(more, "/").await.status, StatusCode::OK);
    let named = |name: &str, address: SocketAddr| (name.to_owned(), address.to_string());
    assert_eq!(
        status(&gate).await,
        [named("web", gate.web), named("more", more)]
    );
    let guest = used(more).await;
    let series = "tidegate_connections{listener=\"more\"}";
    assert!(gate.metric(series).await > 0.0);

    gate.reload(&format!("{web}{ROUTE}# without\n")).await;
    closes(more).await;
    assert_eq!(status(&gate).await, [named("web", gate.web)]);
    drop(guest);
    let forgotten = async {
        let is_there = |text: String| text.contains(series);
        while is_there(client::admin(gate.admin, "/metrics").await.text()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, forgotten).await.expect("its gauge stays");
    assert_eq!(gate.gateway.address("web"), Some(gate.web));
    ask(&mut old).await;
}

#[tokio::test]
async fn a_socket_that_cannot_be_bound_refuses_the_whole_config_and_changes_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (taken_at, unused) = (taken.local_addr().expect("an address"), free(1));
    let gate = TestGateway::start(&format!("{}{ROUTE}", listener("web", ANYWHERE))).await;
    let wrong = format!(
        "{}{}{}{}",
        listener("web", free(2)),
        listener("before", unused),
        listener("more", taken_at),
        ROUTE.replace("ok", "other")
    );
    gate.write(&wrong);
    until("it is rejected", || {
        gate.gateway.reload().status().last.is_some()
    })
    .await;
    let last = gate.gateway.reload().status().last.expect("an outcome");
    let why = last.verdict.errors().expect("errors");
    assert!(
        why.contains(&format!("listener `more` cannot bind {taken_at}")) && why.contains("in use"),
        "{why}"
    );
    assert_eq!(gate.gateway.snapshot().config.revision, 1);
    assert!(!is_open(unused).await, "what was bound before is let go");
    assert_eq!(client::get(gate.web, "/").await.text(), "ok");
    drop(taken);
    gate.reload(&format!("{wrong}# again\n")).await;
    assert_eq!(client::get(taken_at, "/").await.text(), "other");
}

#[tokio::test]
async fn a_listener_moves_and_its_old_connections_end() {
    let (here, there) = (free(3), free(4));
    let gate = TestGateway::start(&format!("{}{ROUTE}", listener("web", here))).await;
    let mut old = used(here).await;
    let short = "[drain]\ntimeout = \"1s\"\n";
    gate.reload(&format!("{short}{}{ROUTE}", listener("web", there)))
        .await;
    assert_eq!(client::get(there, "/").await.status, StatusCode::OK);
    closes(here).await;
    let end = timeout(GENEROUS, old.read(&mut [0; 16])).await;
    assert_eq!(end.expect("in time").expect("closed"), 0);
    assert_eq!(gate.gateway.address("web"), Some(there));
}

#[tokio::test]
async fn renamed_and_exchanged_listeners_keep_their_sockets_and_connections() {
    let (here, there) = (free(5), free(6));
    let both = |one: &str, other: &str| {
        let (one, other) = (listener(one, here), listener(other, there));
        format!("{one}{other}{ROUTE}")
    };
    let gate = TestGateway::start(&both("web", "shop")).await;
    let (mut one, mut other) = (used(here).await, used(there).await);
    gate.reload(&both("shop", "web")).await;
    assert_eq!(gate.gateway.address("web"), Some(there));
    assert_eq!(gate.gateway.address("shop"), Some(here));
    gate.reload(&both("shop", "books")).await;
    assert_eq!(gate.gateway.address("books"), Some(there));
    assert_eq!(gate.gateway.address("web"), None);
    ask(&mut one).await;
    ask(&mut other).await;
    for address in [here, there] {
        assert_eq!(client::get(address, "/").await.status, StatusCode::OK);
    }
    let books = gate
        .metric("tidegate_connections{listener=\"books\"}")
        .await;
    assert!(books > 0.0, "the old connection counts under the new name");
}

#[tokio::test]
async fn a_listener_of_all_addresses_becomes_one_of_a_single_address_and_back() {
    let single = free(8);
    let all = SocketAddr::from(([0, 0, 0, 0], single.port()));
    let gate = TestGateway::start(&format!("{}{ROUTE}", listener("web", all))).await;
    gate.reload(&format!("{}{ROUTE}", listener("web", single)))
        .await;
    assert_eq!(client::get(single, "/").await.status, StatusCode::OK);
    let elsewhere = SocketAddr::from(([127, 0, 7, 9], single.port()));
    closes(elsewhere).await;
    gate.reload(&format!("{}{ROUTE}", listener("web", all)))
        .await;
    for address in [single, elsewhere] {
        assert_eq!(client::get(address, "/").await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_listener_loses_nothing_in_200_changes_of_others() {
    let upstream = versatile().await;
    let route = format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        upstream.address
    );
    let web = listener("web", ANYWHERE);
    let gate = TestGateway::start(&format!("{web}{route}")).await;
    let stream = TcpStream::connect(gate.web).await.expect("connected");
    let tunnel = tokio_tungstenite::client_async("ws://test/ws", stream).await;
    let (mut tunnel, _) = tunnel.expect("a tunnel");
    let mut kept = client::connect(gate.web).await.expect("connected");

    let address = gate.web;
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let comers = tokio::task::spawn(async move {
        let mut served = 0_u32;
        while !stopped.is_cancelled() {
            let reply = client::try_send(address, client::request("GET", "/", "")).await;
            assert_eq!(reply.expect("an answer").status, StatusCode::OK);
            served += 1;
        }
        served
    });
    for round in 0..200 {
        let other = match round % 3 {
            0 => String::new(),
            other => listener(&format!("other-{other}"), ANYWHERE),
        };
        let text = complete(&format!("{web}{other}{route}# {round}\n"));
        let applied = gate.gateway.reload().apply(text.into(), None, Try::ForReal);
        applied.await.expect("applied");
        if round % 20 == 0 {
            let echo = Message::text(round.to_string());
            tunnel.send(echo.clone()).await.expect("sent");
            let back = timeout(GENEROUS, tunnel.next()).await.expect("in time");
            assert_eq!(back.expect("open").expect("a message"), echo);
            let reply = client::exchange(&mut kept, client::request("GET", "/", "")).await;
            assert_eq!(reply.expect("an answer").status, StatusCode::OK);
        }
    }
    stop.cancel();
    let served = comers.await.expect("no new connection fails");
    assert!(served > 20, "{served}");
    assert_eq!(gate.gateway.address("web"), Some(address));
}

#[tokio::test]
async fn connections_of_a_removed_listener_leave_one_after_the_other_and_its_tunnels_last() {
    let upstream = versatile().await;
    let route = format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"ws\"\npath = \"/ws\"\nupstream = \"up\"\n{ROUTE}",
        upstream.address
    );
    let (web, drain) = (listener("web", ANYWHERE), "[drain]\ntimeout = \"4s\"\n");
    let gone = listener("gone", ANYWHERE);
    let gate = TestGateway::start(&format!("{drain}{web}{gone}{route}")).await;
    let address = gate.gateway.address("gone").expect("bound");
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(used(address).await);
    }
    let stream = TcpStream::connect(address).await.expect("connected");
    let tunnel = tokio_tungstenite::client_async("ws://test/ws", stream).await;
    let (mut tunnel, _) = tunnel.expect("a tunnel");

    gate.reload(&format!("{drain}{web}{route}")).await;
    let began = Instant::now();
    let ends = join_all(idle.into_iter().map(|mut stream| async move {
        let end = timeout(GENEROUS, stream.read(&mut [0; 16])).await;
        assert_eq!(end.expect("in time").expect("closed, not reset"), 0);
        Instant::now()
    }))
    .await;
    let (first, last) = (
        ends.iter().min().expect("40"),
        ends.iter().max().expect("40"),
    );
    let spread = last.duration_since(*first);
    assert!(spread > Duration::from_secs(1), "{spread:?}");
    let end = timeout(GENEROUS, tunnel.next()).await.expect("it ends");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
    let lasted = began.elapsed();
    assert!(
        lasted > Duration::from_secs(3),
        "the tunnel was cut early: {lasted:?}"
    );
    assert_eq!(client::get(gate.web, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_proxy_protocol_and_limits_change_on_the_same_socket() {
    let gate = TestGateway::start(&format!("{}{ROUTE}", listener("web", ANYWHERE))).await;
    let mut old = used(gate.web).await;
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    let request = "GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let with = format!("{header}{request}");
    assert!(!client::raw(gate.web, &with).await.ends_with("ok"));

    let proxied = "proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    gate.reload(&format!("{}{proxied}{ROUTE}", listener("web", ANYWHERE)))
        .await;
    assert!(client::raw(gate.web, &with).await.ends_with("ok"));
    assert_eq!(client::raw(gate.web, request).await, "");
    ask(&mut old).await;

    let strangers = proxied.replace("127.0.0.0/8", "192.0.2.0/24");
    gate.reload(&format!("{}{strangers}{ROUTE}", listener("web", ANYWHERE)))
        .await;
    assert_eq!(client::raw(gate.web, &with).await, "");

    let limits = "max_connections = 1\nidle_timeout = \"100ms\"\n";
    gate.reload(&format!("{}{limits}{ROUTE}", listener("web", ANYWHERE)))
        .await;
    assert_eq!(gate.gateway.address("web"), Some(gate.web));
    assert_eq!(
        client::raw(gate.web, request).await,
        "",
        "the old one counts"
    );
    ask(&mut old).await; // it keeps its own idle time
    drop(old);
    let in_turn = async {
        while !client::raw(gate.web, request).await.ends_with("ok") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, in_turn)
        .await
        .expect("its place comes back");
    let mut new = TcpStream::connect(gate.web).await.expect("connected");
    let one = async {
        new.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            .await
            .expect("written");
        let mut all = Vec::new();
        new.read_to_end(&mut all).await.expect("closed");
        all
    };
    let answer = timeout(GENEROUS, one)
        .await
        .expect("it rests for 100 ms only");
    assert!(answer.ends_with(b"ok") || answer.is_empty());
}

#[tokio::test]
async fn the_admin_listener_moves_and_its_token_changes() {
    let there = free(10);
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "first").expect("written");
    let text = |bind: &str| {
        format!(
            "[admin]\nbind = \"{bind}\"\ntoken_file = \"token\"\n{}{ROUTE}",
            listener("web", ANYWHERE)
        )
    };
    let gate = TestGateway::start_in(folder, &text("127.0.0.1:0"));
    let get = async |address: SocketAddr, token: &str| {
        let request = format!(
            "GET /api/v1/status HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        let answer = client::raw(address, request).await;
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(get(gate.admin, "first").await, "200");
    std::fs::write(&token, "second").expect("written");
    let known = async {
        while get(gate.admin, "second").await != "200" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GENEROUS, known).await.expect("the new token opens");
    assert_eq!(get(gate.admin, "first").await, "401");

    gate.reload(&text(&there.to_string())).await;
    assert_eq!(get(there, "second").await, "200");
    assert_eq!(get(there, "first").await, "401");
    closes(gate.admin).await;
    assert_eq!(gate.gateway.address("admin"), Some(there));
}
