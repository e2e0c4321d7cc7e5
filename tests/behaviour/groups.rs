//! Groups: the second site takes over by the share of what fails, and gives back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    client,
    gateway::TestGateway,
    until,
    upstream::{Upstream, answer},
};

/// Checked often, and at its full share at once when it is back.
const CHECKED: &str = "slow_start = \"0s\"\nejection = { enabled = false }\n\
    health = { interval = \"100ms\", timeout = \"100ms\", unhealthy_after = 1, healthy_after = 1 }\n";
/// Nobody looks: a server is as good as its last try.
const UNCHECKED: &str = "ejection = { enabled = false }\n";

fn config(of_upstream: &str, groups: &[(&str, &[SocketAddr])]) -> String {
    let group = |(name, addresses): &(&str, &[SocketAddr])| {
        let listed: Vec<_> = addresses
            .iter()
            .map(|address| format!("{{ address = \"{address}\" }}"))
            .collect();
        let listed = listed.join(", ");
        format!("[[upstreams.up.groups]]\nname = \"{name}\"\nendpoints = [{listed}]\n")
    };
    let groups: String = groups.iter().map(group).collect();
    format!("[upstreams.up]\n{of_upstream}{groups}[[routes]]\nname = \"all\"\nupstream = \"up\"\n")
}

fn can_serve(gate: &TestGateway, address: SocketAddr) -> bool {
    let snapshot = gate.gateway.snapshot();
    let mut seats = snapshot.upstreams.iter().flat_map(|up| up.seats.as_slice());
    let seat = seats.find(|seat| seat.endpoint.id.address == address);
    seat.expect("it is named")
        .endpoint
        .health
        .can_serve(Instant::now())
}

async fn share(gate: &TestGateway, group: &str) -> f64 {
    let series = format!("tidegate_group_traffic_share_ratio{{upstream=\"up\",group=\"{group}\"}}");
    gate.metric(&series).await
}

async fn ask(gate: &TestGateway, times: usize) {
    for _ in 0..times {
        let reply = client::get(gate.web, "/").await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[tokio::test]
async fn the_second_site_takes_over_when_the_first_is_down_and_gives_back() {
    let main = Upstream::saying("main").await;
    let standby = Upstream::saying("standby").await;
    let groups: [(&str, &[SocketAddr]); 2] =
        [("main", &[main.address]), ("standby", &[standby.address])];
    let gate = TestGateway::start(&config(CHECKED, &groups)).await;
    ask(&gate, 20).await;
    assert_eq!(standby.requests(), 0, "the first is well");
    assert!(share(&gate, "main").await >= 1.0 && share(&gate, "standby").await <= 0.0);
    main.kill();
    until("the first is down", || !can_serve(&gate, main.address)).await;
    ask(&gate, 20).await;
    assert_eq!(standby.requests(), 20);
    assert!(share(&gate, "main").await <= 0.0 && share(&gate, "standby").await >= 1.0);
    let view: Value =
        serde_json::from_str(&client::admin(gate.admin, "/api/v1/upstreams").await.text()).unwrap();
    let up = &view[0];
    assert_eq!(
        (&up["groups"][1]["name"], &up["groups"][1]["traffic_share"]),
        (&"standby".into(), &1.0.into())
    );
    assert_eq!(up["groups"][0]["healthy_share"], 0.0);
    let of = |address: SocketAddr| {
        let mut endpoints = up["endpoints"].as_array().unwrap().iter();
        let own = endpoints.find(|endpoint| endpoint["address"] == address.to_string());
        own.unwrap()["group"].clone()
    };
    assert_eq!(
        (of(main.address), of(standby.address)),
        ("main".into(), "standby".into())
    );
    let again = Upstream::start_at(main.address, |_| async { answer(200, "main") }).await;
    until("the first is back", || can_serve(&gate, main.address)).await;
    let before = standby.requests();
    ask(&gate, 20).await;
    assert_eq!((again.requests(), standby.requests()), (20, before));
}

#[tokio::test]
async fn what_a_failing_part_cannot_take_spills_and_none_of_it_goes_to_what_is_down() {
    let main = [Upstream::saying("a").await, Upstream::saying("b").await];
    let standby = Upstream::saying("standby").await;
    let sites = main.each_ref().map(|up| up.address);
    let groups: [(&str, &[SocketAddr]); 2] = [("main", &sites), ("standby", &[standby.address])];
    let gate = TestGateway::start(&config(CHECKED, &groups)).await;
    main[1].kill();
    until("half of it is down", || !can_serve(&gate, sites[1])).await;
    let (of_main, of_down) = (main[0].requests(), main[1].requests());
    ask(&gate, 300).await;
    assert_eq!(main[1].requests(), of_down);
    // Half of it, times 1.4: 70 %. Three times sigma is 8 %.
    let spilt = standby.requests();
    assert!((60..=120).contains(&spilt), "{spilt} of 300");
    assert_eq!(main[0].requests() - of_main, 300 - spilt);
    assert!((share(&gate, "standby").await - 0.3).abs() < 1e-9);
}

#[tokio::test]
async fn a_retry_goes_to_the_next_group_before_anybody_knows_that_the_first_is_down() {
    let standby = Upstream::saying("standby").await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let groups: [(&str, &[SocketAddr]); 2] = [("main", &[nobody]), ("standby", &[standby.address])];
    let gate = TestGateway::start(&config(UNCHECKED, &groups)).await;
    ask(&gate, 10).await;
    assert_eq!(standby.requests(), 10);
    let spent = "tidegate_retries_total{upstream=\"up\",result=\"success\"}";
    assert!(gate.metric(spent).await >= 10.0);
}

#[tokio::test]
async fn an_endpoint_that_moves_to_another_group_keeps_what_is_known_of_it() {
    let sites = [Upstream::saying("a").await, Upstream::saying("b").await];
    let [a, b] = sites.each_ref().map(|up| up.address);
    let slow = CHECKED.replace("100ms\", timeout", "1h\", timeout"); // its first check is the only one
    sites[0].kill();
    let gate = TestGateway::start(&config(&slow, &[("main", &[a, b])])).await;
    until("it is down", || !can_serve(&gate, a)).await;
    let endpoint_of = |gate: &TestGateway| {
        let snapshot = gate.gateway.snapshot();
        let seat = snapshot.upstreams[0]
            .seats
            .as_slice()
            .iter()
            .find(|seat| seat.endpoint.id.address == a);
        let seat = seat.expect("it is named");
        (Arc::clone(&seat.endpoint), seat.group)
    };
    let (before, group) = endpoint_of(&gate);
    assert_eq!(group, 0);
    gate.reload(&config(&slow, &[("main", &[b]), ("standby", &[a])]))
        .await;
    let (after, group) = endpoint_of(&gate);
    assert_eq!(group, 1);
    assert!(Arc::ptr_eq(&before, &after) && !can_serve(&gate, a));
    tokio::time::timeout(Duration::from_secs(20), ask(&gate, 5))
        .await
        .expect("in time");
    assert_eq!(sites[0].requests(), 0);
}
